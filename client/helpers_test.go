package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/internal/envelope"
	"github.com/mqdaemon/mqd/mq"
)

// testQueue makes a System V queue with a private key and removes it after the
// test.
func testQueue(t testing.TB) (mq.Addr, *mq.SysV) {
	t.Helper()
	for {
		key := mq.Key(rand.Int32N(1<<31-2) + 1)
		q, err := mq.OpenSysV(key, &mq.Options{Create: true, Exclusive: true, Mode: 0o600})
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = mq.Remove(q.Addr()) }) // the test may have removed it
		return q.Addr(), q
	}
}

// testPOSIX makes a POSIX queue of 4 messages and removes it after the test.
func testPOSIX(t testing.TB) (mq.Addr, *mq.POSIX) {
	t.Helper()
	name := fmt.Sprintf("/mqd-client-%d-%x", os.Getpid(), rand.Uint64())
	q, err := mq.OpenPOSIX(name, &mq.Options{Create: true, Exclusive: true, Mode: 0o600, MaxMessages: 4, MaxMessageSize: 1024})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = mq.Remove(q.Addr())
		q.Close()
	})
	return q.Addr(), q
}

// got is one message as a daemon sees it.
type got struct {
	mtype int64
	envelope.Message
}

// receive takes one kernel message and gives the messages in it.
func receive(t testing.TB, q mq.Queue) []got {
	t.Helper()
	m, err := q.TryReceive(make([]byte, 1<<17))
	if err != nil {
		t.Fatal(err)
	}
	if q.Addr().Kind == mq.KindPOSIX {
		m.Type = int64(m.Priority) + 1
	}
	return unwrap(t, m)
}

func unwrap(t testing.TB, m mq.Message) []got {
	t.Helper()
	kind, _ := envelope.Detect(m.Body, envelope.AcceptAll)
	if kind != envelope.Envelope {
		t.Fatalf("%q is %v, want an envelope", m.Body, kind)
	}
	var messages []got
	envelope.Walk(kind, m.Body, func(_ int, e *envelope.Message) bool {
		messages = append(messages, got{m.Type, *e})
		return true
	})
	return messages
}

// wantEmpty fails t if there is a message on q.
func wantEmpty(t testing.TB, q mq.Queue) {
	t.Helper()
	if m, err := q.TryReceive(make([]byte, 1<<17)); !errors.Is(err, mq.ErrEmpty) {
		t.Errorf("on the queue: %q, %v, want nothing", m.Body, err)
	}
}

// wantDoorbell takes the doorbell for a flush from q, and nothing else.
func wantDoorbell(t testing.TB, q mq.Queue) {
	t.Helper()
	m, err := q.TryReceive(make([]byte, 1<<17))
	if err != nil {
		t.Fatalf("no doorbell: %v", err)
	}
	if len(m.Body) != 0 || m.Type+int64(m.Priority) != 2 && m.Priority != 1 {
		t.Errorf("doorbell is type %d, priority %d, %d bytes, want type 2 or priority 1 and 0 bytes", m.Type, m.Priority, len(m.Body))
	}
	wantEmpty(t, q)
}

// fillUp sends raw messages until q has room for less than size bytes.
func fillUp(t testing.TB, q *mq.SysV, size int) {
	t.Helper()
	msg := make([]byte, headerSize+size)
	binary.NativeEndian.PutUint64(msg, 1)
	for {
		switch errno := q.TrySendRaw(msg); errno {
		case 0:
		case unix.EAGAIN:
			return
		default:
			t.Fatal(errno)
		}
	}
}

// drain takes all kernel messages from q, and gives their number.
func drain(q *mq.SysV) int {
	buf := make([]byte, 1<<17)
	for n := 0; ; n++ {
		if _, errno := q.TryReceiveRaw(buf); errno != 0 {
			return n
		}
	}
}

// receiveAll makes a queue and hands every message of it to fn until the test
// ends: it waits without consuming and then drains, as the daemon does.
func receiveAll(t testing.TB, fn func(e *envelope.Message)) mq.Addr {
	t.Helper()
	addr, q := testQueue(t)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		buf := make([]byte, 1<<17)
		w := q.NewWaiter(ctx)
		defer w.Close()
		for {
			if _, err := w.Wait(); err != nil {
				return
			}
			for {
				n, errno := q.TryReceiveRaw(buf)
				if errno != 0 {
					break
				}
				p := buf[headerSize : headerSize+n]
				kind, _ := envelope.Detect(p, envelope.AcceptAll)
				envelope.Walk(kind, p, func(_ int, e *envelope.Message) bool { fn(e); return true })
			}
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
	return addr
}

// testFinder has an empty environment and system directories of its own; root is
// where the test may write. It stands for an ordinary user.
func testFinder(t testing.TB) (f *finder, root string, env map[string]string) {
	t.Helper()
	root, env = t.TempDir(), map[string]string{}
	f = &finder{
		getenv: func(name string) string { return env[name] },
		euid:   os.Geteuid(),
		mqdUID: func() (int, bool) { return 0, false },
		system: place{filepath.Join(root, "run"), filepath.Join(root, "lib")},
	}
	env["XDG_RUNTIME_DIR"], env["HOME"] = filepath.Join(root, "xdg"), filepath.Join(root, "home")
	return f, root, env
}

// ordinary makes f a finder of a user that is not root, whoever runs the test.
func ordinary(f *finder) *finder {
	if f.euid == 0 {
		f.euid = 1000
	}
	return f
}

// writeRoutes makes dir with a routes file in it; pairs are names and queues.
func writeRoutes(t testing.TB, dir string, pairs ...any) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := RoutesFile{Version: RoutesVersion}
	for pair := range slices.Chunk(pairs, 2) {
		r.Routes = append(r.Routes, RouteEntry{Name: pair[0].(string), Queue: pair[1].(mq.Addr)})
	}
	if err := r.WriteFile(filepath.Join(dir, RoutesName)); err != nil {
		t.Fatal(err)
	}
}
