package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// discard takes everything and keeps nothing.
type discard struct{}

func (discard) Send(ctx context.Context, _ *Batch) Result {
	if err := ctx.Err(); err != nil {
		return cutShort("discard:", err)
	}
	return Result{Verdict: Delivered}
}
func (discard) String() string { return "discard:" }
func (discard) Close() error   { return nil }

// stdout writes NDJSON, one Write for each batch.
//
// The timeout of the configuration does not apply: a reader that stops for a
// while is what a pipe is for, and writing the batch again would only repeat it.
type stdout struct {
	w   io.Writer
	enc *encoder
	// turn holds one token, the right to write; a semaphore and not a mutex,
	// so that waiting for a reader that has stopped ends with ctx.
	turn chan struct{}
	torn bool   // guarded by turn: the last write ended within a line
	buf  []byte // guarded by turn
}

func newStdout(c *Config) (*stdout, error) {
	if c.Stdout == nil {
		return nil, errors.New("stdout: no writer to write to")
	}
	return &stdout{w: c.Stdout, enc: newEncoder(NDJSON, c), turn: make(chan struct{}, 1)}, nil
}

func (s *stdout) String() string { return "stdout:" }
func (s *stdout) Close() error   { return nil }

func (s *stdout) Send(ctx context.Context, b *Batch) Result {
	if err := ctx.Err(); err != nil {
		return cutShort(s.String(), err)
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return cutShort(s.String(), ctx.Err())
	}
	s.buf = s.buf[:0]
	if s.torn {
		// The torn line becomes a line of its own; those after it are whole.
		s.buf = append(s.buf, '\n')
	}
	s.buf = s.enc.append(s.buf, b)

	// A Write cannot be called off, so it runs beside us. The turn goes back
	// when it ends: until then nobody else writes or touches buf.
	done := make(chan error, 1)
	go func() {
		done <- s.write()
		<-s.turn
	}()
	select {
	case err := <-done:
		if err != nil {
			return Result{Verdict: classifyError(err), Err: &sendError{to: s.String(), text: err.Error(), cause: err}}
		}
		return Result{Verdict: Delivered}
	case <-ctx.Done():
		return cutShort(s.String(), ctx.Err())
	}
}

// write writes buf, holding the turn.
func (s *stdout) write() error {
	n, err := s.w.Write(s.buf)
	if err == nil && n < len(s.buf) {
		err = io.ErrShortWrite
	}
	if n > 0 && n <= len(s.buf) {
		s.torn = s.buf[n-1] != '\n'
	}
	if err != nil {
		err = fmt.Errorf("wrote %d of %d bytes: %w", n, len(s.buf), err)
	}
	if cap(s.buf) > maxKeptBuffer {
		s.buf = nil
	}
	return err
}
