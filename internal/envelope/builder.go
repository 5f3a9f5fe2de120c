package envelope

// Builder writes a binary frame into a buffer of the caller, message by message.
// The zero Builder has no room: call Reset first. It is not safe for concurrent
// use.
type Builder struct {
	buf   []byte // its length is the room
	n     int    // bytes written, the header included
	count int
}

// Reset starts a new frame in buf. The frame never grows beyond len(buf).
func (b *Builder) Reset(buf []byte) { *b = Builder{buf: buf, n: HeaderLen} }

// Count is the number of messages in the frame.
func (b *Builder) Count() int { return b.count }

// Len is the length of what Finish would return, in bytes: 0 without a message.
func (b *Builder) Len() int {
	if b.count == 0 {
		return 0
	}
	return b.n
}

// MaxOverhead is what a frame with m alone has more than the body, in bytes.
// Further messages in the frame cost HeaderLen less.
func (b *Builder) MaxOverhead(m *Message) int { return HeaderLen + MessageLen + attributesLen(m) }

// Add appends m. It reports false, and writes nothing, when m does not fit into
// the room that is left or cannot be written in a frame: an id, key, content
// type or trace over 255 bytes, a priority over 9, a negative ttl, delay, reply
// type or time.
func (b *Builder) Add(m *Message) bool {
	if !writable(m) {
		return false
	}
	need := MessageLen + attributesLen(m) + len(m.Body)
	if len(b.buf)-b.n < need {
		return false
	}
	p := b.buf[b.n : b.n+need]
	le.PutUint32(p, uint32(len(m.Body)))
	flags, rest := putAttributes(p[MessageLen:], m)
	le.PutUint16(p[4:], flags)
	copy(rest, m.Body)
	b.n += need
	b.count++
	return true
}

// Finish completes the header and gives the frame, which lies at the front of
// the buffer. Without a message it gives an empty slice. Messages may be added
// after it; Finish is then called again.
func (b *Builder) Finish() []byte {
	if b.count == 0 {
		return b.buf[:0]
	}
	copy(b.buf, magic)
	le.PutUint32(b.buf[4:], uint32(b.n))
	le.PutUint32(b.buf[8:], uint32(b.count))
	return b.buf[:b.n]
}

// writable reports whether a frame can hold m. A bitwise or is over 255, or
// negative, if one of its operands is.
func writable(m *Message) bool {
	return len(m.ID)|len(m.Key)|len(m.ContentType)|len(m.Trace) <= maxAttribute &&
		m.Priority <= maxPriority && m.TTL|m.Delay|m.ReplyType|m.Time >= 0
}

func attributesLen(m *Message) int {
	n := bytesLen(m.ID) + bytesLen(m.Key) + bytesLen(m.ContentType) + bytesLen(m.Trace) +
		int64Len(m.TTL) + int64Len(m.Delay) + int64Len(m.ReplyType) + int64Len(m.Time)
	if m.Priority >= 0 {
		n++
	}
	return n
}

func bytesLen(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	return 1 + len(b)
}

func int64Len(v int64) int {
	if v == 0 {
		return 0
	}
	return 8
}

// putAttributes writes the attributes of m in the order of their flag bits. p
// has room for attributesLen(m) bytes and the body.
func putAttributes(p []byte, m *Message) (flags uint16, rest []byte) {
	p = putBytes(p, m.ID, flagID, &flags)
	p = putBytes(p, m.Key, flagKey, &flags)
	if m.Priority >= 0 {
		p[0] = byte(m.Priority)
		p = p[1:]
		flags |= flagPriority
	}
	p = putInt64(p, m.TTL, flagTTL, &flags)
	p = putInt64(p, m.Delay, flagDelay, &flags)
	p = putBytes(p, m.ContentType, flagContentType, &flags)
	p = putInt64(p, m.ReplyType, flagReplyType, &flags)
	p = putBytes(p, m.Trace, flagTrace, &flags)
	p = putInt64(p, m.Time, flagTime, &flags)
	return flags, p
}

func putBytes(p, b []byte, flag uint16, flags *uint16) []byte {
	if len(b) == 0 {
		return p
	}
	p[0] = byte(len(b))
	copy(p[1:], b)
	*flags |= flag
	return p[1+len(b):]
}

func putInt64(p []byte, v int64, flag uint16, flags *uint16) []byte {
	if v == 0 {
		return p
	}
	le.PutUint64(p, uint64(v))
	*flags |= flag
	return p[8:]
}
