package mq_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/mqdaemon/mqd/internal/testkit"
	"github.com/mqdaemon/mqd/mq"
)

// clientID is the user and the group of a client: www-data of Debian.
const clientID = 33

// clientRole becomes the client and tries each operation on the queue of an
// address. It prints the name of each and how it went.
func clientRole(args []string) {
	must(syscall.Setgroups(nil))
	must(syscall.Setgid(clientID))
	must(syscall.Setuid(clientID))
	addr, err := mq.ParseAddr(args[0])
	must(err)
	if addr.Kind == mq.KindSysV {
		sysvClient(addr)
	} else {
		posixClient(addr)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// report prints one word for an error: ok, the errno, or the limit.
func report(op string, err error) {
	var limit *mq.LimitError
	var errno syscall.Errno
	switch {
	case err == nil:
		fmt.Printf("%s=ok ", op)
	case errors.As(err, &limit):
		fmt.Printf("%s=%s:%d>%d ", op, limit.Limit, limit.Have, limit.Max)
	case errors.As(err, &errno):
		fmt.Printf("%s=%s ", op, map[syscall.Errno]string{syscall.EACCES: "EACCES", syscall.EPERM: "EPERM", syscall.EBADF: "EBADF"}[errno])
	default:
		fmt.Printf("%s=%v ", op, err)
	}
}

func sysvClient(addr mq.Addr) {
	q, err := mq.OpenSysV(addr.Key, nil)
	report("open", err)
	_, err = mq.OpenSysV(addr.Key, &mq.Options{Create: true, Mode: 0o666})
	report("create", err)
	report("send", q.TrySend(mq.Message{Type: 1, Body: []byte("from the client")}))
	report("large", q.TrySend(mq.Message{Type: 1, Body: make([]byte, 257)}))
	_, err = q.Peek(make([]byte, 64), 0)
	report("peek", err)
	_, err = q.Wait(context.Background())
	report("wait", err)
	_, err = q.Receive(context.Background(), make([]byte, 64))
	report("receive", err)
	st, err := q.Stat()
	if err == nil && st.MaxBytes != 256 {
		err = fmt.Errorf("msg_qbytes %d", st.MaxBytes)
	}
	report("stat", err)
	mode, more := fs.FileMode(0o666), int64(1)<<40
	report("set", q.Set(mq.Settings{Mode: &mode}))
	report("setbytes", q.Set(mq.Settings{MaxBytes: &more}))
	report("remove", q.Remove())
}

func posixClient(addr mq.Addr) {
	_, err := mq.OpenPOSIX(addr.Name, nil)
	report("open", err)
	q, err := mq.OpenPOSIX(addr.Name, &mq.Options{WriteOnly: true})
	report("openw", err)
	if err != nil {
		return
	}
	report("send", q.TrySend(mq.Message{Body: []byte("from the client")}))
	_, err = q.TryReceive(make([]byte, 64))
	report("receive", err)
	st, err := q.Stat()
	if err == nil && (st.Messages != 1 || st.Bytes != -1) {
		err = fmt.Errorf("stat %+v", st)
	}
	report("stat", err)
	report("chmod", q.Chmod(0o666))
	report("chown", q.Chown(clientID, -1))
	report("remove", q.Remove())
	_ = q.Close()
}

// asClient runs the client on a queue and gives its report.
func asClient(t *testing.T, addr mq.Addr) string {
	t.Helper()
	out, err := roleCommand("client", addr.String()).Output()
	if err != nil {
		t.Fatalf("client: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// Who may do what, by the mode of the queue. The mode that clients want is
// 0620 or 0622: they can send, and neither read, peek nor remove.
func TestSysVPermissions(t *testing.T) {
	testkit.NeedRoot(t)
	const (
		nothing = "open=ok create=ok send=EACCES large=EACCES peek=EACCES wait=EACCES receive=EACCES"
		write   = "open=ok create=ok send=ok large=msg_qbytes:257>256 peek=EACCES wait=EACCES receive=EACCES"
		all     = "open=ok create=ok send=ok large=msg_qbytes:257>256 peek=ok wait=ok receive=ok"
		rest    = " stat=ok set=EPERM setbytes=EPERM remove=EPERM"
	)
	for _, test := range []struct {
		mode fs.FileMode
		gid  uint32
		want string
	}{
		{0o600, clientID, nothing},
		{0o640, 0, nothing},
		{0o620, 0, nothing},
		{0o620, clientID, write},
		{0o622, 0, write},
		{0o660, clientID, all},
		{0o666, 0, all},
	} {
		q := keyed(t, mq.Options{Mode: test.mode, MaxBytes: 256})
		if err := q.Set(mq.Settings{GID: &test.gid}); err != nil {
			t.Fatal(err)
		}
		send(t, q, 1, "from the owner")
		if got := asClient(t, q.Addr()); got != test.want+rest {
			t.Errorf("mode %v, group %d:\n got %s\nwant %s", test.mode, test.gid, got, test.want+rest)
		}
	}
}

// A POSIX queue checks permission when it is opened; clients open it WriteOnly.
// (mq_unlink(3) of glibc says EACCES where the kernel says EPERM.)
func TestPOSIXPermissions(t *testing.T) {
	testkit.NeedRoot(t)
	for _, test := range []struct {
		mode fs.FileMode
		gid  int
		want string
	}{
		{0o600, 0, "open=EACCES openw=EACCES"},
		{0o620, 0, "open=EACCES openw=EACCES"},
		{0o620, clientID, "open=EACCES openw=ok send=ok receive=EBADF stat=ok chmod=EPERM chown=EPERM remove=EPERM"},
		{0o622, 0, "open=EACCES openw=ok send=ok receive=EBADF stat=ok chmod=EPERM chown=EPERM remove=EPERM"},
		{0o666, 0, "open=ok openw=ok send=ok receive=EBADF stat=ok chmod=EPERM chown=EPERM remove=EPERM"},
	} {
		q := named(t, mq.Options{Mode: test.mode, MaxMessages: 2, MaxMessageSize: 64})
		if err := q.Chown(-1, test.gid); err != nil {
			t.Fatal(err)
		}
		if got := asClient(t, q.Addr()); got != test.want {
			t.Errorf("mode %v, group %d:\n got %s\nwant %s", test.mode, test.gid, got, test.want)
		}
		_ = q.Remove()
	}
}

// A queue that a client made first belongs to the client; root can take it over
// with its messages.
func TestTakeOver(t *testing.T) {
	testkit.NeedRoot(t)
	q := keyed(t, mq.Options{Mode: 0o666})
	client, zero, mode := uint32(clientID), uint32(0), fs.FileMode(0o620)
	if err := q.Set(mq.Settings{UID: &client, GID: &client}); err != nil {
		t.Fatal(err)
	}
	send(t, q, 1, "early")
	if err := q.Set(mq.Settings{UID: &zero, Mode: &mode}); err != nil {
		t.Fatal(err)
	}
	st := stat(t, q)
	if st.UID != 0 || st.GID != client || st.Mode != mode || st.Messages != 1 {
		t.Errorf("%+v", st)
	}
	if m := receive(t, q); string(m.Body) != "early" {
		t.Errorf("received %q", m.Body)
	}
}

// A receiver that loses permission while it waits is told so. Root never does,
// so the receiver is a child.
func TestPermissionTakenWhileWaiting(t *testing.T) {
	testkit.NeedRoot(t)
	q := keyed(t, mq.Options{Mode: 0o666})
	cmd := roleCommand("denied", strconv.Itoa(int(q.Addr().Key)))
	out := new(strings.Builder)
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a child in msgrcv", func() bool { return len(inMsgrcv(t, cmd.Process.Pid)) == 1 })
	mode := fs.FileMode(0o600)
	if err := q.Set(mq.Settings{Mode: &mode}); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || out.String() != "wait=EACCES " {
		t.Errorf("the child: %v, %q", err, out)
	}
}

func deniedRole(args []string) {
	key, err := strconv.Atoi(args[0])
	must(err)
	must(syscall.Setgid(clientID))
	must(syscall.Setuid(clientID))
	q, err := mq.OpenSysV(mq.Key(key), nil)
	must(err)
	_, err = q.Wait(context.Background())
	report("wait", err)
	os.Exit(0)
}
