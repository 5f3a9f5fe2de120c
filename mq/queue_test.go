package mq_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/mq"
)

// What is true of both kinds of queue.

func TestBodies(t *testing.T) {
	both(t, func(t *testing.T, q mq.Queue) {
		for name, body := range map[string]string{
			"nothing":      "",
			"NUL":          "\x00",
			"NULs":         strings.Repeat("\x00", 64),
			"ends in 0xff": "abc\xff",
			"not UTF-8":    "\xc0\xc1\xf5",
			"largest":      strings.Repeat("x", 64),
		} {
			send(t, q, 1, body)
			buf := make([]byte, 64)
			m, err := q.TryReceive(buf)
			if err != nil || string(m.Body) != body {
				t.Errorf("%s: received %q, %v", name, m.Body, err)
			}
			if len(body) > 0 && &m.Body[0] != &buf[0] {
				t.Errorf("%s: the body is not in the buffer", name)
			}
			send(t, q, 1, body)
			if m, err = q.Receive(timeout(t), buf); err != nil || string(m.Body) != body {
				t.Errorf("%s: Receive gave %q, %v", name, m.Body, err)
			}
			if err := q.Send(timeout(t), mq.Message{Type: 1, Body: []byte(body)}); err != nil {
				t.Errorf("%s: Send: %v", name, err)
			}
			if m := receive(t, q); string(m.Body) != body {
				t.Errorf("%s: after Send %q", name, m.Body)
			}
		}
	})
}

func TestNilBodyAndNilBuffer(t *testing.T) {
	q := private(t)
	if err := q.TrySend(mq.Message{Type: 7}); err != nil {
		t.Fatal(err)
	}
	if m, err := q.TryReceive(nil); err != nil || m.Type != 7 || len(m.Body) != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	p := named(t)
	if err := p.TrySend(mq.Message{}); err != nil {
		t.Fatal(err)
	}
	_, err := p.TryReceive(nil)
	wantErr(t, err, mq.ErrTooLarge, syscall.EMSGSIZE)
	wantLimit(t, err, "buffer", 64, 0)
}

func TestSmallBufferLeavesTheMessage(t *testing.T) {
	both(t, func(t *testing.T, q mq.Queue) {
		send(t, q, 1, "0123456789")
		_, err := q.TryReceive(make([]byte, 9))
		wantErr(t, err, mq.ErrTooLarge)
		_, err = q.Receive(timeout(t), make([]byte, 9))
		wantErr(t, err, mq.ErrTooLarge)
		if m := receive(t, q); string(m.Body) != "0123456789" {
			t.Errorf("then received %q", m.Body)
		}
	})
}

func TestEmpty(t *testing.T) {
	both(t, func(t *testing.T, q mq.Queue) {
		_, err := q.TryReceive(make([]byte, 64))
		wantErr(t, err, mq.ErrEmpty)
		var op *mq.OpError
		if !errors.As(err, &op) || op.Op != "receive" || op.Addr != q.Addr() {
			t.Errorf("%#v", err)
		}
	})
}

