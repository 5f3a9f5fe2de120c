package main

import (
	"io"
	"log/slog"
	"time"

	charm "github.com/charmbracelet/log"
	"github.com/muesli/termenv"

	"github.com/mqdaemon/mqd/internal/cli"
)

// newLogger gives text by charmbracelet/log or JSON by slog. Both escape what a
// terminal would act on; format and level have been checked.
func newLogger(w io.Writer, format, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
	}
	// Behind a plain writer charm does not ask the terminal for its colours: one
	// that does not answer would hold up the start for ten seconds.
	text := charm.NewWithOptions(plain{w}, charm.Options{
		Level: charm.Level(l), ReportTimestamp: true, TimeFormat: time.RFC3339, TimeFunction: charm.NowUTC,
	})
	if cli.UseColour(w) {
		text.SetColorProfile(termenv.ANSI256)
	}
	return slog.New(escaping{text})
}

// plain hides that a writer is a terminal.
type plain struct{ io.Writer }
