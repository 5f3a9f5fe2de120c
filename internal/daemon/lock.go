package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/mq"
)

// ErrInUse is returned by [New] when another daemon holds the state directory
// or a queue.
var ErrInUse = errors.New("in use by another mqd")

// lockState takes the state directory for this process. The kernel frees the
// lock when the process ends, however it ends; the file's content only tells a
// person who holds it. The mode keeps others from taking it: flock(2) wants no
// more than a descriptor to read.
func lockState(state string) (*os.File, error) {
	path := filepath.Join(state, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the state directory: %w", err)
	}
	if err := lockFile(f); err != nil {
		if !errors.Is(err, ErrInUse) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		return nil, errors.Join(fmt.Errorf("state directory %s is %w, %s", state, err, holder(f)), f.Close())
	}
	return f, sign(f)
}

// lockQueue takes a queue of this IPC namespace for this process, so that two
// daemons with different state directories cannot drain one queue.
//
// The lock file lies in /dev/shm, where anybody can make names: a file that
// belongs to neither root nor this user locks nothing and is replaced where that
// is allowed.
func lockQueue(addr mq.Addr) (*os.File, error) {
	var ns unix.Stat_t
	if err := unix.Stat("/proc/self/ns/ipc", &ns); err != nil {
		return nil, &os.PathError{Op: "stat", Path: "/proc/self/ns/ipc", Err: err}
	}
	name := strings.ReplaceAll(strings.ReplaceAll(addr.String(), "/", "%"), ":", "-")
	path := fmt.Sprintf("/dev/shm/mqd-%d-%s.lock", ns.Ino, name)
	for range 3 {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil && errors.Is(err, os.ErrPermission) {
			// protected_regular, see proc_sys_fs(5), or another user's daemon.
			var st unix.Stat_t
			if unix.Lstat(path, &st) == nil && os.Geteuid() == 0 && st.Uid != 0 {
				if err := os.Remove(path); err != nil {
					return nil, err
				}
				continue
			}
			return nil, fmt.Errorf("queue %s: the lock %s belongs to uid %d: %w", addr, path, st.Uid, ErrInUse)
		}
		if err != nil {
			return nil, fmt.Errorf("lock queue %s: %w", addr, err)
		}
		if err := lockFile(f); err != nil {
			return nil, errors.Join(fmt.Errorf("queue %s is %w, %s (lock %s)", addr, err, holder(f), path), f.Close())
		}
		if sameFile(f, path) {
			return f, sign(f)
		}
		// Its holder removed it between open and lock.
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("lock queue %s: %s changes all the time: %w", addr, path, ErrInUse)
}

// unlockQueue gives the queue back. The name goes first, while the lock is held.
func unlockQueue(f *os.File) error { return errors.Join(os.Remove(f.Name()), f.Close()) }

func sameFile(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Lstat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

// lockFile takes a lock with flock(2), which belongs to the open file and not to
// the process, and which /proc/locks shows with our pid: package client looks
// there whether the process of a pid file is a daemon.
func lockFile(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrInUse
		default:
			return err
		}
	}
}

// holder says who wrote the lock file.
func holder(f *os.File) string {
	var b [64]byte
	n, _ := f.ReadAt(b[:], 0)
	pid := strings.TrimSpace(string(b[:n]))
	if pid == "" {
		return "which has not said its pid yet"
	}
	return "pid " + pid
}

func sign(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}
