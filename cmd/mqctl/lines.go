package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/internal/cli"
	"github.com/mqdaemon/mqd/mq"
)

const (
	// chunkSize is how much input is gathered before it is sent, if more is there
	// already: a few dozen kernel messages.
	chunkSize = 256 << 10

	// maxPack bounds the messages handed over at once, so that empty lines do not
	// take a hundred times their size in memory.
	maxPack = 4096

	// progressEvery is how often a person sees a number.
	progressEvery = 500 * time.Millisecond
)

// sendLines sends each line of the input as one message, many in one kernel
// message. Lines are sent as soon as no more input is there: a slow writer's line
// does not wait for the next one. Memory does not depend on the length of the
// input.
//
// SIGINT and SIGTERM end it between two kernel messages, so that it can say how
// many lines were accepted.
func (cmd *sendCmd) sendLines(ctx context.Context, s stdio, c *client.Client) (sent int, err error) {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
	defer stop()
	r, name, err := cmd.input(s)
	if err != nil {
		return 0, err
	}
	defer r.Close() // only read from
	source := r.(any)
	if cmd.File == "" {
		source = s.in // input wraps it, so that it is not closed
	}
	file, _ := source.(*os.File)

	job := &lineJob{cmd: cmd, client: c, progress: progress{w: s.err, on: cli.IsTerminal(s.err)}}
	defer job.progress.clear()
	lines := lineBuffer{buf: make([]byte, chunkSize)}
	reader := newReader(r)
	defer reader.stop()
	for {
		n, readErr := reader.read(ctx, lines.room())
		lines.add(n)
		if readErr == nil && !lines.full() && more(file) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return job.sent, sendError(err, job.sent)
		}
		if err := job.send(ctx, &lines, errors.Is(readErr, io.EOF)); err != nil {
			return job.sent, err
		}
		switch {
		case errors.Is(readErr, io.EOF):
			return job.sent, nil
		case readErr != nil:
			return job.sent, readError(name, fmt.Errorf("%w (%d lines accepted before)", readErr, job.sent))
		case lines.full():
			return job.sent, tooLarge(fmt.Errorf("line %d has more than %d bytes, the limit of one message", job.sent+1, maxBody))
		}
	}
}

// more reports whether reading from f would not have to wait. What is not a file
// is read as it comes.
func more(f *os.File) bool {
	if f == nil {
		return false
	}
	fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

// lineJob sends lines and counts them.
type lineJob struct {
	cmd      *sendCmd
	client   *client.Client
	pack     []client.Message // used again for each pack
	sent     int
	progress progress
}

// send takes the complete lines out of the buffer, at the end of the input also
// the last one without newline.
func (j *lineJob) send(ctx context.Context, lines *lineBuffer, end bool) error {
	for {
		j.pack = j.pack[:0]
		for len(j.pack) < maxPack {
			line, ok := lines.next(end)
			if !ok {
				break
			}
			j.pack = append(j.pack, j.cmd.message(line))
		}
		if len(j.pack) == 0 {
			lines.shift()
			return nil
		}
		if err := j.sendPack(ctx); err != nil {
			return err
		}
		j.progress.show(j.sent)
	}
}

func (j *lineJob) sendPack(ctx context.Context) error {
	n, err := j.cmd.deliver(ctx, j.client, j.pack)
	j.sent += n
	if rest := j.pack[n:]; len(rest) > 1 && errors.Is(err, mq.ErrTooLarge) {
		// One of them will never fit, and none was sent because of it. Alone, the
		// lines before it go, and the error is about that line.
		err = j.sendEach(ctx, rest)
	}
	if err != nil {
		return sendError(fmt.Errorf("line %d: %w", j.sent+1, err), j.sent)
	}
	return nil
}

func (j *lineJob) sendEach(ctx context.Context, messages []client.Message) error {
	for i := range messages {
		n, err := j.cmd.deliver(ctx, j.client, messages[i:i+1])
		j.sent += n
		if err != nil {
			return err
		}
	}
	return nil
}

// lineBuffer holds input and cuts it into lines, without copying them.
type lineBuffer struct {
	buf        []byte
	start, end int // of what was not yet given out
}

// room is where the next input goes; it is empty when the buffer is full.
func (l *lineBuffer) room() []byte { return l.buf[l.end:] }

func (l *lineBuffer) add(n int) { l.end += n }

func (l *lineBuffer) full() bool { return l.end == len(l.buf) }

// next gives the next line without its newline. The rest of the input without a
// newline is a line only at its end. The line is valid until shift.
func (l *lineBuffer) next(end bool) (line []byte, ok bool) {
	rest := l.buf[l.start:l.end]
	i := bytes.IndexByte(rest, '\n')
	switch {
	case i >= 0:
		l.start += i + 1
		return rest[:i], true
	case end && len(rest) > 0:
		l.start = l.end
		return rest, true
	}
	return nil, false
}

// shift moves the begun line to the front. A line that fills the buffer makes it
// grow, up to maxBody; after that the buffer stays full.
func (l *lineBuffer) shift() {
	copy(l.buf, l.buf[l.start:l.end])
	l.end -= l.start
	l.start = 0
	if l.full() && len(l.buf) < maxBody {
		l.buf = append(l.buf, make([]byte, min(len(l.buf), maxBody-len(l.buf)))...)
	}
}

// progress shows a number to a person while it changes.
type progress struct {
	w     io.Writer
	on    bool
	last  time.Time
	shown bool
}

func (p *progress) show(sent int) {
	now := time.Now()
	if p.last.IsZero() {
		p.last = now
	}
	if p.on && now.Sub(p.last) >= progressEvery {
		p.last, p.shown = now, true
		fmt.Fprintf(p.w, "\r%s: %d lines sent", program, sent)
	}
}

// clear takes the number away, for what is printed next.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
