package client

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqdaemon/mqd/mq"
)

// TestRemadeQueue: a queue that is removed and made again is found again by a
// Send that is under way and by the next one.
func TestRemadeQueue(t *testing.T) {
	addr, q := testQueue(t)
	synctest.Test(t, func(t *testing.T) {
		c := &Client{Queue: addr}
		if err := c.Send(t.Context(), Message{}); err != nil {
			t.Fatal(err)
		}
		if err := q.Remove(); err != nil {
			t.Fatal(err)
		}
		if err := c.TrySend(Message{}); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, ErrNotRunning) {
			t.Errorf("TrySend without a queue: %v, want ErrNotRunning", err)
		}
		q = remake(t, addr)
		if err := c.TrySend(Message{}); err != nil {
			t.Errorf("TrySend to the new queue: %v", err)
		}
		if err := q.Remove(); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		remade := make(chan *mq.SysV, 1)
		go func() {
			time.Sleep(time.Second)
			remade <- remake(t, addr)
		}()
		if err := c.Send(t.Context(), Message{Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		q = <-remade
		if took := time.Since(start); took < time.Second || took > time.Second+lastPause {
			t.Errorf("took %v, want 1s and at most %v more", took, lastPause)
		}
		if g := receive(t, q); string(g[0].Body) != "x" {
			t.Errorf("got %q", g[0].Body)
		}
	})
}

func remake(t testing.TB, addr mq.Addr) *mq.SysV {
	t.Helper()
	q, err := mq.OpenSysV(addr.Key, &mq.Options{Create: true, Exclusive: true, Mode: 0o600})
	if err != nil {
		t.Error(err)
	}
	return q
}

// TestGoneQueue: a queue that nobody makes again is given up after two seconds,
// or when the context ends.
func TestGoneQueue(t *testing.T) {
	for _, patience := range []time.Duration{time.Hour, time.Second} {
		addr, q := testQueue(t)
		synctest.Test(t, func(t *testing.T) {
			c := &Client{Queue: addr}
			if err := c.Send(t.Context(), Message{}); err != nil {
				t.Fatal(err)
			}
			if err := q.Remove(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			start := time.Now()
			err := c.Send(ctx, Message{})
			if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, ErrNotRunning) || errors.Is(err, context.DeadlineExceeded) != (patience == time.Second) {
				t.Errorf("patience %v: error %v", patience, err)
			}
			if took, want := time.Since(start), min(patience, remakeTime); took != want {
				t.Errorf("patience %v: took %v, want %v", patience, took, want)
			}
			// Not seen removed by this call: no wait.
			start = time.Now()
			if err := c.Send(t.Context(), Message{}); !errors.Is(err, ErrNotRunning) || time.Since(start) != 0 {
				t.Errorf("next Send: %v after %v", err, time.Since(start))
			}
		})
	}
}
