package mq_test

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/mq"
)

// rung is a result of Waiter.Wait.
type rung struct {
	doorbell int64
	err      error
}

// waiting runs Waiter.Wait n times on its own goroutine and gives the results.
func waiting(ctx context.Context, q *mq.SysV, n int) <-chan rung {
	results := make(chan rung)
	go func() {
		w := q.NewWaiter(ctx)
		defer w.Close()
		defer close(results)
		for range n {
			doorbell, err := w.Wait()
			results <- rung{doorbell, err}
		}
	}()
	return results
}

// asleep waits until n threads of this process are in msgrcv(2).
func asleep(t *testing.T, n int) {
	t.Helper()
	eventually(t, "threads in msgrcv", func() bool { return len(inMsgrcv(t, os.Getpid())) == n })
}

func TestWaitLeavesTheMessage(t *testing.T) {
	q := private(t)
	results := waiting(timeout(t), q, 2)
	asleep(t, 1)
	send(t, q, 5, "stays")
	if r := <-results; r.err != nil || r.doorbell != 0 {
		t.Errorf("woken by %+v", r)
	}
	// On a queue that is not empty it returns at once, and still takes nothing.
	if r := <-results; r.err != nil || r.doorbell != 0 {
		t.Errorf("second wait %+v", r)
	}
	st := stat(t, q)
	if st.Messages != 1 || st.LastReceivePID != 0 || !st.LastReceive.IsZero() {
		t.Errorf("waiting left a trace: %+v", st)
	}
	if m := receive(t, q); m.Type != 5 || string(m.Body) != "stays" {
		t.Errorf("then received %+v", m)
	}
}

func TestWaitDoorbell(t *testing.T) {
	q := private(t)
	send(t, q, 2, "")
	results := waiting(timeout(t), q, 3)
	if r := <-results; r.err != nil || r.doorbell != 2 {
		t.Errorf("%+v, want doorbell 2", r)
	}
	asleep(t, 1)
	send(t, q, 1, "")
	if r := <-results; r.err != nil || r.doorbell != 1 {
		t.Errorf("%+v, want doorbell 1", r)
	}
	// Behind a message with a body a doorbell is not seen.
	send(t, q, 1, "body")
	send(t, q, 2, "")
	if r := <-results; r.err != nil || r.doorbell != 0 {
		t.Errorf("%+v, want no doorbell", r)
	}
	if st := stat(t, q); st.Messages != 2 {
		t.Errorf("%d messages left", st.Messages)
	}
}

func TestWaitersShareAQueue(t *testing.T) {
	q := private(t)
	const n = 4
	var all []<-chan rung
	for range n {
		all = append(all, waiting(timeout(t), q, 1))
	}
	asleep(t, n)
	send(t, q, 1, "x")
	for _, results := range all {
		if r := <-results; r.err != nil || r.doorbell != 0 {
			t.Errorf("%+v", r)
		}
	}
}

// LTP msgrcv06: removal ends the wait with EIDRM.
func TestRemovedWhileWaiting(t *testing.T) {
	q := private(t)
	results := waiting(timeout(t), q, 2)
	got := receiving(t, q)
	asleep(t, 2)
	if err := q.Remove(); err != nil {
		t.Fatal(err)
	}
	wantErr(t, (<-results).err, mq.ErrRemoved, syscall.EIDRM)
	wantErr(t, (<-results).err, mq.ErrRemoved, syscall.EINVAL)
	wantErr(t, (<-got).err, mq.ErrRemoved)
}

// LTP msgsnd06: a sender that waits learns of it too.
func TestRemovedWhileSending(t *testing.T) {
	q := private(t, mq.Options{MaxBytes: 8})
	send(t, q, 1, "12345678")
	result := make(chan error, 1)
	go func() { result <- q.Send(timeout(t), mq.Message{Type: 1, Body: []byte("x")}) }()
	if err := q.Remove(); err != nil {
		t.Fatal(err)
	}
	wantErr(t, <-result, mq.ErrRemoved)
}

// A Waiter notices its context in each of its states, as often as one tries.
func TestWaiterContext(t *testing.T) {
	q := private(t)
	rounds := 500
	if testing.Short() {
		rounds = 50
	}
	for i := range rounds {
		ctx, cancel := context.WithCancel(timeout(t))
		results := waiting(ctx, q, 2)
		if i%2 == 0 {
			asleep(t, 1) // Else it is cancelled about when it goes to sleep.
		}
		cancel()
		for range 2 {
			if r := <-results; !errors.Is(r.err, context.Canceled) {
				t.Fatalf("round %d: %+v", i, r)
			}
		}
	}
	asleep(t, 0)
}

// Cancelling one waiter leaves the others asleep.
func TestWaiterContextIsItsOwn(t *testing.T) {
	q := private(t)
	ctx, cancel := context.WithCancel(t.Context())
	first, other := waiting(ctx, q, 1), waiting(timeout(t), q, 1)
	asleep(t, 2)
	cancel()
	wantErr(t, (<-first).err, context.Canceled)
	select {
	case r := <-other:
		t.Fatalf("the other was woken: %+v", r)
	default:
	}
	asleep(t, 1)
	send(t, q, 1, "x")
	if r := <-other; r.err != nil {
		t.Error(r.err)
	}
}

