package client

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/internal/envelope"
	"github.com/mqdaemon/mqd/mq"
)

func TestSend(t *testing.T) {
	addr, q := testQueue(t)
	c := &Client{Queue: addr}
	made := time.Unix(1_700_000_000, 123)
	for _, m := range []Message{
		{Body: []byte("hello")},
		{},
		{ID: "i", Key: "k", ContentType: "text/plain", Type: 7, Body: []byte("x"), Time: made},
		{Type: math.MaxInt64, Body: []byte{0, 255}},
		{ID: strings.Repeat("i", 255), Key: strings.Repeat("k", 255), ContentType: strings.Repeat("c", 255)},
		// A payload that looks like a frame stays a payload.
		{Body: []byte(`{"mqd":1,"data":"x"}`)},
		{Body: []byte(`s:1:"x";`)},
	} {
		before := time.Now().UnixNano()
		if err := c.Send(t.Context(), m); err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
		after := time.Now().UnixNano()
		all := receive(t, q)
		if len(all) != 1 {
			t.Fatalf("%d messages, want 1", len(all))
		}
		g := all[0]
		if m.Type == 0 {
			m.Type = 1
		}
		if g.mtype != m.Type || string(g.ID) != m.ID || string(g.Key) != m.Key || string(g.ContentType) != m.ContentType ||
			string(g.Body) != string(m.Body) || g.Priority != -1 {
			t.Errorf("sent %+v, got %+v", m, g)
		}
		if m.Time.IsZero() && (g.Time < before || g.Time > after) || !m.Time.IsZero() && g.Time != m.Time.UnixNano() {
			t.Errorf("time %d, want %v or from %d to %d", g.Time, m.Time, before, after)
		}
	}
	wantEmpty(t, q)
}

// TestZeroClient: a Client without fields finds its queue and sends.
func TestZeroClient(t *testing.T) {
	addr, q := testQueue(t)
	t.Setenv("MQD_QUEUE", addr.String())
	var c Client
	if err := c.Send(t.Context(), Message{Body: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if g := receive(t, q); string(g[0].Body) != "x" {
		t.Errorf("got %q", g[0].Body)
	}
}

func TestTrySendFull(t *testing.T) {
	addr, q := testQueue(t)
	c := &Client{Queue: addr}
	fillUp(t, q, 20)
	err := c.TrySend(Message{Body: []byte("x")})
	var limit *mq.LimitError
	if !errors.Is(err, ErrFull) || !errors.Is(err, mq.ErrFull) || !errors.Is(err, unix.EAGAIN) || !errors.As(err, &limit) {
		t.Fatalf("error %v, want a LimitError that is ErrFull", err)
	}
	if limit.Limit != "msg_qbytes" || limit.Have <= limit.Max || limit.Max <= 0 {
		t.Errorf("limit %+v, want msg_qbytes with both values", limit)
	}
	drain(q)
	if err := c.TrySend(Message{Body: []byte("x")}); err != nil {
		t.Error(err)
	}
}

// TestSendWaits: on a full queue Send waits for room, and comes back within the
// longest pause after there is some. The clock is that of the bubble.
func TestSendWaits(t *testing.T) {
	addr, q := testQueue(t)
	synctest.Test(t, func(t *testing.T) {
		c := &Client{Queue: addr}
		fillUp(t, q, 20)
		start := time.Now()
		go func() {
			time.Sleep(time.Second)
			drain(q)
		}()
		if err := c.Send(t.Context(), Message{Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < time.Second || took > time.Second+lastPause {
			t.Errorf("took %v, want 1s and at most %v more", took, lastPause)
		}
		if g := receive(t, q); string(g[0].Body) != "x" {
			t.Errorf("got %q", g[0].Body)
		}
	})
}

// TestSendDeadline: the end of the context ends the wait at once, and the error
// tells both.
func TestSendDeadline(t *testing.T) {
	addr, q := testQueue(t)
	synctest.Test(t, func(t *testing.T) {
		c := &Client{Queue: addr}
		fillUp(t, q, 20)
		const patience = 333 * time.Millisecond
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		start := time.Now()
		err := c.Send(ctx, Message{Body: []byte("x")})
		if !errors.Is(err, ErrFull) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want ErrFull and DeadlineExceeded", err)
		}
		if took := time.Since(start); took != patience {
			t.Errorf("took %v, want %v", took, patience)
		}
		drain(q)
		if err := c.Send(ctx, Message{Body: []byte("x")}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want DeadlineExceeded", err)
		}
		wantEmpty(t, q)
	})
}

// TestPauses: from 1 ms doubling to 50 ms, each cut by at most half.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pause
		defer p.stop()
		for n := range yields {
			if !p.yield() {
				t.Fatalf("no yield after %d, want %d", n, yields)
			}
		}
		if p.yield() {
			t.Errorf("more than %d yields", yields)
		}
		for _, ms := range []int{1, 2, 4, 8, 16, 32, 50, 50} {
			span := time.Duration(ms) * time.Millisecond
			start := time.Now()
			if err := p.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took < span/2 || took > span {
				t.Errorf("pause of %v, want %v to %v", took, span/2, span)
			}
		}
	})
}

