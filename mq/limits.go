package mq

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// Limits are those of our IPC namespace. They can change at any time.
type Limits struct {
	MsgMax int64 // kernel.msgmax: bytes in one System V message
	MsgMnb int64 // kernel.msgmnb: msg_qbytes of a new System V queue
	MsgMni int64 // kernel.msgmni: number of System V queues

	// fs.mqueue.*, all 0 if the kernel has no POSIX queues.
	MqQueuesMax      int64 // number of POSIX queues
	MqMsgMax         int64 // highest mq_maxmsg without CAP_SYS_RESOURCE
	MqMsgSizeMax     int64 // highest mq_msgsize without CAP_SYS_RESOURCE, bytes
	MqMsgDefault     int64 // mq_maxmsg if none is asked for
	MqMsgSizeDefault int64 // mq_msgsize if none is asked for, bytes
}

// SystemLimits reads the limits: IPC_INFO of msgctl(2) and /proc/sys/fs/mqueue.
func SystemLimits() (Limits, error) {
	info, errno := ipcInfoLimits()
	if errno != 0 {
		return Limits{}, fmt.Errorf("limits of message queues: %w", errno)
	}
	l := Limits{MsgMax: int64(info.max), MsgMnb: int64(info.mnb), MsgMni: int64(info.mni)}
	for _, f := range []struct {
		name  string
		value *int64
	}{
		{"queues_max", &l.MqQueuesMax},
		{"msg_max", &l.MqMsgMax},
		{"msgsize_max", &l.MqMsgSizeMax},
		{"msg_default", &l.MqMsgDefault},
		{"msgsize_default", &l.MqMsgSizeDefault},
	} {
		v, err := mqueueLimit(f.name)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return Limits{}, fmt.Errorf("limits of message queues: %w", err)
		}
		*f.value = v
	}
	return l, nil
}

// MsgMax is the size of the largest System V message now, in bytes
// (kernel.msgmax). It is one short system call: ask again rather than keep it.
func MsgMax() (int, error) {
	info, errno := ipcInfoLimits()
	if errno != 0 {
		return 0, fmt.Errorf("msgmax: %w", errno)
	}
	return int(info.max), nil
}

// ipcInfoLimits is IPC_INFO. Unlike /proc/sys/kernel it needs no /proc, and it is
// one call for three limits.
func ipcInfoLimits() (msgInfo, syscall.Errno) {
	var info msgInfo
	_, errno := msgctl(0, ipcInfo, unsafe.Pointer(&info))
	if errno != 0 {
		return msgInfo{}, errno
	}
	return info, 0
}

func mqueueLimit(name string) (int64, error) {
	path := "/proc/sys/fs/mqueue/" + name
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}
