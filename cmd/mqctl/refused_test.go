package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mqdaemon/mqd/internal/cli"
	"github.com/mqdaemon/mqd/mq"
)

// A skipped line is gone up to its newline, and what follows it is whole, whatever
// the sizes of the reads.
func TestLineBufferSkip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 4
		input := rapid.SliceOf(rapid.SampledFrom([]byte("abcdefg\n"))).Draw(t, "input")
		var want, got []string
		for line := range strings.Lines(string(input)) {
			if text := strings.TrimSuffix(line, "\n"); len(text) < size {
				want = append(want, text)
			} else {
				want = append(want, "skipped")
			}
		}
		lines := lineBuffer{buf: make([]byte, size)}
		take := func(end bool) {
			for {
				line, ok := lines.next(end)
				if !ok {
					return
				}
				got = append(got, string(line))
			}
		}
		for rest := input; len(rest) > 0; {
			room := lines.room()
			n := copy(room[:rapid.IntRange(1, len(room)).Draw(t, "read")], rest)
			rest = rest[n:]
			lines.add(n)
			take(false)
			copy(lines.buf, lines.buf[lines.start:lines.end]) // as shift, without growing
			lines.start, lines.end = 0, lines.end-lines.start
			if lines.full() {
				got = append(got, "skipped")
				lines.skip()
			}
		}
		take(true)
		if !slices.Equal(got, want) {
			t.Fatalf("%q gave %q, want %q", input, got, want)
		}
	})
}

// A stream that is followed goes on after a line that is too large, which is told
// at once and not at its end.
func TestLinesGoOnAfterRefusal(t *testing.T) {
	q := testQueue(t, mq.Options{})
	in, w := io.Pipe()
	said, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	done := make(chan error, 1)
	go func() {
		defer stderr.Close()
		done <- run(t.Context(), []string{"send", "--queue", q.Addr().String(), "--lines"}, stdio{in: in, out: io.Discard, err: stderr})
	}()
	heard := bufio.NewReader(said)
	hear := func(want string) {
		t.Helper()
		if line, err := heard.ReadString('\n'); err != nil || line != want+"\n" {
			t.Errorf("heard %q, %v, want %q", line, err, want)
		}
	}
	put := func(text string) {
		t.Helper()
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	put("one\n" + strings.Repeat("x", 9000) + "\n")
	hear("mqctl: line 2: 9026 bytes with its frame is over msgmax = 8192: not sent")
	hear("hint: the largest body that fits has 8166 bytes")
	hear("hint: sysctl -w kernel.msgmax=9026")
	put("three\n")
	for _, want := range []string{"one", "three"} {
		if got := bodies(t, q); !slices.Equal(got, []string{want}) {
			t.Errorf("the queue has %q, want %q", got, want)
		}
	}
	// One that no queue takes is told before its end, and is not kept.
	mebibyte := bytes.Repeat([]byte("y"), 1<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		if _, err := w.Write(mebibyte); err != nil {
			t.Fatal(err)
		}
	}
	hear("mqctl: line 4: more than 16777216 bytes: not sent")
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 80<<20 {
		t.Errorf("the heap grew by %d bytes for a line of 100 MiB, want less than the line", grown)
	}
	put("y\nfive\n")
	if got := bodies(t, q); !slices.Equal(got, []string{"five"}) {
		t.Errorf("the queue has %q", got)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; cli.Exit(io.Discard, program, err) != cli.CodeRefused || err.Error() != "3 lines sent, 2 refused" {
		t.Errorf("at the end: %v", err)
	}
}
