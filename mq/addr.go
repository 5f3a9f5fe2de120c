package mq

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Kind tells the two families of kernel queues apart. The zero value is neither.
type Kind uint8

// The kinds of kernel queue.
const (
	KindSysV  Kind = 1 + iota // System V: a 32-bit key, message types
	KindPOSIX                 // POSIX: a name, message priorities
)

// String gives the word that stands before the colon in an address.
func (k Kind) String() string {
	switch k {
	case KindSysV:
		return "sysv"
	case KindPOSIX:
		return "posix"
	default:
		return "kind(" + strconv.Itoa(int(k)) + ")"
	}
}

// Key names a System V queue within its IPC namespace (key_t of ftok(3)).
type Key int32

// String writes the key as ipcs(1) does: eight hexadecimal digits, unsigned.
func (k Key) String() string { return fmt.Sprintf("0x%08x", uint32(k)) }

// Addr says which queue: "sysv:0x6d716431" or "posix:/mqd". The zero value is
// no queue.
type Addr struct {
	Kind Kind
	Key  Key    // of a System V queue
	Name string // of a POSIX queue, with its leading slash
}

// SysVAddr is the address of a System V queue.
func SysVAddr(key Key) Addr { return Addr{Kind: KindSysV, Key: key} }

// POSIXAddr is the address of a POSIX queue; name begins with a slash.
func POSIXAddr(name string) Addr { return Addr{Kind: KindPOSIX, Name: name} }

// IsZero reports whether a is no queue.
func (a Addr) IsZero() bool { return a == Addr{} }

// String writes a so that [ParseAddr] reads it. The zero address is "".
func (a Addr) String() string {
	switch a.Kind {
	case KindSysV:
		return "sysv:" + a.Key.String()
	case KindPOSIX:
		return "posix:" + a.Name
	default:
		return ""
	}
}

// MarshalText is [Addr.String].
func (a Addr) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText is [ParseAddr].
func (a *Addr) UnmarshalText(text []byte) error {
	parsed, err := ParseAddr(string(text))
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}

// ParseAddr reads an address:
//
//	sysv:0x6d716431      a key in hexadecimal
//	sysv:1836147761      a key in decimal
//	sysv:ftok:/path:c    the key that ftok(3) makes of an existing file and one byte
//	posix:/name          a name as in mq_overview(7)
//
// Keys are 1 to 0x7fffffff. Key 0 is IPC_PRIVATE, with which every process gets
// a new queue of its own; larger keys do not reach the same queue from every
// language, because some clamp or cut them.
func ParseAddr(s string) (Addr, error) {
	kind, rest, found := strings.Cut(s, ":")
	var a Addr
	var err error
	switch {
	case found && kind == "sysv":
		a, err = parseSysV(rest)
	case found && kind == "posix":
		a, err = POSIXAddr(rest), checkName(rest)
	default:
		err = errors.New(`want "sysv:KEY", "sysv:ftok:PATH:c" or "posix:/NAME"`)
	}
	if err != nil {
		return Addr{}, fmt.Errorf("queue address %q: %w", s, err)
	}
	return a, nil
}

func parseSysV(s string) (Addr, error) {
	parse := parseKey
	if spec, ok := strings.CutPrefix(s, "ftok:"); ok {
		s, parse = spec, parseFtok
	}
	key, err := parse(s)
	switch {
	case err != nil:
		return Addr{}, err
	case key == 0:
		return Addr{}, errors.New("key 0 is IPC_PRIVATE: every process would get a new queue of its own")
	case key > math.MaxInt32:
		return Addr{}, fmt.Errorf("key 0x%x is above 0x7fffffff: not every language can name it", key)
	}
	return SysVAddr(Key(key)), nil
}

// parseKey reads a number without the prefixes 0, 0b and 0o of Go: 0123 would be
// 83 to one reader and 123 to another.
func parseKey(s string) (uint64, error) {
	digits, base := s, 10
	if len(s) > 2 && (s[:2] == "0x" || s[:2] == "0X") {
		digits, base = s[2:], 16
	}
	key, err := strconv.ParseUint(digits, base, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("key %s is above 0x7fffffff", s)
	}
	if err != nil || (base == 10 && len(digits) > 1 && digits[0] == '0') {
		return 0, fmt.Errorf("key %q is not a number: want decimal digits, or 0x and hexadecimal digits", s)
	}
	return key, nil
}

// parseFtok splits PATH:c from the right, as a path may hold colons.
func parseFtok(s string) (uint64, error) {
	if len(s) < 3 || s[len(s)-2] != ':' {
		return 0, errors.New("want ftok:PATH:c with one byte after the last colon")
	}
	key, err := Ftok(s[:len(s)-2], s[len(s)-1])
	return uint64(uint32(key)), err
}

// Ftok makes a key of an existing file and a project byte, as ftok(3) does:
// 16 bits of the inode, 8 of the device, 8 of proj. It follows symbolic links.
//
// Two files can give the same key, and a file that was replaced gives another
// one; a fixed number is the better name. The error is that of stat(2).
func Ftok(path string, proj byte) (Key, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Stat(path, &st) })
	if err != nil {
		return 0, fmt.Errorf("ftok %s: %w", path, err)
	}
	return ftokKey(st.Ino, st.Dev, proj), nil
}

func ftokKey(ino, dev uint64, proj byte) Key {
	return Key(uint32(ino&0xffff) | uint32(dev&0xff)<<16 | uint32(proj)<<24)
}

// checkName holds name to mq_overview(7): a slash, then 1 to 255 bytes without
// another slash.
func checkName(name string) error {
	switch {
	case len(name) < 2 || name[0] != '/':
		return fmt.Errorf("name %q: want a slash and at least one byte", name)
	case strings.ContainsAny(name[1:], "/\x00"):
		return fmt.Errorf("name %q: a slash or NUL after the first byte", name)
	case name == "/." || name == "/..":
		return fmt.Errorf("name %q: reserved by the file system", name)
	case len(name)-1 > unix.NAME_MAX:
		return &LimitError{Limit: "NAME_MAX", Have: int64(len(name) - 1), Max: unix.NAME_MAX, errno: unix.ENAMETOOLONG}
	}
	return nil
}
