package forward

import (
	"math/rand/v2"
	"time"
)

// DefaultInitial and DefaultMax hold for a Backoff whose fields are 0.
const (
	DefaultInitial = 200 * time.Millisecond
	DefaultMax     = 5 * time.Minute
)

// Backoff is exponential back-off with full jitter: the delay before try n+1
// is drawn evenly from 0 to min(Max, Initial * 2^(n-1)). Full jitter spreads
// many hosts that lost the same destination at the same moment; half of the
// bound would leave them half together.
type Backoff struct {
	Initial time.Duration // bound after the first failure; 0: DefaultInitial
	Max     time.Duration // largest bound; 0: DefaultMax; less than Initial: the bound is always Max
}

// Delay is the delay after the given number of failures in a row, 1 or more.
// rnd gives numbers in [0, 1); nil means math/rand/v2.
func (b Backoff) Delay(attempt int, rnd func() float64) time.Duration {
	if rnd == nil {
		rnd = rand.Float64
	}
	return time.Duration(rnd() * float64(b.bound(attempt)))
}

func (b Backoff) bound(attempt int) time.Duration {
	initial, limit := b.Initial, b.Max
	if initial <= 0 {
		initial = DefaultInitial
	}
	if limit <= 0 {
		limit = DefaultMax
	}
	for ; attempt > 1 && initial < limit; attempt-- {
		if initial > limit/2 {
			return limit
		}
		initial *= 2
	}
	return min(initial, limit)
}
