package mq_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/internal/testkit"
	"github.com/mqdaemon/mqd/mq"
)

func find(t *testing.T, kind mq.Kind, is func(mq.Info) bool) (mq.Info, bool) {
	t.Helper()
	for info, err := range mq.List(kind) {
		if err != nil {
			t.Fatal(err)
		}
		if is(info) {
			return info, true
		}
	}
	return mq.Info{}, false
}

// The list says what Stat says, of keyed and of private queues.
func TestListSysV(t *testing.T) {
	for _, q := range []*mq.SysV{keyed(t, mq.Options{Mode: 0o622}), private(t)} {
		send(t, q, 1, "hello")
		info, found := find(t, mq.KindSysV, func(i mq.Info) bool { return i.Stat.ID == q.ID() })
		if !found {
			t.Fatalf("queue %d is not listed", q.ID())
		}
		if want := (mq.Info{Addr: q.Addr(), Stat: stat(t, q)}); info != want {
			t.Errorf("listed %+v, want %+v", info, want)
		}
		if err := q.Remove(); err != nil {
			t.Fatal(err)
		}
		if _, found := find(t, mq.KindSysV, func(i mq.Info) bool { return i.Stat.ID == q.ID() }); found {
			t.Error("listed after it was removed")
		}
	}
}

// ipcs(1) of util-linux sees the same queue under the same key.
func TestListAgreesWithIpcs(t *testing.T) {
	ipcs := testkit.Need(t, "ipcs")
	q := keyed(t, mq.Options{Mode: 0o640})
	send(t, q, 1, "hello")
	out, err := exec.Command(ipcs, "-q").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 6 && f[0] == q.Addr().Key.String() {
			if got := strings.Join(f[3:], " "); got != "640 5 1" {
				t.Errorf("ipcs says %q", got)
			}
			return
		}
	}
	t.Errorf("ipcs does not show %v:\n%s", q.Addr().Key, out)
}

// A consumer that stops early is no error, and a list survives queues that go.
func TestListStopsEarly(t *testing.T) {
	private(t)
	private(t)
	n := 0
	for range mq.List(mq.KindSysV) {
		n++
		break
	}
	if n != 1 {
		t.Errorf("went on %d times", n)
	}
}

// A queue that is removed while the list is read is left out.
func TestListWhileRemoving(t *testing.T) {
	all := map[int]*mq.SysV{}
	for range 3 {
		q := private(t)
		all[q.ID()] = q
	}
	seen := 0
	for info, err := range mq.List(mq.KindSysV) {
		if err != nil {
			t.Fatal(err)
		}
		if all[info.Stat.ID] == nil {
			continue
		}
		seen++
		for id, q := range all {
			if id != info.Stat.ID {
				if err := q.Remove(); err != nil && !errors.Is(err, mq.ErrRemoved) {
					t.Fatal(err)
				}
			}
		}
	}
	if seen != 1 {
		t.Errorf("listed %d queues, two of which were gone", seen)
	}
}

func TestListUnknownKind(t *testing.T) {
	for _, err := range mq.List(0) {
		wantErr(t, err, errors.ErrUnsupported)
	}
}

// Listing POSIX queues needs the mqueue file system, which only a namespace of
// our own is sure to have, or to lack.
func TestListPOSIX(t *testing.T) {
	needPOSIX(t)
	if !inNamespace(t, syscall.CLONE_NEWIPC|syscall.CLONE_NEWNS) {
		return
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		testkit.Skip(t, "may not mount: "+err.Error())
	}
	for unix.Unmount("/dev/mqueue", 0) == nil {
	}
	for _, err := range mq.List(mq.KindPOSIX) {
		wantErr(t, err, errors.ErrUnsupported)
		if err == nil || !strings.Contains(err.Error(), "mount -t mqueue") {
			t.Errorf("the error does not say what to do: %v", err)
		}
	}

	dir, err := os.MkdirTemp("", "mq test") // other users may not enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", dir, "mqueue", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, 0)
	if _, found := find(t, mq.KindPOSIX, func(mq.Info) bool { return true }); found {
		t.Error("a new namespace has queues")
	}
	q := named(t, mq.Options{Mode: 0o622, MaxMessages: 3, MaxMessageSize: 16})
	send(t, q, 0, "hello")
	info, found := find(t, mq.KindPOSIX, func(i mq.Info) bool { return i.Addr == q.Addr() })
	if want := (mq.Info{Addr: q.Addr(), Stat: stat(t, q)}); !found || info != want {
		t.Errorf("listed %v %+v, want %+v", found, info, want)
	}

	// A user who may not read it sees owner and mode.
	if err := unix.Chmod(dir+q.Addr().Name, 0o622); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Seteuid(clientID); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Seteuid(0) }()
	info, found = find(t, mq.KindPOSIX, func(i mq.Info) bool { return i.Addr == q.Addr() })
	if !found || info.Stat.Messages != -1 || info.Stat.Bytes != -1 || info.Stat.Mode != 0o622 || info.Stat.UID != 0 {
		t.Errorf("as another user: %v %+v", found, info)
	}
}

