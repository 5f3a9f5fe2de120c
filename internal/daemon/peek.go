package daemon

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"syscall"

	"github.com/mqdaemon/mqd/mq"
)

// peekSource is for a landing whose memory is not locked on a host with swap.
// There a page can be away when the kernel copies a message into it, and a
// SIGKILL at that moment loses the message. So this source copies the message
// (MSG_COPY) and takes it from the queue only after it was committed. A kill
// between the two repeats one message; none is lost.
type peekSource struct {
	sysvSource
	taken []byte // what is taken from the queue, to be compared with what was copied
}

func (s *peekSource) Receive(buf []byte) (int, syscall.Errno) {
	m, err := s.queue.Peek(buf[8:], 0)
	if err != nil {
		return 0, errnoOf(err)
	}
	binary.NativeEndian.PutUint64(buf, uint64(m.Type))
	return len(m.Body), 0
}

// Committed takes the message that lies in buf from the queue. If it is another
// one, somebody else reads this queue: ours is gone, and what came instead is
// given back to be landed, too.
func (s *peekSource) Committed(buf []byte) (other []byte, err error) {
	if len(s.taken) < len(buf) {
		s.taken = make([]byte, len(buf))
	}
	n, errno := s.queue.TryReceiveRaw(s.taken[:len(buf)])
	switch {
	case errno == 0 && bytes.Equal(s.taken[:8+n], buf[:8+n]):
		return nil, nil
	case errno == 0:
		return s.taken[:8+n], nil
	case errno == syscall.ENOMSG:
		return nil, nil // somebody else took it
	case errno == syscall.EIDRM || errno == syscall.EINVAL:
		return nil, nil // the next Receive says so
	}
	return nil, errno
}

// errnoOf finds the errno that the intake decides by.
func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	switch {
	case errors.Is(err, mq.ErrEmpty):
		return syscall.ENOMSG
	case errors.Is(err, mq.ErrTooLarge):
		return syscall.E2BIG
	case errors.Is(err, mq.ErrRemoved):
		return syscall.EIDRM
	case errors.As(err, &errno):
		return errno
	}
	return syscall.EIO
}

// swapOn reports whether this host can write memory out to disk, see proc(5).
func swapOn() bool {
	data, err := os.ReadFile("/proc/swaps")
	return err != nil || bytes.Count(data, []byte("\n")) > 1
}

// canPeek reports whether the kernel has MSG_COPY.
func canPeek(q *mq.SysV) bool {
	_, err := q.Peek(nil, 0)
	return !errors.Is(err, errors.ErrUnsupported)
}
