package daemon

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
	"unsafe"

	"github.com/mqdaemon/mqd/internal/config"
	"github.com/mqdaemon/mqd/mq"
)

// foreignRead are the permission bits with which clients could take each
// other's messages.
const foreignRead fs.FileMode = 0o044

// source is a kernel queue as the intake sees it.
type source interface {
	// Wait blocks until a message is there, which stays queued, and gives 0; or
	// it gives the mtype of a zero-length message, which it took.
	Wait() (doorbell int64, err error)
	// Receive takes the next message without waiting: its mtype into buf[:8],
	// its payload behind it. It gives the payload's length.
	Receive(buf []byte) (n int, errno syscall.Errno)
	// Limit is the size of the largest message there can be now, in bytes.
	Limit() (int, error)
	// Stat also notices a queue that is gone: mq.ErrRemoved.
	Stat() (mq.Stat, error)
	Close() error
}

// heldError says that a queue cannot be used until somebody acts, and how.
type heldError struct{ why, do string }

func (e *heldError) Error() string { return e.why + "; type: " + e.do }

// openSource opens or makes the queue of a route and makes sure that clients can
// only write to it.
//
// peek asks for the hand-off that needs no locked memory; a POSIX queue and an old
// kernel do not have it.
func openSource(ctx context.Context, r *config.Route, peek bool, log *slog.Logger) (source, error) {
	if r.Queue.Kind == mq.KindPOSIX {
		return openPOSIX(ctx, r, log)
	}
	q, err := openSysV(r, log)
	if err != nil {
		return nil, err
	}
	src := sysvSource{queue: q, waiter: q.NewWaiter(ctx)}
	if peek && canPeek(q) {
		return &peekSource{sysvSource: src}, nil
	}
	return &src, nil
}

func openSysV(r *config.Route, log *slog.Logger) (*mq.SysV, error) {
	q, err := mq.OpenSysV(r.Queue.Key, nil)
	if errors.Is(err, fs.ErrNotExist) {
		q, err = mq.OpenSysV(r.Queue.Key, &mq.Options{Create: true, Exclusive: true, Mode: r.Mode})
	}
	if err != nil {
		return nil, err
	}
	if err := ownSysV(q, r, log); err != nil {
		return nil, errors.Join(err, q.Close())
	}
	return q, nil
}

// ownSysV gives the queue the owner, mode, group and size that the route asks
// for, or says why it cannot.
func ownSysV(q *mq.SysV, r *config.Route, log *slog.Logger) error {
	st, err := q.Stat()
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	uid, gid := uint32(os.Geteuid()), uint32(groupOf(r))
	if err != nil || (st.UID != uid && uid != 0) {
		return &heldError{
			why: fmt.Sprintf("queue %s belongs to another user and this daemon is not root", r.Queue),
			do:  fmt.Sprintf("ipcrm -Q %s", r.Queue.Key),
		}
	}
	if st.UID != uid || st.Mode.Perm() != r.Mode || st.GID != gid {
		if err := q.Set(mq.Settings{UID: &uid, GID: &gid, Mode: &r.Mode}); err != nil {
			return err
		}
		if st.UID != uid || st.Mode&foreignRead != 0 {
			log.Warn("queue taken over", "queue", r.Queue, "old_uid", st.UID, "old_mode", fmt.Sprintf("%#o", st.Mode.Perm()),
				"mode", fmt.Sprintf("%#o", r.Mode), "depth", st.Messages)
		}
	}
	if st.CUID != uid {
		// The kernel counts the creator as an owner for ever, see svipc(7).
		log.Warn("the user who made this queue can still read and remove it; to end that, stop the senders, wait for depth 0 and remove it: mqd makes it again",
			"queue", r.Queue, "made_by_uid", st.CUID, "type", "ipcrm -Q "+r.Queue.Key.String())
	}
	if r.QueueBytes > 0 && st.MaxBytes != r.QueueBytes {
		if err := q.Set(mq.Settings{MaxBytes: &r.QueueBytes}); err != nil {
			log.Warn("queue_bytes not reached", "queue", r.Queue, "queue_bytes", r.QueueBytes, "real", st.MaxBytes,
				"error", err, "hint", fmt.Sprintf("sysctl -w kernel.msgmnb=%d", r.QueueBytes))
		}
	}
	return nil
}

