// Command mqctl puts messages on the queue of mqd, shows what the daemon does, and
// looks after kernel queues. Run "mqctl --help".
package main

import (
	"context"
	"os"

	"github.com/mqdaemon/mqd/internal/cli"
)

func main() {
	err := run(context.Background(), os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr})
	os.Exit(cli.Exit(os.Stderr, program, err))
}
