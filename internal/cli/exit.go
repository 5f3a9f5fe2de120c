package cli

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// The exit codes of both commands. The numbers from 64 on are those of
// sysexits.h(3head), so that scripts can tell the cases apart.
const (
	CodeOK           = 0
	CodeFailed       = 1  // none of the cases below
	CodeUsage        = 64 // EX_USAGE: the command line is wrong
	CodeRefused      = 65 // EX_DATAERR: the message is refused
	CodeUnavailable  = 69 // EX_UNAVAILABLE: mqd is not running and is needed
	CodeCantCreate   = 73 // EX_CANTCREAT: no queue, or another mqd holds it
	CodeIO           = 74 // EX_IOERR: a file cannot be read or written
	CodeTryLater     = 75 // EX_TEMPFAIL: the queue is full or the time is over
	CodeNotPermitted = 77 // EX_NOPERM: not allowed
	CodeConfig       = 78 // EX_CONFIG: the configuration is wrong
)

// The lists of exit codes for [HelpPrinter], each of what its command gives.
const (
	DaemonCodes = `Exit codes:

  0   ok: stopped by a signal, or checked
  1   failed
  64  wrong usage
  73  cannot create, or another mqd holds it
  77  not allowed
  78  wrong configuration
`
	ControlCodes = `Exit codes:

  0   ok
  1   failed
  64  wrong usage
  65  message refused, such as one that is too large
  69  mqd is not running and is needed
  73  cannot create, or there is no such queue or route
  74  input or output error
  75  try later (full, or the time is over)
  77  not allowed
`
)

// ExitError is an error that knows the exit code of the process and what the
// person can do about it.
type ExitError struct {
	Code  int      // one of the Code constants
	Err   error    // what went wrong; nil exits with Code and prints nothing
	Hints []string // one line each, printed below the message
}

// Error gives the text of Err, without the hints.
func (e *ExitError) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

// Unwrap gives Err, so that errors.Is finds a sentinel or errno below.
func (e *ExitError) Unwrap() error { return e.Err }

// ExitCode gives Code; it is the method that kong asks for.
func (e *ExitError) ExitCode() int { return e.Code }

// UsageError makes an [ExitError] for a wrong command line.
func UsageError(err error, hints ...string) error {
	return &ExitError{Code: CodeUsage, Err: err, Hints: hints}
}

// Exit prints err to stderr as "prog: message" and its hints as "hint: text", and
// gives the exit code. A nil err prints nothing and gives 0. Each line of a message
// of several lines gets the prefix. A [kong.ParseError] is wrong usage: 64, where
// kong's own code would be 80.
func Exit(stderr io.Writer, prog string, err error) int {
	if err == nil {
		return CodeOK
	}
	code, hints := CodeFailed, []string(nil)
	var exit *ExitError
	var parse *kong.ParseError
	switch {
	case errors.As(err, &exit):
		code, hints = exit.Code, exit.Hints
		if exit.Err == nil {
			return code
		}
	case errors.As(err, &parse):
		code, hints = CodeUsage, []string{usageHint(prog, parse)}
	}
	// One Write, so that the lines of two processes do not mix.
	var out bytes.Buffer
	for line := range strings.Lines(err.Error()) {
		out.WriteString(prog + ": " + printable(strings.TrimSuffix(line, "\n")) + "\n")
	}
	for _, hint := range hints {
		out.WriteString("hint: " + printable(hint) + "\n")
	}
	_, _ = stderr.Write(out.Bytes()) // nobody is left to tell
	return code
}

// usageHint names the help of the command that was meant.
func usageHint(prog string, err *kong.ParseError) string {
	if err.Context != nil {
		if node := err.Context.Selected(); node != nil {
			return "see " + node.FullPath() + " --help"
		}
	}
	return "see " + prog + " --help"
}

// Warn prints err to stderr as Exit does, for a command that goes on or has done
// its work.
func Warn(stderr io.Writer, prog string, err error, hints ...string) {
	_ = Exit(stderr, prog, &ExitError{Err: err, Hints: hints}) // there is no exit
}
