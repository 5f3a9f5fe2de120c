package mq

import (
	"io/fs"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Stat is the state of a queue at one moment.
type Stat struct {
	// ID is what msgget(2) gives for a System V queue; 0 for a POSIX queue.
	ID int

	Messages int64 // waiting; -1 if it may not be read
	Bytes    int64 // waiting, without headers; -1 if it may not be read

	MaxBytes       int64 // msg_qbytes; POSIX: mq_maxmsg times mq_msgsize
	MaxMessages    int64 // mq_maxmsg; System V: msg_qbytes, which bounds the count too
	MaxMessageSize int64 // mq_msgsize; System V: the smaller of msgmax and msg_qbytes

	// The times are exact to a second for System V queues, and zero if it never
	// happened. A POSIX queue only has LastChange, which sending and receiving
	// set too.
	LastSend, LastReceive, LastChange time.Time

	// The processes that sent and received last, as seen from our PID namespace;
	// 0 if none did, or if it is not visible from here. Zero for POSIX queues.
	LastSendPID, LastReceivePID int

	Mode       fs.FileMode // permission bits
	UID, GID   uint32      // owner
	CUID, CGID uint32      // creator; POSIX: the owner
}

// Stat reports the state of the queue (IPC_STAT). It works without permission to
// read, as /proc/sysvipc/msg does. Errors: ErrRemoved, ErrClosed.
func (q *SysV) Stat() (Stat, error) {
	if q.closed.Load() {
		return Stat{}, q.opError("stat", ErrClosed)
	}
	ds, errno := statAny(q.id)
	if errno != 0 {
		return Stat{}, q.opError("stat", q.cause(errno))
	}
	return ds.stat(q.id), nil
}

// statAny is IPC_STAT, and where that is not allowed MSG_STAT_ANY, which asks for
// no permission (Linux 4.17). That one takes an index, which is the low part of
// an id; it returns the id that it found there.
func statAny(id int) (*msqidDS, unix.Errno) {
	ds := new(msqidDS)
	_, errno := msgctl(id, unix.IPC_STAT, unsafe.Pointer(ds))
	if errno != unix.EACCES {
		return ds, errno
	}
	found, anyErrno := msgctl(id, msgStatAny, unsafe.Pointer(ds))
	switch {
	case anyErrno == 0 && found == id:
		return ds, 0
	case anyErrno == 0: // Another queue has the place.
		return ds, unix.EIDRM
	default:
		return ds, errno
	}
}

func (ds *msqidDS) stat(id int) Stat {
	qbytes := int64(ds.qbytes)
	size := qbytes
	if info, errno := ipcInfoLimits(); errno == 0 {
		size = min(size, int64(info.max))
	}
	return Stat{
		ID:             id,
		Messages:       int64(ds.qnum),
		Bytes:          int64(ds.cbytes),
		MaxBytes:       qbytes,
		MaxMessages:    qbytes,
		MaxMessageSize: size,
		LastSend:       seconds(ds.stime),
		LastReceive:    seconds(ds.rtime),
		LastChange:     seconds(ds.ctime),
		LastSendPID:    int(ds.lspid),
		LastReceivePID: int(ds.lrpid),
		Mode:           fs.FileMode(ds.perm.Mode) & fs.ModePerm,
		UID:            ds.perm.Uid,
		GID:            ds.perm.Gid,
		CUID:           ds.perm.Cuid,
		CGID:           ds.perm.Cgid,
	}
}

func seconds(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0)
}
