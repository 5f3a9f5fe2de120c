package main

import (
	"errors"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/internal/cli"
	"github.com/mqdaemon/mqd/mq"
)

// defaultQueue is the queue of a daemon that was told nothing.
const defaultQueue mq.Key = 0x6d716431

// addrArg says which queue a command is about.
type addrArg struct {
	Addr  *mq.Addr `arg:"" optional:"" name:"addr" help:"The queue; without it that of the daemon."`
	Route string   `placeholder:"NAME" help:"Route whose queue it is (default)."`
}

// queueAddr gives the queue that a command is about: its argument, then what the
// client would send to.
func (g *globals) queueAddr(a addrArg) (mq.Addr, error) {
	c, err := g.client()
	if err != nil {
		return mq.Addr{}, err
	}
	if a.Addr != nil {
		c.Queue = *a.Addr
	}
	c.Route = a.Route
	addr, from, err := c.FindQueue()
	switch {
	case errors.Is(err, client.ErrNotRunning):
		return addr, &cli.ExitError{
			Code:  cli.CodeUnavailable,
			Err:   err,
			Hints: []string{"name it: mqctl queue stat sysv:0x6d716431", "mqctl queue ls shows all queues"},
		}
	case errors.Is(err, client.ErrNoRoute):
		return addr, noRoute(err)
	case err == nil && a.Route != "" && (!c.Queue.IsZero() || from == "MQD_QUEUE"):
		return addr, cli.UsageError(errors.New("--route and a queue: want one of them"), "the queue comes from ADDR, --queue or the environment variable MQD_QUEUE")
	}
	return addr, err
}
