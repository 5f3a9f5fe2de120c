package main

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/internal/cli"
)

// answerTime is how long the daemon may take to answer. It answers from memory.
const answerTime = 10 * time.Second

type flushCmd struct {
	Route string `placeholder:"NAME" help:"Only this route (all)."`
}

// Help is the explanation in --help.
func (flushCmd) Help() string {
	return `The daemon looks at its doors and sends what it has now. This command does not wait until that is sent. It asks over the socket; where only the daemon's user may do that, it sends SIGUSR1 or, with nothing but the permission to send, a message without text on the queue of the route (default). That message is also the way where nothing but --queue or $MQD_QUEUE says which daemon is meant.`
}

// Examples are those in --help.
func (flushCmd) Examples() string {
	return `mqctl flush
mqctl flush --route sms
mqctl flush --runtime /run/mqd
`
}

// Run wakes the daemon by the first way that works. The message without text is
// not left behind for a daemon that is known not to run.
func (cmd *flushCmd) Run(ctx context.Context, c *client.Client) error {
	c.Route = cmd.Route
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	err := c.Flush(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, client.ErrNotRunning):
		switch signalErr := c.Signal(ctx); {
		case signalErr == nil:
			return nil
		case !errors.Is(signalErr, fs.ErrNotExist) && !errors.Is(signalErr, fs.ErrPermission):
			return controlError(err)
		}
	case !errors.Is(err, fs.ErrPermission) && !isStatus(err, 403):
		return controlError(err)
	}
	err = c.Wake(ctx)
	if errors.Is(err, fs.ErrPermission) {
		return &cli.ExitError{
			Code:  cli.CodeNotPermitted,
			Err:   errors.New("flush: only root, the user of mqd and those who may send to the queue can ask for it"),
			Hints: []string{"mqctl queue stat shows the mode and group of the queue, id shows your groups"},
		}
	}
	if err != nil {
		return controlError(err)
	}
	return nil
}
