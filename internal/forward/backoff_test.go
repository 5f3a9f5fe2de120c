package forward

import (
	"math"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	b := Backoff{Initial: 100 * time.Millisecond, Max: 1000 * time.Millisecond}
	one := func() float64 { return 1 }
	for attempt, want := range map[int]time.Duration{-1: 100, 0: 100, 1: 100, 2: 200, 3: 400, 4: 800, 5: 1000, 6: 1000, 64: 1000, 1 << 40: 1000} {
		if got := b.Delay(attempt, one); got != want*time.Millisecond {
			t.Errorf("bound after %d failures = %v, want %v ms", attempt, got, int(want))
		}
	}
	if got := b.Delay(3, func() float64 { return 0 }); got != 0 {
		t.Errorf("smallest delay = %v, want 0: full jitter", got)
	}
	if got := b.Delay(3, func() float64 { return 0.25 }); got != 100*time.Millisecond {
		t.Errorf("a quarter of 400 ms = %v", got)
	}
	if got := (Backoff{}).Delay(1, one); got != DefaultInitial {
		t.Errorf("default initial = %v", got)
	}
	if got := (Backoff{}).Delay(100, one); got != DefaultMax {
		t.Errorf("default max = %v", got)
	}
	if got := (Backoff{Initial: time.Hour, Max: time.Minute}).Delay(1, one); got != time.Minute {
		t.Errorf("initial over max = %v", got)
	}
	if got := (Backoff{Initial: math.MaxInt64 / 3, Max: math.MaxInt64}).bound(50); got != math.MaxInt64 {
		t.Errorf("overflow: %v", got)
	}
	var sum time.Duration
	const n = 10000
	for range n {
		d := b.Delay(9, nil)
		if d < 0 || d >= time.Second {
			t.Fatalf("delay %v outside of 0 to 1 s", d)
		}
		sum += d
	}
	if mean := sum / n; mean < 470*time.Millisecond || mean > 530*time.Millisecond {
		t.Errorf("mean of %d delays = %v, want about half of 1 s", n, mean)
	}
}