func TestTooLarge(t *testing.T) {
	addr, q := testQueue(t)
	c := &Client{Queue: addr}
	msgmax, err := mq.MsgMax()
	if err != nil {
		t.Fatal(err)
	}
	const overhead = 26 // what the documentation of Send says
	if err := c.Send(t.Context(), Message{Body: make([]byte, msgmax-overhead)}); err != nil {
		t.Fatalf("a message that fits exactly: %v", err)
	}
	drain(q)
	checks := func(name string, err error, want mq.LimitError) {
		t.Helper()
		var limit *mq.LimitError
		if !errors.Is(err, mq.ErrTooLarge) || !errors.As(err, &limit) {
			t.Fatalf("%s: error %v, want a LimitError", name, err)
		}
		if limit.Limit != want.Limit || limit.Have != want.Have || limit.Max != want.Max {
			t.Errorf("%s: %v, want %s with %d and %d", name, limit, want.Limit, want.Have, want.Max)
		}
		wantEmpty(t, q)
	}
	over := Message{Body: make([]byte, msgmax-overhead+1)}
	want := mq.LimitError{Limit: "msgmax", Have: int64(msgmax) + 1, Max: int64(msgmax)}
	checks("Send", c.Send(t.Context(), over), want)
	checks("TrySend", c.TrySend(over), want)
	want.Have = int64(msgmax) + overhead + 1_000_000
	checks("a megabyte", c.Send(t.Context(), Message{Body: make([]byte, msgmax+1_000_000)}), want)
	want.Have = int64(msgmax) + 2 // a key of one byte takes two
	over.Key, over.Body = "k", over.Body[1:]
	checks("with a key", c.Send(t.Context(), over), mq.LimitError{Limit: "msgmax", Have: int64(msgmax) + 2, Max: int64(msgmax)})

	capacity := int64(1000)
	if err := q.Set(mq.Settings{MaxBytes: &capacity}); err != nil {
		t.Fatal(err)
	}
	large := Message{Body: make([]byte, 2000)}
	want = mq.LimitError{Limit: "msg_qbytes", Have: 2000 + overhead, Max: capacity}
	checks("Send over msg_qbytes", c.Send(t.Context(), large), want)
	_, err = c.SendBatch(t.Context(), []Message{{}, large})
	checks("SendBatch over msg_qbytes", err, want)
}

