package mq_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/mq"
)

func TestParseAddr(t *testing.T) {
	longest := "/" + strings.Repeat("n", 255)
	for _, test := range []struct {
		in   string
		want mq.Addr
	}{
		{"sysv:0x6d716431", mq.SysVAddr(0x6d716431)},
		{"sysv:0X6D716431", mq.SysVAddr(0x6d716431)},
		{"sysv:1836147761", mq.SysVAddr(0x6d716431)},
		{"sysv:1", mq.SysVAddr(1)},
		{"sysv:0x7fffffff", mq.SysVAddr(0x7fffffff)},
		{"sysv:2147483647", mq.SysVAddr(0x7fffffff)},
		{"posix:/mqd", mq.POSIXAddr("/mqd")},
		{"posix:/a b:c", mq.POSIXAddr("/a b:c")},
		{"posix:/...", mq.POSIXAddr("/...")},
		{"posix:" + longest, mq.POSIXAddr(longest)},
	} {
		got, err := mq.ParseAddr(test.in)
		if err != nil || got != test.want {
			t.Errorf("%q: %v, %v; want %v", test.in, got, err, test.want)
			continue
		}
		text, err := got.MarshalText()
		var again mq.Addr
		if err != nil || again.UnmarshalText(text) != nil || again != got {
			t.Errorf("%q written as %q and read again: %v", test.in, text, again)
		}
	}
}

// Each refusal gives the reason that a person needs.
func TestParseAddrRefuses(t *testing.T) {
	for _, test := range []struct{ in, reason string }{
		{"", `want "sysv:KEY"`},
		{"0x6d716431", `want "sysv:KEY"`},
		{"SYSV:1", `want "sysv:KEY"`},
		{"file:/x", `want "sysv:KEY"`},
		{"sysv:", "not a number"},
		{"sysv:0x", "not a number"},
		{"sysv:0", "IPC_PRIVATE"},
		{"sysv:0x0", "IPC_PRIVATE"},
		{"sysv:-1", "not a number"},
		{"sysv:+1", "not a number"},
		{"sysv:0123", "not a number"},
		{"sysv:0b1", "not a number"},
		{"sysv:1_000", "not a number"},
		{"sysv: 1", "not a number"},
		{"sysv:0x80000000", "above 0x7fffffff"},
		{"sysv:0xdeadbeef", "above 0x7fffffff"},
		{"sysv:2147483648", "above 0x7fffffff"},
		{"sysv:0x1ffffffff", "above 0x7fffffff"},
		{"sysv:99999999999999999999", "above 0x7fffffff"},
		{"sysv:ftok:", "one byte after the last colon"},
		{"sysv:ftok:/", "one byte after the last colon"},
		{"sysv:ftok:/etc/passwd", "one byte after the last colon"},
		{"sysv:ftok:/etc/passwd:ab", "one byte after the last colon"},
		{"sysv:ftok:/etc/passwd:é", "one byte after the last colon"},
		{"sysv:ftok:/no/such/file:m", "no such file"},
		{"posix:", "slash and at least one byte"},
		{"posix:/", "slash and at least one byte"},
		{"posix:mqd", "slash and at least one byte"},
		{"posix:/a/b", "slash or NUL after the first byte"},
		{"posix:/a\x00", "slash or NUL after the first byte"},
		{"posix:/.", "reserved"},
		{"posix:/..", "reserved"},
		{"posix:/" + strings.Repeat("n", 256), "256 is over NAME_MAX = 255"},
	} {
		got, err := mq.ParseAddr(test.in)
		if err == nil || !strings.Contains(err.Error(), test.reason) || !got.IsZero() {
			t.Errorf("%q: %v, %v; want an error with %q", test.in, got, err, test.reason)
		}
	}
}

func TestAddrString(t *testing.T) {
	for _, test := range []struct {
		addr mq.Addr
		want string
	}{
		{mq.Addr{}, ""},
		{mq.SysVAddr(1), "sysv:0x00000001"},
		{mq.SysVAddr(-1), "sysv:0xffffffff"},
		{mq.POSIXAddr("/mqd"), "posix:/mqd"},
	} {
		if got := test.addr.String(); got != test.want {
			t.Errorf("%#v is %q, want %q", test.addr, got, test.want)
		}
	}
	if got := mq.Kind(7).String(); got != "kind(7)" {
		t.Errorf("Kind(7) is %q", got)
	}
}

// The formula is that of C, PHP, Perl, Python and Ruby, which were seen to agree
// on this file.
func TestFtokFormula(t *testing.T) {
	for _, test := range []struct {
		ino, dev uint64
		proj     byte
		want     mq.Key
	}{
		{0x25c, 0xfe00, 'R', 0x5200025c},
		{0x25c, 0xfe00, 0, 0x25c},
		{0x1025c, 0xfe00, 'R', 0x5200025c},
		{0x25c, 0xfe13, '1', 0x3113025c},
		{1, 0, 0x80, -0x7fffffff},
	} {
		if got := mq.FtokKey(test.ino, test.dev, test.proj); got != test.want {
			t.Errorf("inode %#x device %#x proj %#x: %v, want %v", test.ino, test.dev, test.proj, got, test.want)
		}
	}
}

func TestFtok(t *testing.T) {
	file := filepath.Join(t.TempDir(), "with:colon")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := file + "-link"
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(file, &st); err != nil {
		t.Fatal(err)
	}
	want := mq.FtokKey(st.Ino, st.Dev, 'm')
	for _, path := range []string{file, link} {
		if got, err := mq.Ftok(path, 'm'); err != nil || got != want {
			t.Errorf("Ftok(%s): %v, %v; want %v", path, got, err, want)
		}
		if got, err := mq.ParseAddr("sysv:ftok:" + path + ":m"); err != nil || got != mq.SysVAddr(want) {
			t.Errorf("ParseAddr(ftok:%s:m): %v, %v; want %v", path, got, err, want)
		}
	}
	// A project byte above 0x7f gives a key that not every language can name.
	if _, err := mq.ParseAddr("sysv:ftok:" + file + ":\xff"); err == nil {
		t.Error("a key above 0x7fffffff was taken")
	}
	_, err := mq.Ftok(file+"-absent", 'm')
	wantErr(t, err, os.ErrNotExist, unix.ENOENT)
}
