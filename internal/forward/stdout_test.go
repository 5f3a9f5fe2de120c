package forward

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// writer is an io.Writer made of a function.
type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestStdout(t *testing.T) {
	var writes []string
	d := open(t, Config{Route: "r", To: "stdout:", Format: Lines, Stdout: writer(func(p []byte) (int, error) {
		writes = append(writes, string(p))
		return len(p), nil
	})})
	if d.String() != "stdout:" {
		t.Errorf("String() = %s", d)
	}
	b := batchOf("key", goldens()...)
	mustDeliver(t, d, b)
	mustDeliver(t, d, repeated(1, "x"))
	if len(writes) != 2 || writes[0] != string(newEncoder(NDJSON, &Config{Route: "r"}).append(nil, b)) {
		t.Errorf("%d writes of 2 batches: %q", len(writes), writes)
	}
}

// TestStdoutFaults: no failed write is taken for a delivery, and one that tore a
// line spoils that line only.
func TestStdoutFaults(t *testing.T) {
	const room = 150
	var out bytes.Buffer
	var next func(p []byte) (int, error)
	d := open(t, Config{Route: "r", To: "stdout:", Stdout: writer(func(p []byte) (int, error) { return next(p) })})
	well := out.Write
	short := func(p []byte) (int, error) { return out.Write(p[:room]) }
	broken := func(p []byte) (int, error) {
		n, _ := out.Write(p[:room/2])
		return n, syscall.ENOSPC
	}
	nothing := func([]byte) (int, error) { return 0, syscall.EPIPE }
	for i, step := range []struct {
		write func([]byte) (int, error)
		is    error
	}{{well, nil}, {short, io.ErrShortWrite}, {nothing, syscall.EPIPE}, {broken, syscall.ENOSPC}, {well, nil}, {well, nil}, {nothing, syscall.EPIPE}, {well, nil}} {
		next = step.write
		r := d.Send(t.Context(), repeated(3, "hello"))
		if step.is == nil && r != (Result{Verdict: Delivered}) {
			t.Errorf("step %d: %+v", i, r)
		}
		if step.is != nil && (r.Verdict != Retry || !errors.Is(r.Err, step.is)) {
			t.Errorf("step %d: %+v, want retry and %v", i, r, step.is)
		}
	}
	whole, torn := 0, 0
	for line := range strings.Lines(out.String()) {
		switch {
		case json.Valid([]byte(line)):
			whole++
		case line != "\n":
			torn++
		}
	}
	// 4 batches of 3; of the short write, one line of three lay within room.
	if whole != 4*3+1 || torn != 2 {
		t.Errorf("%d whole lines and %d torn ones in:\n%s", whole, torn, out.String())
	}
}

// TestStdoutBlocked: a reader that has stopped holds its own batch, ends with
// the context, and gets every later batch whole.
func TestStdoutBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		d := open(t, Config{Route: "r", To: "stdout:", Stdout: w, Timeout: time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		begin := time.Now()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if r := d.Send(ctx, repeated(1, "x")); r.Verdict != Retry || !errors.Is(r.Err, context.DeadlineExceeded) {
					t.Errorf("blocked: %+v", r)
				}
			})
		}
		wg.Wait()
		if took := time.Since(begin); took != time.Hour {
			t.Errorf("blocked for %v, want until the context ended", took)
		}
		var got bytes.Buffer
		copied := make(chan struct{})
		go func() {
			io.Copy(&got, r)
			close(copied)
		}()
		mustDeliver(t, d, repeated(1, "y"))
		w.Close()
		<-copied
		// Of the two that were cut, one had been handed to the writer.
		if n := strings.Count(got.String(), "\n"); n != 2 || !strings.HasSuffix(got.String(), "\"data\":\"y\"}\n") {
			t.Errorf("%d lines:\n%s", n, got.String())
		}
	})
}

func TestStdoutSlots(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, Config{Route: "r", To: "stdout:", Stdout: w})
	const slots, tries, messages = 8, 20, 50
	go func() {
		var wg sync.WaitGroup
		for range slots {
			wg.Go(func() {
				for range tries {
					d.Send(context.Background(), repeated(messages, strings.Repeat("x", 300)))
				}
			})
		}
		wg.Wait()
		w.Close()
	}()
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(all) {
		if !json.Valid(line) {
			t.Fatalf("two batches got mixed: %q", line)
		}
		n++
	}
	if n != slots*tries*messages {
		t.Errorf("%d lines, want %d", n, slots*tries*messages)
	}
}

func TestDiscard(t *testing.T) {
	d := open(t, Config{To: "discard:"})
	mustDeliver(t, d, repeated(3, "x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := d.Send(ctx, repeated(3, "x")); r.Verdict != Retry || !errors.Is(r.Err, context.Canceled) {
		t.Errorf("after the end of the context: %+v", r)
	}
	if d.String() != "discard:" {
		t.Errorf("String() = %s", d)
	}
}