func groupOf(r *config.Route) int {
	if r.GID >= 0 {
		return r.GID
	}
	return os.Getegid()
}

// sysvSource waits with msgrcv(2) of size 0, which leaves the message, and then
// takes it in a call that never sleeps.
type sysvSource struct {
	queue  *mq.SysV
	waiter *mq.Waiter
}

func (s *sysvSource) Wait() (int64, error)                    { return s.waiter.Wait() }
func (s *sysvSource) Receive(buf []byte) (int, syscall.Errno) { return s.queue.TryReceiveRaw(buf) }
func (s *sysvSource) Stat() (mq.Stat, error)                  { return s.queue.Stat() }

func (s *sysvSource) Limit() (int, error) { return mq.MsgMax() }

func (s *sysvSource) Close() error {
	s.waiter.Close()
	return s.queue.Close()
}

func openPOSIX(ctx context.Context, r *config.Route, log *slog.Logger) (source, error) {
	q, err := mq.OpenPOSIX(r.Queue.Name, &mq.Options{Create: true, Mode: r.Mode})
	if errors.Is(err, fs.ErrPermission) {
		return nil, &heldError{
			why: fmt.Sprintf("queue %s belongs to another user", r.Queue),
			do:  fmt.Sprintf("mqctl queue rm %s", r.Queue),
		}
	}
	if err != nil {
		return nil, err
	}
	if err := ownPOSIX(q, r, log); err != nil {
		return nil, errors.Join(err, q.Close())
	}
	ctx, abandon := context.WithCancelCause(ctx)
	return &posixSource{queue: q, ctx: ctx, abandon: abandon}, nil
}

func ownPOSIX(q *mq.POSIX, r *config.Route, log *slog.Logger) error {
	st, err := q.Stat()
	if err != nil {
		return err
	}
	uid, gid := uint32(os.Geteuid()), uint32(groupOf(r))
	if st.UID != uid && uid != 0 {
		return &heldError{
			why: fmt.Sprintf("queue %s belongs to uid %d and this daemon is not root", r.Queue, st.UID),
			do:  fmt.Sprintf("mqctl queue rm %s", r.Queue),
		}
	}
	if st.UID == uid && st.GID == gid && st.Mode.Perm() == r.Mode {
		return nil
	}
	if err := errors.Join(q.Chown(int(uid), int(gid)), q.Chmod(r.Mode)); err != nil {
		return err
	}
	if st.UID != uid || st.Mode&foreignRead != 0 {
		log.Warn("queue taken over", "queue", r.Queue, "old_uid", st.UID, "old_mode", fmt.Sprintf("%#o", st.Mode.Perm()),
			"mode", fmt.Sprintf("%#o", r.Mode), "depth", st.Messages)
	}
	return nil
}

// posixSource sits on the runtime's poller. mtype is 1 + msg_prio, so that the
// doorbells of both kinds of queue look alike.
type posixSource struct {
	queue   *mq.POSIX
	ctx     context.Context
	abandon context.CancelCauseFunc // ends Wait with this error
}

func (s *posixSource) Stat() (mq.Stat, error) { return s.queue.Stat() }

func (s *posixSource) Wait() (int64, error) {
	err := s.queue.Wait(s.ctx)
	if s.ctx.Err() != nil {
		err = context.Cause(s.ctx)
	}
	return 0, err
}

func (s *posixSource) Close() error {
	s.abandon(nil)
	return s.queue.Close()
}

func (s *posixSource) Limit() (int, error) {
	st, err := s.queue.Stat()
	return int(st.MaxMessageSize), err
}

// Receive lets the kernel write the priority over the low half of a word of all
// ones: after a kill that tells a message that was written from memory that was not.
func (s *posixSource) Receive(buf []byte) (int, syscall.Errno) {
	binary.NativeEndian.PutUint64(buf, ^uint64(0))
	prio := (*uint32)(unsafe.Pointer(&buf[0]))
	n, errno := s.queue.TryReceiveRaw(buf[8:], prio)
	if errno == 0 {
		binary.NativeEndian.PutUint64(buf, uint64(*prio)+1)
	}
	return n, errno
}
