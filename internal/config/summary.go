package config

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/mqdaemon/mqd/internal/forward"
)

// Summary writes what would run, as aligned plain text for a person. It has the
// names of headers but no values, and destinations without their queries. facts,
// which may be nil, adds lines below the queue of a route: what the caller knows
// of the real queue. The error is that of w.
func (c *Config) Summary(w io.Writer, facts func(*Route) []string) error {
	var out bytes.Buffer // never fails, so that the one error is that of w
	tw := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	row := func(name, text string) { _, _ = fmt.Fprintf(tw, "%s\t%s\n", name, text) }

	row("configuration", or(c.File, "flags"))
	row("state", or(c.State, "the default of this user"))
	row("runtime", or(c.Runtime, "the default of this user"))
	row("listen", or(c.Listen, "off"))
	row("log", c.LogFormat+", from level "+c.LogLevel)
	row("stop", "within "+formatDuration(c.StopTimeout))
	row("routes", fmt.Sprint(len(c.Routes)))
	for i := range c.Routes {
		r := &c.Routes[i]
		where := ""
		if r.Line > 0 {
			where = fmt.Sprintf(" (line %d)", r.Line)
		}
		_, _ = fmt.Fprintf(tw, "\nroute %s%s\n", r.Name, where)
		var known []string
		if facts != nil {
			known = facts(r)
		}
		r.summary(func(name, text string) { row("  "+name, text) }, known)
	}
	_ = tw.Flush()
	_, err := w.Write(out.Bytes())
	return err
}

// summary gives row the lines of one route.
func (r *Route) summary(row func(name, text string), facts []string) {
	row("queue", r.Queue.String())
	for _, fact := range facts {
		row("", fact)
	}
	room := ""
	if r.QueueBytes > 0 {
		room = ", " + formatSize(r.QueueBytes) + " wanted"
	}
	row("mode", fmt.Sprintf("%04o, group %s%s", r.Mode, r.groupInWords(), room))
	row("accept", strings.Join(r.Accept.Names(), ", "))
	row("to", r.Destination())
	format := r.Format.String()
	switch {
	case strings.HasPrefix(r.To, "stdout:"):
		format = forward.NDJSON.String()
	case r.Format == forward.CloudEvents || r.Format == forward.Raw:
		format += ", ce type " + r.CEType
	}
	row("format", format)
	row("headers", or(strings.Join(r.headerNames(), ", "), "none"))
	row("batch", fmt.Sprintf("up to %s and %s, linger %s", plural(r.MaxMessages, "message"), formatSize(r.MaxBytes), formatDuration(r.Linger)))
	row("rate", r.Rate.String())
	row("slots", fmt.Sprintf("%d to %d", r.SlotsMin, r.SlotsMax))
	row("order", string(r.Order))
	row("timeout", formatDuration(r.Timeout))
	row("retry", "after "+formatDuration(r.RetryInitial)+" up to "+formatDuration(r.RetryMax))
}

func (r *Route) groupInWords() string {
	switch {
	case r.GID < 0:
		return "of the daemon"
	case r.Group == fmt.Sprint(r.GID):
		return r.Group
	}
	return fmt.Sprintf("%s (%d)", r.Group, r.GID)
}

// String writes a rate for a person.
func (r Rate) String() string {
	if r.PerSecond == 0 {
		return "no limit"
	}
	n, unit := r.PerSecond, "second"
	for _, longer := range []string{"minute", "hour"} {
		if n >= 1 {
			break
		}
		n, unit = n*60, longer
	}
	n = math.Round(n*1e6) / 1e6
	return strconv.FormatFloat(n, 'f', -1, 64) + " requests per " + unit + ", burst " + strconv.Itoa(r.Burst)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
