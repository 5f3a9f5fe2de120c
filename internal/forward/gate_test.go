package forward

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

var (
	errDown   = errors.New("503")
	down      = Result{Verdict: Retry, Err: errDown}
	wrong     = Result{Verdict: Hold, Err: errors.New("404")}
	delivered = Result{Verdict: Delivered}
)

// after is down with a Retry-After.
func after(d time.Duration) Result { return Result{Verdict: Retry, RetryAfter: d, Err: errDown} }

// top is a source that draws the largest number under 1: delays are bounds.
func top() float64 { return math.Nextafter(1, 0) }

func newGate() *Gate {
	return NewGate(Backoff{Initial: 200 * time.Millisecond, Max: 5 * time.Second}, func() float64 { return 1 })
}

func pass(t *testing.T, g *Gate) Pass {
	t.Helper()
	p, err := g.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// passAfter waits and fails unless it took exactly want.
func passAfter(t *testing.T, g *Gate, want time.Duration) Pass {
	t.Helper()
	begin := time.Now()
	p := pass(t, g)
	if took := time.Since(begin); took != want {
		t.Errorf("passed after %v, want %v", took, want)
	}
	return p
}

func report(t *testing.T, g *Gate, p Pass, r Result, wantState string, wantChanged bool) {
	t.Helper()
	changed := g.Report(p, r)
	state, lastErr, next := g.State()
	if state != wantState || changed != wantChanged {
		t.Errorf("after %v: state %s, changed %v; want %s, %v", r.Verdict, state, changed, wantState, wantChanged)
	}
	if (state == StateOK) != (lastErr == "") || (state == StateOK) != next.IsZero() {
		t.Errorf("state %s with error %q and next try %v", state, lastErr, next)
	}
}

func TestGateOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		for range 100 {
			p := passAfter(t, g, 0)
			report(t, g, p, delivered, StateOK, false)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := g.Wait(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Wait after the end of the context: %v", err)
		}
	})
}

func TestGateBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		report(t, g, passAfter(t, g, 0), down, StateBackingOff, true)
		for _, ms := range []time.Duration{200, 400, 800, 1600, 3200, 5000, 5000} {
			report(t, g, passAfter(t, g, ms*time.Millisecond), down, StateBackingOff, false)
		}
		if _, lastErr, next := g.State(); lastErr != "503" || time.Until(next) != 5*time.Second {
			t.Errorf("last error %q, next try in %v", lastErr, time.Until(next))
		}
		report(t, g, passAfter(t, g, 5*time.Second), delivered, StateOK, true)
		report(t, g, passAfter(t, g, 0), wrong, StateHeld, true)
		report(t, g, passAfter(t, g, 200*time.Millisecond), down, StateBackingOff, true)
		report(t, g, passAfter(t, g, 400*time.Millisecond), wrong, StateHeld, true)
		report(t, g, passAfter(t, g, 800*time.Millisecond), delivered, StateOK, true)
	})
}

// TestGateOneFailure: requests in flight that fail together are one failure, and
// what was sent before it does not open the gate.
func TestGateOneFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		var flight []Pass
		for range 16 {
			flight = append(flight, passAfter(t, g, 0))
		}
		report(t, g, flight[0], down, StateBackingOff, true)
		for _, p := range flight[1:8] {
			report(t, g, p, wrong, StateBackingOff, false)
		}
		for _, p := range flight[8:12] {
			report(t, g, p, delivered, StateBackingOff, false)
		}
		probe := passAfter(t, g, 200*time.Millisecond)
		report(t, g, flight[12], down, StateBackingOff, false) // while the probe is on its way
		report(t, g, flight[13], delivered, StateBackingOff, false)
		report(t, g, probe, down, StateBackingOff, false)
		report(t, g, passAfter(t, g, 400*time.Millisecond), delivered, StateOK, true)
		report(t, g, flight[14], down, StateOK, false) // old news
		report(t, g, flight[15], after(time.Second), StateBackingOff, true)
		report(t, g, passAfter(t, g, time.Second), delivered, StateOK, true)
	})
}

func TestGateOneProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		g.Report(pass(t, g), down)
		const slots = 16
		begin := time.Now()
		probe := make(chan Pass)
		passed := make(chan time.Duration, slots)
		for range slots {
			go func() {
				p := pass(t, g)
				took := time.Since(begin)
				select {
				case probe <- p:
				default:
				}
				passed <- took
			}()
		}
		first := <-probe
		synctest.Wait()
		if len(passed) != 1 || <-passed != 200*time.Millisecond {
			t.Fatal("not one probe after 200 ms")
		}
		time.Sleep(time.Hour) // a probe takes its time; nobody else goes
		if len(passed) != 0 {
			t.Fatal("a second one passed while the probe was on its way")
		}
		g.Report(first, delivered)
		for range slots - 1 {
			if took := <-passed; took != time.Hour+200*time.Millisecond {
				t.Errorf("the others passed after %v", took)
			}
		}
	})
}

