package mq_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/internal/testkit"
	"github.com/mqdaemon/mqd/mq"
)

func TestTypes(t *testing.T) {
	q := private(t)
	for _, mtype := range []int64{1, 2, math.MaxInt32, math.MaxInt32 + 1, math.MaxInt64} {
		send(t, q, mtype, "x")
		if m := receive(t, q); m.Type != mtype {
			t.Errorf("sent type %d, received %d", mtype, m.Type)
		}
	}
	for _, mtype := range []int64{0, -1, math.MinInt64} {
		err := q.TrySend(mq.Message{Type: mtype})
		wantErr(t, err, syscall.EINVAL)
		if err == nil || !strings.Contains(err.Error(), "mtype must be at least 1") {
			t.Errorf("type %d: %v", mtype, err)
		}
	}
	if st := stat(t, q); st.Messages != 0 {
		t.Errorf("%d messages left", st.Messages)
	}
}

// What msgrcv(2) takes for each msgtyp, from a queue with a2 b1 c3 d1 e2.
func TestReceiveOrder(t *testing.T) {
	for _, test := range []struct {
		msgtyp int64
		flags  []mq.Flag
		want   string
	}{
		{0, nil, "a2 b1 c3 d1 e2"},
		{0, []mq.Flag{mq.Except}, "a2 b1 c3 d1 e2"},
		{1, nil, "b1 d1"},
		{2, nil, "a2 e2"},
		{3, nil, "c3"},
		{4, nil, ""},
		{1, []mq.Flag{mq.Except}, "a2 c3 e2"},
		{4, []mq.Flag{mq.Except}, "a2 b1 c3 d1 e2"},
		{-1, nil, "b1 d1"},
		{-2, nil, "b1 d1 a2 e2"},
		{-3, nil, "b1 d1 a2 e2 c3"},
		{-4, nil, "b1 d1 a2 e2 c3"},
		{math.MinInt64, nil, "b1 d1 a2 e2 c3"},
	} {
		q := private(t)
		for name := range strings.FieldsSeq("a2 b1 c3 d1 e2") {
			send(t, q, int64(name[1]-'0'), name)
		}
		var got []string
		for {
			m, err := q.TryReceiveType(make([]byte, 8), test.msgtyp, test.flags...)
			if errors.Is(err, mq.ErrEmpty) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("%c%d", m.Body[0], m.Type); string(m.Body) != want {
				t.Errorf("message %q has type %d", m.Body, m.Type)
			}
			got = append(got, string(m.Body))
		}
		if s := strings.Join(got, " "); s != test.want {
			t.Errorf("msgtyp %d %v: %q, want %q", test.msgtyp, test.flags, s, test.want)
		}
		removeSysV(q)
	}
}

// ReceiveType waits for what was asked for, past messages that were not.
func TestReceiveTypeWaits(t *testing.T) {
	for _, test := range []struct {
		msgtyp int64
		flags  []mq.Flag
		others []int64
		wanted int64
	}{
		{5, nil, []int64{4, 6}, 5},
		{-3, nil, []int64{4, 5}, 3},
		{4, []mq.Flag{mq.Except}, []int64{4, 4}, 3},
	} {
		for _, body := range []string{"body", ""} {
			q := private(t)
			for _, mtype := range test.others {
				send(t, q, mtype, "other")
			}
			got := make(chan received, 1)
			go func() {
				m, err := q.ReceiveType(timeout(t), make([]byte, 64), test.msgtyp, test.flags...)
				got <- received{m, err}
			}()
			eventually(t, "a receiver in msgrcv", func() bool { return len(inMsgrcv(t, os.Getpid())) == 1 })
			send(t, q, test.others[0], "other")
			send(t, q, test.wanted, body)
			if r := <-got; r.err != nil || r.m.Type != test.wanted || string(r.m.Body) != body {
				t.Errorf("msgtyp %d %v: %+v, want type %d", test.msgtyp, test.flags, r, test.wanted)
			}
			if st := stat(t, q); st.Messages != int64(len(test.others))+1 {
				t.Errorf("msgtyp %d: %d other messages left", test.msgtyp, st.Messages)
			}
		}
	}
}

func TestTruncate(t *testing.T) {
	q := private(t)
	send(t, q, 1, "0123456789")
	m, err := q.TryReceiveType(make([]byte, 4), 0, mq.Truncate)
	if err != nil || string(m.Body) != "0123" {
		t.Errorf("received %q, %v", m.Body, err)
	}
	if st := stat(t, q); st.Messages != 0 || st.Bytes != 0 {
		t.Errorf("the rest is still there: %+v", st)
	}
}

