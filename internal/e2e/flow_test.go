package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/mq"
)

// TestBusyAndQuiet sends 100,000 messages as fast as a C program can, with the
// limits that the kernel has by itself: each arrives exactly once, in batches.
// Then a second of silence, and one message: it goes alone and at once.
func TestBusyAndQuiet(t *testing.T) {
	const messages, size = 100_000, 256
	r := newReceiver(t)
	d := startDaemon(t, r, `format = "lines"`)
	begin := time.Now()
	wait := background(t, program(t, "send.c", d.key(), strconv.Itoa(messages), strconv.Itoa(size), "text", "0"))
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	r.wait(messages, 15*time.Second)
	took := time.Since(begin)
	seen := make([]int, messages)
	for _, body := range r.bodies() {
		seen[numberOf(t, body, size)]++
	}
	for n, times := range seen {
		if times != 1 {
			t.Fatalf("message %d came %d times", n, times)
		}
	}
	requests := len(r.accepted())
	if messages/requests <= 20 {
		t.Errorf("%d requests for %d messages: %d each", requests, messages, messages/requests)
	}
	t.Logf("%d messages in %v, %d requests of %d on average", messages, took.Round(time.Millisecond), requests, messages/requests)

	for range 3 {
		before := len(r.accepted())
		time.Sleep(time.Second) // the silence
		mustRun(t, program(t, "send.c", d.key(), "1", "64", "time", "0"))
		eventually(t, 5*time.Second, "the single message", func() bool { return len(r.accepted()) == before+1 })
		q := r.accepted()[before]
		sent, err := strconv.ParseInt(strings.Fields(q.messages[0].body)[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		latency := q.begin.Sub(time.Unix(0, sent))
		t.Logf("single message after %v", latency)
		if len(q.messages) != 1 || latency > 50*time.Millisecond {
			t.Errorf("%d messages, after %v", len(q.messages), latency)
		}
	}
}

// TestReceiverDown takes the receiver away in the middle of an ordered run. The
// landing fills, the queue backs up, the sender waits, and the daemon has nothing
// to do. When the receiver is back, all is there and in order.
func TestReceiverDown(t *testing.T) {
	const messages, size, maxMessages = 60_000, 256, 500
	r := newReceiver(t)
	d := startDaemon(t, r, "format = \"lines\"\norder = \"strict\"\nmax_messages = "+strconv.Itoa(maxMessages))
	sender := program(t, "send.c", d.key(), strconv.Itoa(messages), strconv.Itoa(size), "text", "0")
	wait := background(t, sender)
	r.wait(messages/6, 10*time.Second)
	r.close()
	eventually(t, 10*time.Second, "queue backed up", d.backedUp)

	before, begin := d.cpu(), time.Now()
	time.Sleep(10 * time.Second) // the outage
	used := d.cpu() - before
	if used*100 > time.Since(begin) {
		t.Errorf("the daemon used %v in %v while it was backed up", used, time.Since(begin))
	}
	t.Logf("%v of CPU in 10 s", used)
	st := d.route("")
	if st.Depth != 16384/size || st.State != "backing_off" || st.LastError == "" || st.Pending < 10_000 || st.Oldest < 9 {
		t.Errorf("status while backed up: %+v", st)
	}
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", sender.Process.Pid)); err != nil || !strings.Contains(string(stat), ") S ") {
		t.Errorf("the sender does not sleep: %s, %v", stat, err)
	}

	r.open()
	d.signal(syscall.SIGUSR1) // cuts the back-off
	r.wait(messages, 15*time.Second)
	if err := wait(); err != nil {
		t.Error(err)
	}
	eventually(t, 5*time.Second, "all settled", func() bool { st := d.route(""); return st.Pending == 0 && st.Depth == 0 })
	next, repeated := 0, 0
	for _, body := range r.bodies() {
		switch n := numberOf(t, body, size); {
		case n == next:
			next++
		case n < next:
			repeated++
		default:
			t.Fatalf("message %d came before message %d", n, next)
		}
	}
	if next != messages || repeated > maxMessages {
		t.Errorf("%d messages of %d, %d repeated; one batch of %d was in flight", next, messages, repeated, maxMessages)
	}
	t.Logf("%d repeated", repeated)
}

