package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/mqdaemon/mqd/internal/cli"
	"github.com/mqdaemon/mqd/internal/envelope"
	"github.com/mqdaemon/mqd/mq"
)

type queuePeekCmd struct {
	addrArg
	Count int  `default:"10" placeholder:"N" help:"Most messages to show (10); 0 shows all."`
	JSON  bool `name:"json" xor:"form" help:"Print one JSON object a line."`
	Raw   bool `xor:"form" help:"Print the bodies as they are, with nothing between them; not to a terminal."`
}

// Help is the explanation in --help.
func (queuePeekCmd) Help() string {
	return `Nothing is taken off the queue. Messages that were packed together are shown one by one: INDEX 0.2 is the third message in the first kernel message. A queue in use changes meanwhile, so messages may be missed. What is not printable is shown as an escape. It works on System V queues, with permission to read, where the kernel has MSG_COPY.`
}

// Examples are those in --help.
func (queuePeekCmd) Examples() string {
	return `mqctl queue peek
mqctl queue peek --count 0 --json | jq -r .data
mqctl queue peek --raw --count 1 > message
`
}

// Validate refuses what makes no sense; it is called by kong.
func (cmd *queuePeekCmd) Validate() error {
	if cmd.Count < 0 {
		return fmt.Errorf("--count %d: want 0 or more", cmd.Count)
	}
	return nil
}

// Run shows messages from the front of the queue.
func (cmd *queuePeekCmd) Run(s stdio, g *globals) error {
	if cmd.Raw && cli.IsTerminal(s.out) {
		return cli.UsageError(errors.New("--raw prints what the terminal may act on: send it to a file or a pipe"))
	}
	addr, err := g.queueAddr(cmd.addrArg)
	if err != nil {
		return err
	}
	if addr.Kind != mq.KindSysV {
		return queueError(fmt.Errorf("peek %v: POSIX queues have no way to look at a message without taking it: %w", addr, errors.ErrUnsupported))
	}
	q, err := mq.OpenSysV(addr.Key, nil)
	if err != nil {
		return queueError(err)
	}
	defer q.Close() // only looked at
	show, flush := cmd.printer(s.out)
	if err := cmd.each(q, show); err != nil {
		return err
	}
	return flush()
}

// peeked is one message on the queue.
type peeked struct {
	index, part, parts int // part of parts in the kernel message at index
	mtype              int64
	kind               string
	envelope.Message
}

// each calls show for up to Count messages.
func (cmd *queuePeekCmd) each(q *mq.SysV, show func(*peeked) error) error {
	size, err := mq.MsgMax()
	if err != nil {
		return queueError(err)
	}
	buf := make([]byte, size)
	for index, shown := 0, 0; cmd.Count == 0 || shown < cmd.Count; index++ {
		m, err := q.Peek(buf, index)
		switch {
		case errors.Is(err, mq.ErrEmpty):
			return nil
		case errors.Is(err, mq.ErrTooLarge) && len(buf) < maxBody:
			// It was sent when kernel.msgmax was higher.
			buf, index = make([]byte, 2*len(buf)), index-1
			continue
		case err != nil:
			return queueError(err)
		}
		if len(m.Body) == 0 {
			shown++
			if err := show(&peeked{index: index, parts: 1, mtype: m.Type, kind: "doorbell"}); err != nil {
				return err
			}
			continue
		}
		kind, parts := envelope.Detect(m.Body, envelope.AcceptAll)
		envelope.Walk(kind, m.Body, func(part int, em *envelope.Message) bool {
			err = show(&peeked{index, part, parts, m.Type, kind.String(), *em})
			shown++
			return err == nil && (cmd.Count == 0 || shown < cmd.Count)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// printer gives the function that shows one message, and the one that ends the
// output.
func (cmd *queuePeekCmd) printer(w io.Writer) (show func(*peeked) error, flush func() error) {
	switch {
	case cmd.Raw:
		return func(p *peeked) error { _, err := w.Write(p.Body); return err }, func() error { return nil }
	case cmd.JSON:
		return func(p *peeked) error { return cli.WriteJSON(w, p.json()) }, func() error { return nil }
	}
	t := &cli.Table{}
	t.Cells(cli.Cell{Text: "INDEX"}, cli.Cell{Text: "TYPE", Right: true}, cli.Cell{Text: "KIND"},
		cli.Cell{Text: "BYTES", Right: true}, cli.Cell{Text: "ID"}, cli.Cell{Text: "KEY"}, cli.Cell{Text: "BODY"})
	show = func(p *peeked) error {
		index := strconv.Itoa(p.index)
		if p.parts > 1 {
			index += "." + strconv.Itoa(p.part)
		}
		t.Cells(cli.Cell{Text: index}, number(p.mtype), cli.Cell{Text: p.kind}, number(int64(len(p.Body))),
			cli.Cell{Text: string(p.ID)}, cli.Cell{Text: string(p.Key)}, cli.Cell{Text: string(p.Body)})
		return nil
	}
	return show, func() error { _, err := t.WriteTo(w); return err }
}

// peekedJSON is the form of --json; data is the body if it is UTF-8.
type peekedJSON struct {
	Index       int       `json:"index"`
	Part        int       `json:"part"`
	Type        int64     `json:"type"`
	Kind        string    `json:"kind"`
	ID          string    `json:"id,omitempty"`
	Key         string    `json:"key,omitempty"`
	ContentType string    `json:"content_type,omitempty"`
	Time        time.Time `json:"time,omitzero"`
	Data        *string   `json:"data,omitempty"`
	DataBase64  []byte    `json:"data_base64,omitempty"`
}

func (p *peeked) json() peekedJSON {
	j := peekedJSON{
		Index: p.index, Part: p.part, Type: p.mtype, Kind: p.kind,
		ID: string(p.ID), Key: string(p.Key), ContentType: string(p.ContentType),
	}
	if p.Time != 0 {
		j.Time = time.Unix(0, p.Time).UTC()
	}
	if utf8.Valid(p.Body) {
		data := string(p.Body)
		j.Data = &data
	} else {
		j.DataBase64 = p.Body
	}
	return j
}
