package mq

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// The sentinels of this package. They reach a caller inside an [OpError]; find
// them with [errors.Is]. Permission, absence and existence are found as
// [io/fs.ErrPermission], [io/fs.ErrNotExist] and [io/fs.ErrExist].
var (
	// ErrFull: TrySend found no room now (EAGAIN). Try later; [Queue.Send]
	// does.
	ErrFull = errors.New("queue full")

	// ErrEmpty: no message that was asked for is there (ENOMSG, EAGAIN), or
	// Peek looked past the end. [Queue.Receive] waits instead.
	ErrEmpty = errors.New("no message")

	// ErrRemoved: the queue that was opened is gone (EIDRM; EINVAL for an id
	// that was valid; an unlinked POSIX queue, seen by Stat). Open it again.
	ErrRemoved = errors.New("queue removed")

	// ErrTooLarge: the message can never be sent to this queue, or does not fit
	// into the buffer of a receiver; it stays on the queue then. A
	// [LimitError] says which limit.
	ErrTooLarge = errors.New("message too large")

	// ErrClosed: Close was called. [errors.Is] takes it for [os.ErrClosed] too.
	ErrClosed error = closedError{}
)

type closedError struct{}

func (closedError) Error() string        { return "queue handle closed" }
func (closedError) Is(target error) bool { return target == os.ErrClosed }

// OpError is the error of an operation on a queue.
type OpError struct {
	Op   string // "send", "receive", "open", ...
	Addr Addr
	Err  error
}

func (e *OpError) Error() string { return e.Op + " " + e.Addr.String() + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *OpError) Unwrap() error { return e.Err }

// LimitError says which limit stopped an operation. It unwraps to [ErrFull] or
// [ErrTooLarge] where one of them holds, and to the errno.
type LimitError struct {
	// Limit is the name of the limit in its man page: "msgmax", "msg_qbytes",
	// "msgmnb", "msgmni", "mq_msgsize", "msg_max", "msgsize_max",
	// "queues_max", "RLIMIT_MSGQUEUE", "NAME_MAX"; or "buffer", the
	// room that a receiver offered.
	Limit string

	// Have is what the operation needed, in the unit of the limit (bytes,
	// messages or queues); -1 if the kernel does not tell.
	Have int64

	// Max is the limit at the time of the operation; -1 if it cannot be read.
	Max int64

	kind  error // ErrFull, ErrTooLarge or nil
	errno syscall.Errno
}

func (e *LimitError) Error() string {
	text := "over " + e.Limit
	if e.Have >= 0 {
		text = fmt.Sprintf("%d is %s", e.Have, text)
	}
	if e.Max >= 0 {
		text += fmt.Sprintf(" = %d", e.Max)
	}
	switch {
	case e.kind != nil:
		return e.kind.Error() + ": " + text
	case e.errno != 0:
		return e.errno.Error() + ": " + text
	default:
		return text
	}
}

// Unwrap gives the sentinel and the errno.
func (e *LimitError) Unwrap() []error {
	var causes []error
	if e.kind != nil {
		causes = append(causes, e.kind)
	}
	if e.errno != 0 {
		causes = append(causes, e.errno)
	}
	return causes
}

// kernelError is a sentinel together with the errno that it stands for.
type kernelError struct {
	kind  error
	errno syscall.Errno
}

func (e *kernelError) Error() string { return e.kind.Error() + " (" + e.errno.Error() + ")" }

func (e *kernelError) Unwrap() []error { return []error{e.kind, e.errno} }
