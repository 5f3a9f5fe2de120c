package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// msgsnd and msgrcv are the bare calls, waits included: this is a baseline, and
// its processes do nothing else.
func msgsnd(id int, msg []byte, size int) syscall.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_MSGSND, uintptr(id), uintptr(unsafe.Pointer(&msg[0])), uintptr(size), 0, 0, 0)
	return errno
}

func msgrcv(id int, buf []byte, room int) syscall.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_MSGRCV, uintptr(id), uintptr(unsafe.Pointer(&buf[0])), uintptr(room), 0, 0, 0)
	return errno
}

// cpuOf is the user and system time of a running process, see proc_pid_stat(5).
func cpuOf(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	var ticks int64
	for _, i := range []int{11, 12} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100), nil
}
