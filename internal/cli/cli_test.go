package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/mqdaemon/mqd/internal/cli"
)

// safe fails t unless every rune of s may reach a terminal.
func safe(t interface{ Fatalf(string, ...any) }, what, s string) {
	if !utf8.ValidString(s) {
		t.Fatalf("%s: %q is not UTF-8", what, s)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			t.Fatalf("%s: %q holds %U", what, s, r)
		}
	}
}

func TestEscapeEveryByte(t *testing.T) {
	for b := range 256 {
		in := string([]byte{'a', byte(b), 'z'})
		out := cli.Escape(in)
		safe(t, fmt.Sprintf("byte %#x", b), out)
		if !strings.HasPrefix(out, "a") || !strings.HasSuffix(out, "z") {
			t.Errorf("byte %#x: %q lost its neighbours", b, out)
		}
	}
}

func TestEscapeEveryCodePoint(t *testing.T) {
	seen := map[string]rune{}
	for r := range rune(0x3000) {
		out := cli.Escape(string(r))
		safe(t, fmt.Sprintf("%U", r), out)
		if other, ok := seen[out]; ok {
			t.Errorf("%U and %U both give %q", r, other, out)
		}
		seen[out] = r
	}
}

func TestEscapeForms(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"plain text", "plain text"},
		{"a\nb\r\tc", `a\nb\r\tc`},
		{"\x1b[31mred\x1b]0;title\x07", `\x1b[31mred\x1b]0;title\x07`},
		{"\x7f", `\x7f`},
		{"\u009b31m", `\u009b31m`},
		{"\x9b31m", `\x9b31m`},
		{"\u202eevil\u2066", `\u202eevil\u2066`},
		{"\U000e0041", `\U000e0041`},
		{`\x1b`, `\\x1b`},
		{"Grüße, 世界", "Grüße, 世界"},
		{"\xff\xfe", `\xff\xfe`},
		{"\ufffd", "\ufffd"},
		{"nb\u00a0sp", `nb\u00a0sp`},
		{"\xe4\xb8", `\xe4\xb8`},
	} {
		if got := cli.Escape(tt.in); got != tt.want {
			t.Errorf("Escape(%q) = %q, want %q", tt.in, got, tt.want)
		}
		if got := cli.Escape([]byte(tt.in)); got != tt.want {
			t.Errorf("Escape([]byte(%q)) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add([]byte("a\x1b[0m\u202e\xff\\"))
	f.Add([]byte("\xc2\x9b\xed\xa0\x80\xf4\x90\x80\x80"))
	f.Fuzz(func(t *testing.T, in []byte) {
		safe(t, "Escape", cli.Escape(in))
		var out bytes.Buffer
		if err := cli.WriteJSON(&out, string(in)); err != nil {
			t.Fatal(err)
		}
		safe(t, "WriteJSON", strings.TrimSuffix(out.String(), "\n"))
		var back string
		if err := json.Unmarshal(out.Bytes(), &back); err != nil {
			t.Fatal(err)
		}
		if want := strings.ToValidUTF8(string(in), "\ufffd"); utf8.Valid(in) && back != want {
			t.Fatalf("%q came back as %q", in, back)
		}
	})
}

// Different inputs give different outputs, so a reader can tell what was there.
func TestEscapeIsUnambiguous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gen := rapid.SliceOfN(rapid.SampledFrom([]byte{'\\', 'x', 'u', '0', '1', 'b', 'n', '\n', 0x1b, 0xc2, 0x9b, 0xff}), 0, 8)
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		if !bytes.Equal(a, b) && cli.Escape(a) == cli.Escape(b) {
			t.Fatalf("%q and %q both give %q", a, b, cli.Escape(a))
		}
	})
}

func TestExit(t *testing.T) {
	deep := fmt.Errorf("open it: %w", fs.ErrPermission)
	for _, tt := range []struct {
		name string
		err  error
		code int
		want string
	}{
		{"nil", nil, 0, ""},
		{"plain", errors.New("it broke"), 1, "x: it broke\n"},
		{"code and hints", &cli.ExitError{Code: cli.CodeNotPermitted, Err: deep, Hints: []string{"ask", "for it"}}, 77,
			"x: open it: permission denied\nhint: ask\nhint: for it\n"},
		{"wrapped", fmt.Errorf("send: %w", &cli.ExitError{Code: cli.CodeIO, Err: deep}), 74, "x: send: open it: permission denied\n"},
		{"silent", &cli.ExitError{Code: cli.CodeRefused}, 65, ""},
		{"usage", cli.UsageError(errors.New("no"), "try"), 64, "x: no\nhint: try\n"},
		{"lines", errors.New("a.toml:1: one\na.toml:2: two\n"), 1, "x: a.toml:1: one\nx: a.toml:2: two\n"},
		{"terminal codes", errors.New("a\x1b[31m\rb\u202e\xff\\"), 1, "x: a\\x1b[31m\\rb\\u202e\\xff\\\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stderr bytes.Buffer
			if code := cli.Exit(&stderr, "x", tt.err); code != tt.code || stderr.String() != tt.want {
				t.Errorf("got %d, %q; want %d, %q", code, stderr.String(), tt.code, tt.want)
			}
		})
	}
	if err := error(&cli.ExitError{Err: deep}); !errors.Is(err, fs.ErrPermission) {
		t.Error("errors.Is does not see through an ExitError")
	}
}

