package mq

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// POSIX is a POSIX message queue (mq_overview(7)). Its methods may be called from
// several goroutines at once. Waiting happens on the runtime's poller and holds
// no thread.
type POSIX struct {
	addr    Addr
	msgsize int64 // mq_msgsize, fixed at creation

	file *os.File
	conn syscall.RawConn
	done chan struct{} // closed by Close

	// readers and writers hold one token each. The descriptor has one deadline
	// for reading and one for writing, so that one goroutine at a time may wait
	// in each direction; the others wait for the token, where a context reaches
	// them.
	readers, writers chan struct{}

	// mu keeps fd open during a call that does not wait. Close takes it for
	// writing.
	mu     sync.RWMutex
	fd     int
	closed bool
}

// OpenPOSIX opens the queue name, which begins with a slash, with mq_open(3). Nil
// options open an existing queue for sending and receiving.
//
// Errors: fs.ErrNotExist, fs.ErrExist with Exclusive, fs.ErrPermission, a
// [LimitError] for the limits of mq_overview(7).
func OpenPOSIX(name string, opts *Options) (*POSIX, error) {
	q, err := openPOSIX(name, opts)
	if err != nil {
		return nil, &OpError{Op: "open", Addr: POSIXAddr(name), Err: err}
	}
	return q, nil
}

func openPOSIX(name string, opts *Options) (*POSIX, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	o, err := opts.validate()
	if err != nil {
		return nil, err
	}
	fd, err := openDescriptor(name, o)
	if err != nil {
		return nil, err
	}
	attr, errno := mqGetattr(fd)
	if errno != 0 {
		_ = unix.Close(fd)
		return nil, errno
	}
	return newPOSIX(name, fd, attr)
}

// newPOSIX puts fd on the runtime's poller; it owns fd.
func newPOSIX(name string, fd int, attr mqAttr) (*POSIX, error) {
	file := os.NewFile(uintptr(fd), name)
	conn, err := file.SyscallConn()
	if err == nil {
		// Fails if the poller did not take the descriptor.
		err = file.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &POSIX{
		addr:    POSIXAddr(name),
		msgsize: attr.msgsize,
		file:    file,
		conn:    conn,
		done:    make(chan struct{}),
		readers: make(chan struct{}, 1),
		writers: make(chan struct{}, 1),
		fd:      fd,
	}, nil
}

// openDescriptor opens or makes the queue. A queue that it made gets its mode by
// fchmod(2), as mq_open(3) applies the umask.
func openDescriptor(name string, o Options) (int, error) {
	access := unix.O_RDWR
	if o.WriteOnly {
		access = unix.O_WRONLY
	}
	if !o.Create {
		fd, errno := mqOpen(name, access, 0, nil)
		return fd, orNil(errno)
	}
	attr, err := attributes(o)
	if err != nil {
		return -1, err
	}
	for {
		fd, errno := mqOpen(name, access|unix.O_CREAT|unix.O_EXCL, uint32(o.Mode.Perm()), attr)
		switch {
		case errno == 0:
			if err := unix.Fchmod(fd, uint32(o.Mode.Perm())); err != nil {
				_ = unix.Close(fd)
				return -1, err
			}
			return fd, nil
		case errno != unix.EEXIST:
			return -1, explainCreate(errno, attr)
		case o.Exclusive:
			return -1, errno
		}
		// It exists. ENOENT: somebody removed it between the two calls.
		if fd, errno = mqOpen(name, access, 0, nil); errno != unix.ENOENT {
			return fd, orNil(errno)
		}
	}
}

// attributes gives what a new queue is to be like; nil is the system's default.
func attributes(o Options) (*mqAttr, error) {
	if o.MaxMessages == 0 && o.MaxMessageSize == 0 {
		return nil, nil
	}
	attr := &mqAttr{maxmsg: o.MaxMessages, msgsize: o.MaxMessageSize}
	for _, f := range []struct {
		value *int64
		name  string
	}{
		{&attr.maxmsg, "msg_default"},
		{&attr.msgsize, "msgsize_default"},
	} {
		if *f.value != 0 {
			continue
		}
		v, err := mqueueLimit(f.name)
		if err != nil {
			return nil, err
		}
		*f.value = v
	}
	return attr, nil
}

// explainCreate finds the limit behind an errno of mq_open(3).
func explainCreate(errno syscall.Errno, attr *mqAttr) error {
	l, err := SystemLimits()
	if err != nil {
		return errno
	}
	switch {
	case errno == unix.ENOSPC:
		return &LimitError{Limit: "queues_max", Have: l.MqQueuesMax + 1, Max: l.MqQueuesMax, errno: errno}
	case errno == unix.EMFILE:
		return messageQueueMemory(errno, attr, l)
	case errno == unix.EINVAL && attr != nil && attr.maxmsg > l.MqMsgMax:
		return &LimitError{Limit: "msg_max", Have: attr.maxmsg, Max: l.MqMsgMax, errno: errno}
	case errno == unix.EINVAL && attr != nil && attr.msgsize > l.MqMsgSizeMax:
		return &LimitError{Limit: "msgsize_max", Have: attr.msgsize, Max: l.MqMsgSizeMax, errno: errno}
	}
	return errno
}

// messageQueueMemory explains EMFILE, which stands for two things: no descriptor
// left, or over RLIMIT_MSGQUEUE, which bounds the queues of a user by their
// largest possible content (getrlimit(2)). What the user's other queues hold is
// not known.
func messageQueueMemory(errno syscall.Errno, attr *mqAttr, l Limits) error {
	var files unix.Rlimit
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil || unix.Getrlimit(unix.RLIMIT_NOFILE, &files) != nil {
		return errno
	}
	if uint64(len(entries)) >= files.Cur {
		return &LimitError{Limit: "RLIMIT_NOFILE", Have: int64(len(entries)), Max: int64(files.Cur), errno: errno}
	}
	var rlimit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &rlimit); err != nil {
		return errno
	}
	maxmsg, msgsize := l.MqMsgDefault, l.MqMsgSizeDefault
	if attr != nil {
		maxmsg, msgsize = attr.maxmsg, attr.msgsize
	}
	return &LimitError{Limit: "RLIMIT_MSGQUEUE", Have: maxmsg * msgsize, Max: int64(rlimit.Cur), errno: errno}
}

