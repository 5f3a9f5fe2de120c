package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/internal/cli"
	"github.com/mqdaemon/mqd/mq"
)

// defaultQueue is the queue of a daemon that was told nothing.
const defaultQueue mq.Key = 0x6d716431

// errNoQueue: nothing says which queue is meant.
var errNoQueue = errors.New("no queue named, and no daemon says where its queue is")

// queueAddr gives the queue that a command is about: its argument, then --queue,
// then what the client would send to.
func (g *globals) queueAddr(arg *mq.Addr) (mq.Addr, error) {
	if arg != nil {
		return *arg, nil
	}
	c, err := g.client()
	if err != nil {
		return mq.Addr{}, err
	}
	if !c.Queue.IsZero() {
		return c.Queue, nil
	}
	if addr, err := envQueue(); err != nil || !addr.IsZero() {
		return addr, err
	}
	return g.routesQueue()
}

// routesQueue looks for route "default" in the routes files.
func (g *globals) routesQueue() (mq.Addr, error) {
	dirs := g.named()
	if len(dirs) == 0 {
		dirs = []string{client.RuntimeDir(), client.StateDir(), "/run/mqd", "/var/lib/mqd"}
	}
	var tried []string
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		routes, err := client.ReadRoutes(dir)
		if addr, ok := routes.Queue("default"); err == nil && ok {
			return addr, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			tried = append(tried, err.Error())
			continue
		}
		tried = append(tried, dir)
	}
	return mq.Addr{}, &cli.ExitError{
		Code:  cli.CodeUnavailable,
		Err:   fmt.Errorf("%w (tried %s)", errNoQueue, strings.Join(tried, ", ")),
		Hints: []string{"name it: mqctl queue stat sysv:0x6d716431", "mqctl queue ls shows all queues"},
	}
}

// named gives the directories that a flag or the environment names; those stand
// alone.
func (g *globals) named() []string {
	var dirs []string
	for _, d := range []struct{ flag, env string }{{g.Runtime, "MQD_RUNTIME"}, {g.State, "MQD_STATE"}} {
		if d.flag == "" {
			d.flag = os.Getenv(d.env)
		}
		if d.flag != "" {
			dirs = append(dirs, d.flag)
		}
	}
	return dirs
}
