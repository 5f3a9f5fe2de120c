package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/internal/testkit"
)

// ctl makes a mqctl command for a daemon.
func (d *daemon) ctl(args ...string) *exec.Cmd {
	return exec.Command(built.mqctl, append([]string{"--runtime", d.runtime, "--state", d.state}, args...)...)
}

// TestSend sends by mqctl in all its ways.
func TestSend(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	d := startDaemon(t, r, "format = \"ndjson\"\norder = \"strict\"")
	want := []string{}
	send := func(input string, messages []string, args ...string) string {
		t.Helper()
		cmd := d.ctl(append([]string{"send"}, args...)...)
		if input != "" {
			cmd.Stdin = strings.NewReader(input)
		}
		out := mustRun(t, cmd)
		want = append(want, messages...)
		r.wait(len(want), 5*time.Second)
		return out
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("from\na file\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	quiet := send("", []string{"argument"}, "argument")
	quiet += send("", []string{`{"mqd":1,"data":"is not unwrapped"}`}, `{"mqd":1,"data":"is not unwrapped"}`)
	quiet += send("standard\ninput", []string{"standard\ninput"}, "-")
	quiet += send("", []string{"from\na file\n"}, "--file", file)
	quiet += send("one\ntwo\nthree\n", []string{"one", "two", "three"}, "--lines")
	if quiet != "" {
		t.Errorf("mqctl send is not silent: %q", quiet)
	}
	var said struct{ ID, Door, State string }
	text := send("", []string{"with all"}, "--json", "--key", "k", "--id", "i-1", "--type", "5", "with all")
	if err := json.Unmarshal([]byte(text), &said); err != nil || said.ID != "i-1" || said.Door != "queue" || said.State != "queued" {
		t.Errorf("mqctl send --json: %q, %v", text, err)
	}
	all := r.all()
	if last := all[len(all)-1]; last.id != "i-1" || last.key != "k" || last.mtype != 5 {
		t.Errorf("the last message is %+v", last)
	}
	if got := r.bodies(); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// TestSendLines packs 100,000 lines into few kernel messages; each is a message.
func TestSendLines(t *testing.T) {
	t.Parallel()
	const lines = 100_000
	r := newReceiver(t)
	d := startDaemon(t, r, "format = \"lines\"\norder = \"strict\"")
	var input strings.Builder
	for i := range lines {
		fmt.Fprintf(&input, "line %d\n", i)
	}
	cmd := d.ctl("send", "--lines")
	cmd.Stdin = strings.NewReader(input.String())
	begin := time.Now()
	mustRun(t, cmd)
	r.wait(lines, 10*time.Second)
	t.Logf("%d lines in %v", lines, time.Since(begin))
	for i, body := range r.bodies() {
		if body != fmt.Sprintf("line %d", i) {
			t.Fatalf("line %d is %q", i, body)
		}
	}
}

// TestFlushAndStatus uses the socket by mqctl and by curl.
func TestFlushAndStatus(t *testing.T) {
	t.Parallel()
	curl := testkit.Need(t, "curl")
	r := newReceiver(t)
	d := startDaemon(t, r, "format = \"lines\"\nlinger = \"1h\"")
	socket := func(args ...string) string {
		t.Helper()
		return mustRun(t, exec.Command(curl, append([]string{"-sS", "--unix-socket", d.runtime + "/mqd.sock"}, args...)...))
	}
	mustRun(t, d.ctl("send", "one", "two"))
	eventually(t, 5*time.Second, "taken", func() bool { return d.route("").Pending == 2 })
	if out := mustRun(t, d.ctl("status")); !strings.Contains(out, "default") || !strings.Contains(out, "ok") {
		t.Errorf("mqctl status:\n%s", out)
	}
	mustRun(t, d.ctl("flush"))
	r.wait(2, 5*time.Second)
	eventually(t, 5*time.Second, "settled", func() bool { return d.route("").Delivered == 2 })
	mustRun(t, d.ctl("send", "--flush", "three"))
	r.wait(3, 5*time.Second)
	mustRun(t, d.ctl("send", "four"))
	eventually(t, 5*time.Second, "taken", func() bool { return d.route("").Pending == 1 })
	socket("-X", "POST", "http://mqd/v1/flush")
	r.wait(4, 5*time.Second)
	eventually(t, 5*time.Second, "settled", func() bool { return d.route("").Delivered == 4 })

	for name, text := range map[string]string{
		"mqctl status --json": mustRun(t, d.ctl("status", "--json")),
		"GET /v1/status":      socket("http://mqd/v1/status"),
	} {
		var status struct {
			Version, PID int
			Routes       []map[string]any
		}
		if err := json.Unmarshal([]byte(text), &status); err != nil || status.Version != 1 || status.PID != d.pid() || len(status.Routes) != 1 {
			t.Fatalf("%s: %v: %s", name, err, text)
		}
		want := map[string]any{
			"name": "default", "queue": d.routes[0].queue, "state": "ok", "last_error": "", "depth": 0., "pending": 0., "in_flight": 0.,
			"oldest_s": 0., "queue_bytes": 16384., "delivered_total": 4., "dead_total": 0., "expired_total": 0., "retries_total": 0.,
		}
		for member, value := range want {
			if got := status.Routes[0][member]; got != value {
				t.Errorf("%s: %s is %v, want %v", name, member, got, value)
			}
		}
		for _, member := range []string{"slots", "requests_total", "landing"} {
			if status.Routes[0][member] == nil {
				t.Errorf("%s: no %s", name, member)
			}
		}
	}
	if out := socket("-f", "http://mqd/healthz"); out != "ok\n" {
		t.Errorf("healthz: %q", out)
	}
	if out := socket("-f", "http://mqd/metrics"); !strings.Contains(out, `mqd_delivered_total{route="default"} 4`) {
		t.Errorf("metrics:\n%s", out)
	}
}

// TestNotRunning asks for what needs a daemon when there is none, after one that
// was killed.
func TestNotRunning(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	d := startDaemon(t, r, `format = "lines"`)
	d.kill()
	cmd := d.ctl("status")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 69 || !strings.Contains(string(out), "not running") {
		t.Errorf("mqctl status: %v: %s", err, out)
	}
	mustRun(t, d.ctl("send", "waits in the queue"))
	d.start()
	r.wait(1, 5*time.Second)
}
