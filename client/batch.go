package client

import (
	"context"
	"fmt"
	"time"
)

// SendBatch puts messages on the queue, many in one kernel message, which costs
// a fraction of sending each alone. Their order is kept; messages of different
// types do not share a kernel message. While the queue is full it waits as Send
// does.
//
// It returns how many messages were accepted, from the front: all of a kernel
// message that was sent, none of one that was not. Accepted is len(messages) if
// and only if err is nil. Errors are those of Send; a message that can never be
// sent is found before anything is sent, so accepted is 0 then, and a
// [*MessageError] says which message it is.
func (c *Client) SendBatch(ctx context.Context, messages []Message) (accepted int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("send: %w", err)
	}
	if len(messages) == 0 {
		return 0, nil
	}
	d, l, err := c.limits(ctx, true)
	if err != nil {
		return 0, err
	}
	if err := checkAll(d, l, messages); err != nil {
		return 0, err
	}
	f := c.frame()
	defer c.keep(f)
	for accepted < len(messages) {
		n := f.pack(messages[accepted:], l)
		if err := c.put(ctx, f, true); err != nil {
			return accepted, err
		}
		accepted += n
	}
	return accepted, nil
}

// checkAll finds the first message that no kernel message can hold.
func checkAll(d *door, l limits, messages []Message) error {
	for i := range messages {
		m := &messages[i]
		err := checkMessage(m)
		if size := textSize(m); err == nil && int64(size) > l.largest {
			err = d.tooLarge(l, mtypeOf(m), size)
		}
		if err != nil {
			return &MessageError{Index: i, Err: err}
		}
	}
	return nil
}

// pack fills f with messages from the front, and gives their number, at least 1.
func (f *frame) pack(messages []Message, l limits) int {
	mtype := mtypeOf(&messages[0])
	f.reset(mtype, int(l.pack()))
	now, n := time.Now().UnixNano(), 0
	for n < len(messages) && mtypeOf(&messages[n]) == mtype && f.add(&messages[n], now) {
		n++
	}
	if n == 0 { // larger than what is packed, but the queue takes it
		f.reset(mtype, textSize(&messages[0]))
		f.add(&messages[0], now)
		n = 1
	}
	return n
}

// packMost bounds the size of a packed kernel message, in bytes, where the limits
// of the kernel were raised far: beyond it nothing is won.
const packMost = 64 << 10

// pack is the size to which messages are packed: the largest message, but no
// more than half the queue, so that the next one is written while the daemon
// takes the last. Measured with the default limits, smaller ones are slower:
// 1.4 M/s for 2 KiB, 2.5 M/s for 4 KiB, 4 M/s for 8 KiB.
func (l limits) pack() int64 { return max(min(l.largest, l.capacity/2, packMost), 1) }