// Waiting with Truncate must not truncate: the wait offers room for nothing.
func TestTruncateWaits(t *testing.T) {
	q := private(t)
	got := make(chan received, 1)
	go func() {
		m, err := q.ReceiveType(timeout(t), make([]byte, 4), 0, mq.Truncate)
		got <- received{m, err}
	}()
	eventually(t, "a receiver in msgrcv", func() bool { return len(inMsgrcv(t, os.Getpid())) == 1 })
	send(t, q, 1, "0123456789")
	if r := <-got; r.err != nil || string(r.m.Body) != "0123" {
		t.Errorf("received %q, %v", r.m.Body, r.err)
	}
}

// The count of messages is limited by msg_qbytes too: messages of length zero
// would otherwise be without a limit.
func TestFullByCount(t *testing.T) {
	q := private(t, mq.Options{MaxBytes: 3})
	for range 3 {
		send(t, q, 1, "")
	}
	err := q.TrySend(mq.Message{Type: 1})
	wantErr(t, err, mq.ErrFull)
	wantLimit(t, err, "msg_qbytes (as a count of messages)", 4, 3)
}

// A message of type 2 does not get in before one of type 1 that fills the queue,
// whoever waits for type 2: one queue for requests and replies would lock up.
func TestFullForEveryType(t *testing.T) {
	q := private(t, mq.Options{MaxBytes: 8})
	send(t, q, 1, "12345678")
	wantErr(t, q.TrySend(mq.Message{Type: 2, Body: []byte("x")}), mq.ErrFull)
}

// A limit that is lowered while a sender waits ends the waiting.
func TestSendStopsWaitingForWhatNeverFits(t *testing.T) {
	q := private(t, mq.Options{MaxBytes: 64})
	send(t, q, 1, strings.Repeat("x", 64))
	result := make(chan error, 1)
	go func() { result <- q.Send(timeout(t), mq.Message{Type: 1, Body: make([]byte, 60)}) }()
	less := int64(50)
	if err := q.Set(mq.Settings{MaxBytes: &less}); err != nil {
		t.Fatal(err)
	}
	err := <-result
	wantErr(t, err, mq.ErrTooLarge)
	wantLimit(t, err, "msg_qbytes", 60, 50)
}

func TestPeek(t *testing.T) {
	q := private(t)
	if _, err := q.Peek(nil, 0); errors.Is(err, errors.ErrUnsupported) {
		testkit.Skip(t, "the kernel has no MSG_COPY")
	}
	for i, body := range []string{"zero", "", "two"} {
		send(t, q, int64(3-i), body)
	}
	before := stat(t, q)
	buf := make([]byte, 8)
	for range 2 {
		for i, body := range []string{"zero", "", "two"} {
			m, err := q.Peek(buf, i)
			if err != nil || string(m.Body) != body || m.Type != int64(3-i) {
				t.Errorf("peek %d: %+v, %v", i, m, err)
			}
		}
	}
	_, err := q.Peek(buf, 3)
	wantErr(t, err, mq.ErrEmpty, syscall.ENOMSG)
	_, err = q.Peek(buf, -1)
	wantErr(t, err, syscall.EINVAL)
	_, err = q.Peek(buf[:3], 0)
	wantErr(t, err, mq.ErrTooLarge)
	wantLimit(t, err, "buffer", -1, 3)
	if after := stat(t, q); after != before {
		t.Errorf("peeking changed %+v to %+v", before, after)
	}
}

// LTP msgsnd01, msgrcv01, msgctl01: who sent and received, when, and how much.
func TestStatFollowsTheQueue(t *testing.T) {
	// The kernel's seconds are those of its last tick: they may lag a little.
	start := time.Now().Truncate(time.Second).Add(-time.Second)
	q := private(t, mq.Options{Mode: 0o640})
	st := stat(t, q)
	want := mq.Stat{ID: q.ID(), MaxBytes: st.MaxBytes, MaxMessages: st.MaxBytes, MaxMessageSize: st.MaxMessageSize,
		LastChange: st.LastChange, Mode: 0o640, UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()),
		CUID: uint32(os.Geteuid()), CGID: uint32(os.Getegid())}
	if st != want {
		t.Errorf("a new queue is %+v, want %+v", st, want)
	}
	now := func(when time.Time) bool { return !when.Before(start) && !when.After(time.Now()) }
	if !now(st.LastChange) {
		t.Errorf("changed at %v", st.LastChange)
	}
	send(t, q, 1, "abc")
	send(t, q, 1, "defg")
	st = stat(t, q)
	if st.Messages != 2 || st.Bytes != 7 || st.LastSendPID != os.Getpid() || !now(st.LastSend) || !st.LastReceive.IsZero() {
		t.Errorf("after two sends %+v", st)
	}
	receive(t, q)
	st = stat(t, q)
	if st.Messages != 1 || st.Bytes != 4 || st.LastReceivePID != os.Getpid() || !now(st.LastReceive) {
		t.Errorf("after a receive %+v", st)
	}
}

