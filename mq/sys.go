package mq

import (
	"errors"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The flags and commands of System V IPC that x/sys does not name
// (linux/ipc.h, linux/msg.h).
const (
	msgNoError = 0o10000
	msgExcept  = 0o20000
	msgCopy    = 0o40000

	ipcInfo    = 3
	msgStatAny = 13
)

// headerSize is the mtype in front of the text of a message, in bytes.
const headerSize = 8

// again is the rule for EINTR, the only one of this package: the call is made
// again, unless it was interrupted to be stopped. System V calls are never
// restarted by SA_RESTART (signal(7)), and a program that uses signals gets
// EINTR at any time; it says nothing about the queue.
//
// stop is nil for a call that does not sleep.
func again(errno syscall.Errno, stop *atomic.Uint32) bool {
	return errno == unix.EINTR && (stop == nil || stop.Load() == 0)
}

// retry applies [again] to a call that returns an error.
func retry(call func() error) error {
	for {
		err := call()
		if errno, _ := errors.AsType[syscall.Errno](err); !again(errno, nil) {
			return err
		}
	}
}

// The functions below are msgget(2), msgsnd(2), msgrcv(2) and msgctl(2). Those
// that never sleep use RawSyscall: handing the processor to the scheduler costs
// more than the call.

func msgget(key Key, flags int) (int, syscall.Errno) {
	for {
		id, _, errno := unix.RawSyscall(unix.SYS_MSGGET, uintptr(key), uintptr(flags), 0)
		if !again(errno, nil) {
			return int(id), errno
		}
	}
}

// msgsndNow sends msg, mtype and text; len(msg) >= headerSize.
func msgsndNow(id int, msg []byte) syscall.Errno {
	for {
		_, _, errno := unix.RawSyscall6(unix.SYS_MSGSND, uintptr(id), uintptr(unsafe.Pointer(unsafe.SliceData(msg))),
			uintptr(len(msg)-headerSize), unix.IPC_NOWAIT, 0, 0)
		if !again(errno, nil) {
			return errno
		}
	}
}

// msgrcvNow receives into msg, mtype and text, and gives the length of the
// text; len(msg) >= headerSize.
func msgrcvNow(id int, msg []byte, msgtyp int64, flags int) (int, syscall.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_MSGRCV, uintptr(id), uintptr(unsafe.Pointer(unsafe.SliceData(msg))),
			uintptr(len(msg)-headerSize), uintptr(msgtyp), uintptr(unix.IPC_NOWAIT|flags), 0)
		if !again(errno, nil) {
			return int(n), errno
		}
	}
}

// msgrcvNothing sleeps until a message of msgtyp is there, without taking it:
// with room for 0 bytes the kernel answers E2BIG and leaves the message where it
// is. A message of length 0 fits and is received; then errno is 0 and mtype set.
func msgrcvNothing(id int, mtype *int64, msgtyp int64, flags int, stop *atomic.Uint32) syscall.Errno {
	for {
		_, _, errno := unix.Syscall6(unix.SYS_MSGRCV, uintptr(id), uintptr(unsafe.Pointer(mtype)),
			0, uintptr(msgtyp), uintptr(flags), 0)
		if !again(errno, stop) {
			return errno
		}
	}
}

func msgctl(id, cmd int, arg unsafe.Pointer) (int, syscall.Errno) {
	for {
		r, _, errno := unix.RawSyscall(unix.SYS_MSGCTL, uintptr(id), uintptr(cmd), uintptr(arg))
		if !again(errno, nil) {
			return int(r), errno
		}
	}
}

// msqidDS is struct msqid_ds of 64-bit Linux (asm-generic/msgbuf.h): 120 bytes,
// all of which IPC_STAT writes.
type msqidDS struct {
	perm   unix.SysvIpcPerm
	stime  int64 // seconds
	rtime  int64 // seconds
	ctime  int64 // seconds
	cbytes uint64
	qnum   uint64
	qbytes uint64
	lspid  int32
	lrpid  int32
	_      [2]uint64
}

// msgInfo is struct msginfo (linux/msg.h), which IPC_INFO fills with limits.
type msgInfo struct {
	pool, maps, max, mnb, mni, ssz, tql int32
	seg                                 uint16
}

// Both are written by the kernel: a size that is off by a word is memory
// corruption, so it stops the build.
var (
	_ [120]byte = [unsafe.Sizeof(msqidDS{})]byte{}
	_ [32]byte  = [unsafe.Sizeof(msgInfo{})]byte{}
)
