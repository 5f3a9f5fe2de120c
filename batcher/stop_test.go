package batcher_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqdaemon/mqd/batcher"
)

func TestCloseLetsSendsFinishAndStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{MaxMessages: 2, MinSlots: 2}, after(time.Second))
		r.add(ones(0, 5))
		r.at(300 * ms).b.Close()
		r.b.Close()
		r.b.Flush()
		r.b.Drain()
		r.add(ones(5, 1))
		r.returns(time.Second, nil)
		r.want("0s 2 messages", "0s 2 messages")
		if got := r.b.Stats(); got != (batcher.Stats{Pending: 2, PendingBytes: 2, Slots: 2}) {
			t.Errorf("%+v, want the two that were not started", got)
		}
	})
}

func TestCloseCutsNoLingerShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{Linger: time.Second}, after(0))
		r.add(ones(0, 1))
		if !r.b.Armed() {
			t.Error("no timer for Linger")
		}
		r.close(0)
		r.want()
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{Linger: time.Hour, MaxMessages: 2, Pace: 10 * ms, MinSlots: 4}, after(time.Second))
		r.add(ones(0, 5))
		r.add(ones(5, 2))
		r.at(20*ms).want("0s 2 messages", "0s 2 messages", "0s 2 messages")
		r.b.Drain()
		r.b.Drain()
		r.returns(1020*ms, nil)
		r.want("0s 2 messages", "0s 2 messages", "0s 2 messages", "20ms 1 drain")
	})
}

func TestDrainKeepsToTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{MaxMessages: 1, Rate: batcher.Rate{PerSecond: 1}}, after(0))
		r.add(ones(0, 3))
		r.b.Drain()
		r.returns(2*time.Second, nil)
		r.want("0s 1 messages", "1s 1 messages", "2s 1 messages")
	})
}

func TestDrainOfNothingAndCloseDuringDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{}, after(time.Second))
		r.b.Drain()
		r.returns(0, nil)
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{MaxMessages: 1}, after(time.Second))
		r.add(ones(0, 9))
		r.b.Drain()
		r.at(1500 * ms).close(2 * time.Second)
		r.want("0s 1 messages", "1s 1 messages")
	})
}

func TestEndOfContextCutsSendsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{MaxMessages: 1, MinSlots: 2}, after(time.Hour))
		r.add(ones(0, 5))
		r.at(time.Second).stop()
		r.returns(time.Second, nil)
		r.want("0s 1 messages", "0s 1 messages")
		for _, s := range r.sent {
			if !s.interrupted || s.end != time.Second {
				t.Errorf("send ended at %v, interrupted %t; want 1s, true", s.end, s.interrupted)
			}
		}
	})
}

// A send that ignores its context is waited for all the same.
func TestRunWaitsForSendsAfterEndOfContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := batcher.New(config{MaxMessages: 1})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		start, sends := time.Now(), 0
		b.Add(ones(0, 2))
		err = b.Run(ctx, func(context.Context, *batcher.Batch[msgs]) batcher.Outcome {
			sends++
			time.Sleep(3 * time.Second)
			return batcher.Done
		})
		if took := time.Since(start); err != nil || took != 3*time.Second || sends != 1 {
			t.Errorf("Run returned %v after %v and %d sends, want nil, 3s, 1", err, took, sends)
		}
	})
}

// Close and then the end of the context: the two phases of an ordered stop.
func TestCloseThenEndOfContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{}, after(time.Hour))
		r.add(ones(0, 1))
		r.b.Close()
		r.at(4 * time.Second).stop()
		r.returns(4*time.Second, nil)
	})
}

func TestUnsettledEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{MaxMessages: 1, MinSlots: 2, Keys: keysOf}, func(i int) (time.Duration, batcher.Outcome) {
			if i == 0 {
				return time.Second, batcher.Unsettled
			}
			return 3 * time.Second, batcher.Done
		})
		r.add(keyed(0, 1, 2, 1))
		r.returns(3*time.Second, batcher.ErrUnsettled)
		if len(r.sent) != 2 {
			t.Errorf("%d batches, want none after the unsettled one", len(r.sent))
		}
	})
}

// Nobody has to say why Run ends if it was told to.
func TestUnsettledWhileStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{}, func(int) (time.Duration, batcher.Outcome) {
			return time.Second, batcher.Unsettled
		})
		r.add(ones(0, 1))
		r.b.Close()
		r.returns(time.Second, nil)
	})
	for _, outcome := range []batcher.Outcome{batcher.Unsettled, batcher.Done, batcher.PushedBack} {
		b, err := batcher.New(config{MaxMessages: 1})
		if err != nil {
			t.Fatal(err)
		}
		b.Add(ones(0, 3))
		ctx, stop := context.WithCancel(t.Context())
		sends := 0
		err = b.Run(ctx, func(context.Context, *batcher.Batch[msgs]) batcher.Outcome {
			sends++
			stop() // and nothing starts from here on, although Run may not have looked yet
			return outcome
		})
		if err != nil || sends != 1 {
			t.Errorf("outcome %d: Run returned %v after %d sends, want nil, 1", outcome, err, sends)
		}
	}
}

func TestRunOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{}, after(0))
		if err := r.b.Run(t.Context(), nil); !errors.Is(err, batcher.ErrRunning) {
			t.Errorf("second Run returned %v, want %v", err, batcher.ErrRunning)
		}
		r.close(0)
		if err := r.b.Run(t.Context(), nil); !errors.Is(err, batcher.ErrRunning) {
			t.Errorf("Run after Run returned %v, want %v", err, batcher.ErrRunning)
		}
	})
}

func TestBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := batcher.New(config{Linger: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		b.Add(ones(0, 2))
		b.Flush()
		time.Sleep(time.Minute)
		b.Drain()
		got := 0
		err = b.Run(t.Context(), func(_ context.Context, batch *batcher.Batch[msgs]) batcher.Outcome {
			got += batch.Messages
			return batcher.Done
		})
		if err != nil || got != 2 {
			t.Errorf("Run returned %v and sent %d messages, want nil, 2", err, got)
		}
	})
	b, err := batcher.New(config{})
	if err != nil {
		t.Fatal(err)
	}
	b.Add(ones(0, 1))
	b.Close()
	if err := b.Run(t.Context(), nil); err != nil {
		t.Errorf("Run after Close returned %v, want nil", err)
	}
}
