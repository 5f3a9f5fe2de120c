package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/mqdaemon/mqd/client"
)

// answerTime is how long the daemon may take to answer. It answers from memory.
const answerTime = 10 * time.Second

type flushCmd struct {
	Route string `placeholder:"NAME" help:"Route whose queue carries the wish if the socket is not allowed (default)."`
}

// Help is the explanation in --help.
func (flushCmd) Help() string {
	return `The daemon looks at every door and sends what it has now. This command does not wait until that is sent. It asks over the socket; where only the daemon's user may do that, it sends SIGUSR1 or, with nothing but the permission to send, a message without text on the queue.`
}

// Examples are those in --help.
func (flushCmd) Examples() string {
	return `mqctl flush
mqctl flush --runtime /run/mqd
`
}

// Run wakes the daemon by the first way that works.
func (cmd *flushCmd) Run(ctx context.Context, c *client.Client) error {
	c.Route = cmd.Route
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	err := c.Flush(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, client.ErrNotRunning), errors.Is(err, fs.ErrPermission), isStatus(err, 403):
		// Not allowed over the socket, or no socket: another way may be open.
	default:
		return controlError(err)
	}
	if wakeErr := c.Wake(ctx); wakeErr != nil {
		return controlError(fmt.Errorf("%w; %w", err, wakeErr))
	}
	return nil
}
