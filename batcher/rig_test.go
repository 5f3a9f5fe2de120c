package batcher_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqdaemon/mqd/batcher"
)

const ms = time.Millisecond

type msg struct {
	id   int
	key  uint64
	size int
}

// msgs is the span of these tests.
type msgs []msg

func (m msgs) Len() int { return len(m) }

func (m msgs) Size() (n int) {
	for _, x := range m {
		n += x.size
	}
	return n
}

func (m msgs) Cut(messages, bytes int) (head, rest msgs, more bool) {
	if messages < 1 || bytes < 0 {
		panic(fmt.Sprintf("Cut(%d, %d)", messages, bytes))
	}
	n := 0
	for n < len(m) && n < messages && (n == 0 || m[n].size <= bytes) {
		bytes -= m[n].size
		n++
	}
	return m[:n], m[n:], n < len(m)
}

func keysOf(m msgs, yield func(uint64) bool) {
	for _, x := range m {
		if !yield(x.key) {
			return
		}
	}
}

// ones is a span of n messages of one byte each, numbered from first.
func ones(first, n int) msgs {
	m := make(msgs, n)
	for i := range m {
		m[i] = msg{id: first + i, size: 1}
	}
	return m
}

// keyed is a span of one-byte messages with these keys, numbered from first.
func keyed(first int, keys ...uint64) msgs {
	m := ones(first, len(keys))
	for i := range m {
		m[i].key = keys[i]
	}
	return m
}

// sent is what the send function saw, on the rig's clock.
type sent struct {
	start, end  time.Duration
	n, bytes    int
	reason      batcher.Reason
	messages    msgs
	interrupted bool
}

// String is what the tests compare: start, messages, reason.
func (s *sent) String() string { return fmt.Sprintf("%v %d %v", s.start, s.n, s.reason) }

// rig runs a Batcher inside a synctest bubble and records every batch.
type rig struct {
	t     *testing.T
	b     *batcher.Batcher[msgs]
	epoch time.Time
	stop  context.CancelFunc
	ran   chan error

	mu   sync.Mutex
	sent []*sent
	busy int
	most int // most sends at once
}

// answer decides how long a batch takes and what becomes of it; i counts from 0.
type answer func(i int) (time.Duration, batcher.Outcome)

// after is an answer that is always the same.
func after(d time.Duration) answer {
	return func(int) (time.Duration, batcher.Outcome) { return d, batcher.Done }
}

func newRig(t *testing.T, cfg batcher.Config[msgs], answer answer) *rig {
	t.Helper()
	b, err := batcher.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	r := &rig{t: t, b: b, epoch: time.Now(), stop: stop, ran: make(chan error, 1)}
	go func() { r.ran <- b.Run(ctx, r.send(answer)) }()
	synctest.Wait()
	return r
}

func (r *rig) send(answer answer) func(context.Context, *batcher.Batch[msgs]) batcher.Outcome {
	return func(ctx context.Context, batch *batcher.Batch[msgs]) batcher.Outcome {
		s := &sent{
			start: time.Since(r.epoch), n: batch.Messages, bytes: batch.Bytes,
			reason: batch.Reason, messages: slices.Concat(batch.Spans...),
		}
		if slices.ContainsFunc(batch.Spans, func(m msgs) bool { return len(m) == 0 }) {
			r.t.Errorf("empty span in %v", batch.Spans)
		}
		r.mu.Lock()
		i := len(r.sent)
		r.sent = append(r.sent, s)
		r.busy++
		r.most = max(r.most, r.busy)
		r.mu.Unlock()
		latency, outcome := answer(i)
		select {
		case <-time.After(latency):
		case <-ctx.Done():
			outcome = batcher.Unsettled
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.busy--
		s.end = time.Since(r.epoch)
		s.interrupted = outcome == batcher.Unsettled
		return outcome
	}
}

// at sleeps until d on the rig's clock and lets everything settle there.
func (r *rig) at(d time.Duration) *rig {
	r.t.Helper()
	if now := time.Since(r.epoch); now > d {
		r.t.Fatalf("it is %v already, %v is over", now, d)
	}
	time.Sleep(d - time.Since(r.epoch))
	synctest.Wait()
	return r
}

// add adds each span and lets everything settle.
func (r *rig) add(spans ...msgs) {
	r.b.Add(spans...)
	synctest.Wait()
}

// want asserts all batches so far, in order of start.
func (r *rig) want(batches ...string) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	got := make([]string, len(r.sent))
	for i, s := range r.sent {
		got[i] = s.String()
	}
	if !slices.Equal(got, batches) {
		r.t.Errorf("batches (start, messages, reason):\n got %q\nwant %q", got, batches)
	}
}

// close ends Run, which must return at d with no error.
func (r *rig) close(d time.Duration) {
	r.t.Helper()
	r.b.Close()
	r.returns(d, nil)
}

func (r *rig) returns(d time.Duration, want error) {
	r.t.Helper()
	if err := <-r.ran; !errors.Is(err, want) {
		r.t.Errorf("Run returned %v, want %v", err, want)
	}
	if now := time.Since(r.epoch); now != d {
		r.t.Errorf("Run returned at %v, want %v", now, d)
	}
	if r.b.Armed() || r.b.Workers() != 0 || r.b.KeysInFlight() != 0 {
		r.t.Errorf("left behind: timer %t, workers %d, keys %d", r.b.Armed(), r.b.Workers(), r.b.KeysInFlight())
	}
	r.stop()
}
