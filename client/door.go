package client

import (
	"fmt"
	"io/fs"
	"math"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/mq"
)

// door is an open queue: one of the two is set.
type door struct {
	sysv  *mq.SysV
	posix *mq.POSIX

	// checked is when a POSIX queue was last seen to have its name, in
	// nanoseconds since 1970. A System V queue tells with every message.
	checked atomic.Int64
}

// nameCheck is how long messages may go to a POSIX queue whose name was removed:
// the kernel keeps such a queue for whoever has it open, and takes messages that
// no daemon will ever see. Looking at each message would cost a system call.
const nameCheck = time.Second

// openDoor opens the queue for sending only, as a client may not read it.
func openDoor(addr mq.Addr) (*door, error) {
	if addr.Kind == mq.KindPOSIX {
		q, err := mq.OpenPOSIX(addr.Name, &mq.Options{WriteOnly: true})
		if err != nil {
			return nil, err
		}
		d := &door{posix: q}
		d.checked.Store(time.Now().UnixNano())
		return d, nil
	}
	if addr.Kind != mq.KindSysV {
		return nil, fmt.Errorf("queue address of kind %v: %w", addr.Kind, fs.ErrInvalid)
	}
	q, err := mq.OpenSysV(addr.Key, nil)
	if err != nil {
		return nil, err
	}
	return &door{sysv: q}, nil
}

// trySend sends msg, mtype and text, now.
func (d *door) trySend(msg []byte, mtype int64) syscall.Errno {
	if d.sysv != nil {
		return d.sysv.TrySendRaw(msg)
	}
	if mtype < 1 || mtype-1 > math.MaxUint32 {
		return unix.EINVAL
	}
	if !d.named() {
		return unix.EIDRM
	}
	return d.posix.TrySendRaw(msg[headerSize:], uint32(mtype-1))
}

// named reports whether the POSIX queue still has its name, as of the last
// second.
func (d *door) named() bool {
	now := time.Now().UnixNano()
	if since := now - d.checked.Load(); since >= 0 && since < int64(nameCheck) {
		return true
	}
	if _, err := d.posix.Stat(); err != nil {
		return false
	}
	d.checked.Store(now)
	return true
}

// explain gives the error for an errno of trySend, for a text of size bytes.
func (d *door) explain(errno syscall.Errno, mtype int64, size int) error {
	switch {
	case d.sysv != nil:
		return d.sysv.SendError(errno, mtype, size)
	case errno == unix.EIDRM:
		return &mq.OpError{Op: "send", Addr: d.posix.Addr(), Err: mq.ErrRemoved}
	case errno == unix.EINVAL:
		return &mq.OpError{Op: "send", Addr: d.posix.Addr(),
			Err: fmt.Errorf("type %d, want 1 to 32768 (msg_prio plus 1): %w", mtype, errno)}
	}
	return d.posix.SendError(errno, size)
}

// limits are the sizes that bound a kernel message, in bytes of text.
type limits struct {
	largest  int64 // no message can be larger
	capacity int64 // the queue holds as much
}

func (d *door) limits() (limits, error) {
	var q mq.Queue = d.sysv
	if d.sysv == nil {
		q = d.posix
	}
	st, err := q.Stat()
	if err != nil {
		return limits{}, err
	}
	return limits{largest: st.MaxMessageSize, capacity: st.MaxBytes}, nil
}

// tooLarge explains why a text of size bytes is over l: it asks for the error
// that the kernel's answer would have become, without sending anything.
func (d *door) tooLarge(l limits, mtype int64, size int) error {
	switch {
	case d.sysv == nil:
		return d.explain(unix.EMSGSIZE, mtype, size)
	case l.largest == l.capacity: // msg_qbytes is below msgmax
		return d.explain(unix.EAGAIN, mtype, size)
	default:
		return d.explain(unix.EINVAL, mtype, size)
	}
}

func (d *door) close() error {
	if d.sysv != nil {
		return d.sysv.Close()
	}
	return d.posix.Close()
}