func TestInvalid(t *testing.T) {
	addr, q := testQueue(t)
	c := &Client{Queue: addr}
	long := strings.Repeat("x", 256)
	for name, m := range map[string]Message{
		"id of 256 bytes":           {ID: long},
		"key of 256 bytes":          {Key: long},
		"content type of 256 bytes": {ContentType: long},
		"before 1970":               {Time: time.Unix(-1, 0)},
		"year 2300":                 {Time: time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if err := c.Send(t.Context(), m); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: error %v, want fs.ErrInvalid", name, err)
		}
		if n, err := c.SendBatch(t.Context(), []Message{{}, m}); n != 0 || !errors.Is(err, fs.ErrInvalid) || !strings.HasPrefix(err.Error(), "message 1: ") {
			t.Errorf("%s in a batch: %d, %v, want 0 and fs.ErrInvalid for message 1", name, n, err)
		} else if m := (*MessageError)(nil); !errors.As(err, &m) || m.Index != 1 {
			t.Errorf("%s in a batch: %#v, want a MessageError for message 1", name, err)
		}
	}
	if err := c.Send(t.Context(), Message{Type: -1}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("type -1: error %v, want EINVAL", err)
	}
	wantEmpty(t, q)
}

func TestClose(t *testing.T) {
	addr, q := testQueue(t)
	synctest.Test(t, func(t *testing.T) {
		c := &Client{Queue: addr}
		fillUp(t, q, 20)
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if err := c.Send(t.Context(), Message{}); !errors.Is(err, ErrClosed) || !errors.Is(err, os.ErrClosed) {
				t.Errorf("waiting Send: %v, want ErrClosed", err)
			}
		})
		synctest.Wait()
		for range 2 {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		waiting.Wait()
		drain(q)
		if err := c.Send(t.Context(), Message{}); !errors.Is(err, ErrClosed) {
			t.Errorf("Send: %v, want ErrClosed", err)
		}
		if _, err := c.SendBatch(t.Context(), []Message{{}}); !errors.Is(err, ErrClosed) {
			t.Errorf("SendBatch: %v, want ErrClosed", err)
		}
		wantEmpty(t, q)
	})
	var unused Client
	if err := unused.Close(); err != nil {
		t.Error(err)
	}
}

func TestNoAllocation(t *testing.T) {
	addr, q := testQueue(t)
	paddr, pq := testPOSIX(t)
	buf := make([]byte, 1<<14)
	m := Message{ID: strings.Repeat("i", 36), Key: "key", ContentType: "text/plain", Body: make([]byte, 256)}
	ctx := t.Context()
	sysv, posix := &Client{Queue: addr}, &Client{Queue: paddr}
	for name, send := range map[string]func() error{
		"Send":          func() error { return sysv.Send(ctx, m) },
		"TrySend":       func() error { return sysv.TrySend(m) },
		"Send on POSIX": func() error { return posix.Send(ctx, m) },
	} {
		allocs := testing.AllocsPerRun(1000, func() {
			if err := send(); err != nil {
				t.Fatal(err)
			}
			_, _ = q.TryReceiveRaw(buf)
			_, _ = pq.TryReceiveRaw(buf, nil)
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations, want 0", name, allocs)
		}
	}
}

// TestConcurrent: many goroutines share one Client; each message arrives once.
func TestConcurrent(t *testing.T) {
	const senders, each = 16, 500
	var sum, count atomic.Int64
	arrived := make(chan struct{})
	addr := receiveAll(t, func(e *envelope.Message) {
		sum.Add(int64(binary.LittleEndian.Uint64(e.Body)))
		if count.Add(1) == senders*each {
			close(arrived)
		}
	})
	c := &Client{Queue: addr}
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			var messages []Message
			for i := range each {
				body := binary.LittleEndian.AppendUint64(nil, uint64(s*each+i))
				if s%2 == 0 {
					messages = append(messages, Message{Body: body})
				} else if err := c.Send(t.Context(), Message{Body: body}); err != nil {
					t.Error(err)
				}
			}
			if n, err := c.SendBatch(t.Context(), messages); n != len(messages) || err != nil {
				t.Errorf("SendBatch = %d, %v", n, err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	<-arrived
	if n := int64(senders * each); sum.Load() != n*(n-1)/2 {
		t.Errorf("sum %d, want %d", sum.Load(), n*(n-1)/2)
	}
}
