package mq

import (
	"context"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Why a sleeper is to stop; bits, as both can happen.
const (
	stopClosed uint32 = 1 << iota
	stopContext
)

// A thread in msgrcv(2) leaves it for a message, at the removal of the queue, or
// for a signal. So stopping it is: set a flag, then send the thread SIGURG until
// it has left. One signal is not enough, for it may come between the thread's
// look at the flag and its system call. SIGURG is the runtime's own signal for
// preemption and has a handler in every Go program. The first pause is about the
// time that a thread needs to leave; the last keeps a busy machine from being
// flooded.
const (
	firstSignal = 50 * time.Microsecond
	lastSignal  = 5 * time.Millisecond
)

// sleeper is a thread that may sleep in msgrcv(2).
//
// Invariant: asleep is set before stop is read, and stop before asleep is read
// (both sequentially consistent). So either the sleeper sees stop and does not
// sleep, or the interrupter sees asleep and signals.
type sleeper struct {
	tid    atomic.Int64 // of the thread it sleeps on, while asleep is set
	stop   atomic.Uint32
	asleep atomic.Bool
	left   chan struct{} // holds 1: the sleeper has left after stop was set
}

func newSleeper() *sleeper {
	return &sleeper{left: make(chan struct{}, 1)}
}

// sleep waits for a message in q without taking it, see [msgrcvNothing].
func (s *sleeper) sleep(id int, mtype *int64, msgtyp int64, flags int) syscall.Errno {
	// The goroutine keeps its thread while it may sleep, and no longer: what it
	// wakes afterwards can then run here, and need not wait for another thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s.tid.Store(int64(unix.Gettid()))
	errno := unix.EINTR
	s.asleep.Store(true)
	if s.stop.Load() == 0 {
		errno = msgrcvNothing(id, mtype, msgtyp, flags, &s.stop)
	}
	s.asleep.Store(false)
	if s.stop.Load() != 0 {
		select {
		case s.left <- struct{}{}:
		default:
		}
	}
	return errno
}

// interrupt stops s for a reason and returns when it is not asleep any more.
func (s *sleeper) interrupt(reason uint32) {
	s.stop.Or(reason)
	if !s.asleep.Load() {
		return
	}
	pid := unix.Getpid()
	delay := firstSignal
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for s.asleep.Load() {
		// ESRCH and EAGAIN are answered by the next round.
		_ = unix.Tgkill(pid, int(s.tid.Load()), unix.SIGURG)
		select {
		case <-s.left:
		case <-timer.C:
		}
		delay = min(2*delay, lastSignal)
		timer.Reset(delay)
	}
}

// Waiter waits for messages again and again, without setting up its cancellation
// each time. It is made by [SysV.NewWaiter].
type Waiter struct {
	q       *SysV
	ctx     context.Context
	release func() bool
	sleeper *sleeper
	op      string
	mtype   int64 // the kernel writes here
	closed  bool
}

// NewWaiter makes a Waiter. Its methods must not be called at the same time. When
// ctx is done, Wait returns ctx.Err(); if it never can be, nothing watches it.
func (q *SysV) NewWaiter(ctx context.Context) *Waiter {
	w := &Waiter{q: q, ctx: ctx, op: "wait", sleeper: newSleeper(), release: func() bool { return true }}
	q.mu.Lock()
	if q.sleepers != nil {
		q.sleepers[w.sleeper] = struct{}{}
	} else {
		w.sleeper.stop.Store(stopClosed)
	}
	q.mu.Unlock()
	if ctx.Done() != nil {
		w.release = context.AfterFunc(ctx, func() { w.sleeper.interrupt(stopContext) })
	}
	return w
}

// Close ends the use of w.
func (w *Waiter) Close() {
	if w.closed {
		return
	}
	w.closed = true
	w.release()
	w.q.mu.Lock()
	delete(w.q.sleepers, w.sleeper)
	w.q.mu.Unlock()
}

// Wait sleeps until a message is on the queue. The message stays there and
// doorbell is 0: take it with [SysV.TryReceiveRaw] or TryReceive, and be ready
// for ErrEmpty if there is another receiver. Killing the process meanwhile loses
// nothing.
//
// A message of length zero cannot be left: Wait takes it and returns its mtype
// as doorbell. It carries no data, so it is good for ringing and nothing else.
//
// On a queue that is not empty Wait returns at once. Whoever does not want to
// take messages now must wait for something else, or it runs in circles.
//
// Wait allocates nothing unless it fails. Errors: ctx.Err(), ErrClosed,
// ErrRemoved, fs.ErrPermission.
func (w *Waiter) Wait() (doorbell int64, err error) {
	return w.wait(0, 0)
}

func (w *Waiter) wait(msgtyp int64, flags int) (doorbell int64, err error) {
	w.mtype = 0
	switch errno := w.sleeper.sleep(w.q.id, &w.mtype, msgtyp, flags); errno {
	case 0:
		return w.mtype, nil
	case unix.E2BIG:
		return 0, nil
	case unix.EINTR:
		return 0, w.stopped()
	default:
		return 0, w.q.opError(w.op, w.q.cause(errno))
	}
}

// stopped says why the wait was stopped.
func (w *Waiter) stopped() error {
	if w.sleeper.stop.Load()&stopClosed != 0 {
		return w.q.opError(w.op, ErrClosed)
	}
	return w.q.opError(w.op, w.ctx.Err())
}

// Wait waits once, as [Waiter.Wait] does. A loop makes a Waiter.
func (q *SysV) Wait(ctx context.Context) (doorbell int64, err error) {
	w := q.NewWaiter(ctx)
	defer w.Close()
	return w.Wait()
}
