package client

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/internal/envelope"
)

// BenchmarkSend compares Send with the bare system call for the same body. The
// two take turns in filling the queue, so that both meet the same machine;
// emptying it is not counted. The figures are medians over the turns.
func BenchmarkSend(b *testing.B) {
	const turn = 50 // messages of 256 bytes that fit into the default msg_qbytes
	addr, q := testQueue(b)
	c := &Client{Queue: addr}
	ctx := b.Context()
	body := make([]byte, 256)
	raw := append(binary.NativeEndian.AppendUint64(nil, 1), body...)
	var bare, wrapped []time.Duration
	for b.Loop() {
		start := time.Now()
		for range turn {
			if errno := q.TrySendRaw(raw); errno != 0 {
				b.Fatal(errno)
			}
		}
		bare = append(bare, time.Since(start)/turn)
		drain(q)
		start = time.Now()
		for range turn {
			if err := c.Send(ctx, Message{Body: body}); err != nil {
				b.Fatal(err)
			}
		}
		wrapped = append(wrapped, time.Since(start)/turn)
		drain(q)
	}
	slices.Sort(bare)
	slices.Sort(wrapped)
	middle := len(bare) / 2
	b.ReportMetric(float64(bare[middle]), "bare-ns")
	b.ReportMetric(float64(wrapped[middle]), "send-ns")
	b.ReportMetric(float64(wrapped[middle])/float64(bare[middle]), "ratio")
}

// BenchmarkThroughput counts messages per second with a receiver that takes
// kernel messages as the daemon does.
func BenchmarkThroughput(b *testing.B) {
	body := make([]byte, 256)
	b.Run("send", func(b *testing.B) {
		addr := receiveAll(b, func(*envelope.Message) {})
		c := &Client{Queue: addr}
		ctx := context.Background()
		b.ResetTimer()
		for b.Loop() {
			if err := c.Send(ctx, Message{Body: body}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	})
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("batch-%d", n), func(b *testing.B) {
			addr := receiveAll(b, func(*envelope.Message) {})
			c := &Client{Queue: addr}
			messages := make([]Message, n)
			for i := range messages {
				messages[i].Body = body
			}
			ctx := context.Background()
			b.ResetTimer()
			for b.Loop() {
				if _, err := c.SendBatch(ctx, messages); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
