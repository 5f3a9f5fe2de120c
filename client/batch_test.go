package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/mqdaemon/mqd/internal/testkit"
	"github.com/mqdaemon/mqd/mq"
)

func TestSendBatch(t *testing.T) {
	addr, q := testQueue(t)
	c := &Client{Queue: addr}
	if n, err := c.SendBatch(t.Context(), nil); n != 0 || err != nil {
		t.Errorf("no messages: %d, %v", n, err)
	}
	var messages []Message
	for i := range 10 {
		messages = append(messages, Message{ID: strconv.Itoa(i), Type: int64(1 + i/4), Body: []byte("x")})
	}
	if n, err := c.SendBatch(t.Context(), messages); n != 10 || err != nil {
		t.Fatalf("SendBatch = %d, %v", n, err)
	}
	next := 0
	for kernel, want := range []int{4, 4, 2} { // one kernel message for each type
		all := receive(t, q)
		if len(all) != want {
			t.Errorf("kernel message %d has %d messages, want %d", kernel, len(all), want)
		}
		for _, g := range all {
			if string(g.ID) != strconv.Itoa(next) || g.mtype != messages[next].Type {
				t.Errorf("message %d has id %s and type %d", next, g.ID, g.mtype)
			}
			next++
		}
	}
	wantEmpty(t, q)
}

// TestSendBatchPacks: a kernel message is filled as far as half the queue and the
// largest message go.
func TestSendBatchPacks(t *testing.T) {
	addr, q := testQueue(t)
	st, err := q.Stat()
	if err != nil {
		t.Fatal(err)
	}
	const header, each = 12, 14 + 256 // of a frame; of a message with its time
	want := (int(min(st.MaxMessageSize, st.MaxBytes/2, packMost)) - header) / each
	c := &Client{Queue: addr}
	messages := make([]Message, want+1)
	for i := range messages {
		messages[i].Body = make([]byte, 256)
	}
	if n, err := c.SendBatch(t.Context(), messages); n != len(messages) || err != nil {
		t.Fatalf("SendBatch = %d, %v", n, err)
	}
	if g := receive(t, q); len(g) != want {
		t.Errorf("%d messages in the first kernel message, want %d", len(g), want)
	}
}

// TestSendBatchModel: whatever the messages, all arrive once and in order, with
// their types, and no more kernel messages are used than packing from the front
// needs.
func TestSendBatchModel(t *testing.T) {
	addr, q := testQueue(t)
	c := &Client{Queue: addr}
	rapid.Check(t, func(rt *rapid.T) {
		messages := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Message {
			return Message{
				Type: rapid.Int64Range(0, 2).Draw(t, "type"),
				Key:  rapid.StringN(0, 20, 40).Draw(t, "key"),
				Body: bytes.Repeat([]byte("x"), rapid.IntRange(0, 700).Draw(t, "size")),
			}
		}), 1, 20).Draw(rt, "messages")
		if n, err := c.SendBatch(context.Background(), messages); n != len(messages) || err != nil {
			rt.Fatalf("SendBatch = %d, %v, want %d", n, err, len(messages))
		}
		next := 0
		for next < len(messages) {
			for _, g := range receive(t, q) {
				want := messages[next]
				if g.mtype != mtypeOf(&want) || string(g.Key) != want.Key || len(g.Body) != len(want.Body) {
					rt.Fatalf("message %d is %+v, want %+v", next, g, want)
				}
				next++
			}
		}
		wantEmpty(t, q)
	})
}

