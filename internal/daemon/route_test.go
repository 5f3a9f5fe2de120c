package daemon

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqdaemon/mqd/batcher"
	"github.com/mqdaemon/mqd/internal/config"
	"github.com/mqdaemon/mqd/internal/envelope"
	"github.com/mqdaemon/mqd/internal/forward"
	"github.com/mqdaemon/mqd/internal/spool"
	"github.com/mqdaemon/mqd/mq"
)

// fakeQueue is a queue in memory that fails as it is told.
type fakeQueue struct {
	mu       sync.Mutex
	messages []string
	more     chan struct{}
	limit    int           // msgmax
	after    syscall.Errno // instead of ENOMSG
	stats    int           // calls of Stat
	receives int
	ctx      context.Context
}

func newFakeQueue(ctx context.Context, messages ...string) *fakeQueue {
	return &fakeQueue{messages: messages, more: make(chan struct{}, 1), limit: 8192, ctx: ctx}
}

func (q *fakeQueue) put(s string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages = append(q.messages, s)
	select {
	case q.more <- struct{}{}:
	default:
	}
}

func (q *fakeQueue) Wait() (int64, error) {
	q.mu.Lock()
	n := len(q.messages)
	q.mu.Unlock()
	if n > 0 {
		return 0, nil
	}
	select {
	case <-q.more:
		return 0, nil
	case <-q.ctx.Done():
		return 0, q.ctx.Err()
	}
}

func (q *fakeQueue) Receive(buf []byte) (int, syscall.Errno) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.receives++
	if len(q.messages) == 0 {
		if q.after != 0 {
			return 0, q.after
		}
		return 0, syscall.ENOMSG
	}
	m := q.messages[0]
	if len(m) > len(buf)-8 {
		return 0, syscall.E2BIG
	}
	q.messages = q.messages[1:]
	binary.NativeEndian.PutUint64(buf, 1)
	return copy(buf[8:], m), 0
}

func (q *fakeQueue) Limit() (int, error) { return q.limit, nil }
func (q *fakeQueue) Close() error        { return nil }

func (q *fakeQueue) Stat() (mq.Stat, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stats++
	return mq.Stat{Messages: int64(len(q.messages))}, nil
}

// fakeDest answers with the results it is given, then with Delivered.
type fakeDest struct {
	mu      sync.Mutex
	results []forward.Result
	keys    []string
	bodies  []string
	hang    bool // until the context of the request ends
}

func (d *fakeDest) String() string { return "fake:" }
func (d *fakeDest) Close() error   { return nil }

func (d *fakeDest) Send(ctx context.Context, b *forward.Batch) forward.Result {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys = append(d.keys, b.ID)
	if d.hang {
		d.mu.Unlock()
		<-ctx.Done()
		d.mu.Lock()
		return forward.Result{Verdict: forward.Retry, Err: ctx.Err()}
	}
	if len(d.results) > 0 {
		r := d.results[0]
		d.results = d.results[1:]
		return r
	}
	for m := range b.Messages {
		d.bodies = append(d.bodies, string(m.Body))
	}
	return forward.Result{Verdict: forward.Delivered}
}

func (d *fakeDest) got() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.bodies)
}

// testRoute is a route on a real landing with a fake destination.
func testRoute(t *testing.T, dest forward.Destination, size int) *route {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "mqd-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	landing, _, err := spool.Open(spool.Config{
		Route: "test", Dir: filepath.Join(dir, "l"), State: filepath.Join(dir, "s"),
		Accept: envelope.AcceptAll, MsgMax: 8192, Size: size, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	batches, err := batcher.New(batcher.Config[spool.Span]{MaxMessages: 500, MaxSlots: 2, Pace: pace, Keys: keysOf(config.OrderKey)})
	if err != nil {
		t.Fatal(err)
	}
	r := &route{
		cfg: config.Route{Name: "test", Queue: mq.SysVAddr(1)}, log: log, landing: landing, batches: batches, dest: dest, total: new(totals),
		gate:  forward.NewGate(forward.Backoff{Initial: time.Second, Max: time.Minute}, func() float64 { return 0.5 }),
		nudge: make(chan struct{}, 1), trim: time.AfterFunc(time.Hour, func() {}),
	}
	t.Cleanup(func() { r.close() })
	return r
}

