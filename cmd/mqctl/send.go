package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/internal/cli"
	"github.com/mqdaemon/mqd/mq"
)

type sendCmd struct {
	Body []string `arg:"" optional:"" help:"Each argument is one message; - is standard input as one message, and so is nothing at all."`

	File    string        `placeholder:"FILE" help:"The content of FILE is one message; with --lines, each of its lines."`
	Lines   bool          `help:"Each line of the input is one message, without its newline."`
	Route   string        `placeholder:"NAME" help:"Route to send to (default)."`
	Type    int64         `default:"1" placeholder:"N" help:"Message type (mtype), at least 1; on a POSIX queue the priority plus 1."`
	Key     string        `placeholder:"KEY" help:"Messages with the same key keep their order."`
	ID      string        `name:"id" placeholder:"ID" help:"Your own id for the message."`
	Flush   bool          `help:"Wake the daemon afterwards."`
	JSON    bool          `name:"json" help:"Print what happened as one JSON object."`
	Timeout time.Duration `placeholder:"D" help:"Longest wait for room in a full queue, such as 5s (no limit)."`
}

// Help is the explanation in --help.
func (sendCmd) Help() string {
	return `Without --json nothing is printed on success. Success means that the kernel has the message; mqd need not run.

With --lines, a line that is larger than the queue takes is not sent: standard error says so at once, the other lines go on, and the exit code at the end is 65.

JSON: {"id","door","state"} for one message, {"sent","door","state"} for several and for --lines, with "refused" if lines were.`
}

// Examples are those in --help.
func (sendCmd) Examples() string {
	return `mqctl send 'one message'
mqctl send one two three                three messages
date | mqctl send                       standard input is one message
mqctl send --file report.json --key 42
tail -F app.log | mqctl send --lines    each line is a message
mqctl send --timeout 5s --id a1 hello || echo 'not sent'
`
}

// Validate refuses what does not go together; it is called by kong.
func (cmd *sendCmd) Validate() error {
	stdin := slices.Contains(cmd.Body, "-")
	switch {
	case stdin && len(cmd.Body) > 1:
		return errors.New("- is the whole input: it cannot stand beside other messages")
	case cmd.File != "" && len(cmd.Body) > 0:
		return errors.New("--file and a message as argument: want one of them")
	case cmd.Lines && len(cmd.Body) > 0 && !stdin:
		return errors.New("--lines reads standard input or --file: it takes no message as argument")
	case cmd.ID != "" && (cmd.Lines || len(cmd.Body) > 1):
		return errors.New("--id names one message, and there may be several")
	case cmd.Type < 1:
		return fmt.Errorf("--type %d: want 1 or more", cmd.Type)
	case cmd.Timeout < 0:
		return fmt.Errorf("--timeout %v: want 0 or more", cmd.Timeout)
	}
	return nil
}

// Run sends, and prints only what --json asks for.
func (cmd *sendCmd) Run(ctx context.Context, s stdio, c *client.Client) error {
	c.Route = cmd.Route
	send := cmd.sendBodies
	if cmd.Lines {
		send = cmd.sendLines
	}
	n, err := send(ctx, s, c)
	if err != nil {
		return err
	}
	if cmd.Flush && n.sent > 0 {
		// The message is sent, whatever becomes of this: a script that sees a
		// failure would send it twice.
		if err := c.Wake(ctx); err != nil {
			cli.Warn(s.err, program, fmt.Errorf("sent, but the daemon was not woken: %w", err))
		}
	}
	if err := cmd.report(s.out, n); err != nil {
		return fmt.Errorf("sent (%d), but not reported: %w", n.sent, err)
	}
	if n.refused > 0 {
		return &cli.ExitError{Code: cli.CodeRefused, Err: fmt.Errorf("%d lines sent, %d refused", n.sent, n.refused)}
	}
	return nil
}

// counts are of messages.
type counts struct{ sent, refused int }

// outcome is what --json prints: of one message its id, of several their number.
type outcome struct {
	ID      string `json:"id,omitempty"`
	Sent    *int   `json:"sent,omitempty"`
	Refused int    `json:"refused,omitempty"`
	Door    string `json:"door"`
	State   string `json:"state"`
}

func (cmd *sendCmd) report(w io.Writer, n counts) error {
	if !cmd.JSON {
		return nil
	}
	o := outcome{Refused: n.refused, Door: "queue", State: "queued"}
	if cmd.Lines || len(cmd.Body) > 1 {
		o.Sent = &n.sent
	} else {
		o.ID = cmd.ID
	}
	return cli.WriteJSON(w, o)
}

