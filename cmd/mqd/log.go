package main

import (
	"io"
	"log/slog"
	"time"

	charm "github.com/charmbracelet/log"
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
	return slog.New(escaping{charm.NewWithOptions(w, charm.Options{
		Level: charm.Level(l), ReportTimestamp: true, TimeFormat: time.RFC3339, TimeFunction: charm.NowUTC,
	})})
}
