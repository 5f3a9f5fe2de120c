package batcher_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqdaemon/mqd/batcher"
)

func TestKeyInFlightEndsTheBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{MinSlots: 4, Keys: keysOf}, func(i int) (time.Duration, batcher.Outcome) {
			return []time.Duration{10 * ms, 20 * ms, ms, ms, ms}[i], batcher.Done
		})
		r.add(keyed(0, 1, 1, 2))             // one key twice in one batch is no conflict
		r.add(keyed(3, 3, 0), keyed(5, 4))   // other keys go beside it
		r.add(keyed(6, 0, 5, 2, 6))          // 2 is in flight until 10 ms
		r.at(5 * ms).add(keyed(10, 0, 9, 3)) // behind it; 3 until 20 ms
		r.want("0s 3 free", "0s 3 free", "0s 2 key")
		if n := r.b.Stats().Busy; n != 2 {
			t.Errorf("%d slots busy, want 2: the head is blocked", n)
		}
		r.at(15*ms).want("0s 3 free", "0s 3 free", "0s 2 key", "10ms 4 key")
		r.at(time.Second).want("0s 3 free", "0s 3 free", "0s 2 key", "10ms 4 key", "20ms 1 free")
		r.close(time.Second)
	})
}

func TestMessagesWithoutKeyHaveNoOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{MinSlots: 3, Keys: keysOf}, after(time.Second))
		for i := range 3 {
			r.add(keyed(i, 0))
		}
		r.want("0s 1 free", "0s 1 free", "0s 1 free")
		r.close(time.Second)
	})
}

// A span whose Keys yields nothing has none.
func TestSpanWithoutKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{MinSlots: 3, Keys: func(msgs, func(uint64) bool) {}}, after(time.Second))
		for i := range 3 {
			r.add(keyed(2*i, 1, 1))
		}
		r.want("0s 2 free", "0s 2 free", "0s 2 free")
		r.close(time.Second)
	})
}

// The limits and the keys cut the same span, and only the part that is sent
// holds its keys.
func TestKeysOfWhatWasCutAreNotHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{MinSlots: 3, MaxMessages: 2, Keys: keysOf}, after(time.Second))
		r.add(keyed(0, 1, 2, 3, 4, 1))
		r.want("0s 2 messages", "0s 2 messages")
		if n := r.b.KeysInFlight(); n != 4 {
			t.Errorf("%d keys in flight, want 4", n)
		}
		r.at(2*time.Second).want("0s 2 messages", "0s 2 messages", "1s 1 free")
		r.close(2 * time.Second)
	})
}

// A key stays held through the retries inside send, whatever the outcome.
func TestKeyIsHeldUntilSendReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{MinSlots: 2, Keys: keysOf}, func(int) (time.Duration, batcher.Outcome) {
			return time.Minute, batcher.PushedBack
		})
		r.add(keyed(0, 1))
		r.b.Flush()
		r.add(keyed(1, 1))
		r.at(59 * time.Second).want("0s 1 free")
		r.at(time.Hour).want("0s 1 free", "1m0s 1 free")
		r.close(time.Hour)
	})
}

// Keys that goes on although yield returned false must not break the order.
func TestKeysThatDoesNotStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rude := func(m msgs, yield func(uint64) bool) {
			for _, x := range m {
				yield(x.key)
			}
		}
		r := newRig(t, config{MinSlots: 2, Keys: rude}, after(time.Second))
		r.add(keyed(0, 1))
		r.add(keyed(1, 2, 1, 3, 4))
		r.at(2 * time.Second)
		var ids []int
		for _, s := range r.sent {
			for _, m := range s.messages {
				ids = append(ids, m.id)
			}
		}
		if !slices.Equal(ids, []int{0, 1, 2, 3, 4}) {
			t.Errorf("order of start %v", ids)
		}
		r.want("0s 1 free", "0s 1 key", "1s 3 free")
		r.close(2 * time.Second)
	})
}
