package cli_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/mqdaemon/mqd/internal/cli"
)

const codes = "Exit codes:\n\n  0   ok\n"

type withExamples struct {
	Name string   `help:"A name."`
	Args []string `arg:"" optional:""`
}

func (withExamples) Help() string     { return "What it is for." }
func (withExamples) Examples() string { return "prog go x\nprog go 'y z'    two words\n" }

type grammar struct {
	Go  withExamples `cmd:"" help:"Go."`
	Too struct{}     `cmd:"" help:"A command without examples."`
}

func newParser(t *testing.T, g *grammar, out *bytes.Buffer) *kong.Kong {
	t.Helper()
	k, err := kong.New(g, kong.Name("prog"), kong.Writers(out, out), kong.Exit(func(int) {}), kong.Help(cli.HelpPrinter(codes)), cli.ExactStrings())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestHelpPrinter(t *testing.T) {
	for args, end := range map[string]string{
		"go --help":  "\n\nExamples:\n\n  prog go x\n  prog go 'y z'    two words\n\n" + codes,
		"too --help": "\n\n" + codes,
		"--help":     "\n\n" + codes,
	} {
		var out bytes.Buffer
		_, _ = newParser(t, &grammar{}, &out).Parse(strings.Fields(args)) // it goes on after --help
		if got := out.String(); !strings.HasPrefix(got, "Usage: prog") || !strings.HasSuffix(got, end) ||
			strings.Count(got, "Exit codes:") != 1 {
			t.Errorf("%s printed\n%s\nwant the end\n%s", args, got, end)
		}
	}
}

func TestExactStrings(t *testing.T) {
	var g grammar
	var out bytes.Buffer
	if _, err := newParser(t, &g, &out).Parse([]string{"go", "--name=\xffn,\\", "a\xfe", "b,c", "", "-"}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(g.Go.Args, "|"); got != "a\xfe|b,c||-" || g.Go.Name != "\xffn,\\" {
		t.Errorf("got %q, %q", g.Go.Args, g.Go.Name)
	}
	if _, err := newParser(t, &g, &out).Parse([]string{"go", "--name"}); cli.Exit(&out, "prog", err) != cli.CodeUsage {
		t.Errorf("a flag without its value: %v", err)
	}
}

func TestWarn(t *testing.T) {
	var out bytes.Buffer
	cli.Warn(&out, "prog", errText("odd\x1b"), "do something")
	if got, want := out.String(), "prog: odd\\x1b\nhint: do something\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

type errText string

func (e errText) Error() string { return string(e) }
