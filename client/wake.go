package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/mq"
)

// doorbellFlush is the mtype of a kernel message without text that means: send
// what you have now.
const doorbellFlush = 2

var errNotHolder = errors.New("its process is not the daemon")

// Wake makes the daemon look at every door and send what it has now, without
// waiting for it: by SIGUSR1 if that is allowed, else by a message without text
// on the queue, which needs no more than the permission to send, and waits there
// if no daemon runs. Errors are those of Send.
func (c *Client) Wake(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("wake: %w", err)
	}
	queue, _, err := c.FindQueue()
	if c.signal(ctx, queue) == nil {
		return nil
	}
	if err == nil {
		err = c.ring(ctx)
	}
	if err != nil {
		return fmt.Errorf("wake: %w", err)
	}
	return nil
}

// Signal is the first half of [Client.Wake]: SIGUSR1 or nothing, so that no doorbell
// is left behind for a daemon that does not run. Errors: [ErrNotRunning];
// [fs.ErrPermission] if the daemon runs as another user; [fs.ErrNotExist] if nothing
// says which daemon has the queue, so that only Wake can reach it.
func (c *Client) Signal(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("signal: %w", err)
	}
	queue, _, findErr := c.FindQueue()
	err := c.signal(ctx, queue)
	if errors.Is(err, fs.ErrNotExist) && findErr != nil {
		err = findErr
	}
	if err != nil {
		return fmt.Errorf("signal: %w", err)
	}
	return nil
}

// ring puts the doorbell on the queue.
func (c *Client) ring(ctx context.Context) error {
	f := c.frame()
	defer c.keep(f)
	f.reset(doorbellFlush, 0)
	return c.put(ctx, f, true)
}

// signal sends SIGUSR1 to the daemon of the queue.
func (c *Client) signal(ctx context.Context, queue mq.Addr) error {
	f := c.find()
	named := place{runtime: f.firstOf(c.Runtime, envRuntime), state: f.firstOf(c.State, envState)}
	known := named != place{} || f.firstOf(c.Socket, envSocket) != ""
	var tried []string
	for _, p := range f.daemons(named) {
		// A runtime directory that was named needs no routes file to be the right one.
		if named.runtime == "" && !f.serves(p.runtime, queue) {
			continue
		}
		err := c.signalDaemon(ctx, f, p)
		if err == nil || errors.Is(err, unix.EPERM) { // that of the signal: it runs
			return err
		}
		known = true
		tried = append(tried, reason(err))
	}
	if !known {
		return fmt.Errorf("the daemon of %v: %w", queue, fs.ErrNotExist)
	}
	return fmt.Errorf("%w (tried %s)", ErrNotRunning, strings.Join(tried, "; "))
}

// signalDaemon sends SIGUSR1 to the process of the pid file, if that process is
// the daemon. A pid file outlives its process, and the number may belong to
// another one by now, for which SIGUSR1 is death. So: hold on to the process
// (pidfd_open(2)), then make sure that a daemon has this number now. If it has,
// either the held process is the daemon, or it is dead and the signal goes
// nowhere.
func (c *Client) signalDaemon(ctx context.Context, f *finder, p place) error {
	path := filepath.Join(p.runtime, pidName)
	text, err := f.readTrusted(p.runtime, pidName, 32)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSuffix(string(text), "\n"))
	if err != nil || pid < 1 {
		return fmt.Errorf("%s: %q is not a process id", path, text)
	}
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("%s: process %d: %w", path, pid, err)
	}
	defer unix.Close(process)
	if !holdsLock(pid, p.state) && !c.listens(ctx, pid, filepath.Join(p.runtime, socketName)) {
		return fmt.Errorf("%s: %d: %w", path, pid, errNotHolder)
	}
	if err := unix.PidfdSendSignal(process, unix.SIGUSR1, nil, 0); err != nil {
		return fmt.Errorf("%s: process %d: %w", path, pid, err)
	}
	return nil
}

// holdsLock reports whether a process has the lock of a state directory. It is
// read in /proc/locks (proc_locks(5)): trying to take the lock would stop a
// daemon that starts at that moment. Lines look like
//
//	1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF
//
// The device is not compared, as some file systems show another one there than
// in stat(2); a process that locks a file of the same number is ours.
func holdsLock(pid int, state string) bool {
	if state == "" {
		return false
	}
	var st unix.Stat_t
	if unix.Stat(filepath.Join(state, lockName), &st) != nil {
		return false
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return false
	}
	return lockedBy(string(locks), pid, st.Ino)
}

// lockedBy looks for a lock of a process on an inode in the text of /proc/locks.
func lockedBy(locks string, pid int, inode uint64) bool {
	holder, file := strconv.Itoa(pid), ":"+strconv.FormatUint(inode, 10)
	for line := range strings.Lines(locks) {
		// A process that only waits for a lock has "->" as its second field.
		fields := strings.Fields(line)
		if len(fields) >= 6 && fields[1] == "FLOCK" && fields[4] == holder && strings.HasSuffix(fields[5], file) {
			return true
		}
	}
	return false
}

// listens reports whether a process listens on the daemon's socket.
func (c *Client) listens(ctx context.Context, pid int, path string) bool {
	conn, err := c.dial(ctx, path)
	if err != nil {
		return false
	}
	defer conn.Close()
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	var peer *unix.Ucred // of the process that called listen(2)
	controlErr := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return controlErr == nil && err == nil && int(peer.Pid) == pid
}
