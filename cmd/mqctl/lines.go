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
// A line that is too large is refused at once, and the others go on: a stream that
// is followed must not end because of one line.
//
// SIGINT and SIGTERM end it between two kernel messages, so that it can say how
// many lines were accepted.
func (cmd *sendCmd) sendLines(ctx context.Context, s stdio, c *client.Client) (counts, error) {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
	defer stop()
	r, name, err := cmd.input(s)
	if err != nil {
		return counts{}, err
	}
	defer r.Close() // only read from
	source := r.(any)
	if cmd.File == "" {
		source = s.in // input wraps it, so that it is not closed
	}
	file, _ := source.(*os.File)

	job := &lineJob{cmd: cmd, client: c, stderr: s.err, progress: progress{w: s.err, on: cli.IsTerminal(s.err)}}
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
			return job.counts, sendError(err, job.sent)
		}
		if err := job.send(ctx, &lines, errors.Is(readErr, io.EOF)); err != nil {
			return job.counts, err
		}
		switch {
		case errors.Is(readErr, io.EOF):
			return job.counts, nil
		case readErr != nil:
			return job.counts, readError(name, fmt.Errorf("%w (%d lines accepted before)", readErr, job.sent))
		case lines.full():
			job.refuse(fmt.Sprintf("more than %d bytes", maxBody), "no kernel queue takes more: split it")
			lines.skip()
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
	stderr   io.Writer
	hinted   bool // what to do about a line that is too large
	progress progress
	counts
}

// line is the number of the next line: those before it are sent or refused.
func (j *lineJob) line() int { return j.sent + j.refused + 1 }

// refuse passes over the next line.
func (j *lineJob) refuse(why string, hints ...string) {
	if j.hinted {
		hints = nil
	}
	j.hinted = true
	j.progress.clear()
	cli.Warn(j.stderr, program, fmt.Errorf("line %d: %s: not sent", j.line(), why), hints...)
	j.refused++
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
	rest := j.pack
	try := len(rest) // so many at once
	for len(rest) > 0 {
		n, err := j.cmd.deliver(ctx, j.client, rest[:try])
		j.sent += n
		rest, try = rest[n:], try-n
		bad := &client.MessageError{}
		switch named := errors.As(err, &bad); {
		case err == nil:
			try = len(rest)
		case !errors.Is(err, mq.ErrTooLarge):
			return sendError(fmt.Errorf("line %d: %w", j.line(), err), j.sent)
		case bad.Index > 0: // those before it go first
			try = bad.Index
		case !named && try > 1: // a limit was lowered after a look at it
			try = 1
		default:
			j.refuse(limitText(err), limitHints(err, len(rest[0].Body))...)
			rest, try = rest[1:], len(rest)-1
		}
	}
	return nil
}

// lineBuffer holds input and cuts it into lines, without copying them.
type lineBuffer struct {
	buf        []byte
	start, end int // of what was not yet given out
	skipping   bool
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
	if l.skipping {
		if i < 0 {
			l.start = l.end
			return nil, false
		}
		l.skipping = false
		l.start += i + 1
		return l.next(end)
	}
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

// skip drops the begun line, up to its newline, wherever that comes.
func (l *lineBuffer) skip() { l.start, l.end, l.skipping = 0, 0, true }

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
		p.shown = false
	}
}
