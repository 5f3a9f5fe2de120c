package main

import (
	"errors"
	"fmt"

	"github.com/mqdaemon/mqd/internal/cli"
	"github.com/mqdaemon/mqd/mq"
)

// maxBody bounds what is read for one message, in bytes: the most that any kernel
// queue takes (HARD_MSGSIZEMAX of mq_overview(7)). The queue in use mostly takes
// less, and says so itself.
const maxBody = 16 << 20

// limitText says how a message is over a limit of its queue.
func limitText(err error) string {
	var l *mq.LimitError
	if !errors.As(err, &l) || l.Have < 0 {
		return err.Error()
	}
	return fmt.Sprintf("%d bytes with its frame is over %s = %d", l.Have, l.Limit, l.Max)
}

// limitHints says what fits, and what to type so that a message with a body of
// this many bytes does too.
func limitHints(err error, body int) []string {
	var l *mq.LimitError
	var op *mq.OpError
	if !errors.As(err, &l) || !errors.As(err, &op) || l.Have < 0 {
		return []string{"mqctl queue stat shows the limits of the queue"}
	}
	var hints []string
	if fits := l.Max - l.Have + int64(body); fits >= 0 {
		hints = append(hints, fmt.Sprintf("the largest body that fits has %d bytes", fits))
	}
	if op.Addr.Kind == mq.KindPOSIX {
		return append(hints, fmt.Sprintf("sysctl -w fs.mqueue.msgsize_max=%d fs.mqueue.msgsize_default=%[1]d, then make the queue again: mqctl queue rm %v", l.Have, op.Addr))
	}
	if system, err := mq.SystemLimits(); err == nil {
		if l.Have > system.MsgMax {
			hints = append(hints, fmt.Sprintf("sysctl -w kernel.msgmax=%d", l.Have))
		}
		if info, err := statQueue(op.Addr); err == nil && l.Have > info.Stat.MaxBytes {
			if l.Have > system.MsgMnb {
				hints = append(hints, fmt.Sprintf("sysctl -w kernel.msgmnb=%d", l.Have))
			}
			hints = append(hints, fmt.Sprintf("queue_bytes = %d in the configuration of mqd; without mqd: mqctl queue rm %v, then create it with --bytes %[1]d", l.Have, op.Addr))
		}
	}
	return hints
}

// overMaxBody refuses what no kernel queue takes.
func overMaxBody(err error) error {
	return &cli.ExitError{Code: cli.CodeRefused, Err: err, Hints: []string{"no kernel queue takes more: split it"}}
}
