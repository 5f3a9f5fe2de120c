package client

import (
	"context"
	"math/rand/v2"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// The pauses of a sender that finds no room. The first is long against a send
// (1 us) and short for a person; the last bounds how long room stays unused.
const (
	firstPause = time.Millisecond
	lastPause  = 50 * time.Millisecond
)

// remakeTime is how long a removed queue is waited for. The daemon looks once a
// second.
const remakeTime = 2 * time.Second

// yields is how often a sender looks for room before its first pause, with
// nothing but the processor given away in between: 1 to 2 us each. A daemon that
// is awake empties the queue within this time. Measured with a queue of 16 KiB
// that takes 56 messages of 256 bytes: without it 0.1 M/s, as sender and daemon
// wait for each other, with it 3 M/s.
const yields = 32

// pause is a back-off: each wait is between half and all of a span that doubles.
// The random part keeps senders that were turned away together from coming back
// together. The zero value is ready.
type pause struct {
	yielded int
	span    time.Duration
	timer   *time.Timer
}

// yield gives the processor to the other goroutines and then to the other
// threads of the machine, where the daemon may wait for it. It reports false,
// and does nothing, when it was called often enough.
func (p *pause) yield() bool {
	if p.yielded == yields {
		return false
	}
	p.yielded++
	runtime.Gosched()
	_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) // sched_yield(2) cannot fail
	return true
}

// wait sleeps once, or returns the error of ctx.
func (p *pause) wait(ctx context.Context) error {
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
	}
}

func (p *pause) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}
