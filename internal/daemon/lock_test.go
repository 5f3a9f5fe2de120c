package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/internal/testkit"
	"github.com/mqdaemon/mqd/mq"
)

func TestStateLockNamesItsHolder(t *testing.T) {
	dir := t.TempDir()
	f, err := lockState(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = lockState(dir)
	want := fmt.Sprintf("state directory %s: in use by another mqd, pid %d", dir, os.Getpid())
	if !errors.Is(err, ErrInUse) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if st, err := os.Stat(filepath.Join(dir, lockName)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("anybody who can read the lock file can take the lock: %v, %v", st.Mode(), err)
	}
}

// lockPath is where the lock of a queue lies.
func lockPath(t *testing.T, addr mq.Addr) string {
	t.Helper()
	f, err := lockQueue(addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockQueue(addr); !errors.Is(err, ErrInUse) {
		t.Errorf("a second daemon on queue %s: %v", addr, err)
	}
	if err := unlockQueue(f); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func TestQueueLockOfOthers(t *testing.T) {
	testkit.NeedRoot(t)
	_, cfg := realQueue(t)
	path := lockPath(t, cfg.Queue)
	for name, squat := range map[string]func() error{
		"a locked file": func() error {
			f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
			t.Cleanup(func() { f.Close() })
			return errors.Join(err, f.Chown(33, 33), unix.Flock(int(f.Fd()), unix.LOCK_EX))
		},
		"a directory": func() error {
			return errors.Join(os.Mkdir(path, 0o755), os.Mkdir(filepath.Join(path, "x"), 0o755), os.Chown(path, 33, 33))
		},
		"a FIFO":          func() error { return unix.Mkfifo(path, 0o666) },
		"a symbolic link": func() error { return os.Symlink("/etc/passwd", path) },
	} {
		if err := squat(); err != nil {
			t.Fatal(err)
		}
		f, err := lockQueue(cfg.Queue)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := unlockQueue(f); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMakeDir(t *testing.T) {
	base := t.TempDir()
	mode := func(dir string) os.FileMode {
		st, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		return st.Mode() & (os.ModePerm | os.ModeSticky)
	}
	fresh := filepath.Join(base, "a", "fresh")
	if err := makeDir(fresh, stateMode); err != nil || mode(fresh) != stateMode {
		t.Errorf("a new directory: %v, mode %v", err, mode(fresh))
	}
	// Like /tmp: full of what is not ours. Its mode must not be touched.
	shared := filepath.Join(base, "shared")
	if err := errors.Join(os.Mkdir(shared, 0o755), os.Chmod(shared, 0o777|os.ModeSticky),
		os.WriteFile(filepath.Join(shared, "theirs"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := makeDir(shared, runtimeMode); err == nil || mode(shared) != 0o777|os.ModeSticky {
		t.Errorf("a shared directory: %v, mode %v", err, mode(shared))
	}
	// Somebody else's spool in a directory that is taken for the state.
	if err := errors.Join(os.Mkdir(filepath.Join(base, "spool"), 0o755), os.Chmod(filepath.Join(base, "spool"), 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := makeSpool(filepath.Join(base, "spool")); err == nil || mode(filepath.Join(base, "spool")) != 0o755 {
		t.Errorf("the spool of somebody else: %v", err)
	}
	if os.Geteuid() != 0 {
		return
	}
	// A name of ours that somebody else put there makes nothing ours.
	marked := filepath.Join(base, "marked")
	if err := errors.Join(os.Mkdir(marked, 0o755), os.WriteFile(filepath.Join(marked, lockName), nil, 0o600),
		os.Chown(filepath.Join(marked, lockName), 33, 33), os.Chmod(marked, 0o777)); err != nil {
		t.Fatal(err)
	}
	if err := makeDir(marked, runtimeMode); err == nil || mode(marked) != 0o777 {
		t.Errorf("a directory marked by another user: %v, mode %v", err, mode(marked))
	}
	theirs := filepath.Join(base, "theirs")
	if err := errors.Join(os.Mkdir(theirs, 0o755), os.Chown(theirs, 33, 33)); err != nil {
		t.Fatal(err)
	}
	if err := makeDir(theirs, runtimeMode); err == nil {
		t.Error("a directory of another user is taken")
	}
	link := filepath.Join(base, "link")
	if err := errors.Join(os.Symlink(fresh, link), os.Lchown(link, 33, 33)); err != nil {
		t.Fatal(err)
	}
	if err := makeDir(link, runtimeMode); err == nil {
		t.Error("a link of another user is followed")
	}
}
