package envelope_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/mqdaemon/mqd/internal/envelope"
	"pgregory.net/rapid"
)

// frame builds a frame of the given messages.
func frame(t testing.TB, messages ...envelope.Message) []byte {
	t.Helper()
	var b envelope.Builder
	b.Reset(make([]byte, 1<<16))
	for i := range messages {
		if !b.Add(&messages[i]) {
			t.Fatalf("message %d does not fit", i)
		}
	}
	return b.Finish()
}

// full has every attribute.
var full = envelope.Message{
	ID: []byte("id"), Key: []byte("key"), ContentType: []byte("text/plain"), Trace: []byte("tr"),
	Body: []byte("body"), Time: 0x0102030405060708, TTL: 5, Delay: 6, ReplyType: 7, Priority: 9,
}

// TestFrameBytes holds the format still: other programs write it.
func TestFrameBytes(t *testing.T) {
	got := hex.EncodeToString(frame(t, envelope.Message{Body: []byte("hi"), Priority: -1}, full))
	want := "cd6d7101" + "54000000" + "02000000" + // magic, length, count
		"02000000" + "0000" + "6869" +
		"04000000" + "ff01" +
		"02" + "6964" + // id
		"03" + "6b6579" + // key
		"09" + // priority
		"0500000000000000" + // ttl
		"0600000000000000" + // delay
		"0a" + "746578742f706c61696e" + // content_type
		"0700000000000000" + // reply_type
		"02" + "7472" + // trace
		"0807060504030201" + // time
		"626f6479"
	if got != want {
		t.Errorf("frame is\n%s, want\n%s", got, want)
	}
}

// TestNotAFrame breaks a good frame in one place at a time. Each must be raw.
func TestNotAFrame(t *testing.T) {
	good := frame(t, full)
	// Offsets into the frame of full, which is alone in it.
	const flags, id, priority, ttl, replyType, time = 16, 18, 25, 26, 53, 64
	edit := func(offset int, b ...byte) []byte {
		p := bytes.Clone(good)
		copy(p[offset:], b)
		return p
	}
	for name, p := range map[string][]byte{
		"magic":                     edit(3, 2),
		"length too small":          edit(4, good[4]-1),
		"length too large":          edit(4, good[4]+1),
		"length over 2 GiB":         edit(4, 0xff, 0xff, 0xff, 0xff),
		"count 0":                   edit(8, 0),
		"count too large":           edit(8, 2),
		"count over 32 bits of all": edit(8, 0xff, 0xff, 0xff, 0xff),
		"body too short":            edit(12, 3),
		"body too long":             edit(12, 5),
		"body over all":             edit(12, 0xff, 0xff, 0xff, 0xff),
		"unknown flag":              edit(flags, 0xff, 0x03),
		"highest flag":              edit(flags, 0xff, 0x81),
		"id over all":               edit(id, 0xff),
		"priority 10":               edit(priority, 10),
		"priority 255":              edit(priority, 255),
		"negative ttl":              edit(ttl+7, 0x80),
		"negative delay":            edit(ttl+15, 0x80),
		"negative reply_type":       edit(replyType+7, 0x80),
		"negative time":             edit(time+7, 0x80),
		"trailing byte":             append(bytes.Clone(good), 0),
		"header only":               good[:envelope.HeaderLen],
		"magic only":                good[:4],
	} {
		if kind, n := envelope.Detect(p, envelope.AcceptAll); kind != envelope.Raw || n != 1 {
			t.Errorf("%s: %v with %d messages, want raw with 1", name, kind, n)
		}
	}
	for i := range good {
		if kind, _ := envelope.Detect(good[:i], envelope.AcceptAll); kind != envelope.Raw {
			t.Errorf("the first %d bytes are %v, want raw", i, kind)
		}
	}
	if kind, _ := envelope.Detect(good, envelope.AcceptAll); kind != envelope.Envelope {
		t.Fatalf("the frame itself is %v", kind)
	}
}

func TestFrameLen(t *testing.T) {
	p := frame(t, full)
	for _, tc := range []struct {
		name string
		p    []byte
		n    int
		ok   bool
	}{
		{"whole", p, len(p), true},
		{"followed by a canary", append(bytes.Clone(p), 0xf5, 0xf5), len(p), true},
		{"header only", p[:envelope.HeaderLen], len(p), true},
		{"short header", p[:envelope.HeaderLen-1], 0, false},
		{"other magic", append([]byte{0xcc}, p[1:]...), 0, false},
		{"length below the least", append([]byte("\xcdmq\x01\x11\x00\x00\x00"), p[8:]...), 0, false},
		{"length over 2 GiB", append([]byte("\xcdmq\x01\x00\x00\x00\x80"), p[8:]...), 0, false},
		{"empty", nil, 0, false},
	} {
		if n, ok := envelope.FrameLen(tc.p); n != tc.n || ok != tc.ok {
			t.Errorf("%s: FrameLen = %d, %v, want %d, %v", tc.name, n, ok, tc.n, tc.ok)
		}
	}
}

