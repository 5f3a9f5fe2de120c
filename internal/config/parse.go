package config

import (
	"errors"
	"io/fs"
	"net"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mqdaemon/mqd/internal/envelope"
	"github.com/mqdaemon/mqd/mq"
)

// The functions here read the values that are more than a word or a number. Each
// stores what it has read, or says what is wrong with it.

// parseDir takes an absolute path, or nothing for the default.
func parseDir(dir *string, v value) []problem {
	if v.text != "" && !filepath.IsAbs(v.text) {
		return one(problem{what: "not an absolute path", value: quote(v.text), allowed: "a path from /", todo: "write the whole path"})
	}
	if strings.ContainsRune(v.text, 0) {
		return one(problem{what: "has a NUL in it", value: quote(v.text), todo: "take it out"})
	}
	*dir = v.text
	if v.text != "" {
		*dir = filepath.Clean(v.text)
	}
	return nil
}

// parseListen takes HOST:PORT, or nothing for off. The host is looked up when the
// daemon listens, not here.
func parseListen(t target, v value) []problem {
	if v.text != "" {
		_, port, err := net.SplitHostPort(v.text)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return one(problem{
				what: "not an address to listen on", value: quote(v.text),
				allowed: "HOST:PORT or :PORT, PORT 0 to 65535", todo: "write for example 127.0.0.1:9464",
			})
		}
	}
	t.Listen = v.text
	return nil
}

func parseQueue(t target, v value) []problem {
	addr, err := mq.ParseAddr(v.text)
	if err != nil {
		what := "not a queue"
		kind, _, _ := strings.Cut(v.text, ":")
		known := kind == "sysv" || kind == "posix" // else the reason is what allowed says
		if reason := errors.Unwrap(err); reason != nil && known && len(v.text) <= maxQuoted {
			what += ": " + reason.Error() // without the address, which stands in value
		}
		return one(problem{
			what: what, value: quote(v.text),
			allowed: "sysv:KEY with KEY from 1 to 0x7fffffff, sysv:ftok:PATH:C or posix:/NAME",
			todo:    "write for example " + DefaultQueue,
		})
	}
	t.Queue = addr
	return nil
}

// readBits are the mode bits that would let clients take messages away from the
// daemon: msgrcv and mq_receive ask for read permission and nothing else.
const readBits = 0o044

func parseMode(t target, v value) []problem {
	const allowed = "0600, 0620, 0602 or 0622"
	n, err := strconv.ParseUint(v.text, 8, 32)
	mode := fs.FileMode(n)
	switch {
	case err != nil || mode&^0o777 != 0 || v.text[0] != '0':
		return one(problem{what: "not an octal mode", value: quote(v.text), allowed: allowed, todo: `write mode = "0620"`})
	case mode&readBits != 0:
		return one(problem{
			what: "lets group or others read, so that they could take messages away", value: quote(v.text), allowed: allowed,
			todo: "write mode = " + quote("0"+strconv.FormatUint(uint64(mode&0o622|0o600), 8)),
		})
	case mode&^0o022 != 0o600:
		return one(problem{what: "not a mode for a queue", value: quote(v.text), allowed: allowed, todo: `write mode = "0620"`})
	}
	t.Mode = mode
	return nil
}

// parseGroup takes a name that exists or a number. A number needs no name: in a
// container the group of another program often has none.
func parseGroup(t target, v value) []problem {
	// 2^32-1 is not a group: chown(2) reads it as "leave as it is".
	if n, err := strconv.ParseUint(v.text, 10, 32); err == nil && n < 1<<32-1 {
		t.Group, t.GID = v.text, int(n)
		return nil
	}
	p := problem{what: "no such group", value: quote(v.text), allowed: "the name of a group of this host or a number", todo: "to see them, type: getent group"}
	group, err := user.LookupGroup(v.text)
	if err != nil {
		if _, ok := errors.AsType[user.UnknownGroupError](err); !ok {
			p.what = "the group cannot be looked up: " + err.Error()
		}
		return one(p)
	}
	gid, err := strconv.ParseUint(group.Gid, 10, 32)
	if err != nil {
		p.what = "the group has the number " + quote(group.Gid)
		return one(p)
	}
	t.Group, t.GID = v.text, int(gid)
	return nil
}

// parseAccept takes names that the table has checked already.
func parseAccept(t target, v value) []problem {
	t.Accept = 0
	for k := envelope.Raw; envelope.AcceptAll.Has(k); k++ {
		if slices.Contains(v.list, k.String()) {
			t.Accept |= 1 << k
		}
	}
	return nil
}

// parseCEType takes any text that is valid in JSON and in an HTTP header.
func parseCEType(t target, v value) []problem {
	if v.text == "" || strings.ContainsFunc(v.text, control) {
		return one(problem{
			what: "not a type", value: quote(v.text), allowed: "text without control characters, not empty",
			todo: `write for example ce_type = "com.example.sms"`,
		})
	}
	t.CEType = v.text
	return nil
}

func control(r rune) bool { return r < 0x20 || r == 0x7f }

// parseRate takes N/UNIT or N/UNIT burst N.
func parseRate(t target, v value) []problem {
	const maxRequests, maxBurst = 1_000_000, 100_000
	bad := one(problem{
		what: "not a rate", value: quote(v.text), allowed: "1 to 1000000 requests per s, m or h, and a burst of 1 to 100000",
		todo: `write for example rate = "50/s" or rate = "50/s burst 10"`,
	})
	requests, burst, hasBurst := strings.Cut(v.text, " burst ")
	number, unit, _ := strings.Cut(requests, "/")
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil || n < 1 || n > maxRequests {
		return bad
	}
	seconds := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
	if seconds == 0 {
		return bad
	}
	b := uint64(1)
	if hasBurst {
		b, err = strconv.ParseUint(burst, 10, 32)
		if err != nil || b < 1 || b > maxBurst {
			return bad
		}
	}
	t.Rate = Rate{PerSecond: float64(n) / seconds, Burst: int(b)}
	return nil
}

// routeName reports whether name can be the name of a route. See [Route.Name].
func routeName(name string) bool {
	for i, c := range []byte(name) {
		if !lowerOrDigit(c) && (i == 0 || c != '-' && c != '_') {
			return false
		}
	}
	return 1 <= len(name) && len(name) <= 64
}