// sendBodies sends the arguments, or the whole input as one message.
func (cmd *sendCmd) sendBodies(ctx context.Context, s stdio, c *client.Client) (n counts, err error) {
	if cmd.JSON && cmd.ID == "" && len(cmd.Body) <= 1 {
		// The daemon would give the id, when nobody is left to be told.
		if cmd.ID, err = newID(time.Now()); err != nil {
			return n, err
		}
	}
	messages := make([]client.Message, 0, max(1, len(cmd.Body)))
	if len(cmd.Body) == 0 || cmd.Body[0] == "-" {
		body, err := cmd.readBody(s)
		if err != nil {
			return n, err
		}
		messages = append(messages, cmd.message(body))
	} else {
		for _, body := range cmd.Body {
			messages = append(messages, cmd.message([]byte(body)))
		}
	}
	n.sent, err = cmd.deliver(ctx, c, messages)
	switch {
	case errors.Is(err, mq.ErrTooLarge):
		bad := &client.MessageError{} // the first one, if it is the only one
		errors.As(err, &bad)
		err = &cli.ExitError{Code: cli.CodeRefused, Err: err, Hints: limitHints(err, len(messages[n.sent+bad.Index].Body))}
	case err != nil:
		err = sendError(err, n.sent)
	}
	return n, err
}

func (cmd *sendCmd) message(body []byte) client.Message {
	return client.Message{ID: cmd.ID, Key: cmd.Key, Type: cmd.Type, Body: body}
}

// deliver sends messages in order and says how many were accepted. --timeout
// bounds the time without progress, not the whole.
func (cmd *sendCmd) deliver(ctx context.Context, c *client.Client, messages []client.Message) (sent int, err error) {
	for sent < len(messages) {
		n, err := cmd.deliverOnce(ctx, c, messages[sent:])
		sent += n
		if err == nil || n > 0 && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			continue
		}
		return sent, err
	}
	return sent, nil
}

func (cmd *sendCmd) deliverOnce(ctx context.Context, c *client.Client, messages []client.Message) (int, error) {
	if cmd.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cmd.Timeout)
		defer cancel()
	}
	if len(messages) > 1 {
		return c.SendBatch(ctx, messages)
	}
	// One message needs no packing, and no question for the limits of the queue.
	if err := c.Send(ctx, messages[0]); err != nil {
		return 0, err
	}
	return 1, nil
}

// input gives what --file names, or standard input, and how to call it in an
// error.
func (cmd *sendCmd) input(s stdio) (r io.ReadCloser, name string, err error) {
	if cmd.File != "" {
		f, err := os.Open(cmd.File)
		if err != nil {
			return nil, "", &cli.ExitError{Code: cli.CodeIO, Err: err}
		}
		return f, cmd.File, nil
	}
	if len(cmd.Body) == 0 && !cmd.Lines && cli.IsTerminal(s.in) {
		return nil, "", cli.UsageError(errors.New("nothing to send"),
			"give a message as argument, or - to type it", "see mqctl send --help")
	}
	return io.NopCloser(s.in), "standard input", nil
}

// readBody reads one whole message.
func (cmd *sendCmd) readBody(s stdio) ([]byte, error) {
	r, name, err := cmd.input(s)
	if err != nil {
		return nil, err
	}
	defer r.Close() // only read from
	if f, ok := r.(*os.File); ok {
		// A file tells its size before it is read.
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > maxBody {
			return nil, overMaxBody(fmt.Errorf("%s has %d bytes, the limit of one message is %d", name, info.Size(), maxBody))
		}
	}
	body, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	if err != nil {
		return nil, readError(name, err)
	}
	if len(body) > maxBody {
		return nil, overMaxBody(fmt.Errorf("%s has more than %d bytes, the limit of one message", name, maxBody))
	}
	return body, nil
}

// newID makes an id in the layout of UUIDv7 (RFC 9562): 48 bits of milliseconds
// since 1970, then random bits. The random bytes come from getrandom(2) itself,
// as crypto/rand would be a good part of the command's start time.
func newID(now time.Time) (string, error) {
	var u [16]byte
	for got := 6; got < len(u); {
		n, err := unix.Getrandom(u[got:], 0)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return "", os.NewSyscallError("getrandom", err)
		}
		got += max(n, 0)
	}
	ms := now.UnixMilli()
	for i := range 6 {
		u[i] = byte(ms >> (40 - 8*i))
	}
	u[6] = u[6]&0x0f | 0x70 // version 7
	u[8] = u[8]&0x3f | 0x80 // variant 10
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16]), nil
}
