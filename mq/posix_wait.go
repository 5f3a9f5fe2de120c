package mq

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// direction is what a goroutine waits for on a POSIX queue.
type direction int

const (
	reading direction = iota
	writing
)

// wait calls try on the descriptor until it reports true, sleeping in the poller
// in between. It returns ctx.Err(), ErrClosed, or nil when try was done.
func (q *POSIX) wait(ctx context.Context, dir direction, try func(fd uintptr) bool) error {
	token, poll, setDeadline := q.readers, q.conn.Read, q.file.SetReadDeadline
	if dir == writing {
		token, poll, setDeadline = q.writers, q.conn.Write, q.file.SetWriteDeadline
	}
	select {
	case token <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-q.done:
		return ErrClosed
	}
	defer func() { <-token }()

	if ctx.Done() != nil {
		// A deadline in the past is how the poller is told to stop.
		expired := make(chan struct{})
		release := context.AfterFunc(ctx, func() {
			_ = setDeadline(time.Unix(1, 0))
			close(expired)
		})
		// The next holder of the token starts without a deadline.
		defer func() {
			if !release() {
				<-expired
				_ = setDeadline(time.Time{})
			}
		}()
	}
	switch err := poll(try); {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ctx.Err()
	default:
		// The poller says "use of closed file", which is not os.ErrClosed.
		select {
		case <-q.done:
			return ErrClosed
		default:
			return err
		}
	}
}

func (q *POSIX) opError(op string, err error) error {
	return &OpError{Op: op, Addr: q.addr, Err: err}
}

// SendError explains an errno of [POSIX.TrySendRaw] for a body of size bytes; it
// is nil for 0.
func (q *POSIX) SendError(errno syscall.Errno, size int) error {
	var err error = errno
	switch errno {
	case 0:
		return nil
	case unix.EAGAIN:
		err = q.full()
	case unix.EMSGSIZE:
		err = &LimitError{Limit: "mq_msgsize", Have: int64(size), Max: q.msgsize, kind: ErrTooLarge, errno: errno}
	case unix.EBADF:
		err = q.badDescriptor()
	}
	return q.opError("send", err)
}

// full says how full: mq_maxmsg is the only limit that gives EAGAIN.
func (q *POSIX) full() error {
	err := &LimitError{Limit: "mq_maxmsg", Have: -1, Max: -1, kind: ErrFull, errno: unix.EAGAIN}
	_ = q.control("stat", func(fd int) error {
		if attr, errno := mqGetattr(fd); errno == 0 {
			err.Have, err.Max = attr.maxmsg+1, attr.maxmsg
		}
		return nil
	})
	return err
}

// ReceiveError explains an errno of [POSIX.TryReceiveRaw] for a buffer of room
// bytes; it is nil for 0.
func (q *POSIX) ReceiveError(errno syscall.Errno, room int) error {
	var err error = errno
	switch errno {
	case 0:
		return nil
	case unix.EAGAIN:
		err = &kernelError{ErrEmpty, errno}
	case unix.EMSGSIZE:
		err = &LimitError{Limit: "buffer", Have: q.msgsize, Max: int64(room), kind: ErrTooLarge, errno: errno}
	case unix.EBADF:
		err = q.badDescriptor()
	}
	return q.opError("receive", err)
}

// badDescriptor tells a closed handle from one opened for the other direction.
func (q *POSIX) badDescriptor() error {
	select {
	case <-q.done:
		return ErrClosed
	default:
		return unix.EBADF
	}
}
