package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/mqdaemon/mqd/internal/cli"
	"github.com/mqdaemon/mqd/internal/envelope"
	"github.com/mqdaemon/mqd/mq"
)

// Whatever the sizes of the reads, the lines are those of the input.
func TestLineBuffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		input := rapid.SliceOf(rapid.SampledFrom([]byte("ab\n\r"))).Draw(t, "input")
		want := strings.Split(string(input), "\n")
		if want[len(want)-1] == "" { // nothing after the last newline
			want = want[:len(want)-1]
		}
		lines := lineBuffer{buf: make([]byte, rapid.IntRange(1, 8).Draw(t, "buffer"))}
		var got []string
		take := func(end bool) {
			for {
				line, ok := lines.next(end)
				if !ok {
					break
				}
				got = append(got, string(line))
			}
			lines.shift()
		}
		for rest := input; len(rest) > 0; {
			room := lines.room()
			if len(room) == 0 {
				t.Fatalf("no room after %d lines, buffer of %d", len(got), len(lines.buf))
			}
			n := copy(room[:rapid.IntRange(1, len(room)).Draw(t, "read")], rest)
			rest = rest[n:]
			lines.add(n)
			if lines.full() || rapid.Bool().Draw(t, "take") {
				take(false)
			}
		}
		take(true)
		if !slices.Equal(got, want) {
			t.Fatalf("%q gave %q, want %q", input, got, want)
		}
	})
}

