package mq

import (
	"context"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the tests need to see.

var (
	ParseProcMsg   = parseProcMsg
	ProcLines      = procLines
	ParseMountinfo = parseMountinfo
	ParseQSize     = parseQSize
	FtokKey        = ftokKey
	Again          = again

	ErrExclusive = errExclusive
)

type Pause = pause

func (p *Pause) Wait(ctx context.Context) error { return p.wait(ctx, nil) }

// Sleeper is a thread that is about to sleep and does not get there.
type Sleeper struct{ s *sleeper }

func NewSleeper() Sleeper {
	s := Sleeper{newSleeper()}
	s.s.tid.Store(int64(unix.Gettid()))
	s.s.asleep.Store(true)
	return s
}

func (s Sleeper) Interrupt() { s.s.interrupt(stopContext) }
func (s Sleeper) Leave()     { s.s.asleep.Store(false) }

// RemoveID removes a System V queue that may have no key.
func RemoveID(id int) syscall.Errno {
	_, errno := msgctl(id, unix.IPC_RMID, nil)
	return errno
}

// Layout gives sizes and offsets of the structs that the kernel fills, under the
// names of the man pages.
func Layout() map[string]uintptr {
	var ds msqidDS
	var info msgInfo
	var attr mqAttr
	return map[string]uintptr{
		"sizeof msqid_ds": unsafe.Sizeof(ds),
		"key":             unsafe.Offsetof(ds.perm) + unsafe.Offsetof(ds.perm.Key),
		"uid":             unsafe.Offsetof(ds.perm) + unsafe.Offsetof(ds.perm.Uid),
		"gid":             unsafe.Offsetof(ds.perm) + unsafe.Offsetof(ds.perm.Gid),
		"cuid":            unsafe.Offsetof(ds.perm) + unsafe.Offsetof(ds.perm.Cuid),
		"cgid":            unsafe.Offsetof(ds.perm) + unsafe.Offsetof(ds.perm.Cgid),
		"mode":            unsafe.Offsetof(ds.perm) + unsafe.Offsetof(ds.perm.Mode),
		"stime":           unsafe.Offsetof(ds.stime),
		"rtime":           unsafe.Offsetof(ds.rtime),
		"ctime":           unsafe.Offsetof(ds.ctime),
		"cbytes":          unsafe.Offsetof(ds.cbytes),
		"qnum":            unsafe.Offsetof(ds.qnum),
		"qbytes":          unsafe.Offsetof(ds.qbytes),
		"lspid":           unsafe.Offsetof(ds.lspid),
		"lrpid":           unsafe.Offsetof(ds.lrpid),
		"sizeof msginfo":  unsafe.Sizeof(info),
		"msgmax":          unsafe.Offsetof(info.max),
		"msgmnb":          unsafe.Offsetof(info.mnb),
		"msgmni":          unsafe.Offsetof(info.mni),
		"sizeof mq_attr":  unsafe.Sizeof(attr),
		"mq_flags":        unsafe.Offsetof(attr.flags),
		"mq_maxmsg":       unsafe.Offsetof(attr.maxmsg),
		"mq_msgsize":      unsafe.Offsetof(attr.msgsize),
		"mq_curmsgs":      unsafe.Offsetof(attr.curmsgs),
		"offset of mtext": headerSize,
	}
}
