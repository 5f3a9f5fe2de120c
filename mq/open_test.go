package mq_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqdaemon/mqd/internal/testkit"
	"github.com/mqdaemon/mqd/mq"
)

// fresh gives an address of each kind that no queue has.
func fresh(t *testing.T, test func(t *testing.T, addr mq.Addr)) {
	for _, addr := range []mq.Addr{mq.SysVAddr(randomKey()), mq.POSIXAddr(queueName())} {
		t.Run(addr.Kind.String(), func(t *testing.T) {
			if addr.Kind == mq.KindPOSIX {
				needPOSIX(t)
			}
			t.Cleanup(func() { _ = mq.Remove(addr) })
			test(t, addr)
		})
	}
}

func TestOpen(t *testing.T) {
	fresh(t, func(t *testing.T, addr mq.Addr) {
		for _, test := range []struct {
			name string
			opts *mq.Options
			want error // nil: it opens
		}{
			{"nil options, absent", nil, fs.ErrNotExist},
			{"exclusive alone", &mq.Options{Exclusive: true}, mq.ErrExclusive},
			{"mode beyond permission bits", &mq.Options{Create: true, Mode: fs.ModeSetuid | 0o600}, syscall.EINVAL},
			{"negative capacity", &mq.Options{Create: true, MaxBytes: -1}, syscall.EINVAL},
			{"negative count", &mq.Options{Create: true, MaxMessages: -1}, syscall.EINVAL},
			{"negative size", &mq.Options{Create: true, MaxMessageSize: -1}, syscall.EINVAL},
			{"nothing was made so far", nil, syscall.ENOENT},
			{"create", &mq.Options{Create: true, Mode: 0o640, MaxMessages: 2, MaxMessageSize: 32}, nil},
			{"create again", &mq.Options{Create: true}, nil},
			{"create, exclusive", &mq.Options{Create: true, Exclusive: true}, fs.ErrExist},
			{"existing", nil, nil},
			{"existing, empty options", &mq.Options{}, nil},
		} {
			q, err := mq.Open(addr, test.opts)
			if test.want == nil && err != nil || !errors.Is(err, test.want) {
				t.Errorf("%s: %v, want %v", test.name, err, test.want)
			}
			if err != nil {
				var op *mq.OpError
				if !errors.As(err, &op) || op.Op != "open" || op.Addr != addr || q != nil {
					t.Errorf("%s: queue %v, error %#v", test.name, q, err)
				}
				continue
			}
			if q.Addr() != addr {
				t.Errorf("%s: address %v, want %v", test.name, q.Addr(), addr)
			}
			// The mode is that of the call that made the queue.
			if st := stat(t, q); st.Mode != 0o640 {
				t.Errorf("%s: mode %v", test.name, st.Mode)
			}
			if err := q.Close(); err != nil {
				t.Errorf("%s: close: %v", test.name, err)
			}
		}
	})
}

func TestOpenNoAddress(t *testing.T) {
	if q, err := mq.Open(mq.Addr{}, nil); err == nil || q != nil {
		t.Errorf("opened %v, %v", q, err)
	}
	if err := mq.Remove(mq.Addr{}); err == nil {
		t.Error("removed no queue")
	}
	if _, err := mq.OpenSysV(0, nil); err == nil {
		t.Error("IPC_PRIVATE without Create opened something")
	}
	if _, err := mq.OpenPOSIX("no-slash", nil); err == nil {
		t.Error("a name without a slash was opened")
	}
}

// Every one of many that create at once gets the same queue, and one made it.
func TestOpenCreateRace(t *testing.T) {
	fresh(t, func(t *testing.T, addr mq.Addr) {
		const openers = 16
		queues := make([]mq.Queue, openers)
		var wg sync.WaitGroup
		for i := range openers {
			wg.Go(func() {
				q, err := mq.Open(addr, &mq.Options{Create: true, MaxMessages: 4, MaxMessageSize: 64, Mode: 0o600})
				if err != nil {
					t.Error(err)
					return
				}
				queues[i] = q
				send(t, q, 1, "x")
				receive(t, q)
			})
		}
		wg.Wait()
		send(t, queues[0], 1, "for all")
		for _, q := range queues {
			if st := stat(t, q); st.Messages != 1 {
				t.Errorf("one sees %d messages", st.Messages)
			}
			q.Close()
		}
	})
}

