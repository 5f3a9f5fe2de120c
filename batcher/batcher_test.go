package batcher_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqdaemon/mqd/batcher"
)

type config = batcher.Config[msgs]

func TestQuietMessageGoesAloneAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{Pace: ms, MaxSlots: 4}, after(5*ms))
		for i := range 3 {
			r.at(time.Duration(i) * time.Second).add(ones(i, 1))
			if r.b.Armed() {
				t.Error("a timer runs although nothing is pending")
			}
		}
		r.want("0s 1 free", "1s 1 free", "2s 1 free")
		if n := r.b.Workers(); n != 1 {
			t.Errorf("%d workers for one message at a time, want 1", n)
		}
		r.at(3 * time.Second).close(3 * time.Second)
	})
}

// One message a millisecond and an answer in ten: batches of ten.
func TestBatchSizeIsLoadTimesLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{}, after(10*ms+ms/10))
		for i := range 40 {
			r.at(time.Duration(i) * ms).add(ones(i, 1))
		}
		r.want("0s 1 free", "10.1ms 10 free", "20.2ms 10 free", "30.3ms 10 free")
		r.close(40*ms + 4*ms/10)
		if got := r.b.Stats(); got.Pending != 9 || got.PendingBytes != 9 {
			t.Errorf("after Close %+v, want 9 messages pending", got)
		}
	})
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name            string
		messages, bytes int
		sizes           []int // of the messages that are pending when the slot gets free
		want            []string
	}{
		{"below both", 4, 100, []int{10, 10, 10}, []string{"1ms 3 free"}},
		{"messages", 4, 100, []int{10, 10, 10, 10, 10}, []string{"1ms 4 messages", "2ms 1 free"}},
		{"messages exactly", 4, 100, []int{10, 10, 10, 10}, []string{"1ms 4 messages"}},
		{"bytes", 9, 100, []int{40, 40, 40}, []string{"1ms 2 bytes", "2ms 1 free"}},
		{"bytes exactly", 9, 100, []int{40, 60}, []string{"1ms 2 bytes"}},
		{"too large alone", 9, 100, []int{10, 101, 10}, []string{"1ms 1 bytes", "2ms 1 bytes", "3ms 1 free"}},
		{"too large first", 9, 100, []int{101, 10}, []string{"1ms 1 bytes", "2ms 1 free"}},
		{"no bytes", 9, 100, []int{0, 0, 100, 0}, []string{"1ms 4 bytes"}},
	} {
		for _, together := range []bool{true, false} { // in one span, and each in its own
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, config{MaxMessages: c.messages, MaxBytes: c.bytes}, after(ms))
					r.add(ones(-1, 1))
					var all msgs
					for i, size := range c.sizes {
						all = append(all, msg{id: i, size: size})
						if !together {
							r.add(all[i:])
						}
					}
					if together {
						r.add(all)
					}
					r.at(time.Second).want(append([]string{"0s 1 free"}, c.want...)...)
					id := -1
					for _, s := range r.sent {
						if s.bytes != s.messages.Size() || s.n != len(s.messages) {
							t.Errorf("batch of %d messages and %d bytes says %v, %d bytes", len(s.messages), s.messages.Size(), s, s.bytes)
						}
						for _, m := range s.messages {
							if m.id != id {
								t.Errorf("got message %d, want %d", m.id, id)
							}
							id++
						}
					}
					r.close(time.Second)
				})
			})
		}
	}
}

// A burst wakes one worker, and what is added before it looks goes with it.
func TestBurstIsOneBatch(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // the worker looks when we wait
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{MinSlots: 8}, after(ms))
		for i := range 5 {
			r.b.Add(ones(i, 1))
		}
		r.at(ms).want("0s 5 free")
		if n := r.b.Workers(); n != 1 {
			t.Errorf("%d workers, want 1", n)
		}
		r.close(ms)
	})
}

func TestEmptySpansAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{}, after(ms))
		r.add()
		r.add(msgs{}, ones(0, 1), nil)
		r.at(ms).want("0s 1 free")
		r.close(ms)
	})
}

func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{Linger: 100 * ms, MaxMessages: 5, MaxSlots: 2}, after(ms))
		r.add(ones(0, 1))
		r.at(60 * ms).add(ones(1, 1))
		r.at(150 * ms).want("100ms 2 linger")

		// Full: at once. The rest counts its own time.
		r.at(200 * ms).add(ones(2, 3))
		r.at(230 * ms).add(ones(5, 4))
		r.at(400*ms).want("100ms 2 linger", "230ms 5 messages", "330ms 2 linger")

		// Full to the last one: the timer that counted for the first is off.
		r.add(ones(9, 2))
		r.at(450 * ms).add(ones(11, 3))
		r.want("100ms 2 linger", "230ms 5 messages", "330ms 2 linger", "450ms 5 messages")
		if r.b.Armed() {
			t.Error("a timer runs although nothing is pending")
		}
		r.close(451 * ms)
	})
}

// The wait goes on while all slots are taken; who has waited for long enough
// goes with the next slot.
func TestLingerIsCountedWhileSlotsAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{Linger: 100 * ms}, after(250*ms))
		r.add(ones(0, 1))
		r.at(150 * ms).add(ones(1, 1)) // over at 250, the slot is free at 350
		r.at(300 * ms).add(ones(2, 1))
		r.at(560 * ms).add(ones(3, 1)) // slot free at 600, over at 660
		r.at(700*ms).want("100ms 1 linger", "350ms 2 linger", "660ms 1 linger")
		r.close(910 * ms)
	})
}