// Addr is the address that was opened.
func (q *POSIX) Addr() Addr { return q.addr }

// Close ends the use of this handle. Calls that wait and all later ones return
// ErrClosed. The queue and its messages stay. Closing twice is no error.
func (q *POSIX) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	q.closed = true
	close(q.done)
	if err := q.file.Close(); err != nil {
		return q.opError("close", err)
	}
	return nil
}

// TrySendRaw sends body now with a priority of 0 to 32767. It is one system call
// and allocates nothing.
//
// It returns 0, or EAGAIN (full), EMSGSIZE (over mq_msgsize), EINVAL (priority);
// EBADF after Close and for a queue opened for reading. [POSIX.SendError]
// explains it.
func (q *POSIX) TrySendRaw(body []byte, prio uint32) syscall.Errno {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.closed {
		return unix.EBADF
	}
	return mqSend(q.fd, body, prio)
}

// TryReceiveRaw receives the oldest message of the highest priority now; prio may
// be nil. It is one system call and allocates nothing.
//
// It returns 0, or EAGAIN (empty), EMSGSIZE (len(buf) is below mq_msgsize); EBADF
// after Close and for a queue opened for writing. [POSIX.ReceiveError] explains
// it.
func (q *POSIX) TryReceiveRaw(buf []byte, prio *uint32) (n int, errno syscall.Errno) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.closed {
		return 0, unix.EBADF
	}
	n, errno = mqReceive(q.fd, buf, prio)
	if errno != 0 {
		return 0, errno
	}
	return n, 0
}

// TrySend sends m now. Errors: ErrFull, ErrTooLarge, both with a [LimitError];
// ErrClosed; EINVAL for a Priority above 32767.
func (q *POSIX) TrySend(m Message) error {
	return q.SendError(q.TrySendRaw(m.Body, m.Priority), len(m.Body))
}

