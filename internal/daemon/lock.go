package daemon

import (
	"cmp"
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

// lockName is the lock file in the state directory.
const lockName = "lock"

// lockState takes the state directory for this process. The kernel frees the
// lock when the process ends, however it ends; the file's content only tells a
// person who holds it. The mode keeps others from taking it: flock(2) wants no
// more than a descriptor to read.
func lockState(state string) (*os.File, error) {
	path := filepath.Join(state, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the state directory: %w", err)
	}
	if err := takeLock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("state directory %s: %w", state, err), f.Close())
	}
	return f, nil
}

// lockQueue takes a queue of this IPC namespace for this process, so that two
// daemons of one user with different state directories do not share a queue. (Of
// two users only one owns it.)
//
// The lock file lies in /dev/shm, where anybody can make names. One that is not a
// file of this user locks nothing: root removes it, for another user the lock is
// nil and the error says why. Two daemons on one queue lose nothing, so that is no
// reason not to start.
func lockQueue(addr mq.Addr) (*os.File, error) {
	var ns unix.Stat_t
	if err := unix.Stat("/proc/self/ns/ipc", &ns); err != nil {
		return nil, &os.PathError{Op: "stat", Path: "/proc/self/ns/ipc", Err: err}
	}
	name := strings.ReplaceAll(strings.ReplaceAll(addr.String(), "/", "%"), ":", "-")
	path := fmt.Sprintf("/dev/shm/mqd-%d-%d-%s.lock", os.Geteuid(), ns.Ino, name)
	var err error
	for range 3 {
		var f *os.File
		if f, err = openOwn(path); err != nil {
			if os.Geteuid() == 0 && os.RemoveAll(path) == nil {
				continue
			}
			break
		}
		if err := takeLock(f); err != nil {
			return nil, errors.Join(fmt.Errorf("queue %s: %w (lock %s)", addr, err, path), f.Close())
		}
		if sameFile(f, path) {
			return f, nil
		}
		// Its holder removed it between open and lock.
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("queue %s: %w: %w", addr, errNoLock, cmp.Or(err, fmt.Errorf("%s changes all the time", path)))
}

// errNoLock is in the error of lockQueue if there is no lock to be had.
var errNoLock = errors.New("not locked against a second daemon")

// openOwn opens or makes a file that is one's own and nothing but a file. It does
// not wait for the other end of a FIFO.
func openOwn(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != os.Geteuid() {
		return nil, errors.Join(fmt.Errorf("%s is not a file of uid %d but belongs to uid %d", path, os.Geteuid(), st.Uid), f.Close())
	}
	return f, nil
}

// takeLock locks f and writes our pid into it, or says who holds it.
func takeLock(f *os.File) error {
	if err := lockFile(f); errors.Is(err, ErrInUse) {
		return fmt.Errorf("%w, %s", err, holder(f))
	} else if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

// unlockQueue gives the queue back. The name goes first, while the lock is held,
// and only if it is still that of our lock.
func unlockQueue(f *os.File) error {
	if f == nil {
		return nil
	}
	if !sameFile(f, f.Name()) {
		return f.Close()
	}
	return errors.Join(os.Remove(f.Name()), f.Close())
}

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
