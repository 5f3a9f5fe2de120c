package mq

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// SysV is a System V queue. Its methods may be called from several goroutines
// at once.
type SysV struct {
	id     int
	addr   Addr
	closed atomic.Bool
	done   chan struct{} // closed by Close: ends the pauses of Send

	// buffers are *[]byte, mtype and text: the two have to lie together, so a
	// Message is copied once. The Raw methods avoid that.
	buffers sync.Pool

	mu       sync.Mutex
	sleepers map[*sleeper]struct{} // who may sleep in msgrcv(2); nil after Close
}

// OpenSysV opens the queue of key with msgget(2). Nil options open an existing
// queue and name no permission bits, so that a client that may only write can
// open it. Key 0 (IPC_PRIVATE) needs Create: it always makes a new queue, which
// only its ID names.
//
// Errors: fs.ErrNotExist, fs.ErrExist with Exclusive, fs.ErrPermission, a
// [LimitError] for msgmni.
func OpenSysV(key Key, opts *Options) (*SysV, error) {
	addr := SysVAddr(key)
	id, err := openSysV(key, opts)
	if err != nil {
		return nil, &OpError{Op: "open", Addr: addr, Err: err}
	}
	return &SysV{
		id:       id,
		addr:     addr,
		done:     make(chan struct{}),
		sleepers: make(map[*sleeper]struct{}),
	}, nil
}

var errPrivate = errors.New("key 0 is IPC_PRIVATE and names no existing queue")

func openSysV(key Key, opts *Options) (int, error) {
	o, err := opts.validate()
	if err != nil {
		return 0, err
	}
	if !o.Create {
		if key == unix.IPC_PRIVATE {
			return 0, errPrivate
		}
		id, errno := msgget(key, 0)
		return id, orNil(errno)
	}
	for {
		id, errno := msgget(key, unix.IPC_CREAT|unix.IPC_EXCL|int(o.Mode.Perm()))
		switch {
		case errno == 0:
			return id, shape(id, o.MaxBytes)
		case errno == unix.ENOSPC:
			return 0, tooManyQueues(errno)
		case errno != unix.EEXIST || o.Exclusive:
			return 0, errno
		}
		// It exists. Naming no permission bits opens it for whoever may do
		// anything with it. ENOENT: somebody removed it between the two calls.
		if id, errno = msgget(key, 0); errno != unix.ENOENT {
			return id, orNil(errno)
		}
	}
}

// shape sets the capacity of a queue that was just made. EPERM is no failure,
// see [Options.MaxBytes]. The queue is not removed on error: somebody may
// have sent to it already.
func shape(id int, maxBytes int64) error {
	if maxBytes == 0 {
		return nil
	}
	ds, errno := statAny(id)
	if errno == 0 {
		ds.qbytes = uint64(maxBytes)
		errno = ipcSet(id, ds)
	}
	if errno == unix.EPERM {
		return nil
	}
	return orNil(errno)
}

// orNil keeps an errno of 0 from becoming a non-nil error.
func orNil(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// ID is the identifier that msgget(2) gave. A queue that is removed and made
// again has another one.
func (q *SysV) ID() int { return q.id }

// Addr is the address that was opened.
func (q *SysV) Addr() Addr { return q.addr }

// Close ends the use of this handle. It returns when no call of this handle is
// asleep any more; those calls and all later ones return ErrClosed. The queue
// and its messages stay. Closing twice is no error.
func (q *SysV) Close() error {
	q.mu.Lock()
	sleepers := q.sleepers
	q.sleepers = nil
	if !q.closed.Swap(true) {
		close(q.done)
	}
	q.mu.Unlock()
	for s := range sleepers {
		s.interrupt(stopClosed)
	}
	return nil
}

// TrySendRaw sends msg now, which is the mtype in the byte order of the machine
// (8 bytes, at least 1) and the text after it. It is one system call and
// allocates nothing.
//
// It returns 0, or EAGAIN (full), EIDRM or EINVAL (removed, too large, or a bad
// mtype), EACCES, ENOMEM; EBADF after Close. [SysV.SendError] explains it.
func (q *SysV) TrySendRaw(msg []byte) syscall.Errno {
	if q.closed.Load() {
		return unix.EBADF
	}
	if len(msg) < headerSize {
		return unix.EINVAL
	}
	return msgsndNow(q.id, msg)
}

// TryReceiveRaw receives the first message now: its mtype into buf[:8], in the
// byte order of the machine, and its text, n bytes, into buf[8:]. It is one
// system call and allocates nothing. The kernel writes straight into buf, which
// must stay mapped and writable: a message that cannot be copied is lost.
//
// It returns 0, or ENOMSG (empty), E2BIG (the message needs more room and
// stays), EIDRM or EINVAL (removed), EACCES; EBADF after Close.
// [SysV.ReceiveError] explains it.
func (q *SysV) TryReceiveRaw(buf []byte) (n int, errno syscall.Errno) {
	if q.closed.Load() {
		return 0, unix.EBADF
	}
	if len(buf) < headerSize {
		return 0, unix.EFAULT
	}
	n, errno = msgrcvNow(q.id, buf, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return n, 0
}

// TrySend sends m now. Errors: ErrFull, ErrTooLarge, both with a [LimitError];
// ErrRemoved, ErrClosed, fs.ErrPermission; EINVAL for a Type below 1.
func (q *SysV) TrySend(m Message) error {
	b := q.message(m)
	errno := q.TrySendRaw(*b)
	q.buffers.Put(b)
	return q.SendError(errno, m.Type, len(m.Body))
}

// Send sends m and waits while the queue is full: it tries again after 1 ms,
// then after twice as long, up to 50 ms, each cut by a random part. Sleeping in
// msgsnd(2) instead would have every receive wake all senders of the queue, and
// would hang for ever on a message larger than msg_qbytes.
//
// Errors: ctx.Err(), and those of TrySend except ErrFull.
func (q *SysV) Send(ctx context.Context, m Message) error {
	if err := ctx.Err(); err != nil {
		return &OpError{Op: "send", Addr: q.addr, Err: err}
	}
	b := q.message(m)
	defer q.buffers.Put(b)
	var pause pause
	defer pause.stop()
	for {
		errno := q.TrySendRaw(*b)
		if errno == 0 {
			return nil
		}
		// The error is looked up at each round: msg_qbytes may have been
		// lowered, and a message that never fits must not wait for ever.
		if err := q.SendError(errno, m.Type, len(m.Body)); !errors.Is(err, ErrFull) {
			return err
		}
		if err := pause.wait(ctx, q.done); err != nil {
			return &OpError{Op: "send", Addr: q.addr, Err: err}
		}
	}
}

// message copies m into a buffer of the pool.
func (q *SysV) message(m Message) *[]byte {
	b := q.buffer(len(m.Body))
	binary.NativeEndian.PutUint64(*b, uint64(m.Type))
	copy((*b)[headerSize:], m.Body)
	return b
}

// buffer takes a buffer for a text of n bytes from the pool.
func (q *SysV) buffer(n int) *[]byte {
	b, _ := q.buffers.Get().(*[]byte)
	if b == nil {
		b = new([]byte)
	}
	if cap(*b) < headerSize+n {
		*b = make([]byte, headerSize+n)
	}
	*b = (*b)[:headerSize+n]
	return b
}
