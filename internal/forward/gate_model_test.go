package forward

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

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
