package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/mq"
)

// Client sends messages to one route of a daemon and talks to its socket. The
// zero Client is ready and serves the route "default". All methods may be called
// from several goroutines at once. A Client must not be copied, nor its fields
// changed, after the first call.
type Client struct {
	// Route is the name of the route; "" is "default".
	Route string

	// Queue is the queue to send to; zero looks for that of the route.
	Queue mq.Addr

	// Socket is the path of the daemon's socket; "" looks for it.
	Socket string

	// Runtime and State are the directories of the daemon. Setting one of them
	// means that no other daemon is looked for.
	Runtime, State string

	// Dial connects to the daemon's socket instead of [net.Dialer]; for tests.
	Dial func(ctx context.Context, path string) (net.Conn, error)

	finder *finder // nil: systemFinder
	frames sync.Pool
	closed atomic.Bool
	door   atomic.Pointer[door] // nil: not open. Set with mu held
	mu     sync.Mutex           // held while the queue is opened or closed
}

// Send puts m on the queue. While the queue is full it tries again until ctx
// ends: for some 50 us it only gives the processor away in between, then it
// sleeps 1 ms, then twice as long, up to 50 ms, each cut by a random part. A
// queue that was removed is opened anew when the daemon has made it again, within
// two seconds.
//
// Errors: an [mq.LimitError] (and [mq.ErrTooLarge]) for a message that can never
// fit, before anything is sent; the sizes in it are those of the frame, which is
// the body, 26 bytes and the attributes. [ErrFull] together with the error of
// ctx. [ErrNotRunning] or [ErrNoRoute] if there is no queue. [fs.ErrPermission].
// [fs.ErrInvalid] for a field out of its range. [ErrClosed].
func (c *Client) Send(ctx context.Context, m Message) error {
	return c.sendOne(ctx, &m, true)
}

// TrySend is Send for a caller that does not wait: a full queue is [ErrFull] at
// once, and a removed one is looked for once.
func (c *Client) TrySend(m Message) error {
	return c.sendOne(context.Background(), &m, false)
}

func (c *Client) sendOne(ctx context.Context, m *Message, wait bool) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	f := c.frame()
	f.reset(mtypeOf(m), cap(f.buf)-headerSize)
	now := time.Now().UnixNano()
	if !f.add(m, now) {
		if err := c.fit(ctx, f, m, now, wait); err != nil {
			c.frames.Put(f)
			return err
		}
	}
	err := c.put(ctx, f, wait)
	c.keep(f)
	return err
}

// fit makes room for a message that is larger than the usual frame, unless it is
// over the limits of the queue.
func (c *Client) fit(ctx context.Context, f *frame, m *Message, now int64, wait bool) error {
	if err := checkMessage(m); err != nil {
		return err
	}
	d, l, err := c.limits(ctx, wait)
	if err != nil {
		return err
	}
	size := textSize(m)
	if int64(size) > l.largest {
		return d.tooLarge(l, f.mtype, size)
	}
	f.reset(f.mtype, size)
	f.add(m, now)
	return nil
}

// limits asks the queue for its limits, which may change at any time.
func (c *Client) limits(ctx context.Context, wait bool) (*door, limits, error) {
	d, err := c.open()
	for err == nil {
		var l limits
		if l, err = d.limits(); err == nil {
			return d, l, nil
		}
		if c.gone(err) {
			d, err = c.reopen(ctx, d, wait)
		}
	}
	return nil, limits{}, err
}

// frame lends a buffer; keep takes it back.
func (c *Client) frame() *frame {
	f, _ := c.frames.Get().(*frame)
	if f == nil {
		f = &frame{buf: make([]byte, frameSize)}
	}
	return f
}

func (c *Client) keep(f *frame) {
	if cap(f.buf) <= frameKeep {
		c.frames.Put(f)
	}
}

