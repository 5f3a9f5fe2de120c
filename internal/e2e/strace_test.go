package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/internal/testkit"
)

// idle traces d for ten seconds and fails the test if it makes a system call.
func idle(t *testing.T, d *daemon) {
	t.Helper()
	strace := testkit.Need(t, "strace")
	out := filepath.Join(t.TempDir(), "strace")
	stderr := new(output)
	cmd := exec.Command(strace, "-f", "-ttt", "-o", out, "-p", strconv.Itoa(d.pid()))
	cmd.Stderr = stderr
	wait := background(t, cmd)
	eventually(t, startTime, "strace attached", func() bool { return strings.Contains(stderr.String(), "attached") })
	// Attaching stops all threads, which shows them in their calls and sends those
	// in epoll_wait(2) around once.
	time.Sleep(time.Second)
	begin := time.Now()
	time.Sleep(10 * time.Second)
	end := time.Now()
	cmd.Process.Signal(syscall.SIGINT)
	wait()
	trace, err := os.ReadFile(out)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	if !strings.Contains(string(trace), "detached") {
		t.Fatalf("strace saw nothing:\n%s%s", trace, stderr)
	}
	var calls []string
	for line := range strings.Lines(string(trace)) {
		at, err := strconv.ParseFloat(strings.Fields(line)[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		if when := time.UnixMicro(int64(at * 1e6)); when.After(begin) && when.Before(end) {
			calls = append(calls, line)
		}
	}
	if len(calls) > 0 {
		t.Errorf("%d system calls of an idle daemon:\n%s", len(calls), strings.Join(calls[:min(len(calls), 50)], ""))
	}
}
