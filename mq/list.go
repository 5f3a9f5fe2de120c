package mq

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Info is one queue of a [List].
type Info struct {
	Addr Addr // key 0 for a private System V queue, which only Stat.ID names
	Stat Stat
}

// List goes over the queues of a kind in our IPC namespace, also over those we
// may not read. What is not allowed to be known is -1 for counts and 0 else.
//
// System V queues come from /proc/sysvipc/msg. POSIX queues need a mounted mqueue
// file system; without one the error is [errors.ErrUnsupported] and says how to
// mount it. The list is no snapshot: queues come and go meanwhile. An error ends
// the list.
func List(kind Kind) iter.Seq2[Info, error] {
	switch kind {
	case KindSysV:
		return listSysV
	case KindPOSIX:
		return listPOSIX
	default:
		return func(yield func(Info, error) bool) {
			yield(Info{}, fmt.Errorf("list queues: %w: %v", errors.ErrUnsupported, kind))
		}
	}
}

const procMsg = "/proc/sysvipc/msg"

func listSysV(yield func(Info, error) bool) {
	table, err := os.ReadFile(procMsg)
	if err != nil {
		yield(Info{}, fmt.Errorf("list queues: %w", err))
		return
	}
	for line := range procLines(table) {
		info, err := parseProcMsg(line)
		if err != nil {
			yield(Info{}, fmt.Errorf("list queues: %s: %w", procMsg, err))
			return
		}
		// The table has all but msg_qbytes, and may be old by now.
		if ds, errno := statAny(info.Stat.ID); errno == 0 {
			info.Stat = ds.stat(info.Stat.ID)
		} else if errno == unix.EINVAL || errno == unix.EIDRM {
			continue
		}
		if !yield(info, nil) {
			return
		}
	}
}

// procLines gives the lines of a table of /proc/sysvipc after its heading.
func procLines(table []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		lines := bufio.NewScanner(bytes.NewReader(table))
		for first := true; lines.Scan(); first = false {
			if !first && !yield(lines.Bytes()) {
				return
			}
		}
	}
}

// parseProcMsg reads a line of /proc/sysvipc/msg (proc_sysvipc(5)): key msqid
// perms cbytes qnum lspid lrpid uid gid cuid cgid stime rtime ctime. The key is
// signed and decimal, perms is octal.
func parseProcMsg(line []byte) (Info, error) {
	fields := strings.Fields(string(line))
	if len(fields) < 14 {
		return Info{}, fmt.Errorf("%d fields, want 14: %q", len(fields), line)
	}
	var v [14]int64
	for i := range v {
		base, size := 10, 64
		switch i {
		case 0, 1, 5, 6:
			size = 32
		case 2:
			base, size = 8, 32
		}
		n, err := strconv.ParseInt(fields[i], base, size)
		if err != nil {
			return Info{}, fmt.Errorf("field %d of %q: %w", i+1, line, err)
		}
		v[i] = n
	}
	return Info{Addr: SysVAddr(Key(v[0])), Stat: Stat{
		ID: int(v[1]), Mode: fs.FileMode(v[2]) & fs.ModePerm, Bytes: v[3], Messages: v[4],
		LastSendPID: int(v[5]), LastReceivePID: int(v[6]),
		UID: uint32(v[7]), GID: uint32(v[8]), CUID: uint32(v[9]), CGID: uint32(v[10]),
		LastSend: seconds(v[11]), LastReceive: seconds(v[12]), LastChange: seconds(v[13]),
	}}, nil
}

func listPOSIX(yield func(Info, error) bool) {
	dir, err := mqueueMount()
	if err != nil {
		yield(Info{}, fmt.Errorf("list queues: %w", err))
		return
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		yield(Info{}, fmt.Errorf("list queues: %w", err))
		return
	}
	for _, e := range entries {
		info, err := statMounted(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrRemoved) {
			continue
		}
		if err != nil {
			yield(Info{}, fmt.Errorf("list queues: %w", err))
			return
		}
		if !yield(info, nil) {
			return
		}
	}
}

// statMounted stats the queue at path in a mounted mqueue file system. It opens
// that file and not the queue of that name: the mount may show another IPC
// namespace than ours.
func statMounted(path string) (Info, error) {
	info := Info{Addr: POSIXAddr("/" + filepath.Base(path))}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == nil {
		defer func() { _ = unix.Close(fd) }()
		info.Stat, err = statDescriptor(fd)
		return info, err
	}
	if !errors.Is(err, fs.ErrPermission) {
		return Info{}, err
	}
	var file unix.Stat_t
	if err := unix.Stat(path, &file); err != nil {
		return Info{}, err
	}
	info.Stat = fileStat(&file)
	return info, nil
}

// mqueueMount finds where the mqueue file system is mounted.
func mqueueMount() (string, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	if dir, found := parseMountinfo(table); found {
		return dir, nil
	}
	return "", fmt.Errorf("%w: no mqueue file system is mounted (mkdir /dev/mqueue; mount -t mqueue none /dev/mqueue)",
		errors.ErrUnsupported)
}

// parseMountinfo looks for type mqueue in a table of proc_pid_mountinfo(5): the
// mount point is field 5, with octal escapes; the type stands behind a hyphen.
func parseMountinfo(table []byte) (dir string, found bool) {
	for line := range strings.Lines(string(table)) {
		before, after, ok := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if !ok || len(fields) < 5 || !strings.HasPrefix(after, "mqueue ") {
			continue
		}
		return unescape(fields[4]), true
	}
	return "", false
}

// unescape undoes \040 and its like.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
