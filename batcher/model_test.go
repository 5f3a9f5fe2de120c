package batcher_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqdaemon/mqd/batcher"
	"pgregory.net/rapid"
)

// scenario is one random run: what is added when, and what the destination does.
type scenario struct {
	cfg     config
	rate    batcher.Rate
	spans   []msgs
	gaps    []time.Duration // before each span
	flushes []bool          // after each span
	slow    []time.Duration // latency of batch i, cyclically
	outcome []batcher.Outcome
	added   []time.Duration // by message id, filled in by the run
}

func drawScenario(t *rapid.T) *scenario {
	duration := func(most int) *rapid.Generator[time.Duration] {
		return rapid.Map(rapid.IntRange(0, most), func(n int) time.Duration { return time.Duration(n) * ms })
	}
	s := &scenario{cfg: config{
		MaxMessages: rapid.IntRange(1, 9).Draw(t, "MaxMessages"),
		MaxBytes:    rapid.IntRange(1, 40).Draw(t, "MaxBytes"),
		Linger:      duration(20).Draw(t, "Linger"),
		Pace:        duration(5).Draw(t, "Pace"),
		MinSlots:    rapid.IntRange(1, 3).Draw(t, "MinSlots"),
		MaxSlots:    rapid.IntRange(3, 6).Draw(t, "MaxSlots"),
	}}
	if rapid.Bool().Draw(t, "limited") {
		s.rate = batcher.Rate{
			PerSecond: float64(rapid.IntRange(50, 1000).Draw(t, "PerSecond")),
			Burst:     rapid.IntRange(1, 5).Draw(t, "Burst"),
		}
		s.cfg.Rate = s.rate
	}
	kinds := rapid.IntRange(0, 8).Draw(t, "keys")
	if kinds > 0 {
		s.cfg.Keys = keysOf
	}
	id := 0
	for range rapid.IntRange(1, 40).Draw(t, "spans") {
		span := make(msgs, rapid.IntRange(1, 12).Draw(t, "Len"))
		for i := range span {
			span[i] = msg{
				id:   id,
				key:  uint64(rapid.IntRange(0, kinds).Draw(t, "key")),
				size: rapid.IntRange(0, 45).Draw(t, "size"),
			}
			id++
		}
		s.spans = append(s.spans, span)
		s.gaps = append(s.gaps, duration(10).Draw(t, "gap"))
		s.flushes = append(s.flushes, rapid.IntRange(0, 9).Draw(t, "flush") == 0)
	}
	s.added = make([]time.Duration, id)
	s.slow = rapid.SliceOfN(duration(30), 1, 20).Draw(t, "latency")
	s.outcome = rapid.SliceOfN(rapid.SampledFrom([]batcher.Outcome{batcher.Done, batcher.PushedBack}), 1, 20).Draw(t, "outcome")
	return s
}

// run plays the scenario in its own bubble and returns the batches by start.
func (s *scenario) run(t *testing.T) (batches []*sent, most int, stats batcher.Stats) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, s.cfg, func(i int) (time.Duration, batcher.Outcome) {
			return s.slow[i%len(s.slow)], s.outcome[i%len(s.outcome)]
		})
		for i, span := range s.spans {
			time.Sleep(s.gaps[i])
			for _, m := range span {
				s.added[m.id] = time.Since(r.epoch)
			}
			r.b.Add(span)
			if s.flushes[i] {
				r.b.Flush()
			}
		}
		r.b.Drain()
		if err := <-r.ran; err != nil {
			t.Errorf("Run returned %v", err)
		}
		r.stop()
		batches, most, stats = r.sent, r.most, r.b.Stats()
		if n := r.b.KeysInFlight(); n != 0 {
			t.Errorf("%d keys in flight after the end", n)
		}
	})
	// Two batches that start together may have reached send in either order;
	// their messages tell which was first.
	slices.SortFunc(batches, func(a, b *sent) int { return cmp.Compare(a.messages[0].id, b.messages[0].id) })
	return batches, most, stats
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScenario(rt)
		batches, most, stats := s.run(t)
		if err := s.check(batches, most, stats); err != nil {
			rt.Fatal(err)
		}
	})
}

func (s *scenario) check(batches []*sent, most int, stats batcher.Stats) error {
	if most > s.cfg.MaxSlots {
		return fmt.Errorf("%d sends at once, MaxSlots is %d", most, s.cfg.MaxSlots)
	}
	if slots := stats.Slots; stats != (batcher.Stats{Slots: slots}) || slots < s.cfg.MinSlots || slots > s.cfg.MaxSlots {
		return fmt.Errorf("at the end %+v", stats)
	}
	id := 0
	for i, b := range batches {
		if b.n != len(b.messages) || b.bytes != b.messages.Size() {
			return fmt.Errorf("%v counts wrong: %v", b, b.messages)
		}
		if b.n > s.cfg.MaxMessages || b.n > 1 && b.bytes > s.cfg.MaxBytes {
			return fmt.Errorf("%v with %d bytes is over the limits", b, b.bytes)
		}
		for _, m := range b.messages {
			if m.id != id {
				return fmt.Errorf("message %d where %d was due", m.id, id)
			}
			id++
		}
		if i > 0 && b.start < batches[i-1].start {
			return fmt.Errorf("%v overtakes %v", b, batches[i-1])
		}
		if err := s.checkTime(batches, i); err != nil {
			return err
		}
		for _, other := range batches[:i] {
			if s.cfg.Keys != nil && other.end > b.start && shareKey(b, other) {
				return fmt.Errorf("%v starts while %v, of the same key, is in flight until %v", b, other, other.end)
			}
		}
	}
	if id != len(s.added) {
		return fmt.Errorf("%d messages sent of %d", id, len(s.added))
	}
	return nil
}

// checkTime holds batch i against Linger, Pace and Rate.
func (s *scenario) checkTime(batches []*sent, i int) error {
	b := batches[i]
	switch b.reason {
	case batcher.Linger:
		if waited := b.start - s.added[b.messages[0].id]; waited < s.cfg.Linger {
			return fmt.Errorf("%v waited for %v, Linger is %v", b, waited, s.cfg.Linger)
		}
		fallthrough
	case batcher.Free, batcher.Flush, batcher.Drain:
		if i > 0 && b.start-batches[i-1].start < s.cfg.Pace {
			return fmt.Errorf("%v follows %v, Pace is %v", b, batches[i-1], s.cfg.Pace)
		}
	}
	if s.rate.PerSecond == 0 {
		return nil
	}
	for k := s.rate.Burst; k <= i; k++ { // k+1 requests need k+1-Burst intervals
		least := time.Duration(float64(k+1-s.rate.Burst) / s.rate.PerSecond * float64(time.Second))
		if took := b.start - batches[i-k].start; took < least {
			return fmt.Errorf("%d requests in %v, at %v at least %v", k+1, took, s.rate, least)
		}
	}
	return nil
}

func shareKey(a, b *sent) bool {
	return slices.ContainsFunc(a.messages, func(m msg) bool {
		return m.key != 0 && slices.ContainsFunc(b.messages, func(n msg) bool { return n.key == m.key })
	})
}
