package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/mq"
)

// flood sends numbered messages as fast as they go until stop is called, which
// gives how many there were.
func flood(t *testing.T, d *daemon) (stop func() int) {
	t.Helper()
	q, err := mq.OpenSysV(d.routes[0].sysvKey(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan int)
	go func() {
		for n := 0; ; n++ {
			if err := q.Send(ctx, mq.Message{Type: 1, Body: strconv.AppendInt(nil, int64(n), 10)}); err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("send: %v", err)
				}
				sent <- n
				return
			}
		}
	}()
	return func() int {
		cancel()
		return <-sent
	}
}

// sysvKey is the key of the route's queue.
func (r route) sysvKey(t *testing.T) mq.Key {
	t.Helper()
	addr, err := mq.ParseAddr(r.queue)
	if err != nil {
		t.Fatal(err)
	}
	return addr.Key
}

// numbersOf is what arrived, once each.
func numbersOf(t *testing.T, r *receiver) map[int]bool {
	t.Helper()
	seen := map[int]bool{}
	for _, body := range r.bodies() {
		n, err := strconv.Atoi(strings.TrimSuffix(body, "\n"))
		if err != nil {
			t.Fatalf("body %q", body)
		}
		seen[n] = true
	}
	return seen
}

// TestReloadsAndTerms changes a route, reloads and stops at once, over and over,
// while messages come in: a TERM while the old route is being stopped must not
// start the new one beside it.
func TestReloadsAndTerms(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.answer = func(*request) int {
		time.Sleep(time.Millisecond)
		return 204
	}
	d := newDaemon(t, route{name: "default", to: r.url(), more: `format = "lines"`})
	d.start()
	stop := flood(t, d)
	for i := range 25 {
		d.routes[0].more = fmt.Sprintf("format = \"lines\"\nmax_messages = %d", 100+i)
		d.config()
		d.signal(syscall.SIGHUP)
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
		d.signal(syscall.SIGTERM)
		if code := d.exit(8 * time.Second); code != 0 {
			t.Fatalf("round %d: exit code %d", i, code)
		}
		d.start()
	}
	sent := stop()
	eventually(t, 15*time.Second, "everything delivered", func() bool {
		st := d.route("")
		return st.Pending == 0 && st.Depth == 0
	})
	seen := numbersOf(t, r)
	for n := range sent {
		if !seen[n] {
			t.Fatalf("message %d of %d is lost, %d arrived", n, sent, len(seen))
		}
	}
}

// TestTermUnderLoad: a queue that is never seen empty does not hold up the stop,
// and a storm of other signals does not hide it.
func TestTermUnderLoad(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	d := newDaemon(t, route{name: "default", to: r.url(), more: `format = "lines"`})
	d.top = `stop_timeout = "20s"`
	d.start()
	stop := flood(t, d)
	defer stop()
	eventually(t, 5*time.Second, "traffic", func() bool { return d.route("").Delivered > 1000 })
	for range 2000 {
		d.signal(syscall.SIGUSR1)
	}
	begin := time.Now()
	d.signal(syscall.SIGTERM)
	for range 2000 {
		if syscall.Kill(d.pid(), syscall.SIGUSR1) != nil {
			break
		}
	}
	if code := d.exit(10 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the stop took %v", took)
	}
}

// TestReloadThatFails: a route that cannot be started any more stays in sight,
// and starts when it can.
func TestReloadThatFails(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	d := newDaemon(t, route{name: "default", to: r.url(), more: `format = "lines"`})
	d.start()
	spool := d.state + "/spool/default"
	if err := errors.Join(syscall.Rename(spool, spool+".away"), syscall.Symlink("/proc/nowhere", spool)); err != nil {
		t.Fatal(err)
	}
	d.routes[0].more += "\nmax_messages = 7"
	d.config()
	d.signal(syscall.SIGHUP)
	eventually(t, 5*time.Second, "held", func() bool { return d.route("").State == "held" })
	if err := errors.Join(syscall.Unlink(spool), syscall.Rename(spool+".away", spool)); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "started", func() bool { return d.route("").State == "ok" })
	d.send(1, "1")
	r.wait(1, 5*time.Second)
}
