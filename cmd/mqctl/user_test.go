package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/internal/cli"
	"github.com/mqdaemon/mqd/internal/control"
	"github.com/mqdaemon/mqd/internal/testkit"
	"github.com/mqdaemon/mqd/mq"
)

// runAs runs mqctl with the uid and gid of another user, by changing the
// credentials of one thread (credentials(7)), which ends with its goroutine. The
// commands here make their system calls on the thread that calls them.
func runAs(t *testing.T, id int, args ...string) result {
	t.Helper()
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is of no further use
		for _, call := range []uintptr{unix.SYS_SETGROUPS, unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
			a := uintptr(id)
			if call == unix.SYS_SETGROUPS {
				a = 0 // none
			}
			if _, _, errno := syscall.RawSyscall(call, a, a, a); errno != 0 {
				done <- result{stderr: errno.Error(), code: -1}
				return
			}
		}
		var stdout, stderr bytes.Buffer
		err := run(t.Context(), args, stdio{in: strings.NewReader(""), out: &stdout, err: &stderr})
		code := cli.Exit(&stderr, program, err)
		done <- result{stdout.String(), stderr.String(), code}
	}()
	return <-done
}

// What a client may do on a queue of another user: send, and look at its state.
func TestOtherUser(t *testing.T) {
	testkit.NeedRoot(t)
	const www = 33
	open := testQueue(t, mq.Options{Mode: 0o622})
	shut := testQueue(t, mq.Options{Mode: 0o600})
	for _, tt := range []struct {
		queue *mq.SysV
		args  []string
		code  int
		text  string // somewhere in the output
	}{
		{open, []string{"send", "x"}, 0, ""},
		{open, []string{"send", "a", "b"}, 0, ""},
		{open, []string{"flush"}, 0, ""}, // the runtime directory is closed to it
		{open, []string{"queue", "stat"}, 0, "0622"},
		{open, []string{"queue", "peek"}, cli.CodeNotPermitted, "permission denied"},
		{open, []string{"queue", "rm"}, cli.CodeNotPermitted, "not permitted"},
		{shut, []string{"send", "x"}, cli.CodeNotPermitted, "hint: sending needs write permission"},
		{shut, []string{"send", "a", "b"}, cli.CodeNotPermitted, "permission denied"},
		{shut, []string{"queue", "stat"}, 0, "0600"},
		{shut, []string{"queue", "peek"}, cli.CodeNotPermitted, "permission denied"},
		{shut, []string{"queue", "rm"}, cli.CodeNotPermitted, "not permitted"},
	} {
		got := runAs(t, www, append(tt.args, "--queue", tt.queue.Addr().String(), "--runtime", t.TempDir())...)
		if got.code != tt.code || !strings.Contains(got.stdout+got.stderr, tt.text) {
			t.Errorf("%v on mode %v: got %+v, want code %d and %q", tt.args, tt.queue.Addr(), got, tt.code, tt.text)
		}
	}
	if st, err := open.Stat(); err != nil || st.Messages != 3 { // x, a and b in one, the flush
		t.Errorf("%d messages on the open queue, %v; want 3", st.Messages, err)
	}
	if st, err := shut.Stat(); err != nil || st.Messages != 0 {
		t.Errorf("%d messages on the shut queue, %v; want 0", st.Messages, err)
	}
}

// Somebody who may not go above kernel.msgmnb is told both sizes.
func TestOtherUserCapacity(t *testing.T) {
	testkit.NeedRoot(t)
	limits, err := mq.SystemLimits()
	if err != nil {
		t.Fatal(err)
	}
	addr := mq.SysVAddr(freshKey(t.Cleanup))
	got := runAs(t, 33, "queue", "create", addr.String(), "--bytes", strconv.FormatInt(limits.MsgMnb+1, 10))
	want := fmt.Sprintf("mqctl: %v holds %d bytes, not the %d of --bytes: more than kernel.msgmnb needs CAP_SYS_RESOURCE\n"+
		"hint: sysctl -w kernel.msgmnb=%[3]d, then mqctl queue rm %[1]v, and create it again\n", addr, limits.MsgMnb, limits.MsgMnb+1)
	if got.code != 0 || got.stderr != want {
		t.Errorf("got %+v, want %s", got, want)
	}
}

// A user whom the socket does not let flush gets there over the queue.
func TestOtherUserFlush(t *testing.T) {
	testkit.NeedRoot(t)
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} { // other users must get to the socket
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d := &fileDaemon{}
	socket := filepath.Join(dir, "mqd.sock")
	server := control.New(control.Config{Path: socket, Daemon: d})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- server.Run(ctx) }()
	<-server.Ready()
	q := testQueue(t, mq.Options{Mode: 0o622})

	got := runAs(t, 33, "flush", "--socket", socket, "--runtime", dir, "--queue", q.Addr().String())
	if got != (result{}) {
		t.Errorf("got %+v", got)
	}
	if m, err := q.TryReceive(make([]byte, 10)); err != nil || m.Type != 2 || len(m.Body) != 0 || len(d.flushed()) != 0 {
		t.Errorf("queue has %+v, %v, the socket got %q; want the wish on the queue alone", m, err, d.flushed())
	}
	shut := testQueue(t, mq.Options{Mode: 0o600})
	got = runAs(t, 33, "flush", "--socket", socket, "--runtime", dir, "--queue", shut.Addr().String())
	want := "mqctl: flush: only root, the user of mqd and those who may send to the queue can ask for it\nhint: mqctl queue stat "
	if got.code != cli.CodeNotPermitted || !strings.HasPrefix(got.stderr, want) || strings.Count(got.stderr, "\n") != 2 {
		t.Errorf("with no way open: got %+v", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
