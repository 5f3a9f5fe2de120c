package cli

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// Exampler is a command that has examples for the end of its --help text.
type Exampler interface {
	// Examples gives one example a line, as it is to be printed.
	Examples() string
}

// HelpPrinter prints kong's own text, and below it the examples of an [Exampler]
// and the list of exit codes: [DaemonCodes] or [ControlCodes].
func HelpPrinter(codes string) kong.HelpPrinter {
	return func(options kong.HelpOptions, ctx *kong.Context) error {
		if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
			return err
		}
		node := ctx.Selected()
		if node == nil {
			node = ctx.Model.Node
		}
		text := "\n" + codes
		if e, ok := exampler(node.Target); ok {
			text = "\nExamples:\n\n" + indent(e.Examples()) + text
		}
		_, err := io.WriteString(ctx.Stdout, text)
		return err
	}
}

// ExactStrings makes kong pass string arguments and flags on byte by byte. Its own
// way goes through JSON, which replaces what is not UTF-8: a message or a file name
// would be another one.
func ExactStrings() kong.Option {
	return kong.KindMapper(reflect.String, kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		token, err := ctx.Scan.PopValue("string")
		if err != nil {
			return err
		}
		text, ok := token.Value.(string)
		if !ok {
			return fmt.Errorf("expected a string but got %v", token.Value)
		}
		target.SetString(text)
		return nil
	}))
}

// exampler finds the command behind the struct that kong filled in.
func exampler(v reflect.Value) (Exampler, bool) {
	if !v.IsValid() || !v.CanAddr() {
		return nil, false
	}
	e, ok := reflect.TypeAssert[Exampler](v.Addr())
	return e, ok
}

func indent(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString("  " + line)
	}
	return out.String()
}
