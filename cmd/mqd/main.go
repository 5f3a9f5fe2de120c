// Command mqd is the message daemon: it takes messages from kernel queues and
// forwards them, one by one at once while it is quiet, in batches while it is
// busy. Run "mqd --help".
package main

import (
	"context"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/internal/cli"
)

func main() {
	// First of all: a signal that comes before this ends the process.
	stops, signals := make(chan os.Signal, 2), make(chan os.Signal, 16)
	signal.Notify(stops, unix.SIGTERM, unix.SIGINT)
	signal.Notify(signals, unix.SIGUSR1, unix.SIGUSR2, unix.SIGHUP)
	// A reader of standard output that goes away is a destination that fails.
	signal.Ignore(unix.SIGPIPE)
	err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr, stops, signals)
	os.Exit(cli.Exit(os.Stderr, "mqd", err))
}
