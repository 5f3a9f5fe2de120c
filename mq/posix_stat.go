package mq

import (
	"bytes"
	"io/fs"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Stat reports the state of the queue: mq_getattr(3) and fstat(2). Errors:
// ErrRemoved once the name is gone, ErrClosed.
func (q *POSIX) Stat() (Stat, error) {
	var st Stat
	err := q.control("stat", func(fd int) (err error) {
		st, err = statDescriptor(fd)
		return err
	})
	if err != nil {
		return Stat{}, err
	}
	return st, nil
}

func statDescriptor(fd int) (Stat, error) {
	attr, errno := mqGetattr(fd)
	if errno != 0 {
		return Stat{}, errno
	}
	var file unix.Stat_t
	if err := unix.Fstat(fd, &file); err != nil {
		return Stat{}, err
	}
	if file.Nlink == 0 {
		return Stat{}, &kernelError{ErrRemoved, unix.ENOENT}
	}
	st := fileStat(&file)
	st.Messages = attr.curmsgs
	st.Bytes = queuedBytes(fd)
	st.MaxMessages = attr.maxmsg
	st.MaxMessageSize = attr.msgsize
	st.MaxBytes = attr.maxmsg * attr.msgsize
	return st, nil
}

// fileStat is what the inode of a queue tells; the rest is unknown.
func fileStat(file *unix.Stat_t) Stat {
	return Stat{
		Messages:   -1,
		Bytes:      -1,
		LastChange: time.Unix(file.Ctim.Unix()),
		Mode:       fs.FileMode(file.Mode) & fs.ModePerm,
		UID:        file.Uid,
		GID:        file.Gid,
		CUID:       file.Uid,
		CGID:       file.Gid,
	}
}

// queuedBytes reads the status line of a queue, "QSIZE:129 NOTIFY:2 ..."
// (mq_overview(7)); -1 if the descriptor is not readable.
func queuedBytes(fd int) int64 {
	line := make([]byte, 128)
	n, err := unix.Pread(fd, line, 0)
	if err != nil {
		return -1
	}
	return parseQSize(line[:n])
}

func parseQSize(line []byte) int64 {
	rest, found := bytes.CutPrefix(line, []byte("QSIZE:"))
	if !found {
		return -1
	}
	digits, _, _ := bytes.Cut(rest, []byte(" "))
	size, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || size < 0 {
		return -1
	}
	return size
}
