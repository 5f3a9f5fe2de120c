package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mqdaemon/mqd/internal/cli"
	"github.com/mqdaemon/mqd/mq"
)

// queueCmd groups the commands on kernel queues. They talk to the kernel, not to
// the daemon.
type queueCmd struct {
	Ls     queueLsCmd     `cmd:"" help:"List the queues of this host (of this IPC namespace)."`
	Stat   queueStatCmd   `cmd:"" help:"Show one queue."`
	Create queueCreateCmd `cmd:"" help:"Make a queue."`
	Rm     queueRmCmd     `cmd:"" help:"Remove a queue with its messages."`
	Peek   queuePeekCmd   `cmd:"" help:"Show messages and leave them on the queue."`
}

// Examples are those in --help.
func (queueCmd) Examples() string {
	return `mqctl queue ls
mqctl queue stat sysv:0x6d716431
mqctl queue create --group www-data --bytes 1MiB
mqctl queue peek --count 3
`
}

// queueJSON is a queue as --json shows it. Counts of -1 may not be read.
type queueJSON struct {
	Queue          string    `json:"queue"`
	ID             int       `json:"id"`
	Mode           string    `json:"mode"`
	UID            uint32    `json:"uid"`
	GID            uint32    `json:"gid"`
	CUID           uint32    `json:"cuid"`
	CGID           uint32    `json:"cgid"`
	Messages       int64     `json:"messages"`
	Bytes          int64     `json:"bytes"`
	MaxBytes       int64     `json:"max_bytes"`
	MaxMessages    int64     `json:"max_messages"`
	MaxMessageSize int64     `json:"max_message_size"`
	LastSend       time.Time `json:"last_send,omitzero"`
	LastReceive    time.Time `json:"last_receive,omitzero"`
	LastChange     time.Time `json:"last_change,omitzero"`
	LastSendPID    int       `json:"last_send_pid,omitempty"`
	LastReceivePID int       `json:"last_receive_pid,omitempty"`
}

func toJSON(info mq.Info) queueJSON {
	st := &info.Stat
	return queueJSON{
		Queue: addrText(info), ID: st.ID, Mode: modeText(st.Mode),
		UID: st.UID, GID: st.GID, CUID: st.CUID, CGID: st.CGID,
		Messages: st.Messages, Bytes: st.Bytes,
		MaxBytes: st.MaxBytes, MaxMessages: st.MaxMessages, MaxMessageSize: st.MaxMessageSize,
		LastSend: st.LastSend.UTC(), LastReceive: st.LastReceive.UTC(), LastChange: st.LastChange.UTC(),
		LastSendPID: st.LastSendPID, LastReceivePID: st.LastReceivePID,
	}
}

// addrText names a queue. A private System V queue has no address: only its id
// tells it from others.
func addrText(info mq.Info) string {
	if info.Addr.Kind == mq.KindSysV && info.Addr.Key == 0 {
		return "sysv:private:" + strconv.Itoa(info.Stat.ID)
	}
	return info.Addr.String()
}

func modeText(m fs.FileMode) string { return fmt.Sprintf("%#04o", uint32(m.Perm())) }

type queueLsCmd struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Help is the explanation in --help.
func (queueLsCmd) Help() string {
	return `System V queues are always listed. POSIX queues can only be listed where their file system is mounted, which they do not need otherwise; it says so if it is not. A count of ? may not be read.`
}

// Examples are those in --help.
func (queueLsCmd) Examples() string {
	return `mqctl queue ls
mqctl queue ls --json | jq '.queues[].queue'
`
}

// Run lists both kinds. That POSIX queues cannot be listed is no failure.
func (cmd *queueLsCmd) Run(s stdio) (err error) {
	queues, unlisted := []mq.Info{}, false
	for _, kind := range []mq.Kind{mq.KindSysV, mq.KindPOSIX} {
		for info, err := range mq.List(kind) {
			if errors.Is(err, errors.ErrUnsupported) {
				unlisted = true
				break
			}
			if err != nil {
				return queueError(err)
			}
			queues = append(queues, info)
		}
	}
	slices.SortFunc(queues, func(a, b mq.Info) int {
		return strings.Compare(addrText(a), addrText(b))
	})
	if cmd.JSON {
		list := make([]queueJSON, len(queues))
		for i, info := range queues {
			list[i] = toJSON(info)
		}
		err = cli.WriteJSON(s.out, map[string]any{"version": 1, "queues": list})
	} else {
		_, err = lsTable(queues).WriteTo(s.out)
	}
	if err == nil && unlisted {
		cli.Warn(s.err, program, errors.New("POSIX queues are not listed: no mqueue file system is mounted (mount -t mqueue none /dev/mqueue)"))
	}
	return err
}

