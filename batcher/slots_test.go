package batcher_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqdaemon/mqd/batcher"
)

// saturate keeps more pending than can be sent and returns the limit of slots
// right after each round of latency.
func saturate(t *testing.T, cfg config, answer answer, rounds int) (limits []int) {
	synctest.Test(t, func(t *testing.T) {
		cfg.MaxMessages = 1
		r := newRig(t, cfg, answer)
		r.add(ones(0, 1000))
		for i := range rounds {
			r.at(time.Duration(i)*time.Second + ms)
			limits = append(limits, r.b.Stats().Slots)
		}
		if r.most > cfg.MaxSlots {
			t.Errorf("%d sends at once, MaxSlots is %d", r.most, cfg.MaxSlots)
		}
		r.b.Close()
		synctest.Wait()
		r.stop() // cut the rest short
		<-r.ran
	})
	return limits
}

func equal(t *testing.T, got []int, want ...int) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func TestSlotsGrowByOneARoundTrip(t *testing.T) {
	equal(t, saturate(t, config{MaxSlots: 5}, after(time.Second), 7), 1, 2, 3, 4, 5, 5, 5)
}

func TestSlotsAreHalvedOncePerRoundTrip(t *testing.T) {
	// Eight in flight, and all of them are pushed back: 8, 4, 2, 1, not 8, 1.
	pushBack := func(int) (time.Duration, batcher.Outcome) { return time.Second, batcher.PushedBack }
	equal(t, saturate(t, config{MinSlots: 8, MaxSlots: 8}, pushBack, 3), 8, 8, 8)
	equal(t, saturate(t, config{MinSlots: 3, MaxSlots: 8}, func(i int) (time.Duration, batcher.Outcome) {
		// Rounds of 3, 4, 5, 6, 7 and 8 batches, then refusals.
		if i < 3+4+5+6+7 {
			return time.Second, batcher.Done
		}
		return time.Second, batcher.PushedBack
	}, 9), 3, 4, 5, 6, 7, 8, 4, 3, 3)
}

// What was started before a halving knows nothing of the lower limit, good or bad.
func TestOldBatchesDoNotUndoAHalving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{MaxMessages: 1, MinSlots: 1, MaxSlots: 3}, func(i int) (time.Duration, batcher.Outcome) {
			switch i {
			case 0, 1, 2: // these take the limit to 3
				return time.Second, batcher.Done
			case 3:
				return time.Second, batcher.PushedBack
			default:
				return time.Second + time.Duration(i)*ms, batcher.Done
			}
		})
		r.add(ones(0, 100))
		for _, want := range []struct {
			at    time.Duration
			slots int
		}{{2*time.Second + 500*ms, 3}, {3*time.Second + ms, 1}, {3*time.Second + 500*ms, 1}} {
			if got := r.at(want.at).b.Stats(); got.Slots != want.slots {
				t.Errorf("at %v %+v, want %d slots", want.at, got, want.slots)
			}
		}
		r.b.Close()
		r.stop()
		<-r.ran
	})
}

func TestSlotsDoNotGrowWithoutNeed(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  config
		then msgs // added while the only slot is taken
	}{
		{"nothing waits", config{}, nil},
		{"linger is not over", config{Linger: time.Hour}, ones(1, 1)},
		{"pace is not over", config{Pace: time.Hour}, ones(1, 1)},
		{"no budget", config{Rate: batcher.Rate{PerSecond: 0.01}}, ones(1, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.cfg.MaxSlots = 4
				r := newRig(t, c.cfg, after(time.Second))
				r.add(ones(0, 1))
				r.b.Flush()
				synctest.Wait()
				if c.then != nil {
					r.add(c.then)
				}
				r.at(2 * time.Second)
				if got := r.b.Stats(); got.Slots != 1 || got.Busy != 0 {
					t.Errorf("%+v, want one slot, free", got)
				}
				r.close(2 * time.Second)
			})
		})
	}
}

// With a key in flight at the head, another slot would have nothing to send.
func TestSlotsDoNotGrowForABlockedKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{MinSlots: 2, MaxSlots: 4, Keys: keysOf}, func(i int) (time.Duration, batcher.Outcome) {
			return time.Duration(3-i) * time.Second, batcher.Done
		})
		r.add(keyed(0, 7))
		r.add(keyed(1, 8, 7)) // the second of these is blocked, both slots are taken
		r.at(2500 * ms)
		if got := r.b.Stats(); got.Slots != 2 || got.Busy != 1 {
			t.Errorf("%+v, want 2 slots, 1 busy", got)
		}
		r.at(10*time.Second).want("0s 1 free", "0s 1 key", "3s 1 free")
		r.close(10 * time.Second)
	})
}
