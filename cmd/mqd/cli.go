package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/alecthomas/kong"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/internal/cli"
	"github.com/mqdaemon/mqd/internal/config"
	"github.com/mqdaemon/mqd/internal/daemon"
)

// commands is the command line of mqd.
type commands struct {
	Run     runCmd     `cmd:"" default:"withargs" help:"Run in the foreground (the default command)."`
	Check   checkCmd   `cmd:"" help:"Print what would run, or every error of the configuration with its line."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// settings are the flags that run and check share.
type settings struct {
	Config    string  `placeholder:"FILE" env:"MQD_CONFIG" help:"TOML file with the routes."`
	Queue     *string `placeholder:"ADDR" env:"MQD_QUEUE" help:"Queue of the one route that flags describe (sysv:0x6d716431)."`
	To        *string `placeholder:"URL" env:"MQD_TO" help:"Destination of that route: http://, https://, stdout: or discard: (stdout:)."`
	Format    *string `placeholder:"F" env:"MQD_FORMAT" help:"Format of that route: cloudevents, json, ndjson, lines or raw (cloudevents)."`
	State     *string `placeholder:"DIR" env:"MQD_STATE" help:"State directory (/var/lib/mqd, or of the user)."`
	Runtime   *string `placeholder:"DIR" env:"MQD_RUNTIME" help:"Runtime directory (/run/mqd, or of the user)."`
	Listen    *string `placeholder:"ADDR" env:"MQD_LISTEN" help:"Serve metrics and health on this TCP address too."`
	LogFormat *string `placeholder:"text|json" env:"MQD_LOG_FORMAT" help:"Form of the log on standard error (text)."`
	LogLevel  *string `placeholder:"L" env:"MQD_LOG_LEVEL" help:"Least level that is logged: debug, info, warn, error (info)."`
}

type runCmd struct{ settings }

// Examples are for --help.
func (runCmd) Examples() string {
	return `mqd                                          print what arrives on the default queue
mqd --to http://127.0.0.1:8080/in            forward it to an HTTP service
mqd --config /etc/mqd.toml                   several routes
kill -USR1 $(cat /run/mqd/mqd.pid)           look at the queues, send what is pending now

Signals: USR1 flush, HUP reload the configuration, USR2 log the state, TERM and INT stop.
`
}

// Examples are for --help.
func (commands) Examples() string { return runCmd{}.Examples() }

// Run is the daemon's life.
func (c *runCmd) Run(ctx context.Context, e env) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	log := newLogger(e.stderr, cfg.LogFormat, cfg.LogLevel)
	for _, w := range cfg.Warnings {
		log.Warn(w)
	}
	d, err := daemon.New(daemon.Config{
		Config: cfg, Reload: c.reloader(), Stops: e.stops, Signals: e.signals, Stdout: e.stdout, Log: log, Version: cli.Version(),
	})
	if err != nil {
		return notStarted(err)
	}
	err = d.Run(ctx)
	switch {
	case errors.Is(err, daemon.ErrStopNow):
		log.Warn("stopped at once by a second signal; what was in flight is sent again at the next start")
		return nil
	case errors.Is(err, daemon.ErrNotStarted):
		return notStarted(err)
	}
	return err
}

// notStarted gives the exit code for what mqd could not make or was not allowed to.
func notStarted(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return &cli.ExitError{Code: cli.CodeNotPermitted, Err: err,
			Hints: []string{"run mqd as the owner of these directories, or give others with --state and --runtime"}}
	}
	return &cli.ExitError{Code: cli.CodeCantCreate, Err: err}
}

// reloader reads the file again, or is nil without one.
func (c *runCmd) reloader() func() (*config.Config, error) {
	if c.Config == "" {
		return nil
	}
	return c.load
}

type checkCmd struct{ settings }

// Examples are for --help.
func (checkCmd) Examples() string {
	return `mqd check --config /etc/mqd.toml
mqd check --to http://127.0.0.1:8080/in --format lines
`
}

// Run prints what mqd run with the same flags would do; it changes nothing.
func (c *checkCmd) Run(e env) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(e.stderr, "mqd: warning:", w)
	}
	return daemon.Check(e.stdout, cfg)
}

type versionCmd struct {
	JSON bool `help:"Print one JSON object."`
}

func (c *versionCmd) Run(e env) error { return cli.WriteVersion(e.stdout, "mqd", c.JSON) }

// load makes the configuration that the flags, the environment and the file give.
func (s *settings) load() (*config.Config, error) {
	cfg, err := s.routes()
	if err != nil {
		return nil, err
	}
	err = cfg.Override(config.Overrides{
		State: s.State, Runtime: s.Runtime, Listen: s.Listen, LogFormat: s.LogFormat, LogLevel: s.LogLevel,
	})
	if err != nil {
		return nil, cli.UsageError(err)
	}
	if cfg.State == "" {
		if cfg.State = client.StateDir(); cfg.State == "" {
			return nil, &cli.ExitError{Code: cli.CodeCantCreate, Err: errors.New("no state directory: this user has no home"),
				Hints: []string{"give --state DIR"}}
		}
	}
	if cfg.Runtime == "" {
		cfg.Runtime = client.RuntimeDir()
	}
	return cfg, nil
}

// routes reads the file, or makes the one route that flags describe.
func (s *settings) routes() (*config.Config, error) {
	if s.Config == "" {
		cfg, err := config.Single(text(s.Queue), text(s.To), text(s.Format))
		if err != nil {
			return nil, cli.UsageError(err)
		}
		return cfg, nil
	}
	for name, flag := range map[string]*string{"queue": s.Queue, "to": s.To, "format": s.Format} {
		if flag != nil {
			return nil, cli.UsageError(fmt.Errorf("--%s together with --config: the file says where routes lead", name),
				"leave one of them out; they may also come from the environment, as MQD_CONFIG and the like")
		}
	}
	cfg, err := config.Load(s.Config)
	if err != nil {
		return nil, &cli.ExitError{Code: cli.CodeConfig, Err: err}
	}
	return cfg, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// env is what a command needs of its process.
type env struct {
	stdout, stderr io.Writer
	stops, signals <-chan os.Signal
}

// run parses args and runs the command they name.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, stops, signals <-chan os.Signal) error {
	var c commands
	over := false // --help was printed: kong goes on where a program would have ended
	parser, err := kong.New(&c,
		kong.Name("mqd"),
		kong.Description("Take messages from kernel queues and forward them: at once while it is quiet, in batches while it is busy."),
		kong.Writers(stdout, stderr),
		kong.ConfigureHelp(kong.HelpOptions{FlagsLast: true}),
		kong.Help(cli.HelpPrinter(cli.DaemonCodes)),
		cli.ExactStrings(),
		kong.Exit(func(int) { over = true }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(env{stdout, stderr, stops, signals}),
	)
	if err != nil {
		return err
	}
	k, err := parser.Parse(args)
	if over {
		return nil
	}
	if err != nil {
		return err
	}
	return k.Run()
}
