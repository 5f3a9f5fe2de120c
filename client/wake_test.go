package client

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/internal/testkit"
	"github.com/mqdaemon/mqd/mq"
)

// writePid makes dir with a pid file in it.
func writePid(t testing.TB, dir, text string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, pidName), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// lockState makes dir with a lock held in it until the test ends.
func lockState(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, lockName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Fatal(err)
	}
}

// listenAt listens on the socket of a runtime directory until the test ends.
func listenAt(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, socketName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

// TestWake lets this process be the daemon, in each of the ways in which it can
// show that it is.
func TestWake(t *testing.T) {
	self := fmt.Sprintf("%d\n", os.Getpid())
	var addr mq.Addr
	for _, tc := range []struct {
		name   string
		signal bool // SIGUSR1 is wanted; else the doorbell
		setup  func(t *testing.T, c *Client, run, lib string)
	}{
		{"pid file and lock", true, func(t *testing.T, c *Client, run, lib string) {
			writePid(t, run, self)
			lockState(t, lib)
			writeRoutes(t, run, "default", addr)
		}},
		{"pid file and socket", true, func(t *testing.T, c *Client, run, lib string) {
			writePid(t, run, self)
			listenAt(t, run)
			writeRoutes(t, run, "default", addr)
		}},
		{"named runtime directory without routes", true, func(t *testing.T, c *Client, run, lib string) {
			writePid(t, run, self)
			listenAt(t, run)
			c.Runtime = run
		}},
		{"named state directory", true, func(t *testing.T, c *Client, _, lib string) {
			c.State = filepath.Join(lib, "other")
			own := c.finder.runtimeDir()
			writePid(t, own, self)
			lockState(t, c.State)
			writeRoutes(t, own, "default", addr)
		}},
		{"nothing there", false, func(*testing.T, *Client, string, string) {}},
		{"pid file alone", false, func(t *testing.T, c *Client, run, lib string) {
			writePid(t, run, self)
			writeRoutes(t, run, "default", addr)
		}},
		{"lock not held", false, func(t *testing.T, c *Client, run, lib string) {
			writePid(t, run, self)
			writeRoutes(t, run, "default", addr)
			if err := os.MkdirAll(lib, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(lib, lockName), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}},
		{"daemon of another queue", false, func(t *testing.T, c *Client, run, lib string) {
			writePid(t, run, self)
			lockState(t, lib)
			writeRoutes(t, run, "default", mq.SysVAddr(1))
		}},
		{"pid file that others may write", false, func(t *testing.T, c *Client, run, lib string) {
			writePid(t, run, self)
			lockState(t, lib)
			writeRoutes(t, run, "default", addr)
			if err := os.Chmod(filepath.Join(run, pidName), 0o666); err != nil {
				t.Fatal(err)
			}
		}},
		{"no number", false, func(t *testing.T, c *Client, run, lib string) {
			writePid(t, run, "mqd\n")
			lockState(t, lib)
			writeRoutes(t, run, "default", addr)
		}},
		{"process group", false, func(t *testing.T, c *Client, run, lib string) {
			writePid(t, run, "-1\n")
			lockState(t, lib)
			writeRoutes(t, run, "default", addr)
		}},
		{"dead process", false, func(t *testing.T, c *Client, run, lib string) {
			cmd := exec.Command("true")
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			writePid(t, run, strconv.Itoa(cmd.Process.Pid)+"\n")
			lockState(t, lib)
			writeRoutes(t, run, "default", addr)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			signals := make(chan os.Signal, 8)
			signal.Notify(signals, unix.SIGUSR1)
			defer signal.Stop(signals)
			var q *mq.SysV
			addr, q = testQueue(t)
			f, _, _ := testFinder(t)
			c := &Client{Queue: addr, finder: ordinary(f)}
			tc.setup(t, c, f.system.runtime, f.system.state)
			if err := c.Wake(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !tc.signal {
				wantDoorbell(t, q)
			}
			if tc.signal {
				wantEmpty(t, q)
				select {
				case <-signals:
				case <-time.After(10 * time.Second):
					t.Error("no SIGUSR1")
				}
			}
			// One more, to see that no other one came before it.
			if err := unix.Kill(os.Getpid(), unix.SIGUSR1); err != nil {
				t.Fatal(err)
			}
			<-signals
			if extra := len(signals); extra != 0 {
				t.Errorf("%d signals too many", extra)
			}
		})
	}
}

// TestWakeLeavesStrangers: a process that got the number of a dead daemon is not
// signalled, which it would not survive.
func TestWakeLeavesStrangers(t *testing.T) {
	stranger := exec.Command(testkit.Need(t, "sleep"), "60")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = stranger.Process.Kill()
		_ = stranger.Wait()
	}()
	addr, q := testQueue(t)
	f, _, _ := testFinder(t)
	c := &Client{Queue: addr, finder: ordinary(f)}
	writeRoutes(t, f.system.runtime, "default", addr)
	writePid(t, f.system.runtime, strconv.Itoa(stranger.Process.Pid)+"\n")
	lockState(t, f.system.state) // by this process, which has another number
	listenAt(t, f.system.runtime)
	if err := c.Wake(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantDoorbell(t, q)
	// SIGUSR1, sent before, would end it before this signal does.
	if err := stranger.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = stranger.Wait()
	if got := stranger.ProcessState.Sys().(syscall.WaitStatus).Signal(); got != unix.SIGKILL {
		t.Errorf("the stranger died of %v, want SIGKILL", got)
	}
}

func TestWakePOSIX(t *testing.T) {
	addr, q := testPOSIX(t)
	f, _, _ := testFinder(t)
	c := &Client{Queue: addr, finder: ordinary(f)}
	if err := c.Wake(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantDoorbell(t, q)
}

// TestDoorbellIsNoMessage: no message of ours can be taken for a doorbell, even
// an empty one of type 2.
func TestDoorbellIsNoMessage(t *testing.T) {
	addr, q := testQueue(t)
	c := &Client{Queue: addr}
	if err := c.Send(t.Context(), Message{Type: doorbellFlush}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, errno := q.TryReceiveRaw(buf)
	if errno != 0 || n == 0 || binary.NativeEndian.Uint64(buf) != doorbellFlush {
		t.Errorf("%d bytes, %v", n, errno)
	}
}

func TestLockedBy(t *testing.T) {
	const locks = `1: POSIX  ADVISORY  WRITE 100 00:18:11 0 EOF
2: FLOCK  ADVISORY  WRITE 100 fe:00:12 0 EOF
3: FLOCK  ADVISORY  WRITE 200 fe:00:13 0 EOF
3: -> FLOCK  ADVISORY  WRITE 300 fe:00:13 0 EOF
4: OFDLCK ADVISORY  READ -1 fe:00:14 0 EOF
5: FLOCK
`
	for _, tc := range []struct {
		pid   int
		inode uint64
		want  bool
	}{
		{100, 12, true}, {200, 13, true},
		{100, 11, false}, // another kind of lock
		{100, 2, false},  // the end of a number is not the number
		{100, 13, false}, {10, 12, false},
		{300, 13, false}, // waits for it
		{-1, 14, false},
	} {
		if got := lockedBy(locks, tc.pid, tc.inode); got != tc.want {
			t.Errorf("lockedBy(%d, %d) = %v, want %v", tc.pid, tc.inode, got, tc.want)
		}
	}
}

// TestSignal: a signal or an error that says why not, and never a doorbell.
func TestSignal(t *testing.T) {
	self := fmt.Sprintf("%d\n", os.Getpid())
	for _, tc := range []struct {
		name  string
		want  error
		setup func(t *testing.T, c *Client, addr mq.Addr, run, lib string)
	}{
		{"runs", nil, func(t *testing.T, _ *Client, addr mq.Addr, run, lib string) {
			writePid(t, run, self)
			lockState(t, lib)
			writeRoutes(t, run, "default", addr)
		}},
		{"ran", ErrNotRunning, func(t *testing.T, _ *Client, addr mq.Addr, run, _ string) {
			writeRoutes(t, run, "default", addr)
		}},
		{"named runtime directory", ErrNotRunning, func(_ *testing.T, c *Client, _ mq.Addr, run, _ string) { c.Runtime = run }},
		{"named socket", ErrNotRunning, func(_ *testing.T, c *Client, _ mq.Addr, run, _ string) { c.Socket = run }},
		{"only the queue", fs.ErrNotExist, func(*testing.T, *Client, mq.Addr, string, string) {}},
		{"daemon of another queue", fs.ErrNotExist, func(t *testing.T, _ *Client, _ mq.Addr, run, _ string) {
			writeRoutes(t, run, "default", mq.SysVAddr(1))
		}},
		{"nothing", ErrNotRunning, func(_ *testing.T, c *Client, _ mq.Addr, _, _ string) { c.Queue = mq.Addr{} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			signals := make(chan os.Signal, 1)
			signal.Notify(signals, unix.SIGUSR1)
			defer signal.Stop(signals)
			addr, q := testQueue(t)
			f, _, _ := testFinder(t)
			c := &Client{Queue: addr, finder: ordinary(f)}
			tc.setup(t, c, addr, f.system.runtime, f.system.state)
			err := c.Signal(t.Context())
			if !errors.Is(err, tc.want) || errors.Is(err, ErrNotRunning) && errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v, want %v alone", err, tc.want)
			}
			wantEmpty(t, q)
			if tc.want == nil {
				<-signals
			}
		})
	}
}