func TestExitMapsKongTo64(t *testing.T) {
	var grammar struct {
		Send struct {
			N int `help:"n"`
		} `cmd:"" help:"send"`
	}
	k, err := kong.New(&grammar, kong.Name("prog"))
	if err != nil {
		t.Fatal(err)
	}
	for args, hint := range map[string]string{
		"":            "hint: see prog --help\n",
		"bogus":       "hint: see prog --help\n",
		"--bogus":     "hint: see prog --help\n",
		"send --n x":  "hint: see prog send --help\n",
		"send --q":    "hint: see prog send --help\n",
		"send extra ": "hint: see prog send --help\n",
	} {
		_, err := k.Parse(strings.Fields(args))
		var stderr bytes.Buffer
		if code := cli.Exit(&stderr, "prog", err); code != cli.CodeUsage {
			t.Errorf("%q: exit code %d, want 64", args, code)
		}
		if got := stderr.String(); !strings.HasPrefix(got, "prog: ") || !strings.HasSuffix(got, hint) {
			t.Errorf("%q: printed %q, want it to end with %q", args, got, hint)
		}
	}
}

func TestTable(t *testing.T) {
	build := func(colour bool) string {
		table := cli.Table{Colour: colour}
		table.Row("STATE", "ROUTE", "N")
		table.Cells(cli.Cell{Text: "ok", Colour: cli.Green}, cli.Cell{Text: "größe"}, cli.Cell{Text: "5", Right: true})
		table.Note("last error: \x1b[31mno\nway")
		table.Cells(cli.Cell{Text: "held", Colour: cli.Red}, cli.Cell{Text: "b"}, cli.Cell{Text: "1234", Right: true})
		var out bytes.Buffer
		n, err := table.WriteTo(&out)
		if err != nil || n != int64(out.Len()) {
			t.Fatalf("WriteTo = %d, %v; want %d bytes", n, err, out.Len())
		}
		return out.String()
	}
	want := "STATE  ROUTE  N\n" +
		"ok     größe     5\n" +
		"    last error: \\x1b[31mno\\nway\n" +
		"held   b      1234\n"
	if got := build(false); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := build(true); !strings.HasPrefix(strings.SplitN(got, "\n", 3)[1], "\x1b[32mok\x1b[0m     größe") {
		t.Errorf("coloured table is %q", got)
	}
}

func TestIsTerminal(t *testing.T) {
	if cli.IsTerminal(&bytes.Buffer{}) {
		t.Error("a buffer is a terminal")
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if cli.IsTerminal(null) {
		t.Error("/dev/null is a terminal")
	}
}

// A failed write has its exit code, and its cause.
func TestOutput(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	err = cli.WriteJSON(cli.Output(full), 1)
	var stderr bytes.Buffer
	if code := cli.Exit(&stderr, "x", err); code != cli.CodeIO || !errors.Is(err, unix.ENOSPC) {
		t.Errorf("code %d, %v", code, err)
	}
	var out bytes.Buffer
	if n, err := io.WriteString(cli.Output(&out), "ab"); n != 2 || err != nil || out.String() != "ab" {
		t.Errorf("%d, %v, %q", n, err, &out)
	}
}

func TestVersion(t *testing.T) {
	var out bytes.Buffer
	if err := cli.WriteVersion(&out, "mqctl", false); err != nil {
		t.Fatal(err)
	}
	if want := "mqctl " + cli.Version() + "\n"; out.String() != want || cli.Version() == "" {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	out.Reset()
	if err := cli.WriteVersion(&out, "mqctl", true); err != nil {
		t.Fatal(err)
	}
	var b cli.Build
	if err := json.Unmarshal(out.Bytes(), &b); err != nil || b != cli.ReadBuild("mqctl") {
		t.Errorf("%s: %v", out.Bytes(), err)
	}
}
