package main

import (
	"context"
	"io"
)

// reader lets a context end a read that waits. A read from a terminal or a pipe
// cannot be interrupted without changing a flag that other processes share
// (O_NONBLOCK), so it happens in a goroutine of its own. After a context that
// ended, that goroutine may stay in the read; the process is about to end then.
type reader struct {
	want chan []byte
	got  chan readResult
}

type readResult struct {
	n   int
	err error
}

// newReader starts the goroutine; stop ends it when it is not in a read.
func newReader(r io.Reader) *reader {
	rd := &reader{want: make(chan []byte), got: make(chan readResult, 1)}
	go func() {
		for p := range rd.want {
			n, err := r.Read(p)
			rd.got <- readResult{n, err}
		}
	}()
	return rd
}

// read is one Read into p. After an error of ctx neither the reader nor p may be
// used any more.
func (rd *reader) read(ctx context.Context, p []byte) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	rd.want <- p
	select {
	case r := <-rd.got:
		return r.n, r.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (rd *reader) stop() { close(rd.want) }
