package batcher_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/mqdaemon/mqd/batcher"
)

// lines is a span: some lines that were read together.
type lines []string

func (l lines) Len() int { return len(l) }

func (l lines) Size() int { return len(strings.Join(l, "\n")) + 1 }

func (l lines) Cut(messages, bytes int) (head, rest lines, more bool) {
	n := 1
	for n < len(l) && n < messages && l[:n+1].Size() <= bytes {
		n++
	}
	return l[:n], l[n:], n < len(l)
}

func Example() {
	b, err := batcher.New(batcher.Config[lines]{MaxMessages: 4})
	if err != nil {
		fmt.Println(err)
		return
	}

	// A destination that answers nothing for now.
	request, answers := make(chan struct{}, 3), make(chan struct{})
	ran := make(chan error)
	go func() {
		ran <- b.Run(context.Background(), func(_ context.Context, batch *batcher.Batch[lines]) batcher.Outcome {
			fmt.Println(batch.Reason, batch.Spans)
			request <- struct{}{}
			<-answers
			return batcher.Done
		})
	}()

	b.Add(lines{"quiet"})
	<-request
	b.Add(lines{"busy 1"})
	b.Add(lines{"busy 2", "busy 3"})
	b.Add(lines{"busy 4", "busy 5"})
	b.Drain()
	close(answers)
	if err := <-ran; err != nil {
		fmt.Println(err)
	}
	// Output:
	// free [[quiet]]
	// messages [[busy 1] [busy 2 busy 3] [busy 4]]
	// free [[busy 5]]
}
