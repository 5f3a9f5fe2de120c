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
	ID          []byte // the sender's, or derived from epoch and sequence (36 bytes, UUIDv7)
	Time        int64  // the sender's, or when it was taken; unix ns
	Type        int64  // mtype
	Key         []byte // empty: none
	ContentType []byte
	Trace       []byte // W3C traceparent
	Body        []byte

	id [idLen]byte
}

// Walk calls fn for each message until it returns false. Message and slices are
// valid until fn returns, the bodies as long as the span is not settled.
func (s Span) Walk(m *Message, fn func(*Message) bool) {
	s.records(func(r record, index uint32, skip, take int) bool {
		c := r.commit()
		seq, epoch := s.slab.base+uint64(index), s.slab.epoch
		taken := int64(r.u64(offTime))
		m.Type = r.mtype()
		if c.frame == envelope.Raw {
			m.Key, m.ContentType, m.Trace, m.Body = nil, nil, nil, r.payload(c.length)
			m.Time, m.ID = taken, appendID(m.id[:0], taken, epoch, seq)
			return fn(m)
		}
		goOn := true
		envelope.Walk(c.frame, r.payload(c.length), func(i int, e *envelope.Message) bool {
			if i < skip {
				return true
			}
			if i >= skip+take {
				return false
			}
			m.Key, m.ContentType, m.Trace, m.Body = e.Key, e.ContentType, e.Trace, e.Body
			m.Time, m.ID = taken, e.ID
			if e.Time != 0 {
				m.Time = e.Time
			}
			if len(e.ID) == 0 {
				m.ID = appendID(m.id[:0], taken, epoch, seq+uint64(i))
			}
			goOn = fn(m)
			return goOn
		})
		return goOn
	})
}

// records calls fn for each record of the span: index is the number of the
// record's first message within the slab, and skip and take say which of its
// messages are in the span.
func (s Span) records(fn func(r record, index uint32, skip, take int) bool) {
	off, left, skip, index := s.off, s.n, int(s.skip), s.first-s.skip
	for left > 0 {
		r := record(s.slab.mem[off:])
		count := int(r.u32(offCount))
		take := min(count-skip, left)
		if !fn(r, index, skip, take) {
			return
		}
		off += uint32(recordSize(int(r.commit().length)))
		left, skip, index = left-take, 0, index+uint32(count)
	}
}

// Cut splits the span behind the longest run within both limits, which has one
// message at least. more is false if nothing is left behind it.
func (s Span) Cut(messages, bytes int) (head, rest Span, more bool) {
	if s.n <= messages && s.size <= bytes {
		return s, Span{}, false
	}
	var n, size int
	s.sizes(func(body int) bool {
		if n == messages || (n > 0 && size+body > bytes) {
			return false
		}
		n, size = n+1, size+body
		return true
	})
	if n == s.n {
		return s, Span{}, false
	}
	head, rest = s, s
	head.n, head.size = n, size
	rest.n, rest.size = s.n-n, s.size-size
	rest.first = s.first + uint32(n)
	rest.off, rest.skip = s.place(n)
	return head, rest, true
}

// sizes calls fn with the length of each body until it returns false.
func (s Span) sizes(fn func(body int) bool) {
	s.records(func(r record, _ uint32, skip, take int) bool {
		c := r.commit()
		if c.frame == envelope.Raw {
			return fn(int(c.length))
		}
		goOn := true
		envelope.Walk(c.frame, r.payload(c.length), func(i int, e *envelope.Message) bool {
			if i < skip {
				return true
			}
			if i >= skip+take {
				return false
			}
			goOn = fn(len(e.Body))
			return goOn
		})
		return goOn
	})
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
	s.records(func(r record, _ uint32, skip, take int) bool {
		if c := r.commit(); c.flags&flagKeyed != 0 && take > 0 {
			goOn := true
			envelope.Walk(c.frame, r.payload(c.length), func(i int, e *envelope.Message) bool {
				if i < skip {
					return true
				}
				if i >= skip+take {
					return false
				}
				goOn = fn(hashKey(e.Key))
				return goOn
			})
			return goOn
		}
		for range take {
			if !fn(0) {
				return false
			}
		}
		return true
	})
}

// Keyed reports whether a message of the span may have a key.
func (s Span) Keyed() bool { return s.keyed }

// attrs is what the header of a record tells about its payload.
type attrs struct {
	frame      envelope.Kind
	count      int
	size       int // bytes of the bodies
	priority   uint8
	keyed      bool
	keyHash    uint64
	ttl, delay int64
}

// attributes reads a payload.
func attributes(payload []byte, accept envelope.Accept) attrs {
	kind, count := envelope.Detect(payload, accept)
	a := attrs{frame: kind, count: count, size: len(payload), priority: defaultPriority}
	if kind == envelope.Raw {
		return a
	}
	a.size = 0
	envelope.Walk(kind, payload, func(i int, m *envelope.Message) bool {
		a.size += len(m.Body)
		a.keyed = a.keyed || len(m.Key) > 0
		if i == 0 {
			a.keyHash, a.ttl, a.delay = hashKey(m.Key), m.TTL, m.Delay
			if m.Priority >= 0 {
				a.priority = uint8(m.Priority)
			}
		}
		return true
	})
	return a
}

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