// testQueue makes a queue and gives it with its address.
func testQueue(t *testing.T, opts mq.Options) *mq.SysV {
	t.Helper()
	opts.Create, opts.Exclusive = true, true
	q, err := mq.OpenSysV(freshKey(t.Cleanup), &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// bodies receives one kernel message, waiting for it, and gives what is packed in it.
func bodies(t *testing.T, q *mq.SysV) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	m, err := q.Receive(ctx, make([]byte, 1<<16))
	if err != nil {
		t.Fatal(err)
	}
	kind, _ := envelope.Detect(m.Body, envelope.AcceptAll)
	if kind != envelope.Envelope {
		t.Fatalf("%q is %v, want an envelope", m.Body, kind)
	}
	var out []string
	envelope.Walk(kind, m.Body, func(_ int, em *envelope.Message) bool {
		out = append(out, string(em.Body))
		return true
	})
	return out
}

type result struct {
	stdout, stderr string
	code           int
}

// start runs mqctl in this process.
func start(ctx context.Context, in io.Reader, args ...string) <-chan result {
	done := make(chan result, 1)
	go func() {
		var stdout, stderr bytes.Buffer
		err := run(ctx, args, stdio{in: in, out: &stdout, err: &stderr})
		code := cli.Exit(&stderr, program, err)
		done <- result{stdout.String(), stderr.String(), code}
	}()
	return done
}

// A slow writer's line is sent at once: neither a full pack nor the end of the
// input is waited for.
func TestLinesDoNotWaitForMore(t *testing.T) {
	q := testQueue(t, mq.Options{})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	done := start(t.Context(), r, "send", "--queue", q.Addr().String(), "--lines", "--json")
	for _, step := range []struct {
		write string
		want  []string
	}{
		{"one\n", []string{"one"}},
		{"two\nthree\nfo", []string{"two", "three"}},
		{"ur\n", []string{"four"}},
	} {
		if _, err := w.WriteString(step.write); err != nil {
			t.Fatal(err)
		}
		if got := bodies(t, q); !slices.Equal(got, step.want) {
			t.Errorf("after %q the queue has %q, want %q", step.write, got, step.want)
		}
	}
	if _, err := w.WriteString("last"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := bodies(t, q); !slices.Equal(got, []string{"last"}) {
		t.Errorf("at the end the queue has %q", got)
	}
	if got := <-done; got.code != 0 || got.stderr != "" || !strings.Contains(got.stdout, `"sent":5`) {
		t.Errorf("got %+v", got)
	}
}

// What is there already goes into one kernel message, even when it takes several
// reads to get it.
func TestLinesArePacked(t *testing.T) {
	q := testQueue(t, mq.Options{})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 20 {
		if _, err := w.WriteString("line\n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-start(t.Context(), oneByteAtATime{r}, "send", "--queue", q.Addr().String(), "--lines"); got.code != 0 {
		t.Fatalf("got %+v", got)
	}
	if got := bodies(t, q); len(got) != 1 {
		t.Errorf("a reader that is no file: %d lines in a kernel message, want 1", len(got))
	}
	for range 19 {
		bodies(t, q)
	}
	r2, w2, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r2.Close()
	if _, err := w2.WriteString(strings.Repeat("line\n", 20)); err != nil {
		t.Fatal(err)
	}
	if err := w2.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-start(t.Context(), r2, "send", "--queue", q.Addr().String(), "--lines"); got.code != 0 {
		t.Fatalf("got %+v", got)
	}
	if got := bodies(t, q); len(got) != 20 {
		t.Errorf("%d lines in the first kernel message, want 20", len(got))
	}
}

type oneByteAtATime struct{ io.Reader }

func (r oneByteAtATime) Read(p []byte) (int, error) {
	if len(p) > 5 {
		p = p[:5]
	}
	return r.Reader.Read(p)
}

// Memory does not grow with the input, and every line arrives.
func TestLinesSteadyMemory(t *testing.T) {
	for _, line := range []string{"1234567\n", "\n"} {
		const lines = 1_000_000
		q := testQueue(t, mq.Options{})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		done := start(t.Context(), &repeat{line: line, left: lines}, "send", "--queue", q.Addr().String(), "--lines")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		buf, body := make([]byte, 1<<16), strings.TrimSuffix(line, "\n")
		for got := 0; got < lines; {
			m, err := q.Receive(ctx, buf)
			if err != nil {
				t.Fatalf("after %d lines: %v", got, err)
			}
			envelope.Walk(envelope.Envelope, m.Body, func(_ int, em *envelope.Message) bool {
				if string(em.Body) != body {
					t.Fatalf("line %d is %q, want %q", got, em.Body, body)
				}
				got++
				return true
			})
		}
		cancel()
		if got := <-done; got.code != 0 {
			t.Errorf("got %+v", got)
		}
		runtime.ReadMemStats(&after)
		// The lines of one buffer as a slice of messages could take 27 MB, those of
		// the input 100 MB.
		if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 12<<20 {
			t.Errorf("the heap grew by %d bytes for %d lines, want no more than the buffers", grown, lines)
		}
	}
}

// repeat reads as a number of equal lines.
type repeat struct {
	line string
	left int
}

func (r *repeat) Read(p []byte) (n int, err error) {
	for len(p)-n >= len(r.line) && r.left > 0 {
		n += copy(p[n:], r.line)
		r.left--
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// A context that ends while the input is waited for says how much was sent.
func TestLinesInterrupted(t *testing.T) {
	q := testQueue(t, mq.Options{})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := start(ctx, r, "send", "--queue", q.Addr().String(), "--lines")
	if _, err := w.WriteString("one\ntwo\n"); err != nil {
		t.Fatal(err)
	}
	bodies(t, q)
	cancel()
	got := <-done
	if got.code != cli.CodeFailed || got.stderr != "mqctl: interrupted (2 accepted before)\n" {
		t.Errorf("got %+v", got)
	}
	if err := w.Close(); err != nil { // ends the read that was left behind
		t.Fatal(err)
	}
}

// SIGINT and SIGTERM end the process of a send that waits for room, with a number.
func TestLinesSignal(t *testing.T) {
	q := testQueue(t, mq.Options{MaxBytes: 100})
	done := start(t.Context(), strings.NewReader(strings.Repeat("a line\n", 100)), "send", "--queue", q.Addr().String(), "--lines")
	// The first kernel message is there: the handler of the signal is too.
	if err := waitDepth(t, q, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(os.Getpid(), unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	got := <-done
	if got.code != cli.CodeTryLater || !strings.Contains(got.stderr, "accepted before") {
		t.Errorf("got %+v", got)
	}
}

// waitDepth waits, without taking anything, until q holds n messages.
func waitDepth(t *testing.T, q *mq.SysV, n int64) error {
	t.Helper()
	for {
		if _, err := q.Wait(t.Context()); err != nil {
			return err
		}
		if st, err := q.Stat(); err != nil || st.Messages >= n {
			return err
		}
	}
}

// The bytes of a message go through the parser unchanged.
func TestBytesThroughTheParser(t *testing.T) {
	q := testQueue(t, mq.Options{})
	var all []byte
	for b := 1; b < 256; b++ { // an argument cannot hold NUL
		all = append(all, byte(b))
	}
	got := <-start(t.Context(), nil, "send", "--queue", q.Addr().String(), "--", string(all))
	if got.code != 0 {
		t.Fatalf("got %+v", got)
	}
	if sent := bodies(t, q); len(sent) != 1 || sent[0] != string(all) {
		t.Errorf("got %q", sent)
	}
}

type failingReader struct{}

var errDisk = errors.New("the disk is gone")

func (failingReader) Read([]byte) (int, error) { return 0, errDisk }

func TestReadErrors(t *testing.T) {
	q := testQueue(t, mq.Options{})
	for _, args := range [][]string{{"send"}, {"send", "--lines"}} {
		got := <-start(t.Context(), failingReader{}, append(args, "--queue", q.Addr().String())...)
		if got.code != cli.CodeIO || !strings.Contains(got.stderr, "read standard input: the disk is gone") {
			t.Errorf("%q: got %+v", args, got)
		}
	}
}
