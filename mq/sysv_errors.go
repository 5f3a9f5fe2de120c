package mq

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

func (q *SysV) opError(op string, err error) error {
	return &OpError{Op: op, Addr: q.addr, Err: err}
}

// SendError explains an errno of [SysV.TrySendRaw] for the message that it was
// given; it is nil for 0. It looks up the limits, so it costs some system calls.
func (q *SysV) SendError(errno syscall.Errno, mtype int64, size int) error {
	if errno == 0 {
		return nil
	}
	err := q.cause(errno)
	switch {
	case errno == unix.EAGAIN:
		err = q.full(size)
	case errno == unix.EINVAL && !errors.Is(err, ErrRemoved):
		err = refused(mtype, size, errno)
	}
	return q.opError("send", err)
}

// ReceiveError explains an errno of [SysV.TryReceiveRaw]; room is what the buffer
// had for the text, in bytes. It is nil for 0.
func (q *SysV) ReceiveError(errno syscall.Errno, room int) error {
	if errno == 0 {
		return nil
	}
	return q.receiveError("receive", errno, room)
}

var errType = errors.New("mtype must be at least 1")

// full tells a queue without room from a message that will never have room. Both
// are EAGAIN, and the kernel has two rules: the bytes may not exceed msg_qbytes,
// nor may the number of messages.
func (q *SysV) full(size int) error {
	ds, errno := statAny(q.id)
	have, qbytes := int64(ds.cbytes)+int64(size), int64(ds.qbytes)
	e := &LimitError{Limit: "msg_qbytes", Have: have, Max: qbytes, kind: ErrFull, errno: unix.EAGAIN}
	switch {
	case errno != 0: // Removed, or an old kernel: not known.
		return &kernelError{ErrFull, unix.EAGAIN}
	case int64(size) > qbytes:
		e.Have, e.kind = int64(size), ErrTooLarge
	case have <= qbytes && int64(ds.qnum) >= qbytes:
		e.Limit, e.Have = "msg_qbytes (as a count of messages)", int64(ds.qnum)+1
	case have <= qbytes: // Room was made since.
		return &kernelError{ErrFull, unix.EAGAIN}
	}
	return e
}

// refused explains the EINVAL for a message on a queue that is there.
func refused(mtype int64, size int, errno syscall.Errno) error {
	if mtype < 1 {
		return &kernelError{errType, errno}
	}
	msgmax, err := MsgMax()
	if err != nil || size <= msgmax {
		return errno
	}
	return &LimitError{Limit: "msgmax", Have: int64(size), Max: int64(msgmax), kind: ErrTooLarge, errno: errno}
}

func (q *SysV) receiveError(op string, errno syscall.Errno, room int) error {
	err := q.cause(errno)
	switch errno {
	case unix.ENOMSG:
		err = &kernelError{ErrEmpty, errno}
	case unix.E2BIG:
		err = &LimitError{Limit: "buffer", Have: -1, Max: int64(room), kind: ErrTooLarge, errno: errno}
	}
	return q.opError(op, err)
}

// cause gives the meaning of an errno that any call on an open queue can return.
// EINVAL is what the kernel says of an id that is gone, but of much else too, so
// the queue is asked.
func (q *SysV) cause(errno syscall.Errno) error {
	switch errno {
	case unix.EIDRM:
		return &kernelError{ErrRemoved, errno}
	case unix.EBADF: // Only the Raw methods say so, never the kernel.
		return ErrClosed
	case unix.EINVAL:
		if _, e := statAny(q.id); e == unix.EINVAL || e == unix.EIDRM {
			return &kernelError{ErrRemoved, errno}
		}
	}
	return errno
}

// tooManyQueues explains the ENOSPC of msgget(2).
func tooManyQueues(errno syscall.Errno) error {
	e := &LimitError{Limit: "msgmni", Have: -1, Max: -1, errno: errno}
	if info, errno := ipcInfoLimits(); errno == 0 {
		e.Have, e.Max = int64(info.mni)+1, int64(info.mni)
	}
	return e
}
