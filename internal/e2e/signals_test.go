package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/mq"
)

// gate is an answer that waits until it is opened.
type gate chan struct{}

func (g gate) answer(q *request) int {
	select {
	case <-g:
		return 204
	case <-q.gone:
		return hangUp
	}
}

// TestTerm stops a daemon that has something to send and nobody to take it: exit
// 0 and soon, and the next one delivers.
func TestTerm(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.close()
	d := startDaemon(t, r, "format = \"lines\"\norder = \"strict\"")
	d.send(1, "a", "b", "c")
	eventually(t, 5*time.Second, "taken", func() bool { return d.route("").Pending == 3 })
	begin := time.Now()
	d.stop()
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("the stop took %v with nothing in flight", took)
	}
	d.waitLog(0, "pending=3")
	if _, err := os.Stat(filepath.Join(d.runtime, "mqd.pid")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("pid file after the stop: %v", err)
	}
	d.send(1, "d") // the queue outlives the daemon
	r.open()
	d.start()
	r.wait(4, 5*time.Second)
	if got := strings.Join(r.bodies(), ""); got != "abcd" {
		t.Errorf("got %q", got)
	}
}

// TestTermInFlight stops a daemon while a request is in flight: the answer counts
// if it comes before stop_timeout, and else the request is repeated.
func TestTermInFlight(t *testing.T) {
	t.Parallel()
	for _, inTime := range []bool{true, false} {
		r := newReceiver(t)
		g := make(gate)
		r.answer = g.answer
		d := newDaemon(t, route{name: "default", to: r.url(), more: `format = "lines"`})
		d.top = `stop_timeout = "1s"`
		d.start()
		d.send(1, "in flight")
		eventually(t, 5*time.Second, "in flight", func() bool { return d.route("").InFlight == 1 })
		begin := time.Now()
		d.signal(syscall.SIGTERM)
		d.waitLog(time.Second, "stopping")
		if inTime {
			close(g)
		}
		code := d.exit(5 * time.Second)
		took := time.Since(begin)
		if code != 0 || inTime && took > 900*time.Millisecond || !inTime && took < 900*time.Millisecond {
			t.Errorf("answered %v: exit code %d after %v", inTime, code, took)
		}
		if !inTime {
			close(g)
		}
		d.start()
		d.send(1, "next")
		r.wait(2, 5*time.Second)
		if got := r.bodies(); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"in flight", "next"}) {
			t.Errorf("answered %v: got %q", inTime, got)
		}
	}
}

// TestTermTwice stops a daemon that would wait long for an answer. The second
// signal ends it at once and loses nothing.
func TestTermTwice(t *testing.T) {
	t.Parallel()
	for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		r := newReceiver(t)
		g := make(gate)
		r.answer = g.answer
		d := newDaemon(t, route{name: "default", to: r.url(), more: `format = "lines"`})
		d.top = `stop_timeout = "30s"`
		d.start()
		d.send(1, "in flight")
		eventually(t, 5*time.Second, "in flight", func() bool { return d.route("").InFlight == 1 })
		d.signal(syscall.SIGTERM)
		d.waitLog(time.Second, "stopping")
		time.Sleep(100 * time.Millisecond) // it waits, or the second signal would prove nothing
		select {
		case <-d.done:
			t.Fatal("the first signal did not wait for the answer")
		default:
		}
		d.signal(second)
		d.exit(500 * time.Millisecond)
		close(g)
		d.start()
		r.wait(1, 5*time.Second)
	}
}

