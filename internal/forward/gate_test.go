package forward

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
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

// TestGateWakeDoesNotDelay: a Wake just after a failure asks for a second, but
// our own back-off may be shorter.
func TestGateWakeDoesNotDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		g.Report(pass(t, g), down)
		g.Wake()
		passAfter(t, g, 200*time.Millisecond)
	})
}

// TestGateModel drives a gate at random and holds it against its promises.
func TestGateModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// rapid asks a testing.T for its deadline, which a bubble forbids.
		rapid.Check(struct{ testing.TB }{t}, func(t *rapid.T) {
			type ticket struct {
				pass   Pass
				probe  bool
				cancel context.CancelFunc
			}
			g := NewGate(Backoff{Initial: 200 * time.Millisecond, Max: 30 * time.Second}, func() float64 { return rapid.Float64Range(0, 0.999).Draw(t, "jitter") })
			var out []ticket
			var floor time.Time // end of the longest Retry-After
			probes := 0
			defer func() {
				for _, k := range out {
					k.cancel()
				}
			}()
			take := func() ticket {
				i := rapid.IntRange(0, len(out)-1).Draw(t, "which")
				k := out[i]
				out = append(out[:i], out[i+1:]...)
				if k.probe {
					probes--
				}
				return k
			}
			try := func(t *rapid.T) bool {
				ctx, cancel := context.WithCancel(context.Background())
				before, _, next := g.State()
				p, ok, delay, _ := g.enter(ctx)
				if !ok {
					cancel()
					if before == StateOK {
						t.Fatal("closed although the route is well")
					}
					if (delay == 0) != (probes == 1) {
						t.Fatalf("closed for %v with %d probes on their way", delay, probes)
					}
					return false
				}
				k := ticket{p, before != StateOK, cancel}
				if k.probe {
					if probes++; probes > 1 {
						t.Fatal("two probes at once")
					}
					if time.Now().Before(next) {
						t.Fatal("probe before its time")
					}
					if time.Now().Before(floor) {
						t.Fatalf("probe %v before the end of Retry-After", time.Until(floor))
					}
				}
				out = append(out, k)
				return true
			}
			t.Repeat(map[string]func(*rapid.T){
				"try": func(t *rapid.T) { try(t) },
				"deliver": func(t *rapid.T) {
					if len(out) == 0 {
						t.Skip()
					}
					k := take()
					before, _, _ := g.State()
					changed := g.Report(k.pass, delivered)
					k.cancel()
					if changed && !k.probe {
						t.Fatal("opened by what was not the probe")
					}
					if state, _, _ := g.State(); changed != (state != before) {
						t.Fatalf("changed = %v from %s to %s", changed, before, state)
					}
				},
				"fail": func(t *rapid.T) {
					if len(out) == 0 {
						t.Skip()
					}
					k := take()
					r := Result{Verdict: rapid.SampledFrom([]Verdict{Retry, Hold}).Draw(t, "verdict"), Err: errDown}
					r.RetryAfter = time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 5, 60}).Draw(t, "retry after")) * time.Second
					failures, generation := g.failures, g.generation
					g.Report(k.pass, r)
					k.cancel()
					if end := time.Now().Add(r.RetryAfter); r.RetryAfter > 0 && end.After(floor) {
						floor = end
					}
					if g.failures > failures && k.pass.generation != generation && r.RetryAfter == 0 {
						t.Fatal("a failure from before the last change counted")
					}
					if state, _, _ := g.State(); state == StateOK && (k.probe || k.pass.generation == generation) {
						t.Fatal("open after a failure")
					}
				},
				"leave": func(t *rapid.T) {
					if len(out) == 0 {
						t.Skip()
					}
					take().cancel()
					synctest.Wait()
				},
				"wake": func(*rapid.T) { g.Wake() },
				"sleep": func(t *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
				},
				"": func(t *rapid.T) {
					state, lastErr, next := g.State()
					if (state == StateOK) != (lastErr == "" && next.IsZero() && !g.probing) {
						t.Fatalf("state %s, error %q, next %v, probing %v", state, lastErr, next, g.probing)
					}
					if wait := time.Until(next); wait > max(30*time.Second, time.Until(floor)) {
						t.Fatalf("next probe in %v", wait)
					}
				},
			})
			// Whatever happened: once all have reported and time has passed,
			// somebody may try.
			for len(out) > 0 {
				take().cancel()
			}
			synctest.Wait()
			time.Sleep(2 * time.Minute)
			if !try(t) {
				t.Fatal("the gate is closed for ever")
			}
		})
	})
}

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
