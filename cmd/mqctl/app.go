package main

import (
	"context"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/internal/cli"
	"github.com/mqdaemon/mqd/mq"
)

const program = "mqctl"

// stdio is what a command may read and write.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// globals are the flags that say which daemon and which queue. They stand before
// or after the command. Their environment variables are read by package client,
// which keeps the order of the search: a flag, whichever it is, before any
// variable.
type globals struct {
	Queue   string `placeholder:"ADDR" help:"Kernel queue: sysv:KEY, sysv:ftok:PATH:c or posix:/NAME ($MQD_QUEUE)."`
	Socket  string `placeholder:"PATH" help:"Socket of the daemon ($MQD_SOCKET)."`
	Runtime string `placeholder:"DIR" help:"Runtime directory of the daemon ($MQD_RUNTIME)."`
	State   string `placeholder:"DIR" help:"State directory of the daemon ($MQD_STATE)."`
}

// client gives the client that the flags describe. Wrong addresses are found here,
// those of the environment too, so that they are wrong usage in every command.
func (g *globals) client() (*client.Client, error) {
	c := &client.Client{Socket: g.Socket, Runtime: g.Runtime, State: g.State}
	switch {
	case g.Queue != "":
		addr, err := mq.ParseAddr(g.Queue)
		if err != nil {
			return nil, cli.UsageError(err)
		}
		c.Queue = addr
	case os.Getenv("MQD_QUEUE") != "":
		if _, err := mq.ParseAddr(os.Getenv("MQD_QUEUE")); err != nil {
			return nil, cli.UsageError(err, "it comes from the environment variable MQD_QUEUE")
		}
	}
	return c, nil
}

// commands is the command line of mqctl.
type commands struct {
	globals

	Send    sendCmd    `cmd:"" help:"Put messages on the queue."`
	Flush   flushCmd   `cmd:"" help:"Have the daemon send what it has now."`
	Status  statusCmd  `cmd:"" help:"Show what the daemon does."`
	Queues  queueCmd   `cmd:"" name:"queue" help:"Look after kernel queues."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// Examples are those in --help.
func (commands) Examples() string {
	return `mqctl send 'hello'                      put a message on the queue
tail -F app.log | mqctl send --lines    each line is a message
mqctl status                            what the daemon does with them
mqctl flush                             send what is waiting, now
mqctl queue peek                        look into the queue without taking anything
`
}

// run runs the command line args.
//
// The usual "mqctl send TEXT" does not build the parser, which costs more than all
// the rest of the command (see quickSend).
func run(ctx context.Context, args []string, s stdio) error {
	s.out = cli.Output(s.out)
	if g, send, ok := quickSend(args); ok {
		c, err := g.client()
		if err != nil {
			return err
		}
		defer c.Close() // only sends: there is nothing to be lost any more
		return send.Run(ctx, s, c)
	}

	var cmds commands
	over := false // --help was printed: kong goes on where a program would have ended
	parser, err := newParser(&cmds, s, func(int) { over = true })
	if err != nil {
		return err
	}
	parsed, err := parser.Parse(args)
	if over {
		return nil
	}
	if err != nil {
		return err
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return parsed.Run()
}

func newParser(cmds *commands, s stdio, exit func(int)) (*kong.Kong, error) {
	return kong.New(cmds,
		kong.Name(program),
		kong.Description("Put messages on the queue of mqd, and see what it does with them."),
		kong.Writers(s.out, s.err),
		kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{FlagsLast: true}),
		kong.Help(cli.HelpPrinter(cli.ControlCodes)),
		cli.ExactStrings(),
		kong.Bind(s, &cmds.globals),
		kong.BindToProvider(func(g *globals) (*client.Client, error) { return g.client() }),
	)
}

type versionCmd struct {
	JSON bool `help:"Print one JSON object."`
}

// Examples are those in --help.
func (versionCmd) Examples() string {
	return `mqctl version --json
`
}

// Run prints the version.
func (cmd *versionCmd) Run(s stdio) error { return cli.WriteVersion(s.out, program, cmd.JSON) }
