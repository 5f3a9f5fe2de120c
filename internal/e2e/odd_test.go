package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/internal/testkit"
	"github.com/mqdaemon/mqd/mq"
)

// TestExtremes sends what is at the edges of msgsnd(2).
func TestExtremes(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	d := startDaemon(t, r, `format = "ndjson"`)
	msgmax := strings.Repeat("m", 8192)
	type sent struct {
		mtype int64
		body  string
	}
	want := map[sent]int{}
	for _, mtype := range []int64{1, 2, 1<<31 - 1, 1 << 31, 1<<63 - 1} {
		for _, body := range []string{"", "x", msgmax} {
			d.send(mtype, body)
			if body != "" { // a zero-length message is a doorbell
				want[sent{mtype, body}]++
			}
		}
	}
	r.wait(10, 5*time.Second)
	got := map[sent]int{}
	for _, m := range r.all() {
		got[sent{m.mtype, m.body}]++
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %.500v\nwant %.500v", got, want)
	}
	eventually(t, 5*time.Second, "all settled", func() bool { st := d.route(""); return st.Depth == 0 && st.Pending == 0 && st.State == "ok" })
}

// TestDoorbells rings ten thousand times, between messages.
func TestDoorbells(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	d := startDaemon(t, r, `format = "lines"`)
	for i := range 100 {
		d.send(int64(1+i%3), make([]string, 100)...)
		d.send(1, strconv.Itoa(i))
	}
	r.wait(100, 5*time.Second)
	eventually(t, 5*time.Second, "queue empty", func() bool { return d.route("").Depth == 0 })
	if n := r.messages.Load(); n != 100 {
		t.Errorf("%d messages, want 100", n)
	}
}

