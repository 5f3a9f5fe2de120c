package spool

import (
	"encoding/binary"

	"github.com/mqdaemon/mqd/internal/envelope"
)

// Span is a run of messages that lie one behind the other in one slab. It is a
// value, a few words long: a batch is made of spans, so nothing is copied and
// nothing is done per message on the way to it.
type Span struct {
	slab  *slab
	off   uint32 // where the record of its first message begins
	skip  uint32 // messages of that record that come before the first
	first uint32 // the first message's number within the slab
	n     int
	size  int
	keyed bool
}

// Len is the number of messages.
func (s Span) Len() int { return s.n }

// Size is the sum of the messages' bodies, in bytes.
func (s Span) Size() int { return s.size }

// Message is one message of a span.
type Message struct {
	ID          []byte    // the sender's; empty: it gave none, and UUID is the id
	UUID        [2]uint64 // derived from epoch and sequence, high and low half
	Time        int64     // the sender's, or when it was taken; unix ns
	Type        int64     // mtype
	Key         []byte    // empty: none
	ContentType []byte
	Trace       []byte // W3C traceparent
	Body        []byte
}

// Reader goes over the messages of a span. It allocates nothing but the strings
// of a JSON frame that had to be decoded.
type Reader struct {
	slab  *slab
	left  int    // messages of the span behind the current one
	index uint32 // the current message's number within the slab
	off   int    // its record
	part  uint32 // its number in that record
	count uint32 // messages of the record
	next  int    // the record behind
	in    envelope.Reader
	msg   envelope.Message
}

// Reset makes r read s from its start.
func (r *Reader) Reset(s Span) {
	// The first step goes to the record at next, and there to message part+1.
	r.slab, r.left, r.index = s.slab, s.n, s.first-1
	r.part, r.count, r.next = s.skip-1, 0, int(s.off)
}

// Next fills m with the next message, or reports false at the end. The slices
// in m are valid until the next call, the body as long as the span is not settled.
func (r *Reader) Next(m *Message) bool {
	if !r.step() {
		return false
	}
	rec := record(r.slab.mem[r.off:])
	e, taken := &r.msg, int64(rec.u64(offTime))
	m.ID, m.UUID = e.ID, messageID(taken, r.slab.epoch, r.slab.base+uint64(r.index))
	m.Time, m.Type = e.Time, rec.mtype()
	if m.Time == 0 {
		m.Time = taken
	}
	m.Key, m.ContentType, m.Trace, m.Body = e.Key, e.ContentType, e.Trace, e.Body
	return true
}

// step goes to the next message, whose attributes are then in msg.
func (r *Reader) step() bool {
	if r.left == 0 {
		return false
	}
	r.left--
	r.index++
	if r.part++; r.part < r.count {
		r.decode()
	} else {
		r.enter()
	}
	return true
}

// enter goes to the next record, and in the span's first one to where it begins.
func (r *Reader) enter() {
	rec := record(r.slab.mem[r.next:])
	c := rec.commit()
	if r.count > 0 {
		r.part = 0
	}
	r.off, r.next, r.count = r.next, r.next+recordSize(int(c.length)), rec.u32(offCount)
	if c.frame == envelope.Raw {
		r.msg = envelope.Message{Body: rec.payload(c.length)}
		return
	}
	r.in.Reset(c.frame, rec.payload(c.length))
	for range r.part {
		r.in.Next(&r.msg)
	}
	r.decode()
}

// decode reads the next message of a record. The payload is the one that was
// sealed, so it can fail only where a former version read more than this one:
// then the payload goes as it is, and no message is dropped.
func (r *Reader) decode() {
	if !r.in.Next(&r.msg) {
		rec := record(r.slab.mem[r.off:])
		r.msg = envelope.Message{Body: rec.payload(rec.commit().length)}
	}
}

// Cut splits the span behind the longest run within both limits, which has one
// message at least. more is false if nothing is left behind it.
func (s Span) Cut(messages, bytes int) (head, rest Span, more bool) {
	if s.n <= messages && s.size <= bytes {
		return s, Span{}, false
	}
	var r Reader
	r.Reset(s)
	n, size := 0, 0
	for r.step() && n < messages && (n == 0 || size+len(r.msg.Body) <= bytes) {
		n, size = n+1, size+len(r.msg.Body)
	}
	if n == s.n {
		return s, Span{}, false
	}
	head, rest = s, s
	head.n, head.size = n, size
	rest.n, rest.size = s.n-n, s.size-size
	rest.off, rest.skip, rest.first = uint32(r.off), r.part, r.index
	return head, rest, true
}

// place finds the n-th message of the span: its record and its number in it.
func (s Span) place(n int) (off, skip uint32) {
	off, skip = s.off, s.skip+uint32(n)
	for {
		r := record(s.slab.mem[off:])
		count := r.u32(offCount)
		if skip < count {
			return off, skip
		}
		skip -= count
		off += uint32(recordSize(int(r.commit().length)))
	}
}

// Keys calls fn with the hash of each message's key, 0 for a message without
// one, until it returns false.
func (s Span) Keys(fn func(hash uint64) bool) {
	var r Reader
	for r.Reset(s); r.step() && fn(hashKey(r.msg.Key)); {
	}
}

// Keyed reports whether a message of the span may have a key.
func (s Span) Keyed() bool { return s.keyed }

// hashKey is FNV-1a over the key; 0 means that there is none.
func hashKey(key []byte) uint64 {
	if len(key) == 0 {
		return 0
	}
	h := uint64(14695981039346656037)
	for _, c := range key {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return max(h, 1)
}

// AppendName appends 24 bytes that name exactly these messages, on this host and
// over restarts: the epoch, the first sequence number and the count.
func (s Span) AppendName(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, s.slab.epoch)
	dst = binary.LittleEndian.AppendUint64(dst, s.slab.base+uint64(s.first))
	return binary.LittleEndian.AppendUint64(dst, uint64(s.n))
}