func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{Linger: time.Second, MaxMessages: 4}, after(10*ms))
		r.b.Flush() // nothing there: no effect on what comes later
		r.add(ones(0, 1))
		r.at(5 * ms).b.Flush()
		synctest.Wait()
		r.want("5ms 1 flush")

		// All slots taken: it holds for what was there, through a batch that was
		// full, but not for what came after.
		r.add(ones(1, 3))
		r.b.Flush()
		r.b.Flush()
		r.add(ones(4, 3))
		r.at(900*ms).want("5ms 1 flush", "15ms 4 messages")
		r.at(1100*ms).want("5ms 1 flush", "15ms 4 messages", "1.005s 2 linger")
		r.close(1100 * ms)
	})
	// More than one batch was there.
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{Linger: time.Second, MaxMessages: 4}, after(10*ms))
		r.add(ones(0, 3))
		r.b.Flush()
		synctest.Wait()
		r.add(ones(3, 3))
		r.add(ones(6, 3))
		r.b.Flush()
		r.at(100*ms).want("0s 3 flush", "10ms 4 messages", "20ms 2 flush")
		r.close(100 * ms)
	})
}

func TestFlushCutsNeitherPaceNorRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{Linger: time.Second, Pace: 10 * ms, MaxSlots: 9}, after(ms))
		for i := range 2 {
			r.add(ones(i, 1))
			r.b.Flush()
			synctest.Wait()
		}
		r.at(time.Second).want("0s 1 flush", "10ms 1 flush")
		r.close(time.Second)
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{Linger: time.Second, Rate: batcher.Rate{PerSecond: 4}, MaxSlots: 9}, after(ms))
		for i := range 2 {
			r.add(ones(i, 1))
			r.b.Flush()
			synctest.Wait()
		}
		r.at(time.Second).want("0s 1 flush", "250ms 1 flush")
		r.close(time.Second)
	})
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{Pace: ms, MaxMessages: 4, MaxSlots: 9}, after(ms/10))
		r.add(ones(0, 1))
		r.at(ms / 5).add(ones(1, 1))
		r.at(ms * 4 / 5).add(ones(2, 1)) // joins
		r.at(ms * 3 / 2).add(ones(3, 2))
		r.add(ones(5, 2)) // full: at once
		r.add(ones(7, 1)) // and the pace counts from there
		r.at(10*ms).want("0s 1 free", "1ms 2 free", "1.5ms 4 messages", "2.5ms 1 free")
		if r.b.Armed() {
			t.Error("a timer runs although nothing is pending")
		}
		r.close(10 * ms)
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{Rate: batcher.Rate{PerSecond: 10, Burst: 3}, MaxMessages: 4, MaxSlots: 20, MinSlots: 20}, after(ms))
		for i := range 5 {
			r.add(ones(i, 1))
		}
		r.at(50*ms).want("0s 1 free", "0s 1 free", "0s 1 free")
		r.add(ones(5, 5)) // seven pending: full, and still no budget
		r.at(350*ms).want("0s 1 free", "0s 1 free", "0s 1 free", "100ms 4 messages", "200ms 3 free")

		// 350 ms are budget for one request and a half; at 1 s for three, not eight.
		r.add(ones(10, 1))
		r.add(ones(11, 1))
		r.at(999*ms).want("0s 1 free", "0s 1 free", "0s 1 free", "100ms 4 messages", "200ms 3 free",
			"350ms 1 free", "400ms 1 free")
		r.sent = nil
		r.at(time.Second)
		for i := range 5 {
			r.add(ones(12+i, 1))
		}
		r.at(2*time.Second).want("1s 1 free", "1s 1 free", "1s 1 free", "1.1s 2 free")
		r.close(2 * time.Second)
	})
}

func TestRateIsNotRoundedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{Rate: batcher.Rate{PerSecond: 3}, MaxMessages: 1}, after(0))
		r.add(ones(0, 4))
		r.at(2*time.Second).want("0s 1 messages", "333.333334ms 1 messages", "666.666668ms 1 messages", "1.000000002s 1 messages")
		r.close(2 * time.Second)
	})
}

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, config{MaxMessages: 3, MinSlots: 2}, after(ms))
		check := func(want batcher.Stats) {
			t.Helper()
			if got := r.b.Stats(); got != want {
				t.Errorf("stats %+v, want %+v", got, want)
			}
		}
		check(batcher.Stats{Slots: 2})
		r.add(msgs{{size: 7}, {size: 7}, {size: 7}, {size: 7}, {size: 7}, {size: 7}, {size: 5}, {size: 4}})
		check(batcher.Stats{Pending: 2, PendingBytes: 9, InFlight: 6, InFlightBytes: 42, Busy: 2, Slots: 2})
		r.at(ms)
		check(batcher.Stats{InFlight: 2, InFlightBytes: 9, Busy: 1, Slots: 2})
		r.at(2 * ms)
		check(batcher.Stats{Slots: 2})
		r.close(2 * ms)
	})
}
