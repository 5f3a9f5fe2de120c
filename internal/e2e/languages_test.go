package e2e

import (
	"encoding/hex"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/internal/testkit"
	"github.com/mqdaemon/mqd/mq"
)

// payloads are what each language sends: text, and what breaks string functions.
var payloads = []string{
	"hello",
	"grüß Gott, 世界 \U0001F680",
	"two\nlines",
	"a\x00b\x00",
	"\x00\x00\x00\x00",
	"\xff\xfe\xff",
	`"quoted" \ {"a":1}`,
	strings.Repeat("x", 8192), // msgmax
}

// hexed gives payloads as the programs of testdata take them.
func hexed(payloads []string) []string {
	var out []string
	for _, p := range payloads {
		out = append(out, hex.EncodeToString([]byte(p)))
	}
	return out
}

// TestLanguages sends the same payloads from every language and expects each byte
// and the mtype at the receiver.
func TestLanguages(t *testing.T) {
	t.Parallel()
	for _, sender := range []struct {
		name, source string
		front        []string // arguments before key and type
	}{
		{"C", "msgsnd.c", nil},
		{"Perl", "msgsnd.pl", nil},
		{"Python", "msgsnd.py", nil},
		{"Ruby", "msgsnd.rb", nil},
		{"PHP", "msgsnd.php", []string{"raw"}},
		{"PHPserialised", "msgsnd.php", []string{"serialize"}},
	} {
		t.Run(sender.name, func(t *testing.T) {
			t.Parallel()
			want := payloads
			if sender.name == "PHPserialised" {
				want = append(slices.Clone(payloads[:len(payloads)-1]), strings.Repeat("x", 8192-len(`s:8192:"";`)))
			}
			r := newReceiver(t)
			d := startDaemon(t, r, `format = "ndjson"`)
			for _, mtype := range []int64{1, 4711} {
				args := append(slices.Clone(sender.front), d.key(), strconv.FormatInt(mtype, 10))
				mustRun(t, program(t, sender.source, append(args, hexed(want)...)...))
			}
			r.wait(2*len(want), 5*time.Second)
			got := r.all()
			if len(got) != 2*len(want) {
				t.Fatalf("%d messages, want %d", len(got), 2*len(want))
			}
			// Two requests may overtake each other: the mtype tells the runs apart.
			for i, mtype := range []int64{1, 4711} {
				var bodies []string
				for _, m := range got {
					if m.mtype == mtype {
						bodies = append(bodies, m.body)
					}
				}
				slices.Sort(bodies)
				if sorted := slices.Sorted(slices.Values(want)); !slices.Equal(bodies, sorted) {
					t.Errorf("run %d: got %q\nwant %q", i, bodies, sorted)
				}
			}
		})
	}
}

// TestPHPValues expects PHP values that are no strings as msg_send wrote them.
func TestPHPValues(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	d := startDaemon(t, r, "format = \"ndjson\"\norder = \"strict\"")
	mustRun(t, program(t, "msgsnd.php", "values", d.key(), "1"))
	want := []string{"i:42;", "d:3.5;", "b:1;", "N;", `a:2:{s:1:"a";i:1;s:1:"b";a:2:{i:0;i:1;i:1;i:2;}}`}
	r.wait(len(want)+1, 5*time.Second)
	got := r.bodies()
	if !slices.Equal(got[:len(want)], want) || !strings.HasPrefix(got[len(want)], `O:11:"ArrayObject":`) {
		t.Errorf("got %q, want %q and an ArrayObject", got, want)
	}
}

