package forward

import (
	"context"
	"errors"
	"sync"
	"time"
)

// The states of a [Gate], as status shows them.
const (
	StateOK         = "ok"
	StateBackingOff = "backing_off"
	StateHeld       = "held"
)

// wakePace is the least time between two probes that Wake brought forward.
const wakePace = time.Second

// Gate is the back-off that all slots of one route share; it stands between the
// batcher and the destination. While the route is well, everybody passes. After
// a failure nobody passes until the delay is over; then one caller does, the
// probe, and the others wait for what comes of it.
//
// Only the first of several requests that fail together counts, and what was
// sent before a failure does not open the gate again when it succeeds: it says
// nothing of what comes after. The generation tells them apart; it rises with
// each failure that counts and with each opening.
//
// A Gate is safe for concurrent use and has no goroutine.
type Gate struct {
	backoff Backoff
	rnd     func() float64

	mu         sync.Mutex // guards all below; nothing waits while holding it
	state      string
	generation uint64
	failures   int         // in a row, of this route
	probing    bool        // the probe is on its way
	unwatch    func() bool // ends the watch on the context of the probe
	next       time.Time   // when the next probe may go
	floor      time.Time   // end of the longest Retry-After
	cut        bool        // Wake brought the next probe forward
	lastCut    time.Time   // when the last probe went that it did so for
	woken      bool        // Wake came while this probe was on its way
	lastErr    string
	changed    chan struct{} // closed when those who wait must look again; nil if nobody waits
}

// Pass says when a caller was let through. It goes back with [Gate.Report].
type Pass struct{ generation uint64 }

// NewGate gives an open gate. rnd gives numbers in [0, 1) and is not called
// concurrently; nil means math/rand/v2.
func NewGate(b Backoff, rnd func() float64) *Gate {
	return &Gate{backoff: b, rnd: rnd, state: StateOK}
}

// Wait returns when the caller may try, or with the error of ctx when that ends
// first. Whoever passes must call [Gate.Report] with the Pass and the outcome,
// unless ctx ends before: then, if the caller was the probe, another one is.
func (g *Gate) Wait(ctx context.Context) (Pass, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Pass{}, err
		}
		pass, ok, delay, changed := g.enter(ctx)
		if ok {
			return pass, nil
		}
		await(ctx, delay, changed)
	}
}

// await returns when ctx ends, changed is closed or delay is over; a delay of 0
// never is.
func await(ctx context.Context, delay time.Duration, changed <-chan struct{}) {
	var over <-chan time.Time
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
	case <-changed:
	case <-over:
	}
}

// enter lets the caller through or says what to wait for: delay, if it is not
// 0, or a change.
func (g *Gate) enter(ctx context.Context) (p Pass, ok bool, delay time.Duration, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == StateOK {
		return Pass{g.generation}, true, 0, nil
	}
	now := time.Now()
	if !g.probing && !now.Before(g.next) {
		g.probing, g.woken = true, false
		if g.cut {
			g.cut, g.lastCut = false, now
		}
		p := Pass{g.generation}
		g.unwatch = context.AfterFunc(ctx, func() { g.abandon(p) })
		return p, true, 0, nil
	}
	if !g.probing {
		delay = g.next.Sub(now)
	}
	if g.changed == nil {
		g.changed = make(chan struct{})
	}
	return Pass{}, false, delay, g.changed
}

// Report says what came of the try that p let through. It reports whether the
// state changed, so that the change is logged once and the failures are not.
//
// An error that is context.Canceled says that the caller went away, not that
// the destination failed: it counts for nothing.
func (g *Gate) Report(p Pass, r Result) (changed bool) {
	if r.Verdict != Delivered && errors.Is(r.Err, context.Canceled) {
		g.abandon(p)
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	current := p.generation == g.generation
	now := time.Now()
	if r.Verdict == Delivered {
		return current && g.state != StateOK && g.succeed(now)
	}
	if now.Add(r.RetryAfter).After(g.floor) {
		g.floor = now.Add(r.RetryAfter)
	}
	if current {
		return g.fail(now, r)
	}
	// Sent before the last change. If the route is well again, only an explicit
	// wish to be left alone is still news.
	if g.state == StateOK {
		return r.RetryAfter > 0 && g.fail(now, r)
	}
	if g.next.Before(g.floor) {
		g.next = g.floor // whoever waits for the old time finds out then
	}
	return false
}

// succeed lets everybody through after the probe was delivered; only a
// Retry-After that an older request brought meanwhile is waited for first.
func (g *Gate) succeed(now time.Time) (changed bool) {
	g.endProbe()
	g.failures, g.woken = 0, false
	if g.floor.After(now) {
		g.next = g.floor
		return false
	}
	g.state, g.lastErr = StateOK, ""
	g.next, g.floor = time.Time{}, time.Time{}
	return true
}

// fail counts a failure and sets the time of the next probe.
func (g *Gate) fail(now time.Time, r Result) (changed bool) {
	g.endProbe()
	g.failures++
	g.next, g.cut = now.Add(g.backoff.Delay(g.failures, g.rnd)), false
	if g.woken {
		g.cutBackoff(now)
	}
	if g.next.Before(g.floor) {
		g.next = g.floor
	}
	g.lastErr = r.Verdict.String()
	if r.Err != nil {
		g.lastErr = r.Err.Error()
	}
	before := g.state
	g.state = StateBackingOff
	if r.Verdict == Hold {
		g.state = StateHeld
	}
	return g.state != before
}

// endProbe starts a new generation in which nobody has passed yet.
func (g *Gate) endProbe() {
	g.generation++
	g.probing = false
	if g.unwatch != nil {
		g.unwatch()
		g.unwatch = nil
	}
	g.broadcast()
}

// abandon gives the place of the probe to another caller, if p is the probe's.
func (g *Gate) abandon(p Pass) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.probing && p.generation == g.generation {
		g.endProbe()
	}
}

// Wake cuts the running back-off once, for SIGUSR1: the next probe goes as soon
// as no Retry-After forbids it, at most once a second by this way. While
// a probe is on its way, Wake is remembered and cuts the back-off after it. Wake
// does nothing while the route is well.
func (g *Gate) Wake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.state == StateOK:
	case g.probing:
		g.woken = true
	default:
		g.cutBackoff(time.Now())
		g.broadcast()
	}
}

// cutBackoff brings the next probe forward, never back.
func (g *Gate) cutBackoff(now time.Time) {
	next := g.lastCut.Add(wakePace)
	for _, t := range []time.Time{now, g.floor} {
		if next.Before(t) {
			next = t
		}
	}
	if next.Before(g.next) {
		g.next, g.cut = next, true
	}
}

func (g *Gate) broadcast() {
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

// State is what status shows: StateOK, StateBackingOff or StateHeld, the last
// error and the time of the next probe. While the route is well, lastErr is
// empty and nextTry zero; while the probe is on its way, nextTry is past.
func (g *Gate) State() (state, lastErr string, nextTry time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state, g.lastErr, g.next
}
