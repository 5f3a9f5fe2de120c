package mq_test

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/mqdaemon/mqd/mq"
)

// A person reads the operation, the queue, the limit and both values.
func TestErrorTexts(t *testing.T) {
	q := private(t, mq.Options{MaxBytes: 16})
	send(t, q, 1, "0123456789")
	_, absent := mq.OpenSysV(0x7ffffffe, nil)
	full := q.TrySend(mq.Message{Type: 1, Body: make([]byte, 7)})
	large := q.TrySend(mq.Message{Type: 1, Body: make([]byte, 17)})
	badType := q.TrySend(mq.Message{Type: 0})
	_, small := q.TryReceive(make([]byte, 3))
	receive(t, q)
	_, empty := q.TryReceive(nil)
	q.Close()
	_, closed := q.Stat()
	for _, test := range []struct {
		err  error
		want string
	}{
		{absent, "open sysv:0x7ffffffe: no such file or directory"},
		{full, "send sysv:0x00000000: queue full: 17 is over msg_qbytes = 16"},
		{large, "send sysv:0x00000000: message too large: 17 is over msg_qbytes = 16"},
		{badType, "send sysv:0x00000000: mtype must be at least 1 (invalid argument)"},
		{small, "receive sysv:0x00000000: message too large: over buffer = 3"},
		{empty, "receive sysv:0x00000000: no message (no message of desired type)"},
		{closed, "stat sysv:0x00000000: queue handle closed"},
	} {
		if test.err == nil || test.err.Error() != test.want {
			t.Errorf("%v\nwant %s", test.err, test.want)
		}
	}
	for _, test := range []struct {
		err  mq.LimitError
		want string
	}{
		{mq.LimitError{Limit: "msgmni", Have: -1, Max: -1}, "over msgmni"},
		{mq.LimitError{Limit: "msgmni", Have: 5, Max: -1}, "5 is over msgmni"},
		{mq.LimitError{Limit: "msgmni", Have: 5, Max: 4}, "5 is over msgmni = 4"},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// Each sentinel is itself, and only ErrClosed is an error of package os.
func TestSentinels(t *testing.T) {
	wantErr(t, mq.ErrClosed, os.ErrClosed, fs.ErrClosed)
	q := private(t)
	_, err := q.TryReceive(nil)
	wantErr(t, err, mq.ErrEmpty, syscall.ENOMSG)
	for _, other := range []error{mq.ErrFull, mq.ErrRemoved, mq.ErrTooLarge, mq.ErrClosed, os.ErrClosed, fs.ErrNotExist} {
		if errors.Is(err, other) {
			t.Errorf("%v is %v", err, other)
		}
	}
}
