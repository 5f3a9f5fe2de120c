package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/client"
)

// killing is a run under load in which the daemon is killed again and again.
type killing struct {
	kills, messages, size int
	tail                  string // of send.c
	maxMessages, slots    int

	// send sends the messages and gives what waits for its end; nil: send.c.
	send func(t *testing.T, d *daemon) (wait func() error)
}

// settleTime is how long after its answer a request may still count as in flight,
// if other requests were begun meanwhile: the daemon has to read the answer and to
// note it. If none were, the machine was busy with something else.
const settleTime = 100 * time.Millisecond

// run sends, kills and waits until every message was seen. It gives the receiver
// and when each life of the daemon ended.
func (k killing) run(t *testing.T) (r *receiver, d *daemon, ends []time.Time) {
	t.Helper()
	r = newReceiver(t)
	r.answer = func(*request) int { time.Sleep(time.Millisecond); return 204 } // something is always in flight
	more := fmt.Sprintf("format = \"ndjson\"\nmax_messages = %d\nslots = { min = 1, max = %d }\n", k.maxMessages, k.slots) +
		"retry = { initial = \"1ms\", max = \"10ms\" }\n"
	d = newDaemon(t, route{name: "default", to: r.url()})
	// Each life says in its requests which one it is: the receiver may read one
	// long after the process that sent it is dead.
	born := func(start func()) {
		d.routes[0].more = more + fmt.Sprintf("headers = { X-Life = \"%d\" }", len(ends))
		start()
	}
	died := func() {
		d.kill()
		ends = append(ends, time.Now())
	}
	born(d.start)
	if k.send == nil {
		k.send = k.sendC
	}
	wait := k.send(t, d)
	for i := range k.kills {
		r.wait(k.messages/(k.kills+1)*(i+1), 20*time.Second)
		time.Sleep(rand.N(3 * time.Millisecond)) // no place where kills like to happen
		died()
		if i%5 == 4 { // and one while it starts
			born(d.spawn)
			time.Sleep(rand.N(20 * time.Millisecond))
			died()
		}
		born(d.start)
	}
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	// Repeats arrive in between: the daemon itself says when it has nothing left.
	eventually(t, 20*time.Second, "all settled", func() bool { st := d.route(""); return st.Pending == 0 && st.Depth == 0 })
	return r, d, ends
}

func (k killing) sendC(t *testing.T, d *daemon) (wait func() error) {
	return background(t, program(t, "send.c", d.key(), fmt.Sprint(k.messages), fmt.Sprint(k.size), k.tail, "0"))
}

// repeats checks that messages came more than once only if their request was in
// flight when its life of the daemon ended, and gives how many came again.
func (k killing) repeats(t *testing.T, r *receiver, ends []time.Time) (messages int) {
	t.Helper()
	type try struct {
		*request
		life int
	}
	last := map[string]try{}            // where a message came last, by its id
	again := map[int]map[*request]int{} // by life: its requests with the messages that came again
	lives := k.lives(t, r, len(ends))
	for life, requests := range lives {
		for _, q := range requests {
			for _, m := range q.messages {
				before, repeated := last[m.id]
				last[m.id] = try{q, life}
				if !repeated {
					continue
				}
				messages++
				if before.life == life {
					t.Fatalf("message %s was repeated without a kill", m.id)
				}
				if late := ends[before.life].Sub(before.end); late > settleTime && begunAfter(lives[before.life], before.end) > 2*k.slots {
					t.Fatalf("message %s was repeated, and its request was answered %v before the kill", m.id, late)
				}
				if again[before.life] == nil {
					again[before.life] = map[*request]int{}
				}
				again[before.life][before.request]++
			}
		}
	}
	for life, requests := range again {
		if len(requests) > k.slots {
			t.Errorf("life %d: %d requests had to be repeated; there were %d slots", life, len(requests), k.slots)
		}
		for q, n := range requests {
			if n > k.maxMessages {
				t.Errorf("life %d: a request of %d messages had %d repeated", life, len(q.messages), n)
			}
		}
	}
	return messages
}

// begunAfter counts the requests that began after at.
func begunAfter(requests []*request, at time.Time) (n int) {
	for _, q := range requests {
		if q.begin.After(at) {
			n++
		}
	}
	return n
}

