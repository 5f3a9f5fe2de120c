package mq

import (
	"io/fs"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Settings are the properties of a System V queue that can be changed; nil
// leaves one as it is.
type Settings struct {
	UID, GID *uint32      // the owner
	Mode     *fs.FileMode // permission bits
	MaxBytes *int64       // msg_qbytes; above msgmnb only with CAP_SYS_RESOURCE
}

// Set changes properties of the queue (IPC_SET). The owner, the creator and
// CAP_SYS_ADMIN may do that. The kernel has no way to change one property alone:
// Set reads all and writes all, and two Sets at once can undo each other.
//
// Errors: fs.ErrPermission, with a [LimitError] if msgmnb is the reason;
// ErrRemoved, ErrClosed.
func (q *SysV) Set(s Settings) error {
	if err := q.set(s); err != nil {
		return q.opError("set", err)
	}
	return nil
}

func (q *SysV) set(s Settings) error {
	if q.closed.Load() {
		return ErrClosed
	}
	if (s.Mode != nil && *s.Mode&^fs.ModePerm != 0) || (s.MaxBytes != nil && *s.MaxBytes < 0) {
		return unix.EINVAL
	}
	ds, errno := statAny(q.id)
	if errno != 0 {
		return q.cause(errno)
	}
	before := *ds
	if s.UID != nil {
		ds.perm.Uid = *s.UID
	}
	if s.GID != nil {
		ds.perm.Gid = *s.GID
	}
	if s.Mode != nil {
		ds.perm.Mode = uint32(*s.Mode)
	}
	if s.MaxBytes != nil {
		ds.qbytes = uint64(*s.MaxBytes)
	}
	switch errno = ipcSet(q.id, ds); {
	case errno == 0:
		return nil
	case errno == unix.EPERM && s.MaxBytes != nil:
		return refusedBytes(*s.MaxBytes, &before)
	default:
		return q.cause(errno)
	}
}

// refusedBytes tells the two reasons for EPERM apart: not the owner, or above
// msgmnb.
func refusedBytes(want int64, ds *msqidDS) error {
	info, errno := ipcInfoLimits()
	euid := uint32(unix.Geteuid())
	owner := euid == 0 || euid == ds.perm.Uid || euid == ds.perm.Cuid
	if errno != 0 || !owner || want <= int64(info.mnb) {
		return unix.EPERM
	}
	return &LimitError{Limit: "msgmnb", Have: want, Max: int64(info.mnb), errno: unix.EPERM}
}

// Remove removes the queue with all its messages (IPC_RMID). The owner, the
// creator and CAP_SYS_ADMIN may do that. Calls that wait, in any process, return
// ErrRemoved.
func (q *SysV) Remove() error {
	if q.closed.Load() {
		return q.opError("remove", ErrClosed)
	}
	if _, errno := msgctl(q.id, unix.IPC_RMID, nil); errno != 0 {
		return q.opError("remove", q.cause(errno))
	}
	return nil
}

func ipcSet(id int, ds *msqidDS) syscall.Errno {
	_, errno := msgctl(id, unix.IPC_SET, unsafe.Pointer(ds))
	return errno
}
