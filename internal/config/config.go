// Package config turns the TOML file, or the flags that describe one route, into
// validated structs for cmd and internal/daemon.
//
// It is for the programs of this module; a producer needs package client, not
// this. It reads files and looks up groups, and changes nothing.
//
// What it guarantees: a *Config that it returns holds only values that are in
// range and fit together, with every default filled in (State and Runtime apart,
// which depend on the user and come from package client). What is wrong is
// reported all at once, in the order of the file, each error with file, line, key,
// the value found and the values allowed. Header values and the user info and
// query of a URL never appear in an error, a warning or a summary.
//
// The keys, their ranges, defaults and meanings stand in one table, options.go,
// which docs/configuration.md is checked against.
package config

import (
	"io/fs"
	"path/filepath"
	"time"

	"github.com/mqdaemon/mqd/internal/envelope"
	"github.com/mqdaemon/mqd/internal/forward"
	"github.com/mqdaemon/mqd/mq"
)

// DefaultRoute is the name of the route that flags describe. In a file it is the
// one route that may leave out its queue.
const DefaultRoute = "default"

// DefaultQueue is the address of the queue of [DefaultRoute].
const DefaultQueue = "sysv:0x6d716431"

// Config is what one daemon runs.
type Config struct {
	// State and Runtime are absolute directories. Empty: the default for this
	// user, see package client.
	State   string
	Runtime string
	// Listen is the TCP address for metrics and health, HOST:PORT. Empty: none.
	Listen string
	// LogFormat is text or json.
	LogFormat string
	// LogLevel is debug, info, warn or error.
	LogLevel string
	// StopTimeout is how long requests in flight may take when the daemon stops.
	StopTimeout time.Duration

	// File is the path that [Load] was given; empty after [Single].
	File string
	// Routes stand in the order of the file. There is at least one.
	Routes []Route
	// Warnings are things that are allowed and probably not meant, in the form
	// of an error: FILE:LINE: key: text.
	Warnings []string
}

// Order says which messages of a route may overtake each other.
type Order string

// The orders of a route.
const (
	OrderNone   Order = "none"   // any
	OrderKey    Order = "key"    // none with the same key
	OrderStrict Order = "strict" // none at all: one request at a time
)

// Rate is a limit on requests. The zero Rate is no limit.
type Rate struct {
	PerSecond float64 // requests a second, > 0
	Burst     int     // requests that may start at once after a pause, >= 1
}

// Route is one queue, one destination and one policy.
type Route struct {
	// Name is 1 to 64 of a-z, 0-9, - and _, and does not begin with - or _: it
	// becomes a directory and the value of a metric label.
	Name string
	// Line is where the route first stands in the file; 0: flags.
	Line int

	// Queue is an address that no other route of the Config has.
	Queue mq.Addr
	// QueueBytes is the msg_qbytes wanted, in bytes; 0: leave it as it is.
	QueueBytes int64
	// Mode is the queue's; never readable for group or others.
	Mode fs.FileMode
	// Group is the queue's, as written; empty: the daemon's own.
	Group string
	// GID is the number of Group; -1: the daemon's own.
	GID int
	// Accept is the set of frames that the intake looks for.
	Accept envelope.Accept

	// To is stdout:, discard: or a URL with the scheme http or https, a host and
	// no user info. It may hold a secret in its query: print Destination instead.
	To string
	// Format is the form of a request's body. stdout: always writes ndjson.
	Format forward.Format
	// Headers are sent with each request. A value "file:/PATH" stands for the
	// content of that file, which package forward reads. Values are secrets.
	Headers map[string]string
	// CEType is the type attribute of a CloudEvent.
	CEType string

	// MaxMessages and MaxBytes bound a batch. MaxMessages is 1 when Format is
	// raw and To is http or https: raw sends one message a request.
	MaxMessages int
	MaxBytes    int64
	// Linger is how long a message may wait for others; 0: not at all.
	Linger time.Duration
	Rate   Rate
	// SlotsMin <= SlotsMax are the bounds for requests in flight; both are 1
	// when Order is strict.
	SlotsMin int
	SlotsMax int
	Order    Order

	// Timeout bounds one request from its start to the end of the answer.
	Timeout time.Duration
	// RetryInitial <= RetryMax bound the back-off between two tries.
	RetryInitial time.Duration
	RetryMax     time.Duration
}

// Destination gives To without its query, which may hold a secret: what may be
// printed.
func (r *Route) Destination() string { return forward.Redact(r.To) }

// Single is the configuration that flags describe: one route named
// [DefaultRoute]. An empty argument is the default of its key. The error is of
// type [Errors].
func Single(queue, to, format string) (*Config, error) {
	l := newLoader("", nil)
	c := l.newConfig()
	c.Routes = []Route{l.newRoute(DefaultRoute)}
	t := target{c, &c.Routes[0]}
	for _, flag := range []struct{ key, value string }{{"queue", queue}, {"to", to}, {"format", format}} {
		if flag.value == "" {
			continue
		}
		l.flag(t, flag.key, flag.value)
	}
	l.check(c)
	if err := l.errs.sorted(); err != nil {
		return nil, err
	}
	return c, nil
}

// Overrides are the settings of the whole daemon that a flag or an environment
// variable gives; nil: not given. They hold over the file.
type Overrides struct {
	State, Runtime, Listen, LogFormat, LogLevel *string
}

// Override puts o over c. A relative State or Runtime is taken from the working
// directory; an empty one is the default. The error is of type [Errors]; then c
// is to be thrown away.
func (c *Config) Override(o Overrides) error {
	l := newLoader("", nil)
	t := target{c, nil}
	for _, flag := range []struct {
		key   string
		value *string
	}{
		{"state", o.State}, {"runtime", o.Runtime}, {"listen", o.Listen},
		{"log_format", o.LogFormat}, {"log_level", o.LogLevel},
	} {
		if flag.value == nil {
			continue
		}
		value := *flag.value
		if (flag.key == "state" || flag.key == "runtime") && value != "" {
			abs, err := filepath.Abs(value)
			if err != nil {
				l.errs.add("", 0, flagName(flag.key), problem{what: err.Error()})
				continue
			}
			value = abs
		}
		l.flag(t, flag.key, value)
	}
	return l.errs.sorted()
}

// newConfig gives a Config with the defaults of the table.
func (l *loader) newConfig() *Config {
	c := &Config{File: l.file}
	for _, o := range l.options[wholeDaemon] {
		if o.def != nil {
			o.apply(target{c, nil}, o.def)
		}
	}
	return c
}

// newRoute gives a Route with the defaults of the table. Only the route named
// [DefaultRoute] has a queue by default: two routes cannot share one.
func (l *loader) newRoute(name string) Route {
	r := Route{Name: name, GID: -1}
	for _, o := range l.options[oneRoute] {
		if o.def == nil || o.key == "queue" && name != DefaultRoute {
			continue
		}
		o.apply(target{nil, &r}, o.def)
	}
	return r
}