// The message was sent while msgmax was larger than it is now.
func TestMsgmaxLoweredMeanwhile(t *testing.T) {
	r := testRoute(t, &fakeDest{}, 0)
	q := newFakeQueue(t.Context(), strings.Repeat("a", 60_000), "b", strings.Repeat("c", 300_000), "d")
	if err := r.empty(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	if p := r.landing.Stats().Pending; p != 4 {
		t.Errorf("%d messages landed, want 4", p)
	}
}

func TestMsgmaxRaisedWhileRunning(t *testing.T) {
	r := testRoute(t, &fakeDest{}, 0)
	q := newFakeQueue(t.Context(), strings.Repeat("a", 100_000), "b")
	q.limit = 100_000
	if err := r.empty(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	if p := r.landing.Stats().Pending; p != 2 {
		t.Errorf("%d messages landed, want 2", p)
	}
}

// A message that no limit explains must not be asked for again and again.
func TestTooLargeForEverIsAnError(t *testing.T) {
	r := testRoute(t, &fakeDest{}, 0)
	q := newFakeQueue(t.Context(), strings.Repeat("a", roomMax+roomMax))
	err := r.empty(t.Context(), q)
	if err == nil || !strings.Contains(err.Error(), "msgmax is 8192") {
		t.Errorf("error is %v", err)
	}
	if q.receives > 12 {
		t.Errorf("asked %d times", q.receives)
	}
}

func TestQueueRemovedKeepsWhatLanded(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EIDRM, syscall.EINVAL} {
		r := testRoute(t, &fakeDest{}, 0)
		q := newFakeQueue(t.Context(), "a", "b")
		q.after = errno
		if err := r.empty(t.Context(), q); !errors.Is(err, mq.ErrRemoved) {
			t.Errorf("%v: error is %v", errno, err)
		}
		if p := r.landing.Stats().Pending; p != 0 {
			t.Errorf("%d messages handed over before Take", p)
		}
		if n := len(r.landing.Take()); n != 1 {
			t.Errorf("%v: %d spans, want 1", errno, n)
		}
	}
}

// While the landing is full the queue is looked at once a second, and not read.
func TestBackedUpDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dest := &fakeDest{hang: true}
		r := testRoute(t, dest, 2*spool.SlabSize)
		ctx, cancel := context.WithCancel(t.Context())
		hard, cut := context.WithCancel(t.Context())
		q := newFakeQueue(ctx)
		for range 200 {
			q.put(strings.Repeat("x", 8000))
		}
		var tasks sync.WaitGroup
		tasks.Go(func() { r.drain(ctx, q) })
		tasks.Go(func() {
			r.batches.Run(hard, func(hard context.Context, b *batcher.Batch[spool.Span]) batcher.Outcome {
				return r.send(ctx, hard, b)
			})
		})
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		q.mu.Lock()
		stats, receives, left := q.stats, q.receives, len(q.messages)
		q.mu.Unlock()
		if left < 100 || receives > 100 || stats < 10 || stats > 12 {
			t.Errorf("in 10 s of a full landing: %d receives, %d stats, %d messages left", receives, stats, left)
		}
		if r.backlog.Load() == 0 {
			t.Error("the route does not know that it is backed up")
		}
		cancel()
		cut()
		tasks.Wait()
	})
}

// Every try of a batch has the same members and the same key; only then a new one.
func TestRetryIsTheSameBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := forward.Result{Verdict: forward.Retry, Status: 503, Err: errors.New("503")}
		hold := forward.Result{Verdict: forward.Hold, Status: 404, Err: errors.New("404")}
		dest := &fakeDest{results: []forward.Result{fail, hold, fail}}
		r := testRoute(t, dest, 0)
		ctx, cancel := context.WithCancel(t.Context())
		q := newFakeQueue(ctx, "a", "b", "c")
		var tasks sync.WaitGroup
		tasks.Go(func() { r.drain(ctx, q) })
		tasks.Go(func() {
			r.batches.Run(ctx, func(hard context.Context, b *batcher.Batch[spool.Span]) batcher.Outcome {
				return r.send(ctx, hard, b)
			})
		})
		time.Sleep(time.Hour)
		if got := dest.got(); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("delivered %q", got)
		}
		synctest.Wait()
		if k := dest.keys; len(k) != 4 || k[0] != k[3] || k[0] != k[1] || k[0] != k[2] {
			t.Errorf("keys are %q", k)
		}
		if r.total.retries.Load() != 3 || r.total.requests.Load() != 4 || r.total.delivered.Load() != 3 || r.landing.Stats().Pending != 0 {
			t.Errorf("retries %d, requests %d, delivered %d", r.total.retries.Load(), r.total.requests.Load(), r.total.delivered.Load())
		}
		q.put("d")
		time.Sleep(time.Second)
		synctest.Wait()
		if k := dest.keys; len(k) != 5 || k[4] == k[0] {
			t.Errorf("another batch has the same key: %q", k)
		}
		cancel()
		tasks.Wait()
	})
}

// A stop ends the waiting between two tries at once and keeps the messages.
func TestStopWhileBackingOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dest := &fakeDest{results: slices.Repeat([]forward.Result{{Verdict: forward.Retry, Err: errors.New("no")}}, 50)}
		r := testRoute(t, dest, 0)
		ctx, cancel := context.WithCancel(t.Context())
		q := newFakeQueue(ctx, "a")
		if err := r.empty(ctx, q); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.batches.Run(t.Context(), func(hard context.Context, b *batcher.Batch[spool.Span]) batcher.Outcome {
				return r.send(ctx, hard, b)
			})
		}()
		time.Sleep(10 * time.Second)
		cancel()
		r.batches.Close()
		begin := time.Now()
		<-done
		if time.Since(begin) != 0 {
			t.Errorf("stopping took %v", time.Since(begin))
		}
		if r.landing.Stats().Pending != 1 {
			t.Errorf("pending %d, want 1", r.landing.Stats().Pending)
		}
	})
}

func TestDoorbells(t *testing.T) {
	r := testRoute(t, &fakeDest{}, 0)
	r.ring(bellLook)
	select {
	case <-r.nudge:
		t.Error("doorbell 1 flushed")
	default:
	}
	r.ring(bellFlush)
	select {
	case <-r.nudge:
	default:
		t.Error("doorbell 2 did not flush")
	}
}