func TestBuilderRefuses(t *testing.T) {
	long := []byte(strings.Repeat("x", 256))
	for name, m := range map[string]envelope.Message{
		"id":           {ID: long},
		"key":          {Key: long},
		"content type": {ContentType: long},
		"trace":        {Trace: long},
		"priority":     {Priority: 10},
		"ttl":          {TTL: -1},
		"delay":        {Delay: -1},
		"reply type":   {ReplyType: -1},
		"time":         {Time: -1},
	} {
		var b envelope.Builder
		b.Reset(make([]byte, 4096))
		if b.Add(&m) || b.Count() != 0 || b.Len() != 0 || len(b.Finish()) != 0 {
			t.Errorf("%s: taken, want it refused with nothing written", name)
		}
	}
	var zero envelope.Builder
	if zero.Add(&envelope.Message{}) || len(zero.Finish()) != 0 {
		t.Error("the zero Builder took a message")
	}
}

// TestBuilderRoom: a message is taken to the last byte of the room, and not one
// byte further.
func TestBuilderRoom(t *testing.T) {
	var b envelope.Builder
	exact := b.MaxOverhead(&full) + len(full.Body)
	buf := make([]byte, exact+1)
	b.Reset(buf[:exact-1])
	if b.Add(&full) {
		t.Error("taken into one byte less than it needs")
	}
	b.Reset(buf[:exact])
	if !b.Add(&full) || b.Len() != exact || len(b.Finish()) != exact {
		t.Errorf("Len = %d, want %d", b.Len(), exact)
	}
	if b.Add(&envelope.Message{Priority: -1}) || b.Count() != 1 {
		t.Error("an empty message fitted into nothing")
	}
	if buf[exact] != 0 {
		t.Error("wrote beyond the room")
	}
}

// genMessage draws a message that can be written in a frame.
func genMessage(t *rapid.T) envelope.Message {
	attribute := rapid.SliceOfN(rapid.Byte(), 0, 255)
	number := rapid.Int64Range(0, math.MaxInt64)
	return envelope.Message{
		ID: attribute.Draw(t, "id"), Key: attribute.Draw(t, "key"),
		ContentType: attribute.Draw(t, "content type"), Trace: attribute.Draw(t, "trace"),
		Body: rapid.SliceOfN(rapid.Byte(), 0, 1000).Draw(t, "body"),
		Time: number.Draw(t, "time"), TTL: number.Draw(t, "ttl"), Delay: number.Draw(t, "delay"),
		ReplyType: number.Draw(t, "reply type"), Priority: int8(rapid.IntRange(-1, 9).Draw(t, "priority")),
	}
}

// TestRoundTrip: what the Builder took comes out of Walk, in order and equal, and
// what it did not take is not there.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		messages := rapid.SliceOfN(rapid.Custom(genMessage), 0, 20).Draw(t, "messages")
		var b envelope.Builder
		b.Reset(make([]byte, rapid.IntRange(0, 8192).Draw(t, "room")))
		taken := 0
		for taken < len(messages) && b.Add(&messages[taken]) {
			taken++
		}
		payload := b.Finish()
		if b.Count() != taken || b.Len() != len(payload) {
			t.Fatalf("Count %d, Len %d, want %d, %d", b.Count(), b.Len(), taken, len(payload))
		}
		if taken == 0 {
			return
		}
		if n, ok := envelope.FrameLen(payload); !ok || n != len(payload) {
			t.Fatalf("FrameLen = %d, %v, want %d", n, ok, len(payload))
		}
		kind, n := envelope.Detect(payload, envelope.AcceptAll)
		if kind != envelope.Envelope || n != taken {
			t.Fatalf("Detect = %v, %d, want envelope, %d", kind, n, taken)
		}
		walked := 0
		envelope.Walk(kind, payload, func(i int, m *envelope.Message) bool {
			if i != walked || !equal(m, &messages[i]) {
				t.Fatalf("message %d is %+v, want %+v", i, m, &messages[i])
			}
			walked++
			return true
		})
		if walked != taken {
			t.Fatalf("walked over %d messages, want %d", walked, taken)
		}
	})
}

// equal compares all fields; an empty slice and nil are the same.
func equal(a, b *envelope.Message) bool {
	return bytes.Equal(a.ID, b.ID) && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.ContentType, b.ContentType) &&
		bytes.Equal(a.Trace, b.Trace) && bytes.Equal(a.Body, b.Body) && a.Time == b.Time && a.TTL == b.TTL &&
		a.Delay == b.Delay && a.ReplyType == b.ReplyType && a.Priority == b.Priority
}
