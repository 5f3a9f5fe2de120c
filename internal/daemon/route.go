package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mqdaemon/mqd/batcher"
	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/internal/config"
	"github.com/mqdaemon/mqd/internal/forward"
	"github.com/mqdaemon/mqd/internal/spool"
	"github.com/mqdaemon/mqd/mq"
)

const (
	// pace is the least time between two request starts of a route. On a fast
	// destination it cuts requests tenfold at the same throughput; in quiet
	// traffic nothing ever waits for it.
	pace = time.Millisecond
	// usualMax bounds the room that a landing offers to begin with, in bytes: a
	// msgmax of gigabytes is no reason to lock gigabytes. A larger message makes
	// the room grow.
	usualMax = 1 << 20
	// trimAfter is how long an idle route keeps the memory of busy times. It is
	// short, so that a daemon that is idle soon has nothing left to do.
	trimAfter = time.Second
)

// totals count since the daemon started; a route that a reload restarts goes on
// with those it had.
type totals struct {
	delivered atomic.Int64 // messages
	requests  atomic.Int64
	retries   atomic.Int64 // requests that were tries again
}

// route is one queue, one landing, one batcher and one destination at work.
type route struct {
	cfg     config.Route
	log     *slog.Logger
	landing *spool.Landing
	batches *batcher.Batcher[spool.Span]
	dest    forward.Destination
	gate    *forward.Gate

	swap  bool          // this host swaps: unlocked memory may be away
	ready chan struct{} // closed when the queue was opened, or found unusable, for the first time
	nudge chan struct{} // look at the queue again now
	trim  *time.Timer

	total    *totals
	inFlight atomic.Int64 // messages in requests
	backlog  atomic.Int64 // depth of the queue when it was last seen backed up

	mu   sync.Mutex // guards what follows
	src  source     // nil while there is none
	held error      // why there is none
}

// places are the directories of one daemon.
type places struct{ state, runtime, landing string }

// plan is a route as it can be made without touching anything: what the
// configuration can be refused for shows here.
type plan struct {
	cfg     config.Route
	dest    forward.Destination
	batches *batcher.Batcher[spool.Span]
}

func newPlan(cfg config.Route, host string, stdout io.Writer) (*plan, error) {
	dest, err := forward.New(forward.Config{
		Route: cfg.Name, Host: host, To: cfg.To, Format: cfg.Format, Headers: cfg.Headers,
		Timeout: cfg.Timeout, CEType: cfg.CEType, Stdout: stdout,
	})
	if err != nil {
		return nil, err
	}
	batches, err := batcher.New(batcher.Config[spool.Span]{
		MaxMessages: cfg.MaxMessages, MaxBytes: int(cfg.MaxBytes), Linger: cfg.Linger, Pace: pace,
		Rate:     batcher.Rate{PerSecond: cfg.Rate.PerSecond, Burst: cfg.Rate.Burst},
		MinSlots: cfg.SlotsMin, MaxSlots: cfg.SlotsMax, Keys: keysOf(cfg.Order),
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("route %s: %w", cfg.Name, err), dest.Close())
	}
	return &plan{cfg: cfg, dest: dest, batches: batches}, nil
}

// discard gives back what plans hold.
func discard(plans []*plan) error {
	var errs []error
	for _, p := range plans {
		errs = append(errs, p.dest.Close())
	}
	return errors.Join(errs...)
}

// openRoute opens the landing of a planned route, and starts nothing.
func openRoute(p *plan, total *totals, at places, log *slog.Logger) (*route, error) {
	cfg := p.cfg
	log = log.With("route", cfg.Name)
	msgmax, err := mq.MsgMax()
	if err != nil {
		return nil, err
	}
	swap := swapOn()
	landing, found, err := spool.Open(spool.Config{
		Route: cfg.Name, Dir: filepath.Join(at.landing, cfg.Name), State: filepath.Join(at.state, "spool", cfg.Name),
		Accept: cfg.Accept, MsgMax: min(msgmax, usualMax), MustLock: swap, Log: log,
	})
	if err != nil {
		return nil, err
	}
	if found.Messages > 0 || len(found.Aside) > 0 {
		log.Info("messages found in the landing", "messages", found.Messages,
			"length_uncertain", found.Uncertain, "set_aside", len(found.Aside))
	}
	for _, path := range found.Aside {
		log.Warn("file of another or a damaged spool set aside", "file", path)
	}
	r := &route{
		cfg: cfg, log: log, landing: landing, batches: p.batches, dest: p.dest, total: total,
		gate:  forward.NewGate(forward.Backoff{Initial: cfg.RetryInitial, Max: cfg.RetryMax}, nil),
		ready: make(chan struct{}), nudge: make(chan struct{}, 1), swap: swap,
	}
	r.trim = time.AfterFunc(trimAfter, func() { r.landing.Trim() })
	r.trim.Stop()
	return r, nil
}

