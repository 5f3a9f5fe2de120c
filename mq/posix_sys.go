package mq

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The functions below are the system calls behind mq_open(3), mq_unlink(3),
// mq_send(3), mq_receive(3) and mq_getattr(3). The kernel wants names without the
// leading slash. Descriptors are O_NONBLOCK, so none of these calls sleeps.

// mqAttr is struct mq_attr of 64-bit Linux.
type mqAttr struct {
	flags, maxmsg, msgsize, curmsgs int64
	_                               [4]int64
}

var _ [64]byte = [unsafe.Sizeof(mqAttr{})]byte{}

func mqOpen(name string, flags int, mode uint32, attr *mqAttr) (int, syscall.Errno) {
	p, err := unix.BytePtrFromString(name[1:])
	if err != nil {
		return -1, unix.EINVAL
	}
	for {
		fd, _, errno := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(p)),
			uintptr(flags|unix.O_NONBLOCK|unix.O_CLOEXEC), uintptr(mode), uintptr(unsafe.Pointer(attr)), 0, 0)
		if !again(errno, nil) {
			return int(fd), errno
		}
	}
}

func mqUnlink(name string) syscall.Errno {
	p, err := unix.BytePtrFromString(name[1:])
	if err != nil {
		return unix.EINVAL
	}
	for {
		_, _, errno := unix.Syscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(p)), 0, 0)
		if !again(errno, nil) {
			return errno
		}
	}
}

func mqSend(fd int, body []byte, prio uint32) syscall.Errno {
	for {
		_, _, errno := unix.RawSyscall6(unix.SYS_MQ_TIMEDSEND, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(body))), uintptr(len(body)), uintptr(prio), 0, 0)
		if !again(errno, nil) {
			return errno
		}
	}
}

// mqReceive gives the length of the message; prio may be nil.
func mqReceive(fd int, buf []byte, prio *uint32) (int, syscall.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_MQ_TIMEDRECEIVE, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), uintptr(unsafe.Pointer(prio)), 0, 0)
		if !again(errno, nil) {
			return int(n), errno
		}
	}
}

func mqGetattr(fd int) (mqAttr, syscall.Errno) {
	var attr mqAttr
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_MQ_GETSETATTR, uintptr(fd), 0, uintptr(unsafe.Pointer(&attr)))
		if !again(errno, nil) {
			return attr, errno
		}
	}
}