func lsTable(queues []mq.Info) *cli.Table {
	t := &cli.Table{}
	t.Cells(cli.Cell{Text: "QUEUE"}, cli.Cell{Text: "MODE"}, cli.Cell{Text: "OWNER"}, cli.Cell{Text: "GROUP"},
		cli.Cell{Text: "MESSAGES", Right: true}, cli.Cell{Text: "BYTES", Right: true}, cli.Cell{Text: "CAPACITY", Right: true})
	for _, info := range queues {
		st := &info.Stat
		t.Cells(cli.Cell{Text: addrText(info)}, cli.Cell{Text: modeText(st.Mode)},
			cli.Cell{Text: userName(st.UID)}, cli.Cell{Text: groupName(st.GID)},
			count(st.Messages), count(st.Bytes), count(st.MaxBytes))
	}
	return t
}

// count shows a number that may not be known.
func count(n int64) cli.Cell {
	if n < 0 {
		return cli.Cell{Text: "?", Right: true}
	}
	return number(n)
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func groupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}

type queueStatCmd struct {
	addrArg
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Examples are those in --help.
func (queueStatCmd) Examples() string {
	return `mqctl queue stat
mqctl queue stat --route sms
mqctl queue stat posix:/mqd --json
`
}

// Run shows one queue, also one that may not be read.
func (cmd *queueStatCmd) Run(s stdio, g *globals) error {
	addr, err := g.queueAddr(cmd.addrArg)
	if err != nil {
		return err
	}
	info, err := statQueue(addr)
	if err != nil {
		return queueError(err)
	}
	if cmd.JSON {
		return cli.WriteJSON(s.out, struct {
			Version int `json:"version"`
			queueJSON
		}{1, toJSON(info)})
	}
	_, err = statTable(info).WriteTo(s.out)
	return err
}

// statQueue opens addr no further than to look at it.
func statQueue(addr mq.Addr) (mq.Info, error) {
	q, err := mq.Open(addr, nil)
	if errors.Is(err, fs.ErrPermission) && addr.Kind == mq.KindPOSIX {
		q, err = mq.Open(addr, &mq.Options{WriteOnly: true})
	}
	if err != nil {
		return mq.Info{}, err
	}
	defer q.Close() // only looked at
	st, err := q.Stat()
	return mq.Info{Addr: addr, Stat: st}, err
}

func statTable(info mq.Info) *cli.Table {
	st := &info.Stat
	t := &cli.Table{}
	row := func(name, value string) { t.Row(name, value) }
	row("queue", addrText(info))
	if info.Addr.Kind == mq.KindSysV {
		row("id", strconv.Itoa(st.ID))
	}
	row("mode", modeText(st.Mode))
	row("owner", userName(st.UID)+" "+groupName(st.GID))
	row("creator", userName(st.CUID)+" "+groupName(st.CGID))
	row("messages", count(st.Messages).Text)
	row("bytes", count(st.Bytes).Text+" of "+count(st.MaxBytes).Text)
	row("largest message", count(st.MaxMessageSize).Text+" bytes")
	if info.Addr.Kind == mq.KindPOSIX {
		row("most messages", count(st.MaxMessages).Text)
	}
	row("last send", event(st.LastSend, st.LastSendPID))
	row("last receive", event(st.LastReceive, st.LastReceivePID))
	row("last change", event(st.LastChange, 0))
	return t
}

// event says when and by whom.
func event(at time.Time, pid int) string {
	switch {
	case at.IsZero():
		return "-"
	case pid == 0:
		return at.Format(time.RFC3339)
	default:
		return fmt.Sprintf("%s by process %d", at.Format(time.RFC3339), pid)
	}
}