// TestRandomBytes sends 10,000 random byte strings of random types, among them
// beginnings of every frame. Each comes out as it went in, or as the frame that it
// happens to be; the daemon goes on.
func TestRandomBytes(t *testing.T) {
	t.Parallel()
	const count = 10_000
	r := newReceiver(t)
	d := startDaemon(t, r, "format = \"ndjson\"\naccept = [\"envelope\", \"json\", \"php\", \"raw\"]")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	q, err := mq.Open(d.addr("default"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	want := map[string]int{}
	for range count {
		body := randomPayload(rnd)
		if err := q.Send(ctx, mq.Message{Type: 1 + rnd.Int64N(1<<31-1), Body: body}); err != nil {
			t.Fatal(err)
		}
		want[string(body)]++
	}
	r.wait(count, 15*time.Second)
	eventually(t, 5*time.Second, "all settled", func() bool { st := d.route(""); return st.Depth == 0 && st.Pending == 0 })
	for _, body := range r.bodies() {
		if want[body]--; want[body] < 0 {
			t.Errorf("%q was not sent, or not so often", body)
		}
	}
	if n := r.messages.Load(); n != count {
		t.Errorf("%d messages of %d", n, count)
	}
}

// randomPayload gives 1 to 600 bytes that are no whole frame.
func randomPayload(rnd *rand.Rand) []byte {
	heads := []string{"", "\xcdmq\x01", "\xcdmq\x01\x20\x00\x00\x00\x01\x00\x00\x00", `{"mqd":1,"data":"`, `{"mqd":`, `s:5:"`, "s:"}
	b := []byte(heads[rnd.IntN(len(heads))])
	for n := 1 + rnd.IntN(600); n > 0; n-- {
		b = append(b, byte(rnd.Uint32()))
	}
	return b
}

// TestMsgmaxRaised raises msgmax while the daemon runs, in an IPC namespace of its
// own, and sends a message larger than any room that was offered before: first on
// an idle queue, then behind others.
func TestMsgmaxRaised(t *testing.T) {
	testkit.NeedRoot(t)
	t.Parallel()
	unshare, nsenter := testkit.Need(t, "unshare"), testkit.Need(t, "nsenter")
	r := newReceiver(t)
	d := newDaemon(t, route{name: "default", to: r.url(), more: "format = \"lines\"\norder = \"strict\""})
	d.wrap = []string{unshare, "-i", "--"}
	d.start()
	inside := func(args ...string) string {
		t.Helper()
		return mustRun(t, exec.Command(nsenter, append([]string{"-i", "-t", strconv.Itoa(d.pid()), "--"}, args...)...))
	}
	if queueID(t, d.key()) != "" {
		t.Fatal("the daemon's queue is not in a namespace of its own")
	}
	send := compiled(t, "send.c")
	inside(send, d.key(), "1", "8192", "text", "0")
	r.wait(1, 5*time.Second)
	// The same queue, with room for one that is larger than msgmax was.
	inside("sh", "-c", "echo 20000 >/proc/sys/kernel/msgmax")
	inside(send, d.key(), "2", "16000", "text", "0")
	r.wait(3, 5*time.Second)
	for i, size := range []int{20_000, 65_536} {
		inside("sh", "-c", fmt.Sprintf("echo %d >/proc/sys/kernel/msgmax; echo %d >/proc/sys/kernel/msgmnb", size, 4*size))
		// A queue keeps its msg_qbytes: one made now has the new ones.
		inside("ipcrm", "-Q", d.key())
		eventually(t, 5*time.Second, "queue made again", func() bool {
			return strings.Contains(inside("ipcs", "-q"), d.key())
		})
		inside(send, d.key(), "1", strconv.Itoa(size), "text", "0")
		inside(send, d.key(), "3", "100", "text", "1")
		inside(send, d.key(), "3", strconv.Itoa(size), "text", "4")
		r.wait(3+7*(i+1), 5*time.Second)
	}
	// msgmax is lowered over a message that was sent before: it is larger than any
	// that could be sent now, and than a slab of the landing.
	inside("sh", "-c", "echo 400000 >/proc/sys/kernel/msgmax; echo 800000 >/proc/sys/kernel/msgmnb")
	inside("ipcrm", "-Q", d.key())
	eventually(t, 5*time.Second, "queue made again", func() bool { return strings.Contains(inside("ipcs", "-q"), d.key()) })
	d.signal(syscall.SIGSTOP)
	inside("perl", "-e", `msgsnd(msgget(hex(shift), 0), pack("l! a*", 1, "p" x 300_000), 0) or die $!`, d.key())
	inside("sh", "-c", "echo 8192 >/proc/sys/kernel/msgmax")
	d.signal(syscall.SIGCONT)
	r.wait(3+2*7+1, 5*time.Second)
	var sizes []int
	for _, body := range r.bodies() {
		sizes = append(sizes, len(body))
	}
	want := []int{8192, 16000, 16000, 20000, 100, 100, 100, 20000, 20000, 20000, 65536, 100, 100, 100, 65536, 65536, 65536, 300000}
	if !slices.Equal(sizes, want) {
		t.Errorf("sizes %v, want %v", sizes, want)
	}
	if st := d.route(""); st.State != "ok" || st.Depth != 0 {
		t.Errorf("status %+v", st)
	}
}

// TestNamespaces runs two daemons on the same key in two IPC namespaces: these are
// two queues, and neither daemon is in the other's way.
func TestNamespaces(t *testing.T) {
	testkit.NeedRoot(t)
	t.Parallel()
	unshare := testkit.Need(t, "unshare")
	r := newReceiver(t)
	outside := startDaemon(t, r, `format = "lines"`)
	inside := newDaemon(t, route{name: "default", queue: outside.routes[0].queue, to: r.url(), more: `format = "lines"`})
	inside.wrap = []string{unshare, "-i", "--"}
	inside.start()
	outside.send(1, "outside")
	r.wait(1, 5*time.Second)
	eventually(t, 5*time.Second, "settled outside", func() bool { return outside.route("").Delivered == 1 })
	if n := inside.route("").Requests; n != 0 {
		t.Errorf("%d requests from inside", n)
	}
}