// lives gives the requests of each life of the daemon.
func (k killing) lives(t *testing.T, r *receiver, last int) [][]*request {
	t.Helper()
	lives := make([][]*request, last+1)
	for _, q := range r.accepted() {
		life, err := strconv.Atoi(q.header.Get("X-Life"))
		if err != nil {
			t.Fatal(err)
		}
		lives[life] = append(lives[life], q)
	}
	return lives
}

// repeat runs a test once, or rounds times with MQD_TORTURE set: "make torture".
func repeat(t *testing.T, rounds int, test func(*testing.T)) {
	if os.Getenv("MQD_TORTURE") == "" {
		test(t)
		return
	}
	for range rounds {
		t.Run("", test)
	}
}

// TestKill kills the daemon fifty times at random instants of a run of 200,000
// messages: none is lost, none changes its id, and only what was in flight comes
// twice.
func TestKill(t *testing.T) {
	repeat(t, 170, testKill)
}

func testKill(t *testing.T) {
	k := killing{kills: 50, messages: 200_000, size: 256, tail: "text", maxMessages: 100, slots: 8}
	r, d, ends := k.run(t)
	ids := make([]string, k.messages)
	number := map[string]int{}
	for _, m := range r.all() {
		n := numberOf(t, m.body, k.size)
		switch known, ok := number[m.id]; {
		case ids[n] == "" && !ok:
			ids[n], number[m.id] = m.id, n
		case ids[n] != m.id || known != n:
			t.Fatalf("message %d with id %s came before with id %q; that id is of message %d", n, m.id, ids[n], known)
		}
		if want := string(rune('a' + n%26)); m.body[11:] != strings.Repeat(want, k.size-11) {
			t.Fatalf("message %d is damaged: %q", n, m.body)
		}
	}
	lost := 0
	for n, id := range ids {
		if id == "" {
			lost++
			t.Logf("message %d is lost", n)
		}
	}
	if lost != 0 {
		t.Errorf("%d of %d messages lost", lost, k.messages)
	}
	repeated := k.repeats(t, r, ends)
	t.Logf("%d lives, %d requests, %d messages repeated; %d lengths were uncertain",
		len(ends)+1, len(r.accepted()), repeated, uncertain(d))
}

// numberOf reads the number at the head of what send.c wrote.
func numberOf(t *testing.T, body string, size int) int {
	t.Helper()
	var n int
	if _, err := fmt.Sscanf(body, "%d ", &n); err != nil || len(body) != size {
		t.Fatalf("not a message of %d bytes of send.c: %q", size, body)
	}
	return n
}

// uncertain sums what the starts said of records whose length was guessed.
func uncertain(d *daemon) (sum int) {
	for line := range strings.Lines(d.log.String()) {
		if _, rest, ok := strings.Cut(line, "length_uncertain="); ok {
			var n int
			fmt.Sscanf(rest, "%d", &n)
			sum += n
		}
	}
	return sum
}

// TestKillPayloads does the same with payloads whose ends are easily taken for
// unwritten memory. NUL and 0xFF arrive exactly. Bytes that never occur in UTF-8
// may be cut off the end of the one message whose length was not noted yet, and
// each such message is counted.
func TestKillPayloads(t *testing.T) {
	t.Parallel()
	for _, tail := range []string{"nul", "ff", "canary"} {
		t.Run(tail, func(t *testing.T) { repeat(t, 100, func(t *testing.T) { testKillPayloads(t, tail) }) })
	}
}

func testKillPayloads(t *testing.T, tail string) {
	k := killing{kills: 10, messages: 20_000, size: 100, tail: tail, maxMessages: 100, slots: 8}
	r, d, ends := k.run(t)
	seen := make([]bool, k.messages)
	cut := 0
	for _, m := range r.all() {
		var n int
		if _, err := fmt.Sscanf(m.body, "%d ", &n); err != nil || len(m.body) < 11 {
			t.Fatalf("%q is no message", m.body)
		}
		if len(m.body) < k.size && !seen[n] {
			cut++
		}
		seen[n] = true
		if len(m.body) < k.size && tail != "canary" || m.body[11:] != whole(tail, n, k.size)[11:len(m.body)] {
			t.Errorf("message %d is %q", n, m.body)
		}
	}
	for n, ok := range seen {
		if !ok {
			t.Errorf("message %d is lost", n)
		}
	}
	if n := uncertain(d); cut > n {
		t.Errorf("%d messages were cut and %d counted as uncertain", cut, n)
	} else {
		t.Logf("%d kills, %d lengths uncertain, %d messages cut", len(ends), n, cut)
	}
	k.repeats(t, r, ends)
}

