package envelope

import (
	"encoding/binary"
	"math"
)

var le = binary.LittleEndian

// magic starts every binary frame; its last byte is the version.
const magic = "\xcdmq\x01"

const (
	// HeaderLen is the length of a frame before its first message.
	HeaderLen = 12
	// MessageLen is the length of a message in a frame before its attributes.
	MessageLen = 6
)

// The flag bits. An attribute lies in the frame in the order of its bit.
const (
	flagID = 1 << iota
	flagKey
	flagPriority
	flagTTL
	flagDelay
	flagContentType
	flagReplyType
	flagTrace
	flagTime

	flagsKnown = 1<<iota - 1
)

// FrameLen gives the length of the frame that starts payload, from its first
// bytes alone. It is for the memory of a daemon that was killed before it could
// note the length that msgrcv(2) returned. The caller compares it with what is
// there, and asks [Detect] about payload[:n].
func FrameLen(payload []byte) (n int, ok bool) {
	if len(payload) < HeaderLen || string(payload[:4]) != magic {
		return 0, false
	}
	length := le.Uint32(payload[4:])
	if length < HeaderLen+MessageLen || length > math.MaxInt32 {
		return 0, false
	}
	return int(length), true
}

// frameHeader checks the header of a frame that fills payload, and gives the
// number of messages it announces (at least 1) and the bytes they lie in.
func frameHeader(payload []byte) (count int, body []byte, ok bool) {
	n, ok := FrameLen(payload)
	if !ok || n != len(payload) {
		return 0, nil, false
	}
	announced := le.Uint32(payload[8:])
	body = payload[HeaderLen:]
	if announced == 0 || uint64(announced)*MessageLen > uint64(len(body)) {
		return 0, nil, false
	}
	return int(announced), body, true
}

// nextInFrame reads one message from the front of p. Every length is compared
// with what is left before it is used, so nothing outside p is read.
func nextInFrame(p []byte, m *Message) (rest []byte, ok bool) {
	if len(p) < MessageLen {
		return nil, false
	}
	body, flags := le.Uint32(p), le.Uint16(p[4:])
	p = p[MessageLen:]
	*m = Message{Priority: -1}
	if flags != 0 {
		if p, ok = attributes(p, flags, m); !ok {
			return nil, false
		}
	}
	if uint64(body) > uint64(len(p)) {
		return nil, false
	}
	m.Body = p[:body:body]
	return p[body:], true
}

// attributes reads what flags announce. A value out of its range makes the whole
// payload a raw message: half of a frame's meaning is worse than none.
func attributes(p []byte, flags uint16, m *Message) (rest []byte, ok bool) {
	if flags&^flagsKnown != 0 {
		return nil, false
	}
	c := cursor{p: p}
	if flags&flagID != 0 {
		m.ID = c.bytes()
	}
	if flags&flagKey != 0 {
		m.Key = c.bytes()
	}
	if flags&flagPriority != 0 {
		m.Priority = c.priority()
	}
	if flags&flagTTL != 0 {
		m.TTL = c.int64()
	}
	if flags&flagDelay != 0 {
		m.Delay = c.int64()
	}
	if flags&flagContentType != 0 {
		m.ContentType = c.bytes()
	}
	if flags&flagReplyType != 0 {
		m.ReplyType = c.int64()
	}
	if flags&flagTrace != 0 {
		m.Trace = c.bytes()
	}
	if flags&flagTime != 0 {
		m.Time = c.int64()
	}
	return c.p, !c.bad
}

// cursor reads attributes one after the other. After the first that does not fit
// it is bad and gives zero values.
type cursor struct {
	p   []byte
	bad bool
}

func (c *cursor) bytes() []byte {
	if len(c.p) == 0 || len(c.p)-1 < int(c.p[0]) {
		c.fail()
		return nil
	}
	n := int(c.p[0])
	b := c.p[1 : 1+n : 1+n]
	c.p = c.p[1+n:]
	return b
}

func (c *cursor) priority() int8 {
	if len(c.p) == 0 || c.p[0] > maxPriority {
		c.fail()
		return -1
	}
	v := int8(c.p[0])
	c.p = c.p[1:]
	return v
}

func (c *cursor) int64() int64 {
	if len(c.p) < 8 || le.Uint64(c.p) > math.MaxInt64 {
		c.fail()
		return 0
	}
	v := int64(le.Uint64(c.p))
	c.p = c.p[8:]
	return v
}

func (c *cursor) fail() { c.p, c.bad = nil, true }
