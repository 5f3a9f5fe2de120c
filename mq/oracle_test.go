package mq_test

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/mqdaemon/mqd/internal/testkit"
	"github.com/mqdaemon/mqd/mq"
)

// oracle compiles testdata/oracle.c and runs it; it gives the numbers that it
// prints by their names, and the names in order.
func oracle(t *testing.T, args ...string) (map[string]int64, []string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "oracle")
	if out, err := exec.Command(testkit.Need(t, "cc"), "-o", program, "testdata/oracle.c", "-lrt").CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		t.Fatalf("oracle: %v", err)
	}
	values, names := map[string]int64{}, []string(nil)
	for line := range strings.Lines(string(out)) {
		name, number, _ := strings.Cut(strings.TrimSpace(line), "\t")
		v, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			t.Fatalf("oracle said %q", line)
		}
		values[name] = v
		names = append(names, name)
	}
	return values, names
}

func TestLayoutAgreesWithC(t *testing.T) {
	want, names := oracle(t, "layout")
	got := mq.Layout()
	if len(got) != len(names) {
		t.Errorf("%d values here, %d in C", len(got), len(names))
	}
	for _, name := range names {
		if v, ok := got[name]; !ok || int64(v) != want[name] {
			t.Errorf("%s is %d, in C %d", name, v, want[name])
		}
	}
}

// step is a call that the oracle makes too, under the same name.
type step struct {
	name string
	call func() error
	is   error // what the error is as well as the errno of C; nil if there is none
}

// agree runs the steps in order and compares each errno with that of C.
func agree(t *testing.T, want map[string]int64, names []string, steps []step) {
	t.Helper()
	if len(steps) != len(names) {
		t.Errorf("%d steps here, %d in C", len(steps), len(names))
	}
	for _, s := range steps {
		err := s.call()
		var errno syscall.Errno
		if err != nil && !errors.As(err, &errno) {
			t.Errorf("%s: %v holds no errno", s.name, err)
		}
		if w, ok := want[s.name]; !ok || int64(errno) != w {
			t.Errorf("%s: %v; in C %v", s.name, err, syscall.Errno(w))
		}
		if s.is != nil {
			wantErr(t, err, s.is)
		}
	}
}

func TestSysVAgreesWithC(t *testing.T) {
	want, names := oracle(t, "sysv", strconv.Itoa(int(randomKey())))
	key := randomKey()
	var q *mq.SysV
	sendN := func(mtype int64, n int) func() error {
		return func() error { return q.TrySend(mq.Message{Type: mtype, Body: make([]byte, n)}) }
	}
	receiveN := func(n int, msgtyp int64, flags ...mq.Flag) func() error {
		return func() error { _, err := q.TryReceiveType(make([]byte, n), msgtyp, flags...); return err }
	}
	peekN := func(n, index int) func() error {
		return func() error { _, err := q.Peek(make([]byte, n), index); return err }
	}
	t.Cleanup(func() {
		if q != nil {
			removeSysV(q)
		}
	})
	qbytes := int64(100)
	agree(t, want, names, []step{
		{"open absent", func() error { _, err := mq.OpenSysV(key, nil); return err }, syscall.ENOENT},
		{"open exclusive, exists", func() (err error) {
			if q, err = mq.OpenSysV(key, &mq.Options{Create: true, Exclusive: true, Mode: 0o600}); err != nil {
				t.Fatal(err)
			}
			_, err = mq.OpenSysV(key, &mq.Options{Create: true, Exclusive: true})
			return err
		}, syscall.EEXIST},
		{"receive, empty", receiveN(100, 0), mq.ErrEmpty},
		{"send type 0", sendN(0, 1), nil},
		{"send type -1", sendN(-1, 1), nil},
		{"send over msgmax", sendN(1, 65537), mq.ErrTooLarge},
		{"send nothing", sendN(3, 0), nil},
		{"receive nothing", receiveN(0, 0), nil},
		{"send 10 bytes", sendN(3, 10), nil},
		{"receive absent type", receiveN(100, 4), mq.ErrEmpty},
		{"receive lower type", receiveN(100, -2), mq.ErrEmpty},
		{"receive except", receiveN(100, 3, mq.Except), mq.ErrEmpty},
		{"receive, small buffer", receiveN(9, 0), mq.ErrTooLarge},
		{"peek", peekN(100, 0), nil},
		{"peek past the end", peekN(100, 1), mq.ErrEmpty},
		{"peek, small buffer", peekN(9, 0), mq.ErrTooLarge},
		{"receive truncated", receiveN(9, 0, mq.Truncate), nil},
		{"lower qbytes", func() error { return q.Set(mq.Settings{MaxBytes: &qbytes}) }, nil},
		{"send over qbytes", sendN(1, 101), mq.ErrTooLarge},
		{"send all of qbytes", sendN(1, 100), nil},
		{"send, full", sendN(1, 1), mq.ErrFull},
		{"remove", func() error { return q.Remove() }, nil},
		{"send, removed", sendN(1, 1), mq.ErrRemoved},
		{"receive, removed", receiveN(1, 0), mq.ErrRemoved},
		{"peek, removed", peekN(1, 0), mq.ErrRemoved},
		{"stat, removed", func() error { _, err := q.Stat(); return err }, mq.ErrRemoved},
		{"set, removed", func() error { return q.Set(mq.Settings{}) }, mq.ErrRemoved},
		{"remove, removed", func() error { return q.Remove() }, mq.ErrRemoved},
	})
}

