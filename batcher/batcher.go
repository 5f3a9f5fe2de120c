package batcher

import (
	"errors"
	"sync"
	"time"
)

// Errors of [Batcher.Run].
var (
	// ErrRunning: Run was called a second time. A Batcher runs once.
	ErrRunning = errors.New("batcher: Run was called before")

	// ErrUnsettled: a send returned Unsettled although nobody had asked to
	// stop. To go on could have broken the order of messages.
	ErrUnsettled = errors.New("batcher: a send left its batch unsettled")
)

// Batcher turns spans into batches. Make one with [New]; all methods are safe
// for concurrent use.
type Batcher[S Span[S]] struct {
	cfg   Config[S]
	epoch time.Time // times below are durations since then: 8 bytes, monotonic

	stopped chan struct{} // closed with state = closed

	mu    sync.Mutex
	idle  sync.Cond // workers without a batch park here
	state state
	err   error // for Run

	pending pending[S]
	stats   Stats // but for Slots
	flush   int   // so many of the pending messages were there at the last Flush
	blocked bool  // the key of the oldest message is in flight: wait for settle

	slots     slots
	keys      keys[S] // unused without Config.Keys
	budget    budget
	lastStart time.Duration

	// Set by Run. spawn starts a worker.
	spawn           func()
	timer           *time.Timer
	armed           time.Duration // when the timer fires; never if it is stopped
	workers, parked int
	waking          bool // a worker was woken or started and has not looked yet
}

type state uint8

const (
	open     state = iota
	draining       // everything pending is as if flushed; the last batch closes
	closed         // nothing starts any more
)

// New returns a Batcher, or the error of [Config.Validate]. It starts nothing.
func New[S Span[S]](cfg Config[S]) (*Batcher[S], error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	b := &Batcher[S]{
		cfg:       cfg,
		epoch:     time.Now(),
		stopped:   make(chan struct{}),
		slots:     slots{limit: cfg.MinSlots, least: cfg.MinSlots, most: cfg.MaxSlots},
		budget:    newBudget(cfg.Rate),
		lastStart: -cfg.Pace,
		armed:     never,
	}
	b.idle.L = &b.mu
	if cfg.Keys != nil {
		b.keys.init(cfg.Keys)
	}
	return b, nil
}

// Add appends spans to what is pending, in this order. It never blocks on the
// destination and wakes a goroutine only if a batch can start now. Empty spans
// are ignored. Spans added before Run wait for it; those added after Close, or
// while Drain ends, stay pending and are never sent.
func (b *Batcher[S]) Add(spans ...S) {
	var now time.Duration
	if b.cfg.Linger > 0 {
		now = b.now()
	}
	b.mu.Lock()
	for _, span := range spans {
		n := span.Len()
		if n < 1 {
			continue
		}
		b.pending.push(span, now)
		b.stats.Pending += n
		b.stats.PendingBytes += span.Size()
	}
	b.schedule()
	b.mu.Unlock()
}

// Flush cuts Linger, once, for what is pending now. It is a level and not a
// count: several calls are one. It does not wait, and it cuts neither Pace nor Rate.
func (b *Batcher[S]) Flush() {
	b.mu.Lock()
	b.flush = b.stats.Pending
	b.schedule()
	b.mu.Unlock()
}

// Drain sends what is pending, without Linger but within Pace and Rate, and
// then ends Run. It does not wait: Run returns when the last send has.
func (b *Batcher[S]) Drain() {
	b.mu.Lock()
	if b.state == open {
		b.state = draining
		b.closeIfDrained()
		b.schedule()
	}
	b.mu.Unlock()
}

// Close starts no further batch and ends Run when the sends in flight have
// returned. What is pending stays with the caller. It does not wait, and it may
// follow Drain.
func (b *Batcher[S]) Close() {
	b.mu.Lock()
	b.close()
	b.mu.Unlock()
}

// Stats is the state of a [Batcher] at one moment.
type Stats struct {
	Pending       int // messages added and not in a batch yet
	PendingBytes  int
	InFlight      int // messages in batches whose send has not returned
	InFlightBytes int
	Busy          int // batches in flight
	Slots         int // how many there may be now
}

// Stats returns the state now.
func (b *Batcher[S]) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	stats := b.stats
	stats.Slots = b.slots.limit
	return stats
}