// put sends what is in f. The first try is all that there is on a good day.
func (c *Client) put(ctx context.Context, f *frame, wait bool) error {
	d := c.door.Load()
	if d == nil {
		var err error
		if d, err = c.open(); err != nil {
			return err
		}
	}
	msg := f.bytes()
	errno := d.trySend(msg, f.mtype)
	if errno == 0 {
		return nil
	}
	return c.putAgain(ctx, d, errno, msg, f.mtype, wait)
}

// putAgain goes on after a first try that failed with errno.
func (c *Client) putAgain(ctx context.Context, d *door, errno syscall.Errno, msg []byte, mtype int64, wait bool) error {
	var p pause
	defer p.stop()
	for errno != 0 {
		if errno == unix.EAGAIN && wait && p.yield() {
			errno = d.trySend(msg, mtype)
			continue
		}
		err := d.explain(errno, mtype, len(msg)-headerSize)
		switch {
		case errors.Is(err, mq.ErrFull):
			if !wait {
				return err
			}
			if ctxErr := p.wait(ctx); ctxErr != nil {
				return fmt.Errorf("%w: %w", err, ctxErr)
			}
		case c.gone(err):
			if d, err = c.reopen(ctx, d, wait); err != nil {
				return err
			}
		default:
			return err
		}
		errno = d.trySend(msg, mtype)
	}
	return nil
}

// gone reports whether err says that the queue was removed. A queue that another
// goroutine closed, because it saw the removal first, is one too.
func (c *Client) gone(err error) bool {
	return errors.Is(err, mq.ErrRemoved) || errors.Is(err, mq.ErrClosed) && !c.closed.Load()
}

// reopen opens the queue that took the place of the removed d.
func (c *Client) reopen(ctx context.Context, d *door, wait bool) (*door, error) {
	c.drop(d)
	patience, cancel := context.WithTimeout(ctx, remakeTime)
	defer cancel()
	var p pause
	defer p.stop()
	for {
		d, err := c.open()
		if err == nil || !wait || !errors.Is(err, fs.ErrNotExist) {
			return d, err
		}
		if p.wait(patience) != nil {
			if ctxErr := ctx.Err(); ctxErr != nil {
				err = fmt.Errorf("%w: %w", err, ctxErr)
			}
			return nil, err
		}
	}
}

// open gives the queue. It is looked for and opened at the first call, and again
// after it was dropped, as the daemon may have another queue by now.
func (c *Client) open() (*door, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return nil, ErrClosed
	}
	if d := c.door.Load(); d != nil {
		return d, nil
	}
	addr, _, err := c.FindQueue()
	if err != nil {
		return nil, err
	}
	d, err := openDoor(addr)
	if errors.Is(err, fs.ErrNotExist) {
		// The daemon makes the queue and never removes it: it did not run since
		// the machine started, or somebody removed the queue.
		return nil, fmt.Errorf("%w, or somebody removed its queue: %w", ErrNotRunning, err)
	}
	if err != nil {
		return nil, err
	}
	c.door.Store(d)
	return d, nil
}

// drop closes d, unless another goroutine was faster.
func (c *Client) drop(d *door) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.door.CompareAndSwap(d, nil) {
		_ = d.close() // the queue is gone
	}
}

// FindQueue gives the address of the queue that Send would open, whether it exists
// or not, and what named it: "Queue" for the field, "MQD_QUEUE", or the path of a
// routes file. Errors: [ErrNotRunning], [ErrNoRoute], or that of [mq.ParseAddr].
func (c *Client) FindQueue() (addr mq.Addr, from string, err error) {
	return c.find().findQueue(c.Queue, c.route(), place{c.Runtime, c.State})
}

// Close gives the queue back to the system; its messages stay. Calls that wait
// for room return [ErrClosed] at their next try, within 50 ms, and all later
// sends at once. Status and Flush go on working. Closing twice is no error.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed.Store(true)
	if d := c.door.Swap(nil); d != nil {
		return d.close()
	}
	return nil
}

func (c *Client) route() string {
	if c.Route == "" {
		return defaultRoute
	}
	return c.Route
}

func (c *Client) find() *finder {
	if c.finder != nil {
		return c.finder
	}
	return systemFinder()
}