// The umask applies to mq_open(3) and not to msgget(2); here it never does.
func TestModeIgnoresUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	fresh(t, func(t *testing.T, addr mq.Addr) {
		for _, test := range []struct{ ask, want fs.FileMode }{
			{0, mq.DefaultMode},
			{0o622, 0o622},
			{0o666, 0o666},
		} {
			q, err := mq.Open(addr, &mq.Options{Create: true, Exclusive: true, Mode: test.ask, MaxMessages: 1, MaxMessageSize: 8})
			if err != nil {
				t.Fatal(err)
			}
			if st := stat(t, q); st.Mode != test.want {
				t.Errorf("asked for %v, mode is %v, want %v", test.ask, st.Mode, test.want)
			}
			q.Close()
			if err := mq.Remove(addr); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestRemove(t *testing.T) {
	fresh(t, func(t *testing.T, addr mq.Addr) {
		wantErr(t, mq.Remove(addr), fs.ErrNotExist)
		q, err := mq.Open(addr, &mq.Options{Create: true, Mode: 0o600, MaxMessages: 2, MaxMessageSize: 8})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		send(t, q, 1, "gone")
		if err := mq.Remove(addr); err != nil {
			t.Fatal(err)
		}
		_, err = q.Stat()
		wantErr(t, err, mq.ErrRemoved)
		_, err = mq.Open(addr, nil)
		wantErr(t, err, fs.ErrNotExist)

		// A new queue under the old name is another queue, for the old handle too.
		again, err := mq.Open(addr, &mq.Options{Create: true, Mode: 0o600, MaxMessages: 2, MaxMessageSize: 8})
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if st := stat(t, again); st.Messages != 0 {
			t.Errorf("a new queue holds %d messages", st.Messages)
		}
		_, err = q.Stat()
		wantErr(t, err, mq.ErrRemoved)
	})
}

func TestSysVIDChanges(t *testing.T) {
	first := keyed(t, mq.Options{})
	key, id := first.Addr().Key, first.ID()
	if err := first.Remove(); err != nil {
		t.Fatal(err)
	}
	second, err := mq.OpenSysV(key, &mq.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer removeSysV(second)
	if second.ID() == id {
		t.Errorf("both have id %d", id)
	}
	for name, err := range map[string]error{
		"send":    first.TrySend(mq.Message{Type: 1}),
		"receive": func() error { _, err := first.TryReceive(nil); return err }(),
		"wait":    func() error { _, err := first.Wait(t.Context()); return err }(),
	} {
		if !errors.Is(err, mq.ErrRemoved) {
			t.Errorf("%s on the old queue: %v", name, err)
		}
	}
}

func TestMaxBytes(t *testing.T) {
	limits, err := mq.SystemLimits()
	if err != nil {
		t.Fatal(err)
	}
	if st := stat(t, private(t, mq.Options{})); st.MaxBytes != limits.MsgMnb {
		t.Errorf("msg_qbytes of a new queue %d, want msgmnb %d", st.MaxBytes, limits.MsgMnb)
	}
	if st := stat(t, private(t, mq.Options{MaxBytes: 100})); st.MaxBytes != 100 || st.MaxMessages != 100 || st.MaxMessageSize != 100 {
		t.Errorf("asked for 100, got %+v", st)
	}
	// Above msgmnb it is what the kernel allows.
	dropResource(t)
	if st := stat(t, private(t, mq.Options{MaxBytes: limits.MsgMnb + 1})); st.MaxBytes != limits.MsgMnb {
		t.Errorf("asked for %d, got %d, want %d", limits.MsgMnb+1, st.MaxBytes, limits.MsgMnb)
	}
}

// msgmni is a limit of the namespace, so this runs in a new one.
func TestTooManyQueues(t *testing.T) {
	if !inNamespace(t, syscall.CLONE_NEWIPC) {
		return
	}
	writeLimit(t, "/proc/sys/kernel/msgmni", 2)
	private(t)
	private(t)
	_, err := mq.OpenSysV(0, &mq.Options{Create: true})
	wantErr(t, err, syscall.ENOSPC)
	wantLimit(t, err, "msgmni", 3, 2)
}

// What grows while the program runs is used at once: nothing keeps msgmax.
func TestMsgMaxRaised(t *testing.T) {
	if !inNamespace(t, syscall.CLONE_NEWIPC) {
		return
	}
	q := private(t)
	large := mq.Message{Type: 1, Body: make([]byte, 9000)}
	err := q.TrySend(large)
	wantErr(t, err, mq.ErrTooLarge, syscall.EINVAL)
	wantLimit(t, err, "msgmax", 9000, 8192)
	// Send refuses it as well, instead of waiting for ever.
	wantErr(t, q.Send(timeout(t), large), mq.ErrTooLarge)

	writeLimit(t, "/proc/sys/kernel/msgmax", 65536)
	if n, err := mq.MsgMax(); n != 65536 || err != nil {
		t.Errorf("MsgMax: %d, %v", n, err)
	}
	if err := q.TrySend(large); err != nil {
		t.Error(err)
	}
	if m, err := q.TryReceive(make([]byte, 65536)); err != nil || len(m.Body) != 9000 {
		t.Errorf("received %d bytes, %v", len(m.Body), err)
	}
	// Beyond msg_qbytes it would never fit, though msgmax allows it.
	err = q.TrySend(mq.Message{Type: 1, Body: make([]byte, 20000)})
	wantErr(t, err, mq.ErrTooLarge, syscall.EAGAIN)
	wantLimit(t, err, "msg_qbytes", 20000, 16384)

	writeLimit(t, "/proc/sys/kernel/msgmnb", 1<<20)
	most := int64(1 << 20)
	if err := q.Set(mq.Settings{MaxBytes: &most}); err != nil {
		t.Error(err)
	}
	for range 16 {
		if err := q.TrySend(mq.Message{Type: 1, Body: make([]byte, 65536)}); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, q.TrySend(mq.Message{Type: 1, Body: []byte("x")}), mq.ErrFull)
}

// A queue belongs to its IPC namespace.
func TestNamespacesAreApart(t *testing.T) {
	if os.Getenv(insideVar) == "" {
		q := keyed(t, mq.Options{})
		t.Setenv("MQ_TEST_KEY", strconv.Itoa(int(q.Addr().Key)))
	}
	if !inNamespace(t, syscall.CLONE_NEWIPC) {
		return
	}
	key, err := strconv.Atoi(os.Getenv("MQ_TEST_KEY"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = mq.OpenSysV(mq.Key(key), nil)
	wantErr(t, err, fs.ErrNotExist)
	for info := range mq.List(mq.KindSysV) {
		t.Errorf("a new namespace has %v", info.Addr)
	}
}

func writeLimit(t *testing.T, file string, n int) {
	t.Helper()
	err := os.WriteFile(file, []byte(strconv.Itoa(n)), 0)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		testkit.Skip(t, "may not write "+file)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestSystemLimits(t *testing.T) {
	l, err := mq.SystemLimits()
	if err != nil {
		t.Fatal(err)
	}
	for file, got := range map[string]int64{
		"kernel/msgmax":             l.MsgMax,
		"kernel/msgmnb":             l.MsgMnb,
		"kernel/msgmni":             l.MsgMni,
		"fs/mqueue/queues_max":      l.MqQueuesMax,
		"fs/mqueue/msg_max":         l.MqMsgMax,
		"fs/mqueue/msgsize_max":     l.MqMsgSizeMax,
		"fs/mqueue/msg_default":     l.MqMsgDefault,
		"fs/mqueue/msgsize_default": l.MqMsgSizeDefault,
	} {
		text, err := os.ReadFile("/proc/sys/" + file)
		if errors.Is(err, fs.ErrNotExist) {
			text = []byte("0\n")
		} else if err != nil {
			t.Fatal(err)
		}
		if want := strconv.FormatInt(got, 10) + "\n"; string(text) != want {
			t.Errorf("%s is %q, the package says %q", file, text, want)
		}
	}
}

// The pauses of a sender double from 1 ms to 50 ms, and each is cut by up to half.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p mq.Pause
		for _, span := range []time.Duration{1, 2, 4, 8, 16, 32, 50, 50} {
			most := span * time.Millisecond
			start := time.Now()
			if err := p.Wait(context.Background()); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(start); d < most/2 || d >= most {
				t.Errorf("paused %v, want %v to %v", d, most/2, most)
			}
		}
	})
}
