package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/internal/testkit"
)

// survives sends to a daemon that cannot deliver, kills it, and expects the next
// one to find what had landed. r is closed before and open afterwards.
func survives(t *testing.T, r *receiver, d *daemon) {
	t.Helper()
	d.start()
	d.send(1, "landed")
	eventually(t, 5*time.Second, "landed", func() bool { return d.route("").Pending == 1 })
	d.kill()
	r.open()
	d.start()
	r.wait(1, 5*time.Second)
	if got := strings.Join(r.bodies(), " "); got != "landed" {
		t.Errorf("got %q", got)
	}
}

// TestLandingOnTmpfs has the runtime directory on a tmpfs, as systemd gives it:
// the landing lies there.
func TestLandingOnTmpfs(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.close()
	d := newDaemon(t, route{name: "default", to: r.url(), more: `format = "lines"`})
	var err error
	if d.runtime, err = os.MkdirTemp("/dev/shm", "mqd-e2e-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(d.runtime) })
	survives(t, r, d)
	if slabs, _ := filepath.Glob(filepath.Join(d.runtime, "landing", "default", "*.slab")); len(slabs) == 0 {
		t.Error("no slab in the runtime directory")
	}
	if _, err := os.Stat(landingDir(d.state, 0)); err == nil {
		t.Error("a landing in /dev/shm, though the runtime directory is a tmpfs")
	}
}

// TestLandingSquatted has somebody else on the landing's usual name in /dev/shm,
// open to everybody: the daemon takes another one and finds it again.
func TestLandingSquatted(t *testing.T) {
	testkit.NeedRoot(t)
	t.Parallel()
	r := newReceiver(t)
	r.close()
	d := newDaemon(t, route{name: "default", to: r.url(), more: `format = "lines"`})
	squatted := landingDir(d.state, 0)
	for _, err := range []error{os.Mkdir(squatted, 0o777), os.Chmod(squatted, 0o777), os.Chown(squatted, wwwData, wwwData)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		others, _ := filepath.Glob(squatted + "*")
		for _, dir := range others {
			os.RemoveAll(dir)
		}
	})
	survives(t, r, d)
	if inside, err := os.ReadDir(squatted); err != nil || len(inside) != 0 {
		t.Errorf("the daemon used the directory of another user: %v, %v", inside, err)
	}
}

// TestNoLockedMemory runs where nothing may be locked in memory. Status says so,
// and a kill loses nothing all the same.
func TestNoLockedMemory(t *testing.T) {
	testkit.NeedRoot(t)
	t.Parallel()
	r := newReceiver(t)
	r.close()
	d := newDaemon(t, route{name: "default", to: r.url(), more: `format = "lines"`})
	d.uid = wwwData
	d.wrap = []string{testkit.Need(t, "prlimit"), "--memlock=0:0", "--"}
	survives(t, r, d)
	if landing := d.route("").Landing; landing != "unlocked" && landing != "peek" {
		t.Errorf("landing %q", landing)
	}
}

// TestOrdinaryUser is a user who gives no directories: daemon and mqctl find each
// other by that user's defaults.
func TestOrdinaryUser(t *testing.T) {
	testkit.NeedRoot(t)
	t.Parallel()
	r := newReceiver(t)
	d := newDaemon(t, route{name: "default"}) // for its queue and directories
	home, runtime := filepath.Join(d.dir, "home"), filepath.Join(d.dir, "user")
	for _, dir := range []string{home, runtime} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, wwwData, wwwData); err != nil {
			t.Fatal(err)
		}
	}
	d.uid, d.state, d.runtime = wwwData, filepath.Join(home, ".local/state/mqd"), filepath.Join(runtime, "mqd")
	env := []string{"HOME=" + home, "XDG_RUNTIME_DIR=" + runtime, "PATH=" + os.Getenv("PATH")}
	as := func(path string, args ...string) *exec.Cmd {
		cmd := exec.Command(path, args...)
		cmd.Env = env
		asUser(cmd, wwwData)
		return cmd
	}
	background(t, as(built.mqd, "--queue", d.routes[0].queue, "--to", r.url(), "--format", "lines"))
	eventually(t, startTime, "pid file", func() bool { _, err := os.Stat(filepath.Join(d.runtime, "mqd.pid")); return err == nil })
	eventually(t, 5*time.Second, "queue", func() bool { return queueID(t, d.key()) != "" })
	if owner := ipcs(t, d.key()); owner != "uid=33 mode=620" {
		t.Errorf("the queue: %s", owner)
	}
	mustRun(t, as(built.mqctl, "send", "found it"))
	r.wait(1, 5*time.Second)
	if out := mustRun(t, as(built.mqctl, "status")); !strings.Contains(out, "default") {
		t.Errorf("mqctl status: %s", out)
	}
	mustRun(t, as(built.mqctl, "flush"))
	for path, want := range map[string]os.FileMode{d.state: 0o711, filepath.Join(d.state, "spool"): 0o700, filepath.Join(d.state, "routes.json"): 0o644, filepath.Join(d.runtime, "routes.json"): 0o644} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want mode %o", path, fmt.Sprint(info), err, want)
		}
	}
}
