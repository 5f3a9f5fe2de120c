package mq_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/internal/testkit"
	"github.com/mqdaemon/mqd/mq"
)

// The test binary plays other processes too: a role is what it does instead of
// running tests.
const (
	roleVar   = "MQ_TEST_ROLE"
	insideVar = "MQ_TEST_INSIDE"
)

// raceEnv keeps the race detector from sleeping for a second at the end of each
// process.
const raceEnv = "GORACE=atexit_sleep_ms=0"

var roles = map[string]func(args []string){
	"waiter": waiterRole,
	"client": clientRole,
	"denied": deniedRole,
}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		roles[role](os.Args[1:])
		return
	}
	os.Exit(m.Run())
}

// roleCommand is this binary in a role.
func roleCommand(role string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), roleVar+"="+role, raceEnv)
	cmd.Stderr = os.Stderr
	return cmd
}

// inNamespace runs the calling test again in new namespaces, and reports true in
// the process where the body is to run. Needs root.
func inNamespace(t *testing.T, flags uintptr) bool {
	t.Helper()
	if os.Getenv(insideVar) != "" {
		return true
	}
	testkit.NeedRoot(t)
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), insideVar+"=1", raceEnv)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		testkit.Skip(t, "may not make namespaces")
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("inside the namespace: %v\n%s", err, out)
	}
	return false
}

// dropResource takes CAP_SYS_RESOURCE, which lifts limits, from the test's thread
// until its end.
func dropResource(t *testing.T) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var before [2]unix.CapUserData
	runtime.LockOSThread()
	if err := unix.Capget(&header, &before[0]); err != nil {
		t.Fatal(err)
	}
	without := before
	without[0].Effective &^= 1 << unix.CAP_SYS_RESOURCE
	if err := unix.Capset(&header, &without[0]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Capset(&header, &before[0]); err != nil {
			t.Error(err)
		}
		runtime.UnlockOSThread()
	})
}

// testTimeout ends a test that would hang.
const testTimeout = 30 * time.Second

func timeout(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// private makes a System V queue that only this handle can name.
func private(t testing.TB, opts ...mq.Options) *mq.SysV {
	t.Helper()
	o := mq.Options{Mode: 0o600}
	if len(opts) > 0 {
		o = opts[0]
	}
	o.Create = true
	q, err := mq.OpenSysV(0, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeSysV(q) })
	return q
}

// keyed makes a System V queue under a random key.
func keyed(t testing.TB, opts mq.Options) *mq.SysV {
	t.Helper()
	opts.Create, opts.Exclusive = true, true
	for range 100 {
		q, err := mq.OpenSysV(randomKey(), &opts)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { removeSysV(q) })
		return q
	}
	t.Fatal("no free key")
	return nil
}

// removeSysV removes a queue by its id, also when the handle was closed.
func removeSysV(q *mq.SysV) { mq.RemoveID(q.ID()) }

func randomKey() mq.Key { return mq.Key(1 + rand.Int32N(1<<31-1)) }

// named makes a small POSIX queue, for a user has room for nine of default size.
func named(t testing.TB, opts ...mq.Options) *mq.POSIX {
	t.Helper()
	o := mq.Options{Mode: 0o600, MaxMessages: 4, MaxMessageSize: 64}
	if len(opts) > 0 {
		o = opts[0]
	}
	o.Create, o.Exclusive = true, true
	name := queueName()
	needPOSIX(t)
	q, err := mq.OpenPOSIX(name, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		q.Close()
		_ = mq.Remove(mq.POSIXAddr(name))
	})
	return q
}

// needPOSIX skips where the kernel has no POSIX queues.
func needPOSIX(t testing.TB) {
	t.Helper()
	if _, err := mq.OpenPOSIX("/mq-test-absent", nil); errors.Is(err, errors.ErrUnsupported) {
		testkit.Skip(t, "the kernel has no POSIX queues")
	}
}

func queueName() string { return fmt.Sprintf("/mq-test-%d-%x", os.Getpid(), rand.Uint64()) }

// both runs a test on a queue of each kind that holds few messages: 4 of 64
// bytes.
func both(t *testing.T, test func(t *testing.T, q mq.Queue)) {
	t.Run("sysv", func(t *testing.T) { test(t, private(t, mq.Options{Mode: 0o600, MaxBytes: 4 * 64})) })
	t.Run("posix", func(t *testing.T) { test(t, named(t)) })
}

func send(t testing.TB, q mq.Queue, mtype int64, body string) {
	t.Helper()
	if err := q.TrySend(mq.Message{Type: mtype, Body: []byte(body)}); err != nil {
		t.Fatalf("send %d %q: %v", mtype, body, err)
	}
}

func receive(t testing.TB, q mq.Queue) mq.Message {
	t.Helper()
	m, err := q.TryReceive(make([]byte, 8192))
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	return m
}

// wantErr asserts that err is all of targets.
func wantErr(t testing.TB, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("error is %v, want it to be %v", err, target)
		}
	}
}

// wantLimit asserts that err names a limit with its values.
func wantLimit(t testing.TB, err error, limit string, have, most int64) {
	t.Helper()
	var e *mq.LimitError
	if !errors.As(err, &e) {
		t.Errorf("error is %v, want a LimitError", err)
		return
	}
	if e.Limit != limit || e.Have != have || e.Max != most {
		t.Errorf("LimitError{%s, %d, %d}, want {%s, %d, %d}", e.Limit, e.Have, e.Max, limit, have, most)
	}
}

func stat(t testing.TB, q mq.Queue) mq.Stat {
	t.Helper()
	st, err := q.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// eventually waits until cond holds; it fails the test rather than hang.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); !cond(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for: %s", testTimeout, what)
		}
	}
}

// inMsgrcv gives the threads of a process that are in msgrcv(2) now.
func inMsgrcv(t testing.TB, pid int) []int {
	t.Helper()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	var tids []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil { // The thread is gone.
			continue
		}
		number, _, _ := strings.Cut(string(text), " ")
		if number == strconv.Itoa(syscall.SYS_MSGRCV) {
			tid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				t.Fatal(err)
			}
			tids = append(tids, tid)
		}
	}
	return tids
}