// TestSendBatchPartly: when the context ends on a full queue, accepted is exactly
// what lies on the queue.
func TestSendBatchPartly(t *testing.T) {
	addr, q := testQueue(t)
	c := &Client{Queue: addr}
	messages := make([]Message, 1000)
	for i := range messages {
		messages[i] = Message{ID: strconv.Itoa(i), Body: make([]byte, 256)}
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // cancel once the queue is full
		for {
			if st, err := q.Stat(); err != nil || st.Bytes > st.MaxBytes/2 {
				cancel()
				return
			}
			runtime.Gosched()
		}
	}()
	accepted, err := c.SendBatch(ctx, messages)
	if !errors.Is(err, ErrFull) || !errors.Is(err, context.Canceled) {
		t.Fatalf("SendBatch = %d, %v, want ErrFull and Canceled", accepted, err)
	}
	next := 0
	for st, _ := q.Stat(); st.Messages > 0; st, _ = q.Stat() {
		for _, g := range receive(t, q) {
			if string(g.ID) != strconv.Itoa(next) {
				t.Fatalf("message %d has id %s", next, g.ID)
			}
			next++
		}
	}
	if next != accepted || accepted == 0 {
		t.Errorf("accepted %d, on the queue are %d", accepted, next)
	}
}

// TestSendBatchTooLarge: nothing is sent of a batch with an impossible message.
func TestSendBatchTooLarge(t *testing.T) {
	addr, q := testQueue(t)
	c := &Client{Queue: addr}
	msgmax, err := mq.MsgMax()
	if err != nil {
		t.Fatal(err)
	}
	n, err := c.SendBatch(t.Context(), []Message{{}, {}, {Body: make([]byte, msgmax)}})
	if n != 0 || !errors.Is(err, mq.ErrTooLarge) {
		t.Errorf("SendBatch = %d, %v, want 0 and ErrTooLarge", n, err)
	}
	wantEmpty(t, q)
}

// TestRaisedLimits: messages over the usual size go through where the kernel
// takes them, alone and packed. It changes the limits of an IPC namespace of its
// own.
func TestRaisedLimits(t *testing.T) {
	testkit.NeedRoot(t)
	done := make(chan struct{})
	go func() { // on a thread that ends with it
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWIPC); err != nil {
			t.Errorf("unshare: %v", err)
			return
		}
		for name, value := range map[string]int{"msgmax": 100_000, "msgmnb": 300_000} {
			if err := writeSysctl(name, value); err != nil {
				t.Error(err)
				return
			}
		}
		addr, q := testQueue(t)
		c := &Client{Queue: addr}
		for _, size := range []int{8_192, 50_000, 100_000 - 26} {
			if err := c.Send(context.Background(), Message{Body: make([]byte, size)}); err != nil {
				t.Errorf("%d bytes: %v", size, err)
			} else if g := receive(t, q); len(g[0].Body) != size {
				t.Errorf("sent %d bytes, got %d", size, len(g[0].Body))
			}
		}
		// 30 KiB thrice: two in the first kernel message. 90 KiB: alone.
		messages := []Message{{Body: make([]byte, 30<<10)}, {Body: make([]byte, 30<<10)}, {Body: make([]byte, 30<<10)}, {Body: make([]byte, 90<<10)}}
		if n, err := c.SendBatch(context.Background(), messages); n != 4 || err != nil {
			t.Errorf("SendBatch = %d, %v", n, err)
			return
		}
		for _, want := range []int{2, 1, 1} {
			if g := receive(t, q); len(g) != want {
				t.Errorf("%d messages in a kernel message, want %d", len(g), want)
			}
		}
	}()
	<-done
}

// writeSysctl sets a limit in the IPC namespace of the calling thread.
func writeSysctl(name string, value int) error {
	fd, err := unix.Open("/proc/sys/kernel/"+name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, strconv.AppendInt(nil, int64(value), 10))
	return err
}