func TestParseProcMsg(t *testing.T) {
	table := "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n" +
		"-559038737          3   622           5          1  4711     0     1     2     3     4 1700000000          0 1700000001\n" +
		"1836147761      32771   600  4294967296          0     0     0 65534 65534     0 4294967294          0          0 1700000001 more\n"
	var got []mq.Info
	for line := range mq.ProcLines([]byte(table)) {
		info, err := mq.ParseProcMsg(line)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info)
	}
	changed := time.Unix(1700000001, 0)
	want := []mq.Info{
		{Addr: mq.SysVAddr(-559038737), Stat: mq.Stat{ID: 3, Mode: 0o622, Bytes: 5, Messages: 1, LastSendPID: 4711,
			UID: 1, GID: 2, CUID: 3, CGID: 4, LastSend: time.Unix(1700000000, 0), LastChange: changed}},
		{Addr: mq.SysVAddr(0x6d716431), Stat: mq.Stat{ID: 32771, Mode: 0o600, Bytes: 1 << 32,
			UID: 65534, GID: 65534, CGID: 4294967294, LastChange: changed}},
	}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("read\n%+v, want\n%+v", got, want)
	}
	for _, bad := range []string{"", "1 2 3", strings.Repeat("x ", 14), "1 2 9 4 5 6 7 8 9 10 11 12 13 14",
		"4294967296 2 3 4 5 6 7 8 9 10 11 12 13 14"} {
		if info, err := mq.ParseProcMsg([]byte(bad)); err == nil {
			t.Errorf("%q: read %+v", bad, info)
		}
	}
}

func TestParseMountinfo(t *testing.T) {
	for _, test := range []struct{ table, want string }{
		{"", ""},
		{"22 1 0:20 / /proc rw shared:5 - proc proc rw\n", ""},
		{"22 1 0:20 / /mqueue rw shared:5 - tmpfs mqueue rw\n", ""},
		{"30 22 0:21 / /dev/mqueue rw,nosuid shared:9 master:1 - mqueue mqueue rw\n", "/dev/mqueue"},
		{"30 22 0:21 / /run/my\\040queues rw - mqueue none rw\n", "/run/my queues"},
		{"30 22 0:21 / /a\\134b\\01 rw - mqueue none rw", `/a\b\01`},
		{"30 22 - mqueue none rw\n", ""},
	} {
		got, found := mq.ParseMountinfo([]byte(test.table))
		if got != test.want || found != (test.want != "") {
			t.Errorf("%q: %q, %v; want %q", test.table, got, found, test.want)
		}
	}
}

func TestParseQSize(t *testing.T) {
	for line, want := range map[string]int64{
		"QSIZE:129        NOTIFY:2     SIGNO:0     NOTIFY_PID:8260\n": 129,
		"QSIZE:0 ":       0,
		"QSIZE:":         -1,
		"QSIZE:x ":       -1,
		"QSIZE:-5 ":      -1,
		"":               -1,
		"SIZE:3 NOTIFY:": -1,
	} {
		if got := mq.ParseQSize([]byte(line)); got != want {
			t.Errorf("%q: %d, want %d", line, got, want)
		}
	}
}