func TestFull(t *testing.T) {
	for kind, test := range map[string]struct {
		q     mq.Queue
		limit string
		have  int64
		most  int64
	}{
		"sysv":  {private(t, mq.Options{MaxBytes: 4 * 64}), "msg_qbytes", 5 * 64, 4 * 64},
		"posix": {named(t), "mq_maxmsg", 5, 4},
	} {
		m := mq.Message{Type: 1, Body: make([]byte, 64)}
		for range 4 {
			if err := test.q.TrySend(m); err != nil {
				t.Fatal(kind, err)
			}
		}
		err := test.q.TrySend(m)
		wantErr(t, err, mq.ErrFull, syscall.EAGAIN)
		wantLimit(t, err, test.limit, test.have, test.most)
		if errors.Is(err, mq.ErrTooLarge) {
			t.Errorf("%s: full is not too large: %v", kind, err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	for kind, test := range map[string]struct {
		q     mq.Queue
		limit string
		most  int64
	}{
		"sysv":  {private(t, mq.Options{MaxBytes: 64}), "msg_qbytes", 64},
		"posix": {named(t), "mq_msgsize", 64},
	} {
		m := mq.Message{Type: 1, Body: make([]byte, 65)}
		for name, err := range map[string]error{"TrySend": test.q.TrySend(m), "Send": test.q.Send(timeout(t), m)} {
			t.Run(kind+" "+name, func(t *testing.T) {
				wantErr(t, err, mq.ErrTooLarge)
				wantLimit(t, err, test.limit, 65, test.most)
				if errors.Is(err, mq.ErrFull) {
					t.Errorf("too large is not full: %v", err)
				}
			})
		}
	}
}

func TestSendWaitsForRoom(t *testing.T) {
	both(t, func(t *testing.T, q mq.Queue) {
		for range 4 {
			send(t, q, 1, strings.Repeat("x", 64))
		}
		result := make(chan error, 1)
		go func() {
			result <- q.Send(timeout(t), mq.Message{Type: 2, Priority: 0, Body: []byte("last")})
		}()
		select {
		case err := <-result:
			t.Fatalf("sent to a full queue: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
		receive(t, q)
		if err := <-result; err != nil {
			t.Fatal(err)
		}
		for range 3 {
			receive(t, q)
		}
		if m := receive(t, q); string(m.Body) != "last" {
			t.Errorf("received %q", m.Body)
		}
	})
}

func TestReceiveWaits(t *testing.T) {
	both(t, func(t *testing.T, q mq.Queue) {
		for _, body := range []string{"first", "", "third"} {
			got := receiving(t, q)
			send(t, q, 9, body)
			r := <-got
			if r.err != nil || string(r.m.Body) != body {
				t.Errorf("received %q, %v; want %q", r.m.Body, r.err, body)
			}
			if q.Addr().Kind == mq.KindSysV && r.m.Type != 9 {
				t.Errorf("mtype %d, want 9", r.m.Type)
			}
		}
	})
}

type received struct {
	m   mq.Message
	err error
}

// receiving starts a Receive and returns when it waits.
func receiving(t *testing.T, q mq.Queue) <-chan received {
	t.Helper()
	before := len(inMsgrcv(t, os.Getpid()))
	got := make(chan received, 1)
	go func() {
		m, err := q.Receive(timeout(t), make([]byte, 64))
		got <- received{m, err}
	}()
	if q.Addr().Kind == mq.KindSysV {
		eventually(t, "a receiver in msgrcv", func() bool { return len(inMsgrcv(t, os.Getpid())) > before })
	}
	return got
}

// A context ends each call that waits, before it starts and while it waits.
func TestContext(t *testing.T) {
	both(t, func(t *testing.T, q mq.Queue) {
		for name, op := range waits(t, q) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			wantErr(t, op(ctx), context.Canceled)

			start := time.Now()
			ctx, cancel = context.WithTimeout(t.Context(), 5*time.Millisecond)
			err := op(ctx)
			cancel()
			wantErr(t, err, context.DeadlineExceeded)
			if d := time.Since(start); d < 5*time.Millisecond || d > testTimeout {
				t.Errorf("%s: came back after %v", name, d)
			}
			var opError *mq.OpError
			if !errors.As(err, &opError) || opError.Op != name {
				t.Errorf("%s: %#v", name, err)
			}
		}
	})
}

// With a context that is done nothing is sent and nothing is taken.
func TestDoneContextComesFirst(t *testing.T) {
	both(t, func(t *testing.T, q mq.Queue) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantErr(t, q.Send(ctx, mq.Message{Type: 1}), context.Canceled)
		send(t, q, 1, "x")
		_, err := q.Receive(ctx, make([]byte, 64))
		wantErr(t, err, context.Canceled)
		if st := stat(t, q); st.Messages != 1 || st.Bytes != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// waits gives the operations of q that wait, on a queue that is empty or full as
// each needs it.
func waits(t *testing.T, q mq.Queue) map[string]func(context.Context) error {
	fill := func() {
		for q.TrySend(mq.Message{Type: 1, Body: make([]byte, 64)}) == nil {
		}
	}
	drain := func() {
		for {
			if _, err := q.TryReceive(make([]byte, 64)); err != nil {
				return
			}
		}
	}
	return map[string]func(context.Context) error{
		"send": func(ctx context.Context) error {
			fill()
			return q.Send(ctx, mq.Message{Type: 1, Body: []byte("x")})
		},
		"receive": func(ctx context.Context) error {
			drain()
			_, err := q.Receive(ctx, make([]byte, 64))
			return err
		},
		"wait": func(ctx context.Context) error {
			drain()
			switch q := q.(type) {
			case *mq.SysV:
				_, err := q.Wait(ctx)
				return err
			case *mq.POSIX:
				return q.Wait(ctx)
			default:
				t.Fatal("unknown kind")
				return nil
			}
		},
	}
}

// Close ends calls that wait, and those after it. The queue stays.
func TestClose(t *testing.T) {
	for name := range waits(t, nil) {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, q mq.Queue) {
				observer, err := mq.Open(q.Addr(), nil)
				if q.Addr().Key == 0 && q.Addr().Kind == mq.KindSysV {
					observer, err = q, nil
				}
				if err != nil {
					t.Fatal(err)
				}
				results := make(chan error, 8)
				var started sync.WaitGroup
				for range cap(results) {
					started.Add(1)
					go func() {
						started.Done()
						results <- waits(t, q)[name](timeout(t))
					}()
				}
				started.Wait()
				if q.Addr().Kind == mq.KindSysV && name != "send" {
					eventually(t, "receivers in msgrcv", func() bool { return len(inMsgrcv(t, os.Getpid())) >= cap(results) })
				}
				if err := q.Close(); err != nil {
					t.Fatal(err)
				}
				for range cap(results) {
					wantErr(t, <-results, mq.ErrClosed, os.ErrClosed)
				}
				closed(t, q)
				if observer != q {
					stat(t, observer)
					observer.Close()
				}
			})
		})
	}
}

// closed asserts that every method says so.
func closed(t *testing.T, q mq.Queue) {
	t.Helper()
	if err := q.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	errs := []error{q.TrySend(mq.Message{Type: 1}), q.Send(t.Context(), mq.Message{Type: 1})}
	_, err := q.TryReceive(make([]byte, 64))
	errs = append(errs, err)
	_, err = q.Receive(t.Context(), make([]byte, 64))
	errs = append(errs, err)
	_, err = q.Stat()
	errs = append(errs, err)
	switch q := q.(type) {
	case *mq.SysV:
		_, err = q.Wait(t.Context())
		errs = append(errs, err)
		_, err = q.Peek(nil, 0)
		errs = append(errs, err, q.Set(mq.Settings{}), q.Remove(),
			q.SendError(q.TrySendRaw(make([]byte, 8)), 1, 0))
		_, errno := q.TryReceiveRaw(make([]byte, 8))
		errs = append(errs, q.ReceiveError(errno, 0))
	case *mq.POSIX:
		errs = append(errs, q.Wait(t.Context()), q.Chmod(0o600), q.Chown(-1, -1), q.Remove())
	}
	for i, err := range errs {
		if !errors.Is(err, mq.ErrClosed) || !errors.Is(err, os.ErrClosed) {
			t.Errorf("method %d of a closed queue: %v", i, err)
		}
	}
}
