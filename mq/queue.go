package mq

import (
	"context"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Message is what a queue carries.
type Message struct {
	// Type is the mtype of a System V message, at least 1. POSIX queues ignore
	// it when sending and report 0.
	Type int64

	// Priority is the msg_prio of a POSIX message, 0 to 32767, highest first.
	// System V queues ignore it when sending and report 0.
	Priority uint32

	// Body is the payload; it may be empty.
	Body []byte
}

// Queue is what both kinds of queue can do. All methods may be called from
// several goroutines at once.
type Queue interface {
	// Send waits while the queue is full, until ctx or Close ends it. A
	// message that can never fit is refused at once with ErrTooLarge.
	Send(ctx context.Context, m Message) error

	// TrySend sends now or returns ErrFull or ErrTooLarge.
	TrySend(m Message) error

	// Receive waits for a message, until ctx or Close ends it. The body aliases
	// buf. If buf is too small, the error is ErrTooLarge and the message
	// stays; a POSIX queue wants len(buf) >= Stat.MaxMessageSize whatever
	// the size of the message.
	Receive(ctx context.Context, buf []byte) (Message, error)

	// TryReceive receives now or returns ErrEmpty.
	TryReceive(buf []byte) (Message, error)

	// Stat reports the state of the queue.
	Stat() (Stat, error)

	// Addr is the address that was opened.
	Addr() Addr

	// Close ends the use of this handle; the queue stays, with its messages.
	// Calls that wait return ErrClosed, later calls too. Closing twice is no
	// error.
	Close() error
}

var (
	_ Queue = (*SysV)(nil)
	_ Queue = (*POSIX)(nil)
)

// DefaultMode is the mode of a queue created without one: the owner reads and
// writes, the group only writes. A queue that clients can read is a queue whose
// messages they can take from each other.
const DefaultMode fs.FileMode = 0o620

// Options say how to open a queue. The zero value, and nil, open an existing
// queue.
type Options struct {
	// Create makes the queue if it is missing. The fields below that shape a
	// queue apply only if this call made it.
	Create bool

	// Exclusive, with Create, refuses a queue that exists (fs.ErrExist).
	Exclusive bool

	// Mode is the permission of a new queue; 0 is [DefaultMode]. The umask
	// does not apply.
	Mode fs.FileMode

	// MaxBytes is the capacity of a new System V queue (msg_qbytes); 0 leaves
	// the kernel's msgmnb. Beyond msgmnb the kernel wants CAP_SYS_RESOURCE;
	// without that the queue is made with msgmnb, and Stat shows it.
	MaxBytes int64

	// MaxMessages and MaxMessageSize shape a new POSIX queue (mq_maxmsg,
	// mq_msgsize); 0 is the system's default.
	MaxMessages    int64
	MaxMessageSize int64

	// WriteOnly opens a POSIX queue O_WRONLY, which is all that a client is
	// allowed on a queue of mode 0620 or 0622. A System V queue checks
	// permission at each call and ignores it.
	WriteOnly bool
}

var errExclusive = errors.New("option Exclusive without Create")

// validate gives the options with their defaults.
func (o *Options) validate() (Options, error) {
	if o == nil {
		return Options{}, nil
	}
	v := *o
	if v.Exclusive && !v.Create {
		return v, errExclusive
	}
	if v.Mode == 0 {
		v.Mode = DefaultMode
	}
	if v.Mode&^fs.ModePerm != 0 || v.MaxBytes < 0 || v.MaxMessages < 0 || v.MaxMessageSize < 0 {
		return v, unix.EINVAL
	}
	return v, nil
}

// Open opens the queue at addr. Nil options open an existing one.
func Open(addr Addr, opts *Options) (Queue, error) {
	switch addr.Kind {
	case KindSysV:
		return queueOrNil(OpenSysV(addr.Key, opts))
	case KindPOSIX:
		return queueOrNil(OpenPOSIX(addr.Name, opts))
	default:
		return nil, &OpError{Op: "open", Addr: addr, Err: errNoAddr}
	}
}

// queueOrNil keeps a nil pointer from becoming a non-nil Queue.
func queueOrNil[Q Queue](q Q, err error) (Queue, error) {
	if err != nil {
		return nil, err
	}
	return q, nil
}

// Remove removes the queue at addr with all its messages: msgctl(2) IPC_RMID or
// mq_unlink(3). Users of a System V queue get ErrRemoved; users of a POSIX
// queue keep what they have open.
func Remove(addr Addr) error {
	switch addr.Kind {
	case KindSysV:
		q, err := OpenSysV(addr.Key, nil)
		if err != nil {
			return err
		}
		return q.Remove()
	case KindPOSIX:
		return unlinkPOSIX(addr)
	default:
		return &OpError{Op: "remove", Addr: addr, Err: errNoAddr}
	}
}

var errNoAddr = errors.New("no queue address")
