package mq

import (
	"context"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// Flag changes how a System V queue is received from.
type Flag int

// The flags of msgrcv(2) for ReceiveType.
const (
	// Except receives the first message whose type is not msgtyp; it has no
	// effect unless msgtyp > 0.
	Except Flag = msgExcept

	// Truncate cuts a message that is longer than the buffer instead of
	// returning ErrTooLarge. The rest is lost.
	Truncate Flag = msgNoError
)

// Receive receives the first message, see [Queue].
func (q *SysV) Receive(ctx context.Context, buf []byte) (Message, error) {
	return q.ReceiveType(ctx, buf, 0)
}

// TryReceive receives the first message now, see [Queue].
func (q *SysV) TryReceive(buf []byte) (Message, error) {
	return q.TryReceiveType(buf, 0)
}

// ReceiveType receives a message chosen by msgtyp, as msgrcv(2) does:
//
//	0      the first message
//	> 0    the first message of that type (with [Except]: of another type)
//	< 0    the first message of the lowest type that is at most -msgtyp
//
// It waits without consuming (see [SysV.Wait]) and then takes the message, so a
// kill loses nothing while it waits; a message of length zero is taken by the
// wait itself.
//
// Errors: ctx.Err(), ErrTooLarge (the message stays), ErrRemoved, ErrClosed,
// fs.ErrPermission.
func (q *SysV) ReceiveType(ctx context.Context, buf []byte, msgtyp int64, flags ...Flag) (Message, error) {
	if err := ctx.Err(); err != nil {
		return Message{}, q.opError("receive", err)
	}
	m, err := q.TryReceiveType(buf, msgtyp, flags...)
	if !errors.Is(err, ErrEmpty) {
		return m, err
	}
	w := q.NewWaiter(ctx)
	defer w.Close()
	w.op = "receive"
	for {
		mtype, err := w.wait(msgtyp, bits(flags)&msgExcept)
		if err != nil {
			return Message{}, err
		}
		if mtype != 0 {
			return Message{Type: mtype, Body: buf[:0]}, nil
		}
		// Another receiver may have been quicker.
		if m, err = q.TryReceiveType(buf, msgtyp, flags...); !errors.Is(err, ErrEmpty) {
			return m, err
		}
	}
}

// TryReceiveType is ReceiveType without waiting: it returns ErrEmpty instead.
func (q *SysV) TryReceiveType(buf []byte, msgtyp int64, flags ...Flag) (Message, error) {
	return q.receiveNow("receive", buf, msgtyp, bits(flags))
}

// Peek copies the message at index, 0 being the first, and leaves it where it is
// (MSG_COPY). ErrEmpty: there are not so many. [errors.ErrUnsupported]: the
// kernel was built without CONFIG_CHECKPOINT_RESTORE. It needs permission to
// read.
//
// The kernel first copies the room of buf in, so a buffer no larger than the
// messages is quicker.
func (q *SysV) Peek(buf []byte, index int) (Message, error) {
	if index < 0 {
		return Message{}, q.opError("peek", unix.EINVAL)
	}
	return q.receiveNow("peek", buf, int64(index), msgCopy)
}

func bits(flags []Flag) int {
	all := Flag(0)
	for _, f := range flags {
		all |= f
	}
	return int(all & (Except | Truncate))
}

// receiveNow receives through a buffer of the pool, as the kernel writes the
// mtype in front of the text and buf has no room for it.
func (q *SysV) receiveNow(op string, buf []byte, msgtyp int64, flags int) (Message, error) {
	if q.closed.Load() {
		return Message{}, q.opError(op, ErrClosed)
	}
	b := q.buffer(len(buf))
	defer q.buffers.Put(b)
	n, errno := msgrcvNow(q.id, *b, msgtyp, flags)
	if errno != 0 {
		return Message{}, q.receiveError(op, errno, len(buf))
	}
	mtype := int64(binary.NativeEndian.Uint64(*b))
	return Message{Type: mtype, Body: buf[:copy(buf, (*b)[headerSize:headerSize+n])]}, nil
}
