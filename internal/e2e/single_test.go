package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestTwoDaemons starts a second daemon on the state directory of the first, and
// one on its queue. Each says who is there and exits with 73 at once; the first
// one goes on.
func TestTwoDaemons(t *testing.T) {
	r := newReceiver(t)
	first := startDaemon(t, r, `format = "lines"`)
	for name, second := range map[string]*daemon{
		"state": {state: first.state, runtime: filepath.Join(first.dir, "other-run"), routes: []route{{name: "default", queue: freeQueue().String(), to: r.url()}}},
		"queue": {state: filepath.Join(first.dir, "other-state"), runtime: filepath.Join(first.dir, "other-run"), routes: first.routes},
	} {
		second.t, second.dir = t, t.TempDir()
		config := second.config()
		// Three tries: other tests may be building or running meanwhile.
		quickest := time.Hour
		for range 3 {
			var stderr bytes.Buffer
			cmd := exec.Command(built.mqd, "run", "--config", config)
			cmd.Stderr = &stderr
			begin := time.Now()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
			err := cmd.Wait()
			timer.Stop()
			quickest = min(quickest, time.Since(begin))
			if err == nil || cmd.ProcessState.ExitCode() != 73 {
				t.Errorf("%s: %v", name, err)
			}
			if text := stderr.String(); !strings.Contains(text, "pid "+strconv.Itoa(first.pid())) {
				t.Errorf("%s: %q does not say who holds it", name, text)
			}
		}
		t.Logf("%s: exit after %v", name, quickest)
		if quickest > 100*time.Millisecond {
			t.Errorf("%s: exit after %v", name, quickest)
		}
	}
	if pid, err := os.ReadFile(first.runtime + "/mqd.pid"); err != nil || string(pid) != strconv.Itoa(first.pid())+"\n" {
		t.Errorf("pid file of the first daemon: %q, %v", pid, err)
	}
	first.send(1, "still here")
	r.wait(1, 5*time.Second)

	// The locks go with the process, however it ends.
	first.kill()
	first.start()
	first.send(1, "and here")
	r.wait(2, 5*time.Second)
}

// TestIdle looks at the daemon through strace(1) for ten seconds in which nothing
// happens: it must not make a single system call. Routes of all kinds are there.
func TestIdle(t *testing.T) {
	r := newReceiver(t)
	d := newDaemon(t,
		route{name: "default", to: r.url(), more: `format = "lines"`},
		route{name: "posix", queue: posixQueue(t), to: r.url(), more: `format = "lines"`},
		route{name: "never-used", to: r.url(), more: "linger = \"10s\"\nrate = \"50/s\""})
	d.start()
	// After a little work: neither the batcher nor the connection may tick. No
	// question for the status, which is work of another kind.
	d.send(1, "work")
	r.wait(1, 5*time.Second)
	idle(t, d)
}
