package daemon

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/mqdaemon/mqd/internal/config"
	"github.com/mqdaemon/mqd/mq"
)

// realQueue makes a queue under a key of its own.
func realQueue(t *testing.T) (*mq.SysV, *config.Route) {
	t.Helper()
	key := mq.Key(1 + rand.IntN(1<<30))
	q, err := mq.OpenSysV(key, &mq.Options{Create: true, Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Remove() })
	return q, &config.Route{Name: "test", Queue: mq.SysVAddr(key), Mode: 0o620, GID: -1}
}

func openPeek(t *testing.T, cfg *config.Route) *peekSource {
	t.Helper()
	src, err := openSource(t.Context(), cfg, true, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src.(*peekSource)
}

// With unlocked memory a message leaves the queue only after it was committed.
func TestPeekTakesOnlyWhatWasCommitted(t *testing.T) {
	q, cfg := realQueue(t)
	src := openPeek(t, cfg)
	if err := q.TrySend(mq.Message{Type: 7, Body: []byte("hello")}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 8200)
	n, errno := src.Receive(buf)
	if errno != 0 || string(buf[8:8+n]) != "hello" {
		t.Fatalf("received %q, %v", buf[8:8+n], errno)
	}
	if st, err := q.Stat(); err != nil || st.Messages != 1 {
		t.Fatalf("%d messages on the queue before the commit, want 1 (%v)", st.Messages, err)
	}
	if other, err := src.Committed(buf[:8+n]); other != nil || err != nil {
		t.Fatalf("committed: %q, %v", other, err)
	}
	if st, err := q.Stat(); err != nil || st.Messages != 0 {
		t.Fatalf("%d messages on the queue after the commit, want 0 (%v)", st.Messages, err)
	}
}

func TestPeekLandsWhatAForeignReaderLeft(t *testing.T) {
	q, cfg := realQueue(t)
	src := openPeek(t, cfg)
	for _, s := range []string{"stolen", "next"} {
		if err := q.TrySend(mq.Message{Type: 1, Body: []byte(s)}); err != nil {
			t.Fatal(err)
		}
	}
	r := testRoute(t, &fakeDest{}, 0)
	buf := make([]byte, 8200)
	n, _ := src.Receive(buf)
	if _, err := q.TryReceive(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if err := r.confirm(t.Context(), src, buf[:8+n], 1); err != nil {
		t.Fatal(err)
	}
	if spans := r.landing.Take(); len(spans) != 1 || spans[0].Len() != 1 || spans[0].Size() != len("next") {
		t.Errorf("landed %+v, want the message that came instead", spans)
	}
}

func TestPeekDrainsAll(t *testing.T) {
	q, cfg := realQueue(t)
	src := openPeek(t, cfg)
	r := testRoute(t, &fakeDest{}, 0)
	for i := range 100 {
		if err := q.TrySend(mq.Message{Type: 1, Body: fmt.Appendf(nil, "m%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.TrySend(mq.Message{Type: 1}); err != nil { // a doorbell
		t.Fatal(err)
	}
	if err := r.empty(t.Context(), src); err != nil {
		t.Fatal(err)
	}
	if p := r.landing.Stats().Pending; p != 100 {
		t.Errorf("%d messages landed, want 100", p)
	}
	if st, _ := q.Stat(); st.Messages != 0 {
		t.Errorf("%d messages left", st.Messages)
	}
}
