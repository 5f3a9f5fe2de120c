package mq

import (
	"context"
	"math/rand/v2"
	"time"
)

// The pauses of a sender that finds its queue full. The first is long against a
// send (1 us) and short for a person; the last bounds how long room stays unused.
const (
	firstPause = time.Millisecond
	lastPause  = 50 * time.Millisecond
)

// pause is a back-off: each wait is between half and all of a span that doubles.
// The random part keeps senders that were turned away together from coming back
// together. The zero value is ready.
type pause struct {
	span  time.Duration
	timer *time.Timer
}

// wait sleeps once. It returns ctx.Err() or, when done is closed, ErrClosed.
func (p *pause) wait(ctx context.Context, done <-chan struct{}) error {
	p.span = min(max(2*p.span, firstPause), lastPause)
	d := p.span/2 + rand.N(p.span/2)
	if p.timer == nil {
		p.timer = time.NewTimer(d)
	} else {
		p.timer.Reset(d)
	}
	select {
	case <-p.timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-done:
		return ErrClosed
	}
}

func (p *pause) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}
