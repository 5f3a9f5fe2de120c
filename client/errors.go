package client

import (
	"errors"
	"fmt"

	"github.com/mqdaemon/mqd/mq"
)

// The sentinels of this package; find them with [errors.Is].
var (
	// ErrNotRunning: no daemon answers, or nothing says where its queue is. The
	// error around it names the paths that were tried.
	ErrNotRunning = errors.New("mqd is not running")

	// ErrNoRoute: a daemon said which routes it has, and this is none of them. The
	// error around it names them, if routes.json did.
	ErrNoRoute = errors.New("no such route")

	// ErrFull is [mq.ErrFull]: the queue has no room now. TrySend returns it at
	// once; Send tries again until its context ends, and then returns an error
	// that is both this and the context's.
	ErrFull = mq.ErrFull

	// ErrClosed is [mq.ErrClosed]: the Client was closed.
	ErrClosed = mq.ErrClosed
)

// StatusError is a refusal of the daemon's socket API.
type StatusError struct {
	Code    int    // HTTP status code
	Name    string // what went wrong, one word for programs; "" if the answer had none
	Message string // the same for people
}

// MessageError says which message of a batch can never be sent; nothing of the
// batch was.
type MessageError struct {
	Index int // in the batch
	Err   error
}

func (e *MessageError) Error() string { return fmt.Sprintf("message %d: %v", e.Index, e.Err) }

// Unwrap gives the reason.
func (e *MessageError) Unwrap() error { return e.Err }

// Is finds [ErrNoRoute] in the refusal of a route that the daemon does not have.
func (e *StatusError) Is(target error) bool { return target == ErrNoRoute && e.Name == "no_route" }

func (e *StatusError) Error() string {
	switch {
	case e.Message != "":
		return fmt.Sprintf("mqd answered %d: %s", e.Code, e.Message)
	case e.Name != "":
		return fmt.Sprintf("mqd answered %d: %s", e.Code, e.Name)
	default:
		return fmt.Sprintf("mqd answered %d", e.Code)
	}
}
