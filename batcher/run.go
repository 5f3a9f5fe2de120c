package batcher

import (
	"context"
	"math"
	"sync"
	"time"
)

// never is later than any time on the Batcher's clock.
const never = time.Duration(math.MaxInt64)

// Run starts batches until ctx is done, or Close, or the end of Drain; it
// returns nil for each of these, when the last send has returned. It can be
// called once ([ErrRunning]).
//
// Each slot is a goroutine, started when it is first needed and parked while it
// has nothing to send. It calls send, which owns time limits and retry and returns
// when the batch is settled, or when ctx, which is the one given to Run, is
// done. So Close lets the sends in flight finish, and the end of ctx cuts them
// short; Run waits for them either way.
func (b *Batcher[S]) Run(ctx context.Context, send func(ctx context.Context, batch *Batch[S]) Outcome) error {
	var workers sync.WaitGroup
	timer := time.NewTimer(never)
	timer.Stop()

	b.mu.Lock()
	if b.spawn != nil {
		b.mu.Unlock()
		return ErrRunning
	}
	b.timer = timer
	b.spawn = func() { workers.Go(func() { b.work(ctx, send) }) }
	b.schedule()
	b.mu.Unlock()

	// This goroutine is the clock, the workers are the slots.
	for running := true; running; {
		select {
		case <-timer.C:
			b.mu.Lock()
			b.armed = never
			b.schedule()
			b.mu.Unlock()
		case <-ctx.Done():
			running = false
		case <-b.stopped:
			running = false
		}
	}
	b.Close() // from here on nothing is spawned
	workers.Wait()
	return b.err // written before close(stopped), which Close has seen
}

// worker is one slot: the batch it sends, used again for the next.
type worker[S any] struct {
	batch  Batch[S]
	number uint64   // of the batch, counted over all workers
	keys   []uint64 // hashes that the batch holds
}

func (b *Batcher[S]) work(ctx context.Context, send func(context.Context, *Batch[S]) Outcome) {
	var w worker[S]
	b.mu.Lock()
	b.waking = false
	for b.next(ctx, &w) {
		b.mu.Unlock()
		outcome := send(ctx, &w.batch)
		b.mu.Lock()
		b.settle(ctx, &w, outcome)
	}
	b.workers--
	b.mu.Unlock()
}

// next gives w its next batch and waits until there is one. It returns false
// when the worker is to end.
func (b *Batcher[S]) next(ctx context.Context, w *worker[S]) bool {
	for b.state != closed && ctx.Err() == nil {
		at, now := b.startAt(), b.now()
		if at <= now {
			if b.fill(w, now) {
				b.schedule() // the batch after this one
				return true
			}
			continue // the oldest message turned out to be blocked
		}
		b.arm(at)
		b.parked++
		b.idle.Wait()
		b.parked--
		b.waking = false
	}
	return false
}

// settle takes back what the batch of w held.
func (b *Batcher[S]) settle(ctx context.Context, w *worker[S], outcome Outcome) {
	starved := b.stats.Busy >= b.slots.limit && b.readyAt() <= b.now()
	b.slots.settled(w.number, outcome, starved)
	b.stats.Busy--
	b.stats.InFlight -= w.batch.Messages
	b.stats.InFlightBytes -= w.batch.Bytes
	if len(w.keys) > 0 {
		b.keys.release(w.keys)
		b.blocked = false
	}
	clear(w.batch.Spans) // forget what they point to
	if outcome == Unsettled {
		if b.state != closed && ctx.Err() == nil {
			b.err = ErrUnsettled
		}
		b.close()
	}
}

// schedule sees to it that the next batch is started: by a worker that it wakes
// if one can start now, else by the timer. It is called after every change that
// could let a batch start earlier than before, with the lock held.
//
// One worker at a time is being woken. Whatever is added before it looks joins its
// batch, so a burst costs one wake-up; and when it has taken its batch it
// calls schedule for the rest.
func (b *Batcher[S]) schedule() {
	if b.waking {
		return
	}
	at := b.startAt()
	if at == b.armed { // also: nothing to start and no timer
		return
	}
	if at == never || at > b.now() {
		b.arm(at)
		return
	}
	b.waking = true
	if b.parked > 0 {
		b.idle.Signal()
		return
	}
	// Without one parked or waking, every worker has a batch in flight, so there
	// are fewer of them than slots.
	b.workers++
	b.spawn()
}

// startAt is the earliest time at which a batch may start as things are; never
// if that takes another event than the passing of time.
func (b *Batcher[S]) startAt() time.Duration {
	if b.stats.Busy >= b.slots.limit {
		return never
	}
	return b.readyAt()
}

// readyAt is startAt as if a slot were free.
func (b *Batcher[S]) readyAt() time.Duration {
	if b.stats.Pending == 0 || b.blocked || b.state == closed || b.spawn == nil {
		return never
	}
	at := b.budget.next()
	if b.stats.Pending >= b.cfg.MaxMessages || b.stats.PendingBytes >= b.cfg.MaxBytes {
		return at
	}
	at = max(at, b.lastStart+b.cfg.Pace)
	if b.cfg.Linger > 0 && b.flush == 0 && b.state != draining {
		at = max(at, b.pending.oldest().added+b.cfg.Linger)
	}
	return at
}

// arm sets the timer, or stops it for never.
func (b *Batcher[S]) arm(at time.Duration) {
	switch at {
	case b.armed:
		return
	case never:
		b.timer.Stop()
	default:
		b.timer.Reset(at - b.now())
	}
	b.armed = at
}

func (b *Batcher[S]) close() {
	if b.state == closed {
		return
	}
	b.state = closed
	b.arm(never)
	b.idle.Broadcast()
	close(b.stopped)
}

func (b *Batcher[S]) closeIfDrained() {
	if b.state == draining && b.stats.Pending == 0 {
		b.close()
	}
}

func (b *Batcher[S]) now() time.Duration { return time.Since(b.epoch) }
