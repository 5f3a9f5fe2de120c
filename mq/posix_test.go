package mq_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/mq"
)

// mq_receive(3): the oldest message of the highest priority.
func TestPriorities(t *testing.T) {
	q := named(t, mq.Options{Mode: 0o600, MaxMessages: 8, MaxMessageSize: 8})
	for body, prio := range map[string]uint32{"low": 0, "high": 32767, "middle": 5} {
		if err := q.TrySend(mq.Message{Priority: prio, Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, body := range []string{"middle2", "middle3"} {
		if err := q.TrySend(mq.Message{Priority: 5, Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"high 32767", "middle 5", "middle2 5", "middle3 5", "low 0"} {
		m := receive(t, q)
		if got := fmt.Sprintf("%s %d", m.Body, m.Priority); got != want || m.Type != 0 {
			t.Errorf("received %q of type %d, want %q", got, m.Type, want)
		}
	}
	wantErr(t, q.TrySend(mq.Message{Priority: 32768}), syscall.EINVAL)
}

func TestPOSIXStat(t *testing.T) {
	start := time.Now().Add(-time.Second)
	q := named(t, mq.Options{Mode: 0o640, MaxMessages: 3, MaxMessageSize: 100})
	want := mq.Stat{MaxBytes: 300, MaxMessages: 3, MaxMessageSize: 100, Mode: 0o640,
		UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), CUID: uint32(os.Geteuid()), CGID: uint32(os.Getegid())}
	for i, body := range []string{"", "four", "seven77"} {
		send(t, q, 0, body)
		want.Messages = int64(i) + 1
		want.Bytes += int64(len(body))
		st := stat(t, q)
		if st.LastChange.Before(start) || st.LastChange.After(time.Now().Add(time.Second)) {
			t.Errorf("changed at %v", st.LastChange)
		}
		st.LastChange = time.Time{}
		if st != want {
			t.Errorf("after %d messages %+v, want %+v", i+1, st, want)
		}
	}
}

func TestPOSIXWriteOnly(t *testing.T) {
	q := named(t)
	w, err := mq.OpenPOSIX(q.Addr().Name, &mq.Options{WriteOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	send(t, w, 0, "x")
	_, err = w.TryReceive(make([]byte, 64))
	wantErr(t, err, syscall.EBADF)
	if errors.Is(err, mq.ErrClosed) {
		t.Errorf("not closed, and yet %v", err)
	}
	st, err := w.Stat()
	if err != nil || st.Messages != 1 || st.Bytes != -1 {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestPOSIXChmodAndRemove(t *testing.T) {
	q := named(t)
	for _, mode := range []fs.FileMode{0o622, 0o600} {
		if err := q.Chmod(mode); err != nil {
			t.Fatal(err)
		}
		if st := stat(t, q); st.Mode != mode {
			t.Errorf("mode %v, want %v", st.Mode, mode)
		}
	}
	// mq_unlink(3): the name is gone, what is open goes on working.
	if err := q.Remove(); err != nil {
		t.Fatal(err)
	}
	send(t, q, 0, "still")
	if m := receive(t, q); string(m.Body) != "still" {
		t.Errorf("received %q", m.Body)
	}
	_, err := q.Stat()
	wantErr(t, err, mq.ErrRemoved)
	wantErr(t, q.Remove(), fs.ErrNotExist)
}

// The defaults of the system fill what the options leave out.
func TestPOSIXDefaults(t *testing.T) {
	l, err := mq.SystemLimits()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ count, size, wantCount, wantSize int64 }{
		{0, 0, l.MqMsgDefault, l.MqMsgSizeDefault},
		{2, 0, 2, l.MqMsgSizeDefault},
		{0, 16, l.MqMsgDefault, 16},
	} {
		q := named(t, mq.Options{MaxMessages: test.count, MaxMessageSize: test.size})
		if st := stat(t, q); st.MaxMessages != test.wantCount || st.MaxMessageSize != test.wantSize {
			t.Errorf("%d of %d: %+v", test.count, test.size, st)
		}
		_ = q.Remove()
		q.Close()
	}
}

// LTP mq_open01: ENOSPC, EMFILE and EINVAL, each with its limit and both values.
func TestPOSIXLimits(t *testing.T) {
	needPOSIX(t)
	if !inNamespace(t, syscall.CLONE_NEWIPC) {
		return
	}
	dropResource(t)
	l, err := mq.SystemLimits()
	if err != nil {
		t.Fatal(err)
	}
	open := func(o mq.Options) error {
		o.Create, o.Exclusive = true, true
		q, err := mq.OpenPOSIX(queueName(), &o)
		if err == nil {
			t.Cleanup(func() { q.Close() })
		}
		return err
	}
	err = open(mq.Options{MaxMessages: 65537, MaxMessageSize: 8})
	wantErr(t, err, syscall.EINVAL)
	wantLimit(t, err, "msg_max", 65537, l.MqMsgMax)
	err = open(mq.Options{MaxMessages: 1, MaxMessageSize: 16<<20 + 1})
	wantErr(t, err, syscall.EINVAL)
	wantLimit(t, err, "msgsize_max", 16<<20+1, l.MqMsgSizeMax)

	// RLIMIT_MSGQUEUE counts what the user has in all namespaces.
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &before); err != nil {
		t.Fatal(err)
	}
	none := unix.Rlimit{Cur: 100, Max: before.Max}
	if err := unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &none); err != nil {
		t.Fatal(err)
	}
	err = open(mq.Options{MaxMessages: 10, MaxMessageSize: 512})
	wantErr(t, err, syscall.EMFILE)
	wantLimit(t, err, "RLIMIT_MSGQUEUE", 5120, 100)
	if err := unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &before); err != nil {
		t.Fatal(err)
	}

	writeLimit(t, "/proc/sys/fs/mqueue/queues_max", 2)
	one := mq.Options{MaxMessages: 1, MaxMessageSize: 8}
	if err := errors.Join(open(one), open(one)); err != nil {
		t.Fatal(err)
	}
	err = open(one)
	wantErr(t, err, syscall.ENOSPC)
	wantLimit(t, err, "queues_max", 3, 2)
}

// The poller has one deadline for all readers of a descriptor. One context must
// not end the wait of another goroutine, nor leave its deadline behind.
func TestPOSIXContextIsItsOwn(t *testing.T) {
	q := named(t)
	ctx, cancel := context.WithCancel(t.Context())
	const n = 3
	cancelled, others := make(chan received, n), make(chan received, n)
	for range n {
		for _, c := range []struct {
			ctx     context.Context
			results chan received
		}{{ctx, cancelled}, {timeout(t), others}} {
			go func() {
				m, err := q.Receive(c.ctx, make([]byte, 64))
				c.results <- received{m, err}
			}()
		}
	}
	cancel()
	for range n {
		wantErr(t, (<-cancelled).err, context.Canceled)
	}
	for range n {
		if err := q.Send(timeout(t), mq.Message{Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		if r := <-others; r.err != nil || string(r.m.Body) != "x" {
			t.Errorf("%+v", r)
		}
	}
}

// A cancelled wait leaves no deadline behind: the next one works, again and again.
func TestPOSIXWaitAfterCancel(t *testing.T) {
	q := named(t)
	for i := range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- q.Wait(ctx) }()
		if i%2 == 0 {
			runtime.Gosched()
		}
		cancel()
		wantErr(t, <-result, context.Canceled)
		go func() { result <- q.Wait(timeout(t)) }()
		send(t, q, 0, "x")
		if err := <-result; err != nil {
			t.Fatal(err)
		}
		receive(t, q)
	}
}

// A message and the end of the context come at once: whichever wins, the deadline
// does not reach the next wait.
func TestPOSIXCancelRacesMessage(t *testing.T) {
	q := named(t)
	for range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- q.Wait(ctx) }()
		runtime.Gosched()
		send(t, q, 0, "x")
		cancel()
		if err := <-result; err != nil {
			wantErr(t, err, context.Canceled)
		}
		receive(t, q)
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		wantErr(t, q.Wait(short), context.DeadlineExceeded)
		cancel()
	}
}

func TestPOSIXWaitLeavesTheMessage(t *testing.T) {
	q := named(t)
	result := make(chan error)
	go func() { result <- q.Wait(timeout(t)) }()
	send(t, q, 0, "stays")
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	// It is there already: the poller alone would not report that.
	if err := q.Wait(timeout(t)); err != nil {
		t.Fatal(err)
	}
	if m := receive(t, q); string(m.Body) != "stays" {
		t.Errorf("received %q", m.Body)
	}
}

// A wait on a POSIX queue holds no thread.
func TestPOSIXWaitHoldsNoThread(t *testing.T) {
	threads := func() int {
		entries, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	ctx, cancel := context.WithCancel(t.Context())
	before := threads()
	const n = 50
	results := make(chan error, n)
	for range n {
		q := named(t)
		go func() { results <- q.Wait(ctx) }()
	}
	eventually(t, "goroutines in the poller", func() bool {
		stacks := make([]byte, 1<<20)
		return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "[IO wait") >= n
	})
	if after := threads(); after > before+n/2 {
		t.Errorf("%d threads before, %d after %d goroutines wait", before, after, n)
	}
	cancel()
	for range n {
		wantErr(t, <-results, context.Canceled)
	}
}

// Close waits for no one and leaves no descriptor behind.
func TestPOSIXCloseFreesTheDescriptor(t *testing.T) {
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, e := range entries {
			if link, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(link, "/mq-test-") {
				n++
			}
		}
		return n
	}
	before := descriptors()
	q := named(t)
	if n := descriptors(); n != before+1 {
		t.Errorf("%d queues open, want %d", n, before+1)
	}
	q.Close()
	if n := descriptors(); n != before {
		t.Errorf("%d queues open after Close, want %d", n, before)
	}
}

func TestPOSIXRaw(t *testing.T) {
	q := named(t)
	if errno := q.TrySendRaw([]byte("payload"), 9); errno != 0 {
		t.Fatal(errno)
	}
	buf := make([]byte, 64)
	var prio uint32
	if n, errno := q.TryReceiveRaw(buf, &prio); errno != 0 || string(buf[:n]) != "payload" || prio != 9 {
		t.Errorf("received %q, priority %d, %v", buf[:n], prio, errno)
	}
	if errno := q.TrySendRaw(nil, 0); errno != 0 {
		t.Fatal(errno)
	}
	if n, errno := q.TryReceiveRaw(buf, nil); errno != 0 || n != 0 {
		t.Errorf("received %d, %v", n, errno)
	}
	if _, errno := q.TryReceiveRaw(buf, nil); errno != syscall.EAGAIN {
		t.Errorf("empty: %v", errno)
	}
	q.Close()
	if errno := q.TrySendRaw(nil, 0); errno != syscall.EBADF {
		t.Errorf("closed: %v", errno)
	}
	if _, errno := q.TryReceiveRaw(buf, nil); errno != syscall.EBADF {
		t.Errorf("closed: %v", errno)
	}
}