// TestReload changes one route by HUP. The other one does not notice: not its
// counters, not its request in flight.
func TestReload(t *testing.T) {
	t.Parallel()
	before, after := newReceiver(t), newReceiver(t)
	other := newReceiver(t)
	g := make(gate)
	other.answer = func(q *request) int {
		if q.messages[0].body == "held up" {
			return g.answer(q)
		}
		return 204
	}
	d := newDaemon(t,
		route{name: "changed", to: before.url(), more: `format = "lines"`},
		route{name: "other", to: other.url(), more: `format = "lines"`})
	d.start()
	pid := d.status().PID
	d.sendTo("changed", 1, "1")
	d.sendTo("other", 1, "1")
	before.wait(1, 5*time.Second)
	eventually(t, 5*time.Second, "settled", func() bool { return d.route("other").Delivered == 1 })
	d.sendTo("other", 1, "held up")
	eventually(t, 5*time.Second, "in flight", func() bool { return d.route("other").InFlight == 1 })

	// An invalid file changes nothing and is reported with its line.
	d.routes[0].to = "gopher://nowhere"
	d.config()
	d.signal(syscall.SIGHUP)
	d.waitLog(5*time.Second, "mqd.toml:")
	d.sendTo("changed", 1, "2")
	before.wait(2, 5*time.Second)

	d.routes[0].to = after.url()
	d.add(route{name: "new", to: after.url(), more: `format = "lines"`})
	d.config()
	d.signal(syscall.SIGHUP)
	eventually(t, 5*time.Second, "new route", func() bool { return len(d.status().Routes) == 3 })
	d.sendTo("changed", 1, "3")
	after.wait(1, 5*time.Second)
	eventually(t, 5*time.Second, "queue of the new route", func() bool { return d.route("new").QueueBytes > 0 })
	d.sendTo("new", 1, "4")
	after.wait(2, 5*time.Second)
	if st := d.route("other"); st.InFlight != 1 || st.Delivered != 1 || st.Requests != 2 || d.status().PID != pid {
		t.Errorf("the other route after the reload: %+v", st)
	}
	close(g)
	other.wait(2, 5*time.Second)
	if st := d.route("other"); st.Retries != 0 {
		t.Errorf("the request in flight was cut: %+v", st)
	}
	var file struct {
		Version int
		Routes  []struct{ Name, Queue string }
	}
	for _, dir := range []string{d.state, d.runtime} {
		text, err := os.ReadFile(filepath.Join(dir, "routes.json"))
		if err == nil {
			err = json.Unmarshal(text, &file)
		}
		if err != nil || file.Version != 1 || len(file.Routes) != 3 || file.Routes[2].Queue != d.routes[2].queue {
			t.Errorf("%s/routes.json: %s, %v", dir, text, err)
		}
	}

	// A route that goes leaves its queue to the clients.
	queue := d.keyOf("new")
	d.routes = d.routes[:2]
	d.config()
	d.signal(syscall.SIGHUP)
	eventually(t, 5*time.Second, "route gone", func() bool { return len(d.status().Routes) == 2 })
	if queueID(t, queue) == "" {
		t.Error("the queue of a removed route is gone")
	}
}

// TestSnapshot expects one line per route for USR2.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	d := newDaemon(t, route{name: "one", to: r.url()}, route{name: "two", to: r.url()}, route{name: "three", to: r.url()})
	d.start()
	for n := range 3 {
		d.signal(syscall.SIGUSR2)
		eventually(t, 5*time.Second, "snapshot", func() bool { return strings.Count(d.log.String(), "snapshot") == 3*(n+1) })
	}
	for _, r := range d.routes {
		if n := strings.Count(d.log.String(), "route="+r.name+" queue="+r.queue); n != 3 {
			t.Errorf("%d lines for route %s, want 3", n, r.name)
		}
	}
}

// TestEarlySignal sends USR1 the moment the pid file appears, again and again:
// whoever reads it may signal, and nobody dies of it.
func TestEarlySignal(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	d := newDaemon(t, route{name: "default", to: r.url(), more: `format = "lines"`})
	for n := range 20 {
		d.start()
		d.signal(syscall.SIGUSR1)
		d.signal(syscall.SIGUSR1)
		d.send(1, fmt.Sprint(n))
		r.wait(n+1, 5*time.Second)
		d.stop()
	}
}

// TestBackoffCut expects USR1 to cut our own back-off, at most once a second.
func TestBackoffCut(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.close()
	d := startDaemon(t, r, "format = \"lines\"\nretry = { initial = \"1h\", max = \"1h\" }")
	d.send(1, "waits for an hour")
	eventually(t, 5*time.Second, "backing off", func() bool { return d.route("").State == client.StateBackingOff })
	r.open()
	for range 50 { // a level, not a count
		d.signal(syscall.SIGUSR1)
	}
	r.wait(1, 3*time.Second)
}

// TestWake rings through package client: by signal while the daemon can be found,
// also without its socket, else by a doorbell, which leaves a trace on the queue.
func TestWake(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	d := startDaemon(t, r, "format = \"lines\"\nlinger = \"1h\"")
	wake := func(c *client.Client, n int) (byDoorbell bool) {
		t.Helper()
		q, err := mq.Open(d.addr("default"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		defer c.Close()
		d.send(1, fmt.Sprint(n))
		eventually(t, 5*time.Second, "taken", func() bool { st, err := q.Stat(); return err == nil && st.Messages == 0 })
		ours, err1 := q.Stat()
		time.Sleep(time.Until(ours.LastSend.Add(1100 * time.Millisecond))) // times of a queue are whole seconds
		err = c.Wake(context.Background())
		r.wait(n, 5*time.Second)
		now, err2 := q.Stat()
		if err := errors.Join(err, err1, err2); err != nil {
			t.Fatal(err)
		}
		return now.LastSend.After(ours.LastSend)
	}
	at := &client.Client{Runtime: d.runtime, State: d.state}
	if wake(at, 1) {
		t.Error("a doorbell, though the daemon could be signalled")
	}
	if err := os.Remove(filepath.Join(d.runtime, "mqd.sock")); err != nil {
		t.Fatal(err)
	}
	if wake(&client.Client{Runtime: d.runtime, State: d.state}, 2) {
		t.Error("a doorbell, though the daemon holds the lock of its state directory")
	}
	if !wake(&client.Client{Runtime: t.TempDir(), Queue: d.addr("default")}, 3) {
		t.Error("no doorbell, though nothing says where the daemon is")
	}
}
