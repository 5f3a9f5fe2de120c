package daemon

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/mqdaemon/mqd/internal/spool"
	"github.com/mqdaemon/mqd/mq"
)

const (
	// lookAgain is how often a queue that is missing, held or backed up is looked at.
	lookAgain = time.Second
	// roomMax is the room at which a message is too large for this daemon, bytes.
	roomMax = 64 << 20
	// handOver bounds how many messages are drained before they are handed to
	// the batcher: under load the queue may never be seen empty.
	handOver = 256
)

// Doorbells: the mtype of a zero-length message.
const (
	bellLook  = 1 // look at the doors
	bellFlush = 2 // and send what is pending
)

// intake moves messages from the queue into the landing until ctx ends.
func (r *route) intake(ctx context.Context) {
	r.batches.Add(r.landing.Take()...) // what a former daemon left
	ready := sync.OnceFunc(func() { close(r.ready) })
	for ctx.Err() == nil {
		src, err := openSource(ctx, &r.cfg, r.swap && !r.landing.Stats().Locked, r.log)
		if err != nil {
			r.setHeld(err)
			ready()
			r.pause(ctx, nil)
			continue
		}
		r.setSource(src)
		ready()
		err = r.drain(ctx, src)
		r.setSource(nil)
		r.batches.Add(r.landing.Take()...)
		if cerr := src.Close(); cerr != nil {
			r.log.Warn("queue not closed", "queue", r.cfg.Queue, "error", cerr)
		}
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, mq.ErrRemoved):
			r.log.Warn("queue was removed by somebody, making it again; messages that were in it are lost",
				"queue", r.cfg.Queue, "seen_in_it_before", r.backlog.Swap(0))
		default:
			r.setHeld(err)
			r.pause(ctx, nil)
		}
	}
}

// pause waits for wake, for a nudge from a signal or for lookAgain.
func (r *route) pause(ctx context.Context, wake <-chan struct{}) {
	t := time.NewTimer(lookAgain)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-r.nudge:
	case <-t.C:
	}
}

// drain waits for messages and takes them until the queue is gone or ctx ends.
func (r *route) drain(ctx context.Context, src source) error {
	for {
		bell, err := src.Wait()
		if err != nil {
			return err
		}
		if bell != 0 {
			r.ring(bell)
			continue
		}
		if err := r.empty(ctx, src); err != nil {
			return err
		}
	}
}

// empty takes what is on the queue, until nothing is.
func (r *route) empty(ctx context.Context, src source) error {
	now := time.Now().UnixNano()
	peek, _ := src.(*peekSource)
	for taken := 1; ; taken++ {
		room, err := r.landing.Room()
		if err != nil {
			if err := r.backUp(ctx, src, err); err != nil {
				return err
			}
			now = time.Now().UnixNano()
			continue
		}
		n, errno := src.Receive(room)
		switch {
		case errno == 0 && n > 0:
			r.landing.Commit(n, now)
		case errno == 0:
			r.ring(int64(binary.NativeEndian.Uint64(room)))
		case errno == syscall.ENOMSG || errno == syscall.EAGAIN:
			r.batches.Add(r.landing.Take()...)
			// Whom that woke runs on this thread at once, instead of waiting until
			// another one is woken: a fifth of the latency of a quiet message.
			runtime.Gosched()
			return nil
		case errno == syscall.E2BIG || errno == syscall.EMSGSIZE:
			if err := r.grow(src, len(room)-8); err != nil {
				return err
			}
		case errno == syscall.EIDRM || errno == syscall.EINVAL:
			return mq.ErrRemoved
		default:
			return fmt.Errorf("receive from queue %s: %w", r.cfg.Queue, errno)
		}
		if peek != nil && errno == 0 {
			if err := r.confirm(ctx, peek, room[:8+n], now); err != nil {
				return err
			}
		}
		if taken%handOver == 0 {
			r.batches.Add(r.landing.Take()...)
			now = time.Now().UnixNano()
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
}

// confirm takes a message that was copied and committed from the queue.
func (r *route) confirm(ctx context.Context, peek *peekSource, message []byte, now int64) error {
	other, err := peek.Committed(message)
	if err != nil || len(other) <= 8 {
		return err
	}
	r.log.Warn("somebody else takes messages from this queue", "queue", r.cfg.Queue)
	for {
		room, err := r.landing.Room()
		if err == nil {
			r.landing.Commit(copy(room, other)-8, now)
			return nil
		}
		if err := r.backUp(ctx, peek, err); err != nil {
			return err
		}
	}
}

// grow makes room for a message that is larger than what was offered: msgmax was
// raised while we ran, or lowered after the message was sent. Without that it
// would be asked for again at once, for ever.
func (r *route) grow(src source, offered int) error {
	limit, err := src.Limit()
	if err != nil {
		return err
	}
	room := max(min(limit, usualMax), 2*offered)
	if offered >= roomMax {
		return fmt.Errorf("receive from queue %s: the message is larger than %d bytes, the most room there is (msgmax is %d)",
			r.cfg.Queue, offered, limit)
	}
	r.landing.SetMsgMax(room)
	return nil
}

// backUp waits until the landing has room again; meanwhile the queue fills and
// senders wait. It never waits in msgrcv(2): the queue is not empty, so that
// would return at once. Once a second it makes sure that the queue is still there.
func (r *route) backUp(ctx context.Context, src source, why error) error {
	r.batches.Add(r.landing.Take()...)
	if !errors.Is(why, spool.ErrFull) {
		return why
	}
	st, err := src.Stat()
	if err != nil {
		return err
	}
	r.backlog.Store(st.Messages)
	r.pause(ctx, r.landing.Freed())
	return ctx.Err()
}

// ring does what a doorbell asks for.
func (r *route) ring(bell int64) {
	if bell == bellFlush {
		r.flush()
	}
}
