package config

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/mqdaemon/mqd/internal/envelope"
	"github.com/mqdaemon/mqd/internal/forward"
	"github.com/mqdaemon/mqd/mq"
)

// check looks at what no single key can tell: keys that must fit together, and
// routes that must not meet. A key that has an error already is left out of it.
func (l *loader) check(c *Config) {
	for i := range c.Routes {
		r := &c.Routes[i]
		l.checkQueue(r)
		l.checkSlots(r)
		l.checkRetry(r)
		l.checkFormat(c, r)
		l.warnSecrets(c, r)
	}
	l.checkQueuesDiffer(c)
}

// path gives where a key of r stands: in the file, or as the key alone for flags.
func (l *loader) path(r *Route, key ...string) []string {
	if l.file == "" {
		return key
	}
	return append([]string{"route", r.Name}, key...)
}

// given reports whether the file sets a key of r.
func (l *loader) given(r *Route, key ...string) bool { return l.lines.line(l.path(r, key...)...) > 0 }

// ok reports whether a key of r has no error so far.
func (l *loader) ok(r *Route, key ...string) bool { return !l.failed[dotted(l.path(r, key...)...)] }

func (l *loader) checkQueue(r *Route) {
	if !r.Queue.IsZero() || !l.ok(r, "queue") {
		return
	}
	l.add(problem{
		what: "no queue", allowed: "every route but " + DefaultRoute + " names its own",
		todo: `write queue = "sysv:0x6d716432" or another number`,
	}, l.path(r)...)
}

// checkSlots sees to SlotsMin <= SlotsMax, and to both being 1 with order strict.
func (l *loader) checkSlots(r *Route) {
	if !l.ok(r, "slots", "max") { // min in error is 1 by default, which meets every max
		return
	}
	if r.Order == OrderStrict {
		for _, slot := range []struct {
			key string
			n   *int
		}{{"min", &r.SlotsMin}, {"max", &r.SlotsMax}} {
			if l.given(r, "slots", slot.key) && *slot.n > 1 {
				l.add(problem{
					what: `order = "strict" sends one request at a time`, value: fmt.Sprint(*slot.n), allowed: "1",
					todo: `take it out, or write order = "key"`,
				}, l.path(r, "slots", slot.key)...)
			}
			*slot.n = 1
		}
		return
	}
	if r.SlotsMin > r.SlotsMax {
		key := "min"
		if !l.given(r, "slots", "min") {
			key = "max"
		}
		l.add(problem{
			what: "min is above max", value: fmt.Sprintf("min %d, max %d", r.SlotsMin, r.SlotsMax), allowed: "min up to max",
			todo: fmt.Sprintf("write slots = { min = %d, max = %d }", r.SlotsMax, r.SlotsMin),
		}, l.path(r, "slots", key)...)
	}
}

func (l *loader) checkRetry(r *Route) {
	if !l.ok(r, "retry", "initial") || !l.ok(r, "retry", "max") || r.RetryInitial <= r.RetryMax {
		return
	}
	key := "initial"
	if !l.given(r, "retry", "initial") {
		key = "max"
	}
	low, high := formatDuration(r.RetryMax), formatDuration(r.RetryInitial)
	l.add(problem{
		what: "initial is above max", value: "initial " + high + ", max " + low, allowed: "initial up to max",
		todo: fmt.Sprintf("write retry = { initial = %q, max = %q }", low, high),
	}, l.path(r, "retry", key)...)
}

// checkFormat makes the limit on messages fit the format, and warns of keys that
// have no effect with the destination.
func (l *loader) checkFormat(c *Config, r *Route) {
	if !r.Accept.Has(envelope.Envelope) {
		l.warn(c, problem{what: "without envelope, what mqctl send and package client write arrives as it lies on the queue, frame and all"},
			l.path(r, "accept"))
	}
	scheme, _, _ := strings.Cut(r.To, ":")
	overHTTP := scheme == "http" || scheme == "https"
	if overHTTP && r.Format.OneByOne() {
		if r.MaxMessages > 1 && l.given(r, "max_messages") {
			l.warn(c, problem{what: "format raw sends one message a request", value: fmt.Sprint(r.MaxMessages), allowed: "1"}, l.path(r, "max_messages"))
		}
		r.MaxMessages = 1
	}
	if overHTTP {
		return
	}
	for _, key := range []string{"headers", "ce_type"} {
		if l.given(r, key) {
			l.warn(c, problem{what: "has no effect with to = " + quote(r.To)}, l.path(r, key))
		}
	}
	if scheme == "stdout" && l.given(r, "format") && r.Format != forward.NDJSON {
		l.warn(c, problem{what: "stdout: always writes ndjson", value: quote(r.Format.String())}, l.path(r, "format"))
	}
}

// warnSecrets looks at the files that header values come from: who else could
// read or change them.
func (l *loader) warnSecrets(c *Config, r *Route) {
	for _, name := range r.headerNames() {
		path, isFile := strings.CutPrefix(r.Headers[name], forward.FilePrefix)
		if !isFile {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			continue // checked already; it went away since
		}
		at := l.path(r, "headers", name)
		if info.Mode()&0o004 != 0 {
			l.warn(c, problem{
				what: "may be read by everybody", value: fmt.Sprintf("mode %04o", info.Mode().Perm()), allowed: "no read bit for others",
				todo: "type: chmod o-r " + shellQuote(path),
			}, at)
		}
		if owner := ownerOf(info); owner != 0 && owner != os.Geteuid() {
			l.warn(c, problem{
				what: "belongs to another user, who could change it", value: fmt.Sprintf("uid %d", owner), allowed: ownersAllowed(os.Geteuid()),
				todo: "type as root: chown root " + shellQuote(path),
			}, at)
		}
	}
}

func ownerOf(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// checkQueuesDiffer finds routes that share a queue: each would take messages
// that are meant for the other.
func (l *loader) checkQueuesDiffer(c *Config) {
	owner := map[mq.Addr]*Route{}
	for i := range c.Routes {
		r := &c.Routes[i]
		if r.Queue.IsZero() {
			continue
		}
		first, taken := owner[r.Queue]
		if !taken {
			owner[r.Queue] = r
			continue
		}
		at := l.path(r, "queue")
		if !l.given(r, "queue") {
			at = l.path(r) // the default route, which needs no line for it
		}
		l.add(problem{
			what:  fmt.Sprintf("the queue of route %s too (lines %d and %d)", first.Name, l.queueLine(first), l.queueLine(r)),
			value: quote(r.Queue.String()), allowed: "one route for each queue", todo: "give each route its own",
		}, at...)
	}
}

// queueLine gives the line where the queue of r is named, or where r begins if it
// has the default.
func (l *loader) queueLine(r *Route) int {
	if line := l.lines.line(l.path(r, "queue")...); line > 0 {
		return line
	}
	return r.Line
}

// warn notes something that is allowed and probably not meant.
func (l *loader) warn(c *Config, p problem, path []string) {
	e := Error{File: l.file, Line: l.lines.line(path...), Key: dotted(path...), Text: p.String()}
	c.Warnings = append(c.Warnings, e.Error())
}

// headerNames gives the names of the headers of r, sorted.
func (r *Route) headerNames() []string {
	names := make([]string, 0, len(r.Headers))
	for name := range r.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