// TestGateProbeLeaves: the probe's caller goes away, with and without a word.
func TestGateProbeLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		g.Report(pass(t, g), down)
		ctx, cancel := context.WithCancel(t.Context())
		gone, err := g.Wait(ctx)
		if err != nil {
			t.Fatal(err)
		}
		waiting := make(chan Pass)
		go func() { waiting <- pass(t, g) }()
		synctest.Wait()
		cancel()
		second := passOf(t, waiting)
		report(t, g, gone, delivered, StateBackingOff, false) // too late: it gave its place up
		go func() { waiting <- pass(t, g) }()
		synctest.Wait()
		report(t, g, second, Result{Err: cutShort("x", context.Canceled).Err}, StateBackingOff, false)
		third := passOf(t, waiting)
		report(t, g, third, down, StateBackingOff, false)
		passAfter(t, g, 400*time.Millisecond) // two failures, not four
	})
}

// passOf wants a pass at this very instant.
func passOf(t *testing.T, c <-chan Pass) Pass {
	t.Helper()
	synctest.Wait()
	select {
	case p := <-c:
		return p
	default:
		t.Fatal("nobody became the probe")
		return Pass{}
	}
}

func TestGateWaiterLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		g.Report(pass(t, g), after(time.Hour))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		if _, err := g.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("Wait ended after %v: %v", time.Since(begin), err)
		}
		passAfter(t, g, time.Hour-time.Second)
	})
}

func TestGateRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		a, b, c := pass(t, g), pass(t, g), pass(t, g)
		g.Report(a, after(50*time.Millisecond)) // less than our own: 200 ms
		p := passAfter(t, g, 200*time.Millisecond)
		g.Report(p, after(3*time.Second))
		time.Sleep(time.Second)
		g.Report(b, after(10*time.Second)) // an older request brings a longer one
		g.Report(b, after(time.Second))    // and a shorter one, which changes nothing
		p = passAfter(t, g, 10*time.Second)
		g.Report(c, after(7*time.Second))
		// Delivered, but meanwhile we were asked to stay away: that holds.
		report(t, g, p, delivered, StateBackingOff, false)
		report(t, g, passAfter(t, g, 7*time.Second), delivered, StateOK, true)
		passAfter(t, g, 0)
	})
}

func TestGateWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(Backoff{Initial: time.Minute, Max: time.Hour}, top)
		g.Wake() // nothing to cut, and nothing is remembered
		g.Report(pass(t, g), down)
		time.Sleep(10 * time.Second)
		g.Wake()
		p := passAfter(t, g, 0)
		time.Sleep(300 * time.Millisecond)
		g.Report(p, down)
		for range 5 {
			g.Wake()
		}
		p = passAfter(t, g, 700*time.Millisecond) // a second after the last probe
		g.Report(p, after(20*time.Second))
		g.Wake()
		p = passAfter(t, g, 20*time.Second) // not below a Retry-After
		g.Wake()                            // while the probe is on its way
		time.Sleep(5 * time.Second)
		g.Report(p, wrong)
		p = passAfter(t, g, 0)
		g.Report(p, wrong)
		p = passAfter(t, g, 16*time.Minute-bit) // once: the fifth failure has its whole delay
		g.Wake()                                // the probe it came in answers for it
		g.Report(p, delivered)
		g.Report(passAfter(t, g, 0), down)
		passAfter(t, g, time.Minute-bit)
	})
}

// bit is what top leaves of a bound: 1 ns, as a Duration has no fractions.
const bit = time.Nanosecond

func TestGateWakeReleasesWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(Backoff{Initial: time.Hour, Max: time.Hour}, func() float64 { return 1 })
		g.Report(pass(t, g), down)
		waiting := make(chan Pass)
		go func() { waiting <- pass(t, g) }()
		time.Sleep(time.Minute)
		g.Wake()
		passOf(t, waiting)
	})
}

// TestGateWakeDoesNotDelay: a Wake soon after the probe of another waits for the
// rest of a second, but our own back-off may be shorter.
func TestGateWakeDoesNotDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		g.Report(pass(t, g), down)
		g.Wake()
		g.Report(passAfter(t, g, 0), down)
		g.Wake()
		passAfter(t, g, 400*time.Millisecond)
	})
}
