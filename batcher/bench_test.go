package batcher_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/mqdaemon/mqd/batcher"
)

// slab is a span as a daemon has it: a number of records in memory, with the
// hash of each key beside it.
type slab struct {
	records, size int // size of each
	keys          []uint64
}

func (s slab) Len() int  { return s.records }
func (s slab) Size() int { return s.records * s.size }

func (s slab) Cut(messages, bytes int) (head, rest slab, more bool) {
	n := min(s.records, messages, max(1, bytes/s.size))
	head, rest = s, s
	head.records, rest.records = n, s.records-n
	if s.keys != nil {
		head.keys, rest.keys = s.keys[:n], s.keys[n:]
	}
	return head, rest, rest.records > 0
}

func slabKeys(s slab, yield func(uint64) bool) {
	for _, key := range s.keys {
		if !yield(key) {
			return
		}
	}
}

// runSlabs starts a Batcher with real time and returns the stop function.
func runSlabs(tb testing.TB, cfg batcher.Config[slab], send func(*batcher.Batch[slab])) (*batcher.Batcher[slab], func()) {
	tb.Helper()
	b, err := batcher.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ran := make(chan error)
	go func() {
		ran <- b.Run(tb.Context(), func(_ context.Context, batch *batcher.Batch[slab]) batcher.Outcome {
			send(batch)
			return batcher.Done
		})
	}()
	return b, func() {
		b.Drain()
		if err := <-ran; err != nil {
			tb.Error(err)
		}
	}
}

var slabCases = []struct {
	name string
	span slab
	keys func(slab, func(uint64) bool)
}{
	{"one", slab{records: 1, size: 256}, nil},
	{"run", slab{records: 64, size: 256}, nil},
	{"unkeyed", slab{records: 64, size: 256}, slabKeys},
	{"keyed", slab{records: 64, size: 256, keys: make([]uint64, 64)}, slabKeys},
}

func init64(keys []uint64) {
	for i := range keys {
		keys[i] = uint64(i + 1)
	}
}

func TestNoAllocationInTheSteadyState(t *testing.T) {
	for _, c := range slabCases {
		init64(c.span.keys)
		for _, policy := range []batcher.Config[slab]{
			{},
			{Pace: time.Microsecond},
			{Linger: time.Microsecond, Rate: batcher.Rate{PerSecond: 1e6, Burst: 10}, MaxSlots: 4},
		} {
			policy.Keys, policy.MaxMessages = c.keys, 100
			done := make(chan int, 1000)
			b, stop := runSlabs(t, policy, func(batch *batcher.Batch[slab]) { done <- batch.Messages })
			spans := make([]slab, 5)
			for i := range spans {
				spans[i] = c.span
			}
			got := testing.AllocsPerRun(300, func() {
				b.Add(spans...)
				for left := 5 * c.span.records; left > 0; {
					left -= <-done
				}
			})
			stop()
			if got != 0 {
				t.Errorf("%s, pace %v, linger %v: %v allocations for 5 spans, want 0", c.name, policy.Pace, policy.Linger, got)
			}
		}
	}
}

// What a batch points to can be collected when its send has returned, although
// the batch and the ring are kept for the next ones.
func TestNothingIsHeldAfterSend(t *testing.T) {
	sent := make(chan struct{})
	b, stop := runSlabs(t, batcher.Config[slab]{}, func(*batcher.Batch[slab]) { sent <- struct{}{} })
	keys := make([]uint64, 1000)
	gone := weak.Make(&keys[0])
	b.Add(slab{records: 1, size: 1, keys: keys})
	keys = nil //nolint:wastedassign // so that only the batcher can hold them
	<-sent
	for b.Stats().Busy > 0 {
		runtime.Gosched()
	}
	runtime.GC()
	if gone.Value() != nil {
		t.Error("the span of a settled batch is still reachable")
	}
	stop()
}

// Many goroutines, real time: every message once, and the counts come out at 0.
func TestConcurrentAdd(t *testing.T) {
	var sent, busy atomic.Int64
	b, stop := runSlabs(t, batcher.Config[slab]{MaxMessages: 50, MinSlots: 2, MaxSlots: 4, Pace: 20 * time.Microsecond, Keys: slabKeys},
		func(batch *batcher.Batch[slab]) {
			if n := busy.Add(1); n > 4 {
				t.Errorf("%d sends at once", n)
			}
			sent.Add(int64(batch.Messages))
			busy.Add(-1)
		})
	const producers, spans = 8, 2000
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			span := slab{records: 3, size: 10, keys: []uint64{uint64(p), 0, 77}}
			for i := range spans {
				b.Add(span)
				if i%100 == 0 {
					b.Flush()
					_ = b.Stats()
				}
			}
		})
	}
	wg.Wait()
	stop()
	if got := sent.Load(); got != producers*spans*3 {
		t.Errorf("%d messages sent, want %d", got, producers*spans*3)
	}
	if got := b.Stats(); got != (batcher.Stats{Slots: got.Slots}) {
		t.Errorf("at the end %+v", got)
	}
}

// BenchmarkAddToSend is the whole way of a span: Add, a batch, the return of a
// send that does nothing. The producer is kept from running away, as a spool does.
func BenchmarkAddToSend(b *testing.B) {
	for _, c := range slabCases {
		init64(c.span.keys)
		b.Run(c.name, func(b *testing.B) {
			var batches int64
			var left atomic.Int64
			q, stop := runSlabs(b, batcher.Config[slab]{MaxMessages: 500, Keys: c.keys}, func(batch *batcher.Batch[slab]) {
				batches++
				left.Add(-int64(batch.Messages))
			})
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				for left.Load() > 1<<16 {
					runtime.Gosched()
				}
				left.Add(int64(c.span.records))
				q.Add(c.span)
			}
			stop()
			b.ReportMetric(float64(b.N)*float64(c.span.records)/float64(max(batches, 1)), "messages/batch")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.span.records), "ns/message")
		})
	}
}

// BenchmarkAdd is what the producer pays while all slots are taken.
func BenchmarkAdd(b *testing.B) {
	for _, linger := range []time.Duration{0, time.Nanosecond} {
		b.Run(fmt.Sprintf("linger=%v", linger), func(b *testing.B) {
			release, taken := make(chan struct{}), make(chan struct{})
			q, stop := runSlabs(b, batcher.Config[slab]{Linger: linger, MaxMessages: 1 << 30, MaxBytes: 1 << 40},
				func(*batcher.Batch[slab]) { taken <- struct{}{}; <-release })
			span := slab{records: 64, size: 256}
			q.Add(span)
			<-taken
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				q.Add(span)
				if i%4096 == 4095 { // the slot takes all of it
					b.StopTimer()
					release <- struct{}{}
					<-taken
					b.StartTimer()
				}
			}
			b.StopTimer()
			go func() {
				for range taken {
				}
			}()
			close(release)
			stop()
			close(taken)
		})
	}
}

// BenchmarkRoundTrip is a quiet message: Add, wake-up of the slot, send.
func BenchmarkRoundTrip(b *testing.B) {
	for _, pace := range []time.Duration{0, time.Nanosecond} {
		b.Run(fmt.Sprintf("pace=%v", pace), func(b *testing.B) {
			done := make(chan struct{})
			q, stop := runSlabs(b, batcher.Config[slab]{Pace: pace}, func(*batcher.Batch[slab]) { done <- struct{}{} })
			b.ReportAllocs()
			for b.Loop() {
				q.Add(slab{records: 1, size: 256})
				<-done
			}
			stop()
		})
	}
}
