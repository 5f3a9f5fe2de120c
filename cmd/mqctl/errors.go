package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/internal/cli"
	"github.com/mqdaemon/mqd/mq"
)

// sendError gives the exit code and the way out for a message that was not sent,
// after sent others that were. For one that is too large there is limitHints.
func sendError(err error, sent int) error {
	e := &cli.ExitError{Code: cli.CodeFailed, Err: err}
	switch {
	case errors.Is(err, client.ErrFull), errors.Is(err, context.DeadlineExceeded), errors.Is(err, unix.ENOMEM):
		e.Code = cli.CodeTryLater
		e.Hints = []string{"mqctl status shows whether mqd takes messages from it"}
	case errors.Is(err, client.ErrNoRoute):
		e = noRoute(err)
	case errors.Is(err, client.ErrNotRunning), errors.Is(err, fs.ErrNotExist), errors.Is(err, mq.ErrRemoved):
		e.Code = cli.CodeCantCreate
		e.Hints = []string{"mqd makes the queue when it starts; mqctl queue create makes one without it",
			"--queue, --runtime or --state say where to look"}
	case errors.Is(err, fs.ErrPermission):
		e.Code = cli.CodeNotPermitted
		e.Hints = []string{"sending needs write permission on the queue: mqctl queue stat shows its mode and group, id shows your groups"}
	case errors.Is(err, fs.ErrInvalid):
		e.Code = cli.CodeUsage
	case errors.Is(err, context.Canceled):
		e.Err = errors.New("interrupted")
	}
	if sent > 0 {
		e.Err = fmt.Errorf("%w (%d accepted before)", e.Err, sent)
	}
	return e
}

// noRoute is for a daemon that was found and has other routes.
func noRoute(err error) *cli.ExitError {
	return &cli.ExitError{Code: cli.CodeCantCreate, Err: err, Hints: []string{"--route NAME names one that it has"}}
}

// controlError is the same for a question to the daemon.
func controlError(err error) error {
	e := &cli.ExitError{Code: cli.CodeFailed, Err: err}
	switch {
	case errors.Is(err, client.ErrNotRunning):
		e.Code = cli.CodeUnavailable
		e.Hints = []string{"--socket or --runtime say where it is"}
	case errors.Is(err, client.ErrNoRoute):
		e = noRoute(err)
	case errors.Is(err, fs.ErrPermission), isStatus(err, 403):
		e.Code = cli.CodeNotPermitted
	case errors.Is(err, context.DeadlineExceeded):
		e.Code = cli.CodeTryLater
	}
	return e
}

// queueError is the same for a kernel queue that a command looks at or changes.
func queueError(err error) error {
	e := &cli.ExitError{Code: cli.CodeFailed, Err: err}
	switch {
	case errors.Is(err, fs.ErrPermission):
		e.Code = cli.CodeNotPermitted
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, mq.ErrRemoved):
		e.Code = cli.CodeCantCreate
		e.Hints = []string{"mqctl queue ls shows all queues; mqd makes its own when it starts, mqctl queue create without it"}
	}
	return e
}

// isStatus reports whether the daemon refused with an HTTP status code.
func isStatus(err error, code int) bool {
	var refused *client.StatusError
	return errors.As(err, &refused) && refused.Code == code
}

func readError(name string, err error) error {
	return &cli.ExitError{Code: cli.CodeIO, Err: fmt.Errorf("read %s: %w", name, err)}
}