// Without a context that can end, Close is still noticed.
func TestWaiterBackground(t *testing.T) {
	q := private(t)
	results := waiting(context.Background(), q, 2)
	asleep(t, 1)
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	asleep(t, 0) // Close has waited for that.
	wantErr(t, (<-results).err, mq.ErrClosed)
	wantErr(t, (<-results).err, mq.ErrClosed)
}

func TestWaiterCloseTwice(t *testing.T) {
	q := private(t)
	ctx, cancel := context.WithCancel(t.Context())
	w := q.NewWaiter(ctx)
	w.Close()
	w.Close()
	cancel()
}

// The rule itself.
func TestAgain(t *testing.T) {
	var stop atomic.Uint32
	if !mq.Again(unix.EINTR, nil) || !mq.Again(unix.EINTR, &stop) {
		t.Error("EINTR ends a call")
	}
	stop.Store(1)
	if mq.Again(unix.EINTR, &stop) {
		t.Error("EINTR does not end a call that is to stop")
	}
	for _, errno := range []syscall.Errno{0, unix.EAGAIN, unix.E2BIG, unix.EIDRM} {
		if mq.Again(errno, nil) {
			t.Errorf("%v is tried again", errno)
		}
	}
}

// catchHangup catches SIGHUP from now on. It is never let go: a signal that is
// still on its way would then end the process.
func catchHangup() <-chan os.Signal {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals
}

// Signals do not end a call. They are sent to the very threads that sleep, so
// that each of them is an EINTR.
func TestSignalStorm(t *testing.T) {
	signals := catchHangup()
	both(t, func(t *testing.T, q mq.Queue) {
		const receivers = 4
		results := make(chan received, receivers)
		var started sync.WaitGroup
		for range receivers {
			started.Add(1)
			go func() {
				started.Done()
				m, err := q.Receive(timeout(t), make([]byte, 64))
				results <- received{m, err}
			}()
		}
		started.Wait()
		threads := func() []int {
			if q.Addr().Kind == mq.KindSysV {
				asleep(t, receivers)
				return inMsgrcv(t, os.Getpid())
			}
			return []int{unix.Getpid()}
		}
		for range 50 {
			for _, tid := range threads() {
				if err := unix.Tgkill(os.Getpid(), tid, unix.SIGHUP); err != nil {
					t.Fatal(err)
				}
			}
			if err := unix.Kill(os.Getpid(), unix.SIGHUP); err != nil {
				t.Fatal(err)
			}
			<-signals
			select {
			case r := <-results:
				t.Fatalf("a signal ended Receive: %+v", r)
			default:
			}
		}
		for range receivers {
			if err := q.Send(timeout(t), mq.Message{Type: 1, Body: []byte("x")}); err != nil {
				t.Fatal(err)
			}
		}
		for range receivers {
			if r := <-results; r.err != nil || string(r.m.Body) != "x" {
				t.Errorf("%+v", r)
			}
		}
	})
}

// LTP msgsnd05: a sender that waits is not ended by a signal either.
func TestSignalsWhileSending(t *testing.T) {
	signals := catchHangup()
	both(t, func(t *testing.T, q mq.Queue) {
		for q.TrySend(mq.Message{Type: 1, Body: make([]byte, 64)}) == nil {
		}
		result := make(chan error, 1)
		go func() { result <- q.Send(timeout(t), mq.Message{Type: 1, Body: []byte("x")}) }()
		for range 50 {
			if err := unix.Kill(os.Getpid(), unix.SIGHUP); err != nil {
				t.Fatal(err)
			}
			<-signals
		}
		select {
		case err := <-result:
			t.Fatalf("a signal ended Send: %v", err)
		default:
		}
		receive(t, q)
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

// A signal can come between a thread's look at the flag and its system call, and
// is lost then. So it is sent again until the thread has left.
func TestInterruptRepeatsTheSignal(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGURG)
	defer signal.Stop(signals)
	s := mq.NewSleeper()
	left := make(chan struct{})
	go func() {
		s.Interrupt()
		close(left)
	}()
	for range 10 {
		select {
		case <-signals:
		case <-timeout(t).Done():
			t.Fatal("no more signals")
		}
	}
	select {
	case <-left:
		t.Error("it gave up before the thread had left")
	default:
	}
	s.Leave()
	<-left
}

// Cancelling does not take the pauses between two signals: the sleeper's leaving
// ends them. On a busy machine some take longer, never all.
func TestCancelIsPrompt(t *testing.T) {
	q := private(t)
	const rounds = 50
	best := testTimeout
	for range rounds {
		ctx, cancel := context.WithCancel(timeout(t))
		results := waiting(ctx, q, 1)
		asleep(t, 1)
		start := time.Now()
		cancel()
		<-results
		best = min(best, time.Since(start))
	}
	if best > time.Millisecond {
		t.Errorf("the quickest of %d cancellations took %v", rounds, best)
	}
}