func TestPOSIXAgreesWithC(t *testing.T) {
	needPOSIX(t)
	want, names := oracle(t, "posix", queueName())
	name := queueName()
	var q *mq.POSIX
	sendN := func(prio uint32, n int) func() error {
		return func() error { return q.TrySend(mq.Message{Priority: prio, Body: make([]byte, n)}) }
	}
	receiveN := func(n int) func() error {
		return func() error { _, err := q.TryReceive(make([]byte, n)); return err }
	}
	open := func(name string, o mq.Options) func() error {
		return func() error { _, err := mq.OpenPOSIX(name, &o); return err }
	}
	t.Cleanup(func() { _ = mq.Remove(mq.POSIXAddr(name)) })
	small := mq.Options{Create: true, Exclusive: true, Mode: 0o600, MaxMessages: 2, MaxMessageSize: 16}
	agree(t, want, names, []step{
		{"open absent", open(name, mq.Options{}), syscall.ENOENT},
		{"open exclusive, exists", func() (err error) {
			if q, err = mq.OpenPOSIX(name, &small); err != nil {
				t.Fatal(err)
			}
			return open(name, small)()
		}, syscall.EEXIST},
		{"open, name of 256 bytes", open("/"+strings.Repeat("x", 256), small), nil},
		{"open, maxmsg -1", open(queueName(), mq.Options{Create: true, MaxMessages: -1}), nil},
		{"open, maxmsg 65537", open(queueName(), mq.Options{Create: true, MaxMessages: 65537, MaxMessageSize: 16}), nil},
		{"receive, empty", receiveN(16), mq.ErrEmpty},
		{"send nothing", sendN(0, 0), nil},
		{"receive, small buffer", receiveN(15), mq.ErrTooLarge},
		{"receive nothing", receiveN(16), nil},
		{"send over mq_msgsize", sendN(0, 17), mq.ErrTooLarge},
		{"send priority 32768", sendN(32768, 1), nil},
		{"send priority 32767", sendN(32767, 1), nil},
		{"send second", sendN(0, 16), nil},
		{"send, full", sendN(0, 1), mq.ErrFull},
		{"remove", func() error { return q.Remove() }, nil},
		{"remove, removed", func() error { return q.Remove() }, syscall.ENOENT},
		{"send, removed and full", sendN(0, 1), mq.ErrFull},
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Send(ctx, mq.Message{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Send with a context that is done: %v", err)
	}
	q.Close()
}