// PHP's msg_set_queue tests, LTP msgctl02.
func TestSet(t *testing.T) {
	q := private(t)
	before := stat(t, q)
	mode, most := fs.FileMode(0o622), int64(1000)
	uid, gid := before.UID, uint32(33)
	if os.Geteuid() == 0 {
		uid = 33
	}
	for _, test := range []struct {
		set  mq.Settings
		edit func(*mq.Stat)
	}{
		{mq.Settings{}, func(*mq.Stat) {}},
		{mq.Settings{Mode: &mode}, func(s *mq.Stat) { s.Mode = mode }},
		{mq.Settings{GID: &gid}, func(s *mq.Stat) { s.GID = gid }},
		{mq.Settings{UID: &uid}, func(s *mq.Stat) { s.UID = uid }},
		{mq.Settings{MaxBytes: &most}, func(s *mq.Stat) { s.MaxBytes, s.MaxMessages, s.MaxMessageSize = most, most, most }},
	} {
		if err := q.Set(test.set); err != nil {
			t.Fatal(err)
		}
		after := stat(t, q)
		before.LastChange = after.LastChange
		test.edit(&before)
		if after != before {
			t.Errorf("%+v made %+v, want %+v", test.set, after, before)
		}
	}
	bad, negative := fs.ModeDir|0o600, int64(-1)
	wantErr(t, q.Set(mq.Settings{Mode: &bad}), syscall.EINVAL)
	wantErr(t, q.Set(mq.Settings{MaxBytes: &negative}), syscall.EINVAL)
}

// Without CAP_SYS_RESOURCE msgmnb is the limit of msg_qbytes, and the error says
// so.
func TestSetAboveMsgmnb(t *testing.T) {
	dropResource(t)
	limits, err := mq.SystemLimits()
	if err != nil {
		t.Fatal(err)
	}
	q, more := private(t), limits.MsgMnb+1
	err = q.Set(mq.Settings{MaxBytes: &more})
	wantErr(t, err, fs.ErrPermission)
	wantLimit(t, err, "msgmnb", more, limits.MsgMnb)
}

func TestShrinkBelowContent(t *testing.T) {
	q := private(t)
	send(t, q, 1, "0123456789")
	less := int64(5)
	if err := q.Set(mq.Settings{MaxBytes: &less}); err != nil {
		t.Fatal(err)
	}
	wantErr(t, q.TrySend(mq.Message{Type: 1, Body: []byte("x")}), mq.ErrFull)
	receive(t, q)
	send(t, q, 1, "x")
}

func TestRaw(t *testing.T) {
	q := private(t, mq.Options{MaxBytes: 64})
	msg := binary.NativeEndian.AppendUint64(nil, 77)
	msg = append(msg, "payload"...)
	if errno := q.TrySendRaw(msg); errno != 0 {
		t.Fatal(errno)
	}
	buf := slices.Repeat([]byte{0xEE}, 32)
	if _, errno := q.TryReceiveRaw(buf[:14]); errno != syscall.E2BIG {
		t.Errorf("room of 6 for 7: %v", errno)
	}
	n, errno := q.TryReceiveRaw(buf)
	if errno != 0 || n != 7 || binary.NativeEndian.Uint64(buf) != 77 || string(buf[8:15]) != "payload" || buf[15] != 0xEE {
		t.Errorf("received %d, %v: % x", n, errno, buf)
	}
	for name, got := range map[string]syscall.Errno{
		"empty":          second(q.TryReceiveRaw(buf)),
		"no room at all": second(q.TryReceiveRaw(buf[:7])),
		"no mtype":       q.TrySendRaw(msg[:7]),
		"mtype 0":        q.TrySendRaw(make([]byte, 8)),
		"never fits":     q.TrySendRaw(append(msg, make([]byte, 64)...)),
	} {
		want := map[string]syscall.Errno{"empty": syscall.ENOMSG, "no room at all": syscall.EFAULT, "no mtype": syscall.EINVAL,
			"mtype 0": syscall.EINVAL, "never fits": syscall.EAGAIN}[name]
		if got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if err := q.SendError(0, 1, 1); err != nil {
		t.Error(err)
	}
	if err := q.ReceiveError(0, 1); err != nil {
		t.Error(err)
	}
}

func second(_ int, errno syscall.Errno) syscall.Errno { return errno }