// TryReceive receives now, see [Queue].
func (q *POSIX) TryReceive(buf []byte) (Message, error) {
	var prio uint32
	n, errno := q.TryReceiveRaw(buf, &prio)
	if errno != 0 {
		return Message{}, q.ReceiveError(errno, len(buf))
	}
	return Message{Priority: prio, Body: buf[:n]}, nil
}

// Send sends m and waits while the queue is full. Errors: ctx.Err(), and those of
// TrySend except ErrFull.
func (q *POSIX) Send(ctx context.Context, m Message) error {
	if err := ctx.Err(); err != nil {
		return q.opError("send", err)
	}
	if errno := q.TrySendRaw(m.Body, m.Priority); errno != unix.EAGAIN {
		return q.SendError(errno, len(m.Body))
	}
	var errno syscall.Errno
	err := q.wait(ctx, writing, func(fd uintptr) bool {
		errno = mqSend(int(fd), m.Body, m.Priority)
		return errno != unix.EAGAIN
	})
	if err != nil {
		return q.opError("send", err)
	}
	return q.SendError(errno, len(m.Body))
}

// Receive receives the oldest message of the highest priority, see [Queue].
func (q *POSIX) Receive(ctx context.Context, buf []byte) (Message, error) {
	if err := ctx.Err(); err != nil {
		return Message{}, q.opError("receive", err)
	}
	if m, err := q.TryReceive(buf); !errors.Is(err, ErrEmpty) {
		return m, err
	}
	var (
		n     int
		prio  uint32
		errno syscall.Errno
	)
	err := q.wait(ctx, reading, func(fd uintptr) bool {
		n, errno = mqReceive(int(fd), buf, &prio)
		return errno != unix.EAGAIN
	})
	if err != nil {
		return Message{}, q.opError("receive", err)
	}
	if errno != 0 {
		return Message{}, q.ReceiveError(errno, len(buf))
	}
	return Message{Priority: prio, Body: buf[:n]}, nil
}

// Wait waits until a message is on the queue and leaves it there. Be ready for
// ErrEmpty if there is another receiver. Errors: ctx.Err(), ErrClosed.
func (q *POSIX) Wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return q.opError("wait", err)
	}
	var errno syscall.Errno
	err := q.wait(ctx, reading, func(fd uintptr) bool {
		// The poller reports changes only: what was there before has to be
		// asked for.
		var attr mqAttr
		attr, errno = mqGetattr(int(fd))
		return errno != 0 || attr.curmsgs > 0
	})
	if err == nil {
		err = orNil(errno)
	}
	if err != nil {
		return q.opError("wait", err)
	}
	return nil
}

// Chmod sets the permission bits of the queue (fchmod(2)).
func (q *POSIX) Chmod(mode fs.FileMode) error {
	return q.control("chmod", func(fd int) error { return unix.Fchmod(fd, uint32(mode.Perm())) })
}

// Chown sets the owner of the queue (fchown(2)); -1 leaves one as it is.
func (q *POSIX) Chown(uid, gid int) error {
	return q.control("chown", func(fd int) error { return unix.Fchown(fd, uid, gid) })
}

// Remove removes the name of the queue (mq_unlink(3)). It must be allowed to
// remove a file from a directory like /tmp: the owner may. Whoever has the queue
// open keeps it, and Stat tells them ErrRemoved.
func (q *POSIX) Remove() error {
	return q.control("remove", func(int) error { return orNil(mqUnlink(q.addr.Name)) })
}

func unlinkPOSIX(addr Addr) error {
	err := checkName(addr.Name)
	if err == nil {
		err = orNil(mqUnlink(addr.Name))
	}
	if err != nil {
		return &OpError{Op: "remove", Addr: addr, Err: err}
	}
	return nil
}

// control makes a call on the descriptor that does not wait.
func (q *POSIX) control(op string, call func(fd int) error) error {
	q.mu.RLock()
	defer q.mu.RUnlock()
	err := ErrClosed
	if !q.closed {
		err = retry(func() error { return call(q.fd) })
	}
	if err != nil {
		return q.opError(op, err)
	}
	return nil
}
