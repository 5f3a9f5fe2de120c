package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/internal/testkit"
	"github.com/mqdaemon/mqd/mq"
)

// wwwData is the uid and gid of the user of that name on Debian; the name itself
// is not needed.
const wwwData = 33

// ipcs asks the system's own tool for owner and mode of a queue.
func ipcs(t *testing.T, key string) string {
	t.Helper()
	for line := range strings.Lines(mustRun(t, exec.Command(testkit.Need(t, "ipcs"), "-q", "-c"))) {
		// msqid perms cuid cgid uid gid; the key is in the other table only.
		f := strings.Fields(line)
		if len(f) == 6 && f[0] == queueID(t, key) {
			return "uid=" + numeric(t, f[4]) + " mode=" + f[1]
		}
	}
	t.Fatalf("ipcs has no queue %s", key)
	return ""
}

// queueID gives the msqid of a key, as ipcs prints it; "" if there is none.
func queueID(t *testing.T, key string) string {
	t.Helper()
	for line := range strings.Lines(mustRun(t, exec.Command(testkit.Need(t, "ipcs"), "-q"))) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == key {
			return f[1]
		}
	}
	return ""
}

func numeric(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(mustRun(t, exec.Command("id", "-u", name)))
}

// TestOtherUser sends as www-data: that works, and nothing else does.
func TestOtherUser(t *testing.T) {
	testkit.NeedRoot(t)
	t.Parallel()
	for _, more := range []string{"mode = \"0620\"\ngroup = \"33\"", `mode = "0622"`} {
		r := newReceiver(t)
		d := startDaemon(t, r, "format = \"lines\"\n"+more)
		// A receiver that refuses nothing, and a queue that is not empty for the
		// tries to take from it: the daemon is stopped meanwhile.
		eventually(t, 5*time.Second, "queue", func() bool { return queueID(t, d.key()) != "" })
		d.stop()
		d.send(1, "not yours")
		probe := program(t, "probe.c", d.key())
		asUser(probe, wwwData)
		want := "open ok\ncreate EACCES\nsend ok\nreceive EACCES\npeek EACCES\nwait EACCES\nstat EACCES\nset EPERM\nremove EPERM\n"
		if got := mustRun(t, probe); got != want {
			t.Errorf("%s:\n%swant\n%s", more, got, want)
		}
		if more == `mode = "0622"` {
			php := program(t, "msgsnd.php", "raw", d.key(), "1", hexed([]string{"from php"})[0])
			asUser(php, wwwData)
			mustRun(t, php)
		}
		d.start()
		r.wait(2, 5*time.Second)
		if got := strings.Join(r.bodies()[:2], " "); got != "not yours probe" {
			t.Errorf("%s: got %q", more, got)
		}
	}
}

// TestOwnerRefused starts an ordinary user's daemon on a queue that root made: the
// route is held, says what to type, and comes up when that was typed. Its
// neighbour does not notice.
func TestOwnerRefused(t *testing.T) {
	testkit.NeedRoot(t)
	t.Parallel()
	addr := newQueue(t)
	q, err := mq.Open(addr, &mq.Options{Create: true, Mode: 0o666})
	if err != nil {
		t.Fatal(err)
	}
	q.Close()
	r := newReceiver(t)
	d := newDaemon(t,
		route{name: "held", queue: addr.String(), to: r.url() + "?held", more: `format = "lines"`},
		route{name: "free", to: r.url() + "?free", more: `format = "lines"`})
	d.uid = wwwData
	d.start()
	var held client.RouteStatus
	eventually(t, 5*time.Second, "route held", func() bool { held = d.route("held"); return held.State == client.StateHeld })
	line := fmt.Sprintf("ipcrm -Q %s", addr.Key)
	if !strings.Contains(held.LastError, line) {
		t.Errorf("last_error %q does not name %q", held.LastError, line)
	}
	d.waitLog(time.Second, line)
	eventually(t, 5*time.Second, "queue of the other route", func() bool { return queueID(t, d.keyOf("free")) != "" })
	d.sendTo("free", 1, "works")
	r.wait(1, 5*time.Second)

	mustRun(t, exec.Command("sh", "-c", line))
	eventually(t, 3*time.Second, "route released", func() bool { return d.route("held").State == client.StateOK })
	d.sendTo("held", 1, "works too")
	r.wait(2, 5*time.Second)
	if paths := [2]string{r.accepted()[0].path, r.accepted()[1].path}; paths != [2]string{"/in?free", "/in?held"} {
		t.Errorf("requests for %q", paths)
	}
}

// TestRemoved removes the queue under a daemon that waits for messages, and under
// one that is backed up.
func TestRemoved(t *testing.T) {
	t.Parallel()
	ipcrm := testkit.Need(t, "ipcrm")
	r := newReceiver(t)
	d := startDaemon(t, r, "format = \"lines\"\nretry = { initial = \"50ms\", max = \"100ms\" }")
	eventually(t, 5*time.Second, "queue", func() bool { return queueID(t, d.key()) != "" })
	remade := func() {
		t.Helper()
		id := queueID(t, d.key())
		mustRun(t, exec.Command(ipcrm, "-q", id))
		// Within a second, and a little for the tools that look.
		eventually(t, 1200*time.Millisecond, "queue made again", func() bool { now := queueID(t, d.key()); return now != "" && now != id })
	}
	remade()
	d.waitLog(time.Second, "removed")
	d.send(1, "after")
	r.wait(1, 5*time.Second)

	r.close()
	wait := background(t, program(t, "send.c", d.key(), "1000000", "4096", "text", "0"))
	eventually(t, 10*time.Second, "queue backed up", d.backedUp)
	time.Sleep(1200 * time.Millisecond) // the queue's depth is looked at once a second
	remade()
	if err := wait(); err == nil || !strings.Contains(err.Error(), "Identifier removed") {
		t.Errorf("sender of the removed queue: %v", err)
	}
	line := regexp.MustCompile(`queue was removed by somebody.* lost .*\D4\n`) // of 4096 bytes four fit
	eventually(t, time.Second, "the log says how many were in it", func() bool { return line.MatchString(d.log.String()) })
	landed := d.route("").Pending
	r.open()
	r.wait(1+int(landed), 10*time.Second)
	if _, err := os.Stat(d.runtime + "/mqd.pid"); err != nil {
		t.Error(err)
	}
}
