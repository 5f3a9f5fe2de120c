package main

import (
	"io"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// parse is what the full parser makes of a command line.
func parse(args []string) (commands, string, error) {
	var cmds commands
	parser, err := newParser(&cmds, stdio{out: io.Discard, err: io.Discard}, func(int) {})
	if err != nil {
		return cmds, "", err
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return cmds, "", err
	}
	return cmds, parsed.Selected().Name, nil
}

// Whatever the short way accepts, the parser accepts, with the same result.
func TestQuickSendAgreesWithParser(t *testing.T) {
	words := rapid.SampledFrom([]string{
		"send", "send", "x", "two words", "a,b", "a=b", "~", "$HOME", "${x}", "", "-", "--", "-h", "--help", "-x", "status",
		"--queue", "--queue=sysv:1", "sysv:2", "--socket", "--socket=/s", "--runtime", "--runtime=/r", "--state=", "--state",
		"--file", "--file=f", "--file=-", "--lines", "--lines=true", "--no-lines", "--flush", "--json", "--json=false",
		"--route", "--route=r", "--key", "--key=k", "--key=-k", "--key=a,b", "--id", "--id=i", "--id=",
		"--type", "--type=5", "--type=0", "--type=-1", "--type=05", "--type=0x5", "--type=1_0", "--type=9223372036854775807", "--type=9223372036854775808",
		"--timeout", "--timeout=5s", "--timeout=-1s", "--timeout=1h1ms", "--timeout=5", "7", "1m", "--bogus", "--bogus=1", "--typ=1", "\xff",
	})
	accepted := 0
	line := rapid.SliceOfN(words, 0, 6)
	rapid.Check(t, func(t *rapid.T) {
		for range 20 { // most are refused, and cost nothing
			args := line.Draw(t, "args")
			if rapid.Bool().Draw(t, "send first") {
				args = slices.Insert(args, 0, "send")
			}
			g, send, ok := quickSend(args)
			if !ok {
				continue
			}
			accepted++
			cmds, name, err := parse(args)
			if err != nil || name != "send" {
				t.Fatalf("the parser says %q, %v of %q; the short way took it", name, err, args)
			}
			if !reflect.DeepEqual(g, cmds.globals) || !reflect.DeepEqual(send, cmds.Send) {
				t.Fatalf("%q: the parser gives\n%+v %+v, the short way\n%+v %+v", args, cmds.globals, cmds.Send, g, send)
			}
		}
	})
	if accepted == 0 {
		t.Error("no command line was accepted: the test proves nothing")
	}
}

// The usual ways to send do not need the parser.
func TestQuickSendIsUsed(t *testing.T) {
	for _, args := range [][]string{
		{"send", "x"},
		{"send", "one", "two"},
		{"send"},
		{"send", "-"},
		{"send", "--lines"},
		{"--queue", "sysv:1", "send", "x"},
		{"send", "x", "--queue=sysv:1", "--key", "k", "--id=1", "--type", "3", "--timeout=5s", "--json", "--flush"},
		{"send", "--file", "f", "--route", "r", "--runtime", "/r", "--state", "/s", "--socket", "/x"},
	} {
		if _, _, ok := quickSend(args); !ok {
			t.Errorf("%q goes through the parser", args)
		}
	}
}

func BenchmarkQuickSend(b *testing.B) {
	args := []string{"send", "--key", "k", "x"}
	for b.Loop() {
		quickSend(args)
	}
}

func BenchmarkParser(b *testing.B) {
	args := []string{"send", "--key", "k", "x"}
	for b.Loop() {
		if _, _, err := parse(args); err != nil {
			b.Fatal(err)
		}
	}
}
