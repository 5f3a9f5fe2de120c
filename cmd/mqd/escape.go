package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/mqdaemon/mqd/internal/cli"
)

// escaping makes the values of a text log harmless before its handler formats
// them: charmbracelet/log passes control bytes through, and an error may repeat
// what a destination answered.
type escaping struct{ slog.Handler }

// Handle escapes strings, errors and everything else that is not a number or a time.
func (h escaping) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, cli.Escape(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(escaped(a))
		return true
	})
	return h.Handler.Handle(ctx, out)
}

// WithAttrs escapes the attributes once.
func (h escaping) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i] = escaped(a)
	}
	return escaping{h.Handler.WithAttrs(out)}
}

// WithGroup keeps the escaping in the group.
func (h escaping) WithGroup(name string) slog.Handler {
	return escaping{h.Handler.WithGroup(name)}
}

func escaped(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, cli.Escape(v.String()))
	case slog.KindAny:
		return slog.String(a.Key, cli.Escape(fmt.Sprint(v.Any())))
	default:
		return a
	}
}
