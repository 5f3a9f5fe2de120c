package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/mqdaemon/mqd/internal/envelope"
)

// tmpfsDir gives a directory on tmpfs that goes with the test.
func tmpfsDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "mqd-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func testConfig(t testing.TB) Config {
	return Config{
		Route: "test", Dir: filepath.Join(tmpfsDir(t), "test"), State: filepath.Join(t.TempDir(), "spool"),
		Accept: envelope.AcceptAll, MsgMax: 8192, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

func open(t testing.TB, cfg Config) (*Landing, Recovered) {
	t.Helper()
	l, rec, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l, rec
}

// land plays the kernel: it writes a message and notes its length.
func land(t testing.TB, l *Landing, mtype int64, body []byte) {
	t.Helper()
	room, err := l.Room()
	if err != nil {
		t.Fatal(err)
	}
	write(room, mtype, body)
	l.Commit(len(body), 1_700_000_000_000_000_000)
}

func write(room []byte, mtype int64, body []byte) {
	binary.NativeEndian.PutUint64(room, uint64(mtype))
	copy(room[8:], body)
}

// drop ends a landing as a SIGKILL does: its memory stays as it is.
func drop(l *Landing) {
	for _, s := range append(l.live, l.free...) {
		s.unmap()
	}
	l.dir.Close()
}

type seen struct {
	body, id, key string
	mtype         int64
}

func read(spans []Span) []seen {
	var out []seen
	var m Message
	var r Reader
	for _, s := range spans {
		n := 0
		for r.Reset(s); r.Next(&m); n++ {
			id := string(m.ID)
			if id == "" {
				id = fmt.Sprintf("%016x%016x", m.UUID[0], m.UUID[1])
			}
			out = append(out, seen{string(m.Body), id, string(m.Key), m.Type})
		}
		if n != s.Len() {
			panic(fmt.Sprintf("span of %d messages, %d read", s.Len(), n))
		}
	}
	return out
}

func pack(bodies ...string) []byte {
	var b envelope.Builder
	b.Reset(make([]byte, 8192))
	for i, s := range bodies {
		m := envelope.Message{Body: []byte(s), Priority: -1}
		if i%2 == 1 {
			m.Key = []byte("k" + s[:min(len(s), 8)])
		}
		if !b.Add(&m) {
			panic("does not fit")
		}
	}
	return b.Finish()
}

func TestMessagesKeepContentTypeAndID(t *testing.T) {
	cfg := testConfig(t)
	l, rec := open(t, cfg)
	defer l.Close()
	if rec.Messages != 0 {
		t.Fatalf("found %d messages in a new landing", rec.Messages)
	}
	land(t, l, 7, []byte("raw"))
	land(t, l, 1, pack("a", "b", "c"))
	land(t, l, 2, []byte(`{"mqd":1,"data":"json","id":"given"}`))
	land(t, l, 3, []byte(`s:3:"php";`))
	got := read(l.Take())
	want := []string{"raw", "a", "b", "c", "json", "php"}
	if len(got) != len(want) {
		t.Fatalf("%d messages, want %d", len(got), len(want))
	}
	ids := map[string]bool{}
	for i, m := range got {
		if m.body != want[i] {
			t.Errorf("message %d is %q, want %q", i, m.body, want[i])
		}
		ids[m.id] = true
	}
	if got[4].id != "given" || len(ids) != len(got) {
		t.Errorf("ids are %v: want the given one and no two alike", ids)
	}
	if got[0].mtype != 7 || got[3].mtype != 1 || got[2].key != "kb" {
		t.Errorf("mtype or key is lost: %+v", got)
	}
}

// A payload that this version reads otherwise than the one that sealed it goes as
// it is, and what lies behind it with it.
func TestPayloadThatCannotBeReadGoesAsItIs(t *testing.T) {
	l, _ := open(t, testConfig(t))
	defer l.Close()
	r := record(l.cur.mem[l.cur.end:])
	land(t, l, 1, pack("a", "b"))
	land(t, l, 1, []byte("behind"))
	frame := r.payload(r.commit().length)
	frame[0] = 'x'
	got := read(l.Take())
	if len(got) != 3 || got[0].body != string(frame) || got[2].body != "behind" {
		t.Errorf("read %+v", got)
	}
}

func TestKillKeepsWhatIsNotSettled(t *testing.T) {
	cfg := testConfig(t)
	l, _ := open(t, cfg)
	for i := range 5000 {
		land(t, l, 1, fmt.Appendf(nil, "message %d", i))
	}
	spans := l.Take()
	all := read(spans)
	// Settle a run in the middle and the first one.
	head, rest, _ := spans[0].Cut(100, 1<<20)
	mid, tail, _ := rest.Cut(50, 1<<20)
	tailHead, _, _ := tail.Cut(10, 1<<20)
	if err := l.Settle([]Span{mid, head, tailHead}); err != nil {
		t.Fatal(err)
	}
	drop(l)
	for round := range 3 {
		l, rec := open(t, cfg)
		got := read(l.Take())
		if rec.Messages != 5000-160 || len(got) != rec.Messages {
			t.Fatalf("round %d: found %d messages, read %d, want %d", round, rec.Messages, len(got), 5000-160)
		}
		for i, m := range got {
			if m != all[160+i] {
				t.Fatalf("round %d: message %d is %+v, want %+v", round, i, m, all[160+i])
			}
		}
		if st := l.Stats(); st.Pending != 4840 || st.Oldest == 0 {
			t.Errorf("stats are %+v", st)
		}
		drop(l)
	}
}

func TestCleanCloseKeepsTheRest(t *testing.T) {
	cfg := testConfig(t)
	l, _ := open(t, cfg)
	land(t, l, 1, []byte("one"))
	land(t, l, 1, []byte("two"))
	one, _, _ := l.Take()[0].Cut(1, 100)
	if err := errors.Join(l.Settle([]Span{one}), l.Close()); err != nil {
		t.Fatal(err)
	}
	l, rec := open(t, cfg)
	if got := read(l.Take()); rec.Messages != 1 || got[0].body != "two" {
		t.Fatalf("found %+v", got)
	}
	if err := errors.Join(l.Settle(nil), l.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestFullAndFreedAndTrimmed(t *testing.T) {
	cfg := testConfig(t)
	cfg.Size = 3 * SlabSize
	l, _ := open(t, cfg)
	defer l.Close()
	body := make([]byte, 8000)
	n := 0
	for ; ; n++ {
		room, err := l.Room()
		if errors.Is(err, ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		write(room, 1, body)
		l.Commit(len(body), 1)
	}
	if n < 90 || n > 96 {
		t.Errorf("%d messages of 8000 bytes fit in %d bytes", n, cfg.Size)
	}
	spans := l.Take()
	select {
	case <-l.Freed():
		t.Fatal("freed before anything was settled")
	default:
	}
	if err := l.Settle(spans[1:2]); err != nil {
		t.Fatal(err)
	}
	<-l.Freed()
	if _, err := l.Room(); err != nil {
		t.Fatalf("no room after a slab was settled: %v", err)
	}
	if err := l.Settle([]Span{spans[0], spans[2]}); err != nil {
		t.Fatal(err)
	}
	if !l.Spare() {
		t.Error("nothing to spare after all was settled")
	}
	l.Trim()
	if l.Stats().Slabs != 1 || l.Spare() {
		t.Errorf("%d slabs after Trim, want 1", l.Stats().Slabs)
	}
	if l.Stats().Pending != 0 {
		t.Errorf("pending %d", l.Stats().Pending)
	}
}

func TestMsgmaxRaised(t *testing.T) {
	cfg := testConfig(t)
	l, _ := open(t, cfg)
	defer l.Close()
	land(t, l, 1, []byte("small"))
	l.SetMsgMax(1 << 20)
	room, err := l.Room()
	if err != nil {
		t.Fatal(err)
	}
	if len(room) < 8+1<<20 {
		t.Fatalf("room of %d bytes for messages of %d", len(room), 1<<20)
	}
	write(room, 1, make([]byte, 1<<20))
	l.Commit(1<<20, 1)
	if got := read(l.Take()); len(got) != 2 || len(got[1].body) != 1<<20 {
		t.Errorf("%d messages", len(got))
	}
}

func TestLandingAllocatesNothing(t *testing.T) {
	l, _ := open(t, testConfig(t))
	defer l.Close()
	body := make([]byte, 256)
	spans := make([]Span, 0, 16)
	for range 3 { // both lists reach their size
		for range 2000 {
			land(t, l, 1, body)
		}
		if err := l.Settle(l.Take()); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		for range 100 {
			room, _ := l.Room()
			write(room, 1, body)
			l.Commit(len(body), 1)
		}
		spans = append(spans[:0], l.Take()...)
		l.Settle(spans)
	}); n != 0 {
		t.Errorf("%v allocations per 100 messages", n)
	}
}

func BenchmarkLand(b *testing.B) {
	l, _ := open(b, testConfig(b))
	defer l.Close()
	body := make([]byte, 256)
	b.SetBytes(256)
	b.ReportAllocs()
	for i := range b.N {
		room, err := l.Room()
		if err != nil {
			b.Fatal(err)
		}
		write(room, 1, body)
		l.Commit(len(body), 1)
		if i%64 == 63 {
			l.Settle(l.Take())
		}
	}
}

// A ttl that no clock can hold must not end in the past.
func TestEndOfTime(t *testing.T) {
	l, _ := open(t, testConfig(t))
	defer l.Close()
	var b envelope.Builder
	b.Reset(make([]byte, 64))
	if !b.Add(&envelope.Message{Body: []byte("x"), TTL: math.MaxInt64, Delay: 5, Priority: -1}) {
		t.Fatal("does not fit")
	}
	r := record(l.cur.mem[l.cur.end:])
	land(t, l, 1, b.Finish())
	const taken = 1_700_000_000_000_000_000
	if got := int64(r.u64(offExpires)); got != math.MaxInt64 {
		t.Errorf("expires at %d", got)
	}
	if got := int64(r.u64(offNotBefore)); got != taken+5 {
		t.Errorf("not before %d", got)
	}
}
