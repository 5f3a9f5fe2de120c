package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os/user"
	"strconv"
	"strings"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/internal/cli"
	"github.com/mqdaemon/mqd/mq"
)

type queueCreateCmd struct {
	addrArg
	Mode  string `default:"0620" placeholder:"MODE" help:"Permissions, octal (0620: the group may only send)."`
	Group string `placeholder:"GROUP" help:"Group by name or number (that of the caller)."`
	Bytes string `placeholder:"SIZE" help:"Capacity of a System V queue, such as 1MiB (kernel.msgmnb)."`
}

// Help is the explanation in --help.
func (queueCreateCmd) Help() string {
	return `mqd makes its queues by itself; this is for a queue that must be there before, or with other rights. It does not change a queue that exists. Without ADDR it is the queue of the daemon, or sysv:0x6d716431 if none is known.`
}

// Examples are those in --help.
func (queueCreateCmd) Examples() string {
	return `mqctl queue create
mqctl queue create sysv:0x6d716432 --mode 0620 --group www-data
mqctl queue create posix:/mqd --mode 0622
`
}

// shape is what create was asked for, checked.
type shape struct {
	mode  fs.FileMode
	gid   *uint32
	bytes int64
}

// Run makes the queue, or leaves nothing behind.
func (cmd *queueCreateCmd) Run(s stdio, g *globals) error {
	addr, err := g.queueAddr(cmd.addrArg)
	if errors.Is(err, client.ErrNotRunning) && cmd.Route == "" {
		addr, err = mq.SysVAddr(defaultQueue), nil
	}
	if err != nil {
		return err
	}
	want, err := cmd.shape(addr)
	if err != nil {
		return cli.UsageError(err)
	}
	opts := &mq.Options{Create: true, Exclusive: true, Mode: want.mode, MaxBytes: want.bytes}
	if want.gid != nil {
		// Until the group is the right one, nobody but the owner gets in.
		opts.Mode &= 0o700
	}
	q, err := mq.Open(addr, opts)
	switch {
	case errors.Is(err, fs.ErrExist):
		return &cli.ExitError{Code: cli.CodeCantCreate, Err: fmt.Errorf("%v exists already", addr), Hints: []string{"see mqctl queue stat " + addr.String()}}
	case errors.Is(err, fs.ErrPermission):
		return queueError(err)
	case err != nil:
		return &cli.ExitError{Code: cli.CodeCantCreate, Err: err}
	}
	defer q.Close() // the queue stays
	if want.gid != nil {
		if err := setGroup(q, *want.gid, want.mode); err != nil {
			return errors.Join(queueError(err), mq.Remove(addr))
		}
	}
	if st, err := q.Stat(); err == nil && want.bytes > st.MaxBytes {
		cli.Warn(s.err, program, fmt.Errorf("%v holds %d bytes, not the %d of --bytes: more than kernel.msgmnb needs CAP_SYS_RESOURCE", addr, st.MaxBytes, want.bytes),
			fmt.Sprintf("sysctl -w kernel.msgmnb=%d, then mqctl queue rm %v, and create it again", want.bytes, addr))
	}
	if want.mode&0o044 != 0 {
		cli.Warn(s.err, program, fmt.Errorf("mode %s: clients can then read each other's messages, and take them away", modeText(want.mode)),
			"sending needs no more than 0620 or 0622")
	}
	return nil
}

// setGroup gives the queue its group and mode.
func setGroup(q mq.Queue, gid uint32, mode fs.FileMode) error {
	switch q := q.(type) {
	case *mq.SysV:
		return q.Set(mq.Settings{GID: &gid, Mode: &mode})
	case *mq.POSIX:
		if err := q.Chown(-1, int(gid)); err != nil {
			return err
		}
		return q.Chmod(mode)
	}
	return errors.ErrUnsupported
}

// shape reads the flags.
func (cmd *queueCreateCmd) shape(addr mq.Addr) (shape, error) {
	mode, err := strconv.ParseUint(cmd.Mode, 8, 32)
	if err != nil || mode == 0 || mode > 0o777 {
		return shape{}, fmt.Errorf("--mode %q: want an octal number from 0001 to 0777", cmd.Mode)
	}
	s := shape{mode: fs.FileMode(mode)}
	if cmd.Bytes != "" {
		if addr.Kind != mq.KindSysV {
			return shape{}, errors.New("--bytes is for System V queues: the size of a POSIX queue comes from fs.mqueue.msg_default and msgsize_default")
		}
		if s.bytes, err = parseSize(cmd.Bytes); err != nil {
			return shape{}, fmt.Errorf("--bytes %q: %w", cmd.Bytes, err)
		}
	}
	if cmd.Group != "" {
		gid, err := parseGroup(cmd.Group)
		if err != nil {
			return shape{}, err
		}
		s.gid = &gid
	}
	return s, nil
}

func parseGroup(text string) (uint32, error) {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return uint32(n), nil
	}
	group, err := user.LookupGroup(text)
	if err != nil {
		return 0, fmt.Errorf("--group: %w", err)
	}
	n, err := strconv.ParseUint(group.Gid, 10, 32)
	return uint32(n), err
}

// parseSize reads bytes: a number alone, or with KiB, MiB, GiB (powers of 1024) or
// kB, MB, GB (powers of 1000).
func parseSize(text string) (int64, error) {
	digits := strings.TrimRight(text, "kKMGiB")
	factor, ok := map[string]int64{
		"": 1, "B": 1,
		"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
		"kB": 1e3, "MB": 1e6, "GB": 1e9,
	}[text[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n < 1 {
		return 0, errors.New("want a number of bytes above 0, such as 65536 or 1MiB")
	}
	if n > math.MaxInt64/factor {
		return 0, errors.New("too large")
	}
	return n * factor, nil
}

type queueRmCmd struct {
	Addr  *mq.Addr `arg:"" optional:"" name:"addr" help:"The queue; it must be named here, by --queue or by --route."`
	Route string   `placeholder:"NAME" help:"Route whose queue it is."`
}

// Help is the explanation in --help.
func (queueRmCmd) Help() string {
	return `The messages that wait on the queue are lost; how many, it says. A System V queue that mqd uses comes back within a second, empty; a POSIX queue after mqctl flush. Because of what it does, the queue must be named: that of the daemon is never meant by itself.`
}

// Examples are those in --help.
func (queueRmCmd) Examples() string {
	return `mqctl queue rm sysv:0x6d716432
mqctl queue rm posix:/mqd
`
}

// Run removes the queue and says what went with it.
func (cmd *queueRmCmd) Run(s stdio, g *globals) error {
	if cmd.Addr == nil && g.Queue == "" && cmd.Route == "" {
		return cli.UsageError(errors.New("no queue named"), "mqctl queue ls shows all queues")
	}
	addr, err := g.queueAddr(addrArg(*cmd))
	if err != nil {
		return err
	}
	info, statErr := statQueue(addr)
	if err := mq.Remove(addr); err != nil {
		return queueError(err)
	}
	if statErr == nil && info.Stat.Messages > 0 {
		cli.Warn(s.err, program, fmt.Errorf("%v removed with %d messages", addr, info.Stat.Messages))
	}
	return nil
}