// whole is message n as send.c wrote it.
func whole(tail string, n, size int) string {
	fill := map[string]byte{"nul": 0, "ff": 0xff, "canary": "\xC0\xC1\xF5\xF6\xF7\xF8\xF9\xFA\xFB\xFC\xFD"[n%11]}[tail]
	return fmt.Sprintf("%010d ", n) + strings.Repeat(string([]byte{fill}), size-11)
}

// TestKillEnvelopes sends many messages in one kernel message, as package client
// does. A kill in the middle costs none of them, nor their keys and ids.
func TestKillEnvelopes(t *testing.T) {
	t.Parallel()
	repeat(t, 100, testKillEnvelopes)
}

func testKillEnvelopes(t *testing.T) {
	k := killing{kills: 10, messages: 50_000, maxMessages: 100, slots: 8, send: sendEnvelopes}
	r, d, ends := k.run(t)
	seen := make([]bool, k.messages)
	for _, m := range r.all() {
		n, err := strconv.Atoi(m.body)
		if err != nil || m.id != "id-"+m.body || m.key != "key-"+strconv.Itoa(n%50) {
			t.Fatalf("message %+v: %v", m, err)
		}
		seen[n] = true
	}
	if lost := slices.Index(seen, false); lost >= 0 {
		t.Errorf("message %d is lost", lost)
	}
	if n := uncertain(d); n != 0 {
		t.Errorf("%d lengths uncertain; a frame says its length", n)
	}
	t.Logf("%d messages repeated", k.repeats(t, r, ends))
}

func sendEnvelopes(t *testing.T, d *daemon) (wait func() error) {
	c := client.Client{Queue: d.addr("default")}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	done := make(chan error, 1)
	go func() {
		defer c.Close()
		var batch []client.Message
		for n := range 50_000 {
			body := strconv.Itoa(n)
			batch = append(batch, client.Message{ID: "id-" + body, Key: "key-" + strconv.Itoa(n%50), Body: []byte(body)})
			if len(batch) < 500 {
				continue
			}
			if accepted, err := c.SendBatch(ctx, batch); err != nil || accepted != len(batch) {
				done <- fmt.Errorf("accepted %d: %w", accepted, err)
				return
			}
			batch = batch[:0]
		}
		done <- nil
	}()
	t.Cleanup(cancel)
	return func() error { return <-done }
}

// TestKillAtRest kills a daemon that has landed what it cannot deliver. After the
// restart every byte is there, whatever it ends in, and nothing was guessed.
func TestKillAtRest(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	var open atomic.Bool
	r.answer = func(*request) int {
		if open.Load() {
			return 204
		}
		return 503
	}
	d := startDaemon(t, r, "format = \"ndjson\"\norder = \"strict\"\nretry = { initial = \"10ms\", max = \"20ms\" }")
	want := []string{
		"text", "nul\x00", "\x00", strings.Repeat("\x00", 8192), "\xff", "tail\xff\xff\xff", "\xc0", "x\xfd\xf5\xc1", " ", "\n",
		`s:3:"abc`, "\xcdmq\x01", `{"mqd":1`, strings.Repeat("\xff", 8192),
	}
	for range 3 {
		d.send(1, want...)
		eventually(t, 5*time.Second, "all landed", func() bool { return d.route("").Depth == 0 })
		d.kill()
		d.start()
	}
	open.Store(true)
	all := slices.Concat(want, want, want)
	r.wait(len(all), 10*time.Second)
	if got := r.bodies(); !slices.Equal(got, all) {
		t.Errorf("got %q\nwant %q", got, all)
	}
	if n := uncertain(d); n != 0 {
		t.Errorf("%d lengths uncertain", n)
	}
}