// TestAccept expects frames that a route does not accept as they are.
func TestAccept(t *testing.T) {
	t.Parallel()
	const jsonFrame = `{"mqd":1,"data":"inside","id":"i-1","key":"k"}`
	const phpFrame = `s:6:"inside";`
	for _, tt := range []struct {
		accept string
		want   []string
	}{
		{`["envelope", "json", "php", "raw"]`, []string{"inside", "inside"}},
		{`["envelope", "raw"]`, []string{jsonFrame, phpFrame}},
		{`["json", "raw"]`, []string{"inside", phpFrame}},
		{`["php", "raw"]`, []string{jsonFrame, "inside"}},
	} {
		r := newReceiver(t)
		d := startDaemon(t, r, "format = \"ndjson\"\norder = \"strict\"\naccept = "+tt.accept)
		mustRun(t, program(t, "msgsnd.pl", append([]string{d.key(), "1"}, hexed([]string{jsonFrame, phpFrame})...)...))
		r.wait(2, 5*time.Second)
		if got := r.bodies(); !slices.Equal(got, tt.want) {
			t.Errorf("accept %s: got %q, want %q", tt.accept, got, tt.want)
		}
		m := r.all()[0]
		if framed := m.body == "inside"; framed != (m.id == "i-1") || framed != (m.key == "k") {
			t.Errorf("accept %s: id %q, key %q", tt.accept, m.id, m.key)
		}
	}
}

// TestPOSIX sends with mq_send(3) to a posix: route; mtype is 1 + the priority.
func TestPOSIX(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	addr := posixQueue(t)
	name := strings.TrimPrefix(addr, "posix:")
	d := newDaemon(t, route{name: "default", queue: addr, to: r.url(), more: "format = \"ndjson\"\norder = \"strict\""})
	d.start()
	mustRun(t, program(t, "mqsend.c", name, "6", "one", "grüße"))
	r.wait(2, 5*time.Second)
	for i, want := range []string{"one", "grüße"} {
		if m := r.all()[i]; m.body != want || m.mtype != 7 {
			t.Errorf("message %d: %q of type %d, want %q of type 7", i, m.body, m.mtype, want)
		}
	}
	eventually(t, 5*time.Second, "both settled", func() bool { return d.route("").Delivered == 2 })

	// Ten messages fill the queue while there is nobody to take them.
	d.kill()
	mustRun(t, program(t, "mqsend.c", append([]string{name, "0"}, strings.Split("0 1 2 3 4 5 6 7 8 9", " ")...)...))
	d.start()
	r.wait(12, 5*time.Second)
	eventually(t, 5*time.Second, "all settled", func() bool { st := d.route(""); return st.Depth == 0 && st.Delivered == 10 })
}

// TestWakeFromShell expects "kill -USR1" of a shell to send what waits for company.
func TestWakeFromShell(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	d := startDaemon(t, r, "format = \"lines\"\nlinger = \"1h\"")
	d.send(1, "lingering")
	eventually(t, 5*time.Second, "message taken", func() bool { return d.route("").Pending == 1 })
	if n := r.messages.Load(); n != 0 {
		t.Fatalf("%d messages sent before the signal", n)
	}
	sh := testkit.Need(t, "sh")
	mustRun(t, exec.Command(sh, "-c", "kill -USR1 $(cat "+d.runtime+"/mqd.pid)"))
	r.wait(1, 2*time.Second)

	// A doorbell of type 2 asks for the same, of type 1 for a look only.
	d.send(1, "again")
	d.send(1, "")
	eventually(t, 5*time.Second, "doorbell taken", func() bool { st := d.route(""); return st.Pending == 1 && st.Depth == 0 })
	if n := r.messages.Load(); n != 1 {
		t.Fatalf("%d messages sent after a doorbell of type 1", n)
	}
	d.send(2, "")
	r.wait(2, 2*time.Second)
	if got := r.bodies(); !slices.Equal(got, []string{"lingering", "again"}) {
		t.Errorf("got %q", got)
	}
}

// posixQueue gives the address of a POSIX queue that does not exist. Call it
// before newDaemon, or while making its arguments.
func posixQueue(t testing.TB) string {
	addr := mq.POSIXAddr("/mqd-e2e-" + strconv.FormatInt(time.Now().UnixNano(), 36))
	t.Cleanup(func() { removeQueue(t, addr) })
	return addr.String()
}