// keysOf gives the batcher what it needs to keep the order of a key.
func keysOf(order config.Order) func(spool.Span, func(uint64) bool) {
	if order != config.OrderKey {
		return nil
	}
	return func(s spool.Span, yield func(uint64) bool) {
		if s.Keyed() {
			s.Keys(yield)
		}
	}
}

// run works until ctx ends. Then it stops in order: first the intake, then no
// new batch is started and no back-off waited for, then the requests in flight
// get until the end of hard. What is not settled stays in the landing.
func (r *route) run(ctx, hard context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var intake sync.WaitGroup
	intake.Go(func() { r.intake(ctx) })
	// Whatever ended the batches: nobody uses the landing when run has returned.
	defer intake.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		intake.Wait()
		r.batches.Close()
	})
	defer stop()
	err := r.batches.Run(hard, func(hard context.Context, b *batcher.Batch[spool.Span]) batcher.Outcome {
		return r.send(ctx, hard, b)
	})
	if ctx.Err() != nil {
		return nil // a batch that was given up by the stop is no error
	}
	return err
}

// close gives everything back. run has returned.
func (r *route) close() error {
	r.trim.Stop()
	return errors.Join(r.dest.Close(), r.landing.Close())
}

// flush looks at the queue and sends what is pending: SIGUSR1, a doorbell or
// the socket. It is a level and not a count.
func (r *route) flush() {
	r.mu.Lock()
	_, _ = r.look() // it acts on what it finds
	r.mu.Unlock()
	r.poke()
	r.gate.Wake()
	r.batches.Flush()
}

func (r *route) setSource(src source) {
	r.mu.Lock()
	r.src = src
	was := r.held
	if src != nil {
		r.held = nil
	}
	r.mu.Unlock()
	if src != nil && was != nil {
		r.log.Info("queue is usable again", "queue", r.cfg.Queue)
	}
}

// setHeld notes why there is no queue, and logs it if that is news.
func (r *route) setHeld(err error) {
	r.mu.Lock()
	news := r.held == nil || r.held.Error() != err.Error()
	r.held = err
	r.mu.Unlock()
	if news {
		r.log.Error("route is held: its queue cannot be used, trying again every second", "queue", r.cfg.Queue, "error", err)
	}
}

// status is a snapshot. Counters rise from zero at start.
func (r *route) status(now time.Time) client.RouteStatus {
	st := r.landing.Stats()
	s := client.RouteStatus{
		Name: r.cfg.Name, Queue: r.cfg.Queue.String(), State: client.StateOK,
		Pending: st.Pending, InFlight: r.inFlight.Load(), Slots: int64(r.batches.Stats().Slots),
		Delivered: r.total.delivered.Load(), Requests: r.total.requests.Load(), Retries: r.total.retries.Load(),
		Landing: "unlocked",
	}
	if st.Locked {
		s.Landing = "locked"
	}
	if st.Oldest > 0 {
		s.Oldest = max(0, int64(now.Sub(time.Unix(0, st.Oldest))/time.Second))
	}
	state, lastError, _ := r.gate.State()
	s.State, s.LastError = client.State(state), lastError
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held != nil {
		s.State, s.LastError = client.StateHeld, r.held.Error()
	}
	if q, err := r.look(); err == nil {
		s.Depth, s.QueueBytes = q.Messages, q.MaxBytes
	}
	if _, ok := r.src.(*peekSource); ok {
		s.Landing = "peek"
	}
	return s
}

// errNoSource is what look gives while there is no queue.
var errNoSource = errors.New("no queue")

// look asks how the queue is. A POSIX queue that was unlinked tells nobody who
// waits on it, so this is where that is noticed. The caller holds mu.
func (r *route) look() (mq.Stat, error) {
	if r.src == nil {
		return mq.Stat{}, errNoSource
	}
	st, err := r.src.Stat()
	if p, ok := r.src.(*posixSource); ok && errors.Is(err, mq.ErrRemoved) {
		p.abandon(mq.ErrRemoved)
	}
	return st, err
}

// poke makes the intake look at its queue now, if it waits for a second look.
func (r *route) poke() {
	select {
	case r.nudge <- struct{}{}:
	default:
	}
}