func TestPOSIX(t *testing.T) {
	addr, q := testPOSIX(t)
	c := &Client{Queue: addr}
	for _, mtype := range []int64{0, 1, 2, 32768} {
		if err := c.Send(t.Context(), Message{Type: mtype, Body: []byte("x")}); err != nil {
			t.Fatalf("type %d: %v", mtype, err)
		}
		if g := receive(t, q); g[0].mtype != max(mtype, 1) || string(g[0].Body) != "x" {
			t.Errorf("type %d arrived as %+v", mtype, g[0])
		}
	}
	for _, mtype := range []int64{-1, 32769, 1 << 40} {
		if err := c.Send(t.Context(), Message{Type: mtype}); !errors.Is(err, unix.EINVAL) {
			t.Errorf("type %d: error %v, want EINVAL", mtype, err)
		}
	}
	var limit *mq.LimitError
	if err := c.Send(t.Context(), Message{Body: make([]byte, 1000)}); !errors.As(err, &limit) || limit.Limit != "mq_msgsize" || limit.Have != 1026 || limit.Max != 1024 {
		t.Errorf("error %v, want mq_msgsize with 1026 and 1024", err)
	}
	for range 4 {
		if err := c.TrySend(Message{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.TrySend(Message{}); !errors.Is(err, ErrFull) {
		t.Errorf("error %v, want ErrFull", err)
	}
	if n := drainPOSIX(q); n != 4 {
		t.Errorf("%d messages, want 4", n)
	}
	messages := make([]Message, 10)
	for i := range messages {
		messages[i] = Message{Body: make([]byte, 256)}
	}
	if n, err := c.SendBatch(t.Context(), messages); n != 10 || err != nil {
		t.Errorf("SendBatch = %d, %v", n, err)
	}
}

func drainPOSIX(q *mq.POSIX) int {
	buf := make([]byte, 8192)
	for n := 0; ; n++ {
		if _, errno := q.TryReceiveRaw(buf, nil); errno != 0 {
			return n
		}
	}
}

// TestPOSIXRemade: the kernel takes messages for a POSIX queue whose name is gone
// as long as somebody has it open. The Client notices after a second, at once if
// it was quiet that long, and goes over to the new queue.
func TestPOSIXRemade(t *testing.T) {
	addr, q := testPOSIX(t)
	synctest.Test(t, func(t *testing.T) {
		c := &Client{Queue: addr}
		if err := c.Send(t.Context(), Message{}); err != nil {
			t.Fatal(err)
		}
		if err := q.Remove(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(nameCheck)
		if err := c.TrySend(Message{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("without a queue: %v, want fs.ErrNotExist", err)
		}
		again, err := mq.OpenPOSIX(addr.Name, &mq.Options{Create: true, Exclusive: true, Mode: 0o600, MaxMessages: 4, MaxMessageSize: 1024})
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if err := c.TrySend(Message{}); err != nil {
			t.Error(err)
		}
		if err := again.Remove(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(nameCheck)
		last, err := mq.OpenPOSIX(addr.Name, &mq.Options{Create: true, Exclusive: true, Mode: 0o600, MaxMessages: 4, MaxMessageSize: 1024})
		if err != nil {
			t.Fatal(err)
		}
		defer last.Close()
		if err := c.Send(t.Context(), Message{}); err != nil {
			t.Error(err)
		}
		if n := drainPOSIX(last); n != 1 {
			t.Errorf("%d messages on the last queue, want 1", n)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestClosedByAnother: a goroutine that saw the removal first closes the queue
// under the others, which go on with the new one.
func TestClosedByAnother(t *testing.T) {
	sysv, _ := testQueue(t)
	posix, _ := testPOSIX(t)
	for _, addr := range []mq.Addr{sysv, posix} {
		c := &Client{Queue: addr}
		if err := c.Send(t.Context(), Message{}); err != nil {
			t.Fatal(err)
		}
		if err := c.door.Load().close(); err != nil {
			t.Fatal(err)
		}
		if err := c.TrySend(Message{}); err != nil {
			t.Errorf("%v: %v", addr, err)
		}
		if err := c.door.Load().close(); err != nil {
			t.Fatal(err)
		}
		if n, err := c.SendBatch(t.Context(), []Message{{}}); n != 1 || err != nil {
			t.Errorf("%v: SendBatch = %d, %v", addr, n, err)
		}
	}
}