// TestLargeAtHead puts a message of 8,000 bytes at the head of the queue while the
// landing is full and has less room than that left. The daemon waits and does not
// turn in circles.
func TestLargeAtHead(t *testing.T) {
	large := strings.Repeat("L", 8000)
	for _, size := range []int{700, 8000} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			r := newReceiver(t)
			r.close()
			d := startDaemon(t, r, "format = \"lines\"\norder = \"strict\"\nretry = { initial = \"1s\", max = \"1s\" }")
			sender := program(t, "send.c", d.key(), "1000000", strconv.Itoa(size), "text", "0")
			wait := background(t, sender)
			eventually(t, 10*time.Second, "queue backed up", d.backedUp)
			sender.Process.Kill()
			wait()
			steal(t, d)
			d.send(1, large)

			before := d.cpu()
			time.Sleep(3 * time.Second)
			if used := d.cpu() - before; used > 30*time.Millisecond {
				t.Errorf("the daemon used %v in 3 s", used)
			}
			st := d.route("")
			if st.Depth != 1 {
				t.Fatalf("the landing is not full: %+v", st)
			}
			r.open()
			r.wait(int(st.Pending)+1, 10*time.Second)
			if got := r.bodies(); got[len(got)-1] != large {
				t.Errorf("the large message is not the last: %.20q", got[len(got)-1])
			}
		})
	}
}

// steal empties the queue of the first route.
func steal(t *testing.T, d *daemon) {
	t.Helper()
	q, err := mq.Open(d.addr("default"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	buf := make([]byte, 8192)
	for err == nil {
		_, err = q.TryReceive(buf)
	}
	if !errors.Is(err, mq.ErrEmpty) {
		t.Fatal(err)
	}
}

// TestKeyOrder sends messages of many keys through several slots to a receiver
// that is slow at random and fails at random. Messages of one key are never in two
// requests at once and never overtake each other.
func TestKeyOrder(t *testing.T) {
	t.Parallel()
	const messages, keys = 20_000, 40
	r := newReceiver(t)
	var mu sync.Mutex
	open := map[string]bool{} // keys that are in a request now
	next := map[string]int{}
	slots, failures := 0, 0
	r.answer = func(q *request) int {
		mu.Lock()
		mine := map[string]bool{}
		for _, m := range q.messages {
			if open[m.key] && !mine[m.key] {
				t.Errorf("key %s is in two requests", m.key)
			}
			mine[m.key], open[m.key] = true, true
		}
		slots = max(slots, len(open)-len(mine))
		fail := rand.IntN(10) == 0
		for _, m := range q.messages {
			n, err := strconv.Atoi(m.body)
			if err != nil || n != next[m.key] && !fail {
				t.Errorf("key %s: message %q, want %d: %v", m.key, m.body, next[m.key], err)
			}
			if !fail {
				next[m.key] = n + 1
			}
		}
		mu.Unlock()
		time.Sleep(rand.N(3 * time.Millisecond))
		mu.Lock()
		defer mu.Unlock()
		for key := range mine {
			delete(open, key)
		}
		if fail {
			failures++
			return 503
		}
		return 204
	}
	d := startDaemon(t, r, "format = \"ndjson\"\nmax_messages = 20\nretry = { initial = \"1ms\", max = \"2ms\" }")
	c := client.Client{Queue: d.addr("default")}
	defer c.Close()
	count := map[string]int{}
	for range messages {
		key := strconv.Itoa(rand.IntN(keys))
		if err := c.Send(t.Context(), client.Message{Key: key, Body: []byte(strconv.Itoa(count[key]))}); err != nil {
			t.Fatal(err)
		}
		count[key]++
	}
	r.wait(messages, 15*time.Second)
	mu.Lock()
	defer mu.Unlock()
	if n := r.messages.Load(); n != messages || slots == 0 || failures == 0 {
		t.Errorf("%d messages of %d, %d keys in other requests, %d failures", n, messages, slots, failures)
	}
}
