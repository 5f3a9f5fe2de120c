package batcher

import (
	"math"
	"time"
)

// budget is the generic cell rate algorithm (ITU-T I.371): a token bucket that
// keeps one time instead of a count, so that nothing has to refill it.
// The zero value has no limit.
type budget struct {
	interval time.Duration // between two requests in the mean
	credit   time.Duration // what an unused budget saves up: (burst-1) intervals
	full     time.Duration // when the budget would be whole again
}

func newBudget(r Rate) budget {
	if r.PerSecond == 0 {
		return budget{}
	}
	// Rounded up: the rate is a promise to the destination.
	interval := time.Duration(math.Ceil(float64(time.Second) / r.PerSecond))
	return budget{interval: interval, credit: interval * time.Duration(r.Burst-1)}
}

// next is the earliest time for a request.
func (b *budget) next() time.Duration { return b.full - b.credit }

func (b *budget) spend(now time.Duration) { b.full = max(b.full, now) + b.interval }
