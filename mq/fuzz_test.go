package mq_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/mqdaemon/mqd/mq"
)

// An address that is read can be written and read again, and names a queue that
// every language can reach.
func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{"sysv:0x6d716431", "sysv:1", "sysv:ftok:/:m", "posix:/mqd", "sysv:0", "sysv:", "posix:/a/b", ":"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := mq.ParseAddr(s)
		if err != nil {
			if !a.IsZero() {
				t.Errorf("%q: refused (%v), and yet %v", s, err, a)
			}
			return
		}
		switch {
		case a.Kind == mq.KindSysV && a.Key > 0 && a.Name == "":
		case a.Kind == mq.KindPOSIX && a.Key == 0 && len(a.Name) > 1 && strings.LastIndexByte(a.Name, '/') == 0:
		default:
			t.Errorf("%q: %#v", s, a)
		}
		if again, err := mq.ParseAddr(a.String()); err != nil || again != a {
			t.Errorf("%q is written %q, which reads %v, %v", s, a, again, err)
		}
	})
}

// The parsers of /proc take any bytes without a panic and give sane values.
func FuzzProc(f *testing.F) {
	f.Add([]byte("key\n-1 3 622 5 1 0 0 1 2 3 4 0 0 9\n"))
	f.Add([]byte("30 22 0:21 / /a\\040b rw - mqueue none rw\n"))
	f.Add([]byte("QSIZE:129 NOTIFY:2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for line := range mq.ProcLines(b) {
			info, err := mq.ParseProcMsg(line)
			if err == nil && (info.Addr.Kind != mq.KindSysV || info.Stat.Mode&^fs.ModePerm != 0) {
				t.Errorf("%q: %+v", line, info)
			}
			if err != nil && info != (mq.Info{}) {
				t.Errorf("%q: refused (%v), and yet %+v", line, err, info)
			}
		}
		if dir, found := mq.ParseMountinfo(b); !found && dir != "" {
			t.Errorf("not found, and yet %q", dir)
		}
		if n := mq.ParseQSize(b); n < -1 {
			t.Errorf("QSIZE %d", n)
		}
	})
}
