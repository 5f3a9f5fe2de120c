package envelope

import "slices"

// Message is one message of a payload. Its slices alias the payload (in a JSON
// frame: those that needed no decoding) and must not be changed; they are valid
// as long as the payload's memory is. An empty slice means not given, except for
// Body, which may be empty.
type Message struct {
	ID          []byte // at most 255 bytes
	Key         []byte // at most 255 bytes
	ContentType []byte // at most 255 bytes
	Trace       []byte // at most 255 bytes
	Body        []byte
	Time        int64 // ns since 1970 UTC; 0: not given
	TTL         int64 // ns; 0: not given
	Delay       int64 // ns; 0: not given
	ReplyType   int64 // mtype of the answer; 0: not given
	Priority    int8  // 0 to 9; -1: not given
}

const (
	maxAttribute = 255 // the longest id, key, content type and trace: their length is one byte
	maxPriority  = 9
)

// Detect says what a payload is, and how many messages it holds. It reads no
// more of it than its first byte asks for. What is not wholly well-formed, or of
// a kind that accept does not name, is Raw and one message.
func Detect(payload []byte, accept Accept) (kind Kind, count int) {
	var first Message
	kind, count, _, _ = Scan(payload, accept, &first)
	return kind, count
}

// Scan is [Detect] for those who want to know more, and decodes a payload once:
// it fills first with the first message, and gives the sum of the lengths of all
// bodies and whether one of the messages has a key.
func Scan(payload []byte, accept Accept, first *Message) (kind Kind, count, bodies int, keyed bool) {
	if kind = candidate(payload); kind != Raw && accept.Has(kind) {
		if count, bodies, keyed = scan(kind, payload, first); count > 0 {
			return kind, count, bodies, keyed
		}
	}
	*first = Message{Priority: -1, Body: slices.Clip(payload)}
	return Raw, 1, len(payload), false
}

// candidate is the kind that a payload's first byte asks for.
func candidate(payload []byte) Kind {
	if len(payload) > 0 {
		switch payload[0] {
		case magic[0]:
			return Envelope
		case 's':
			return PHP
		case '{', ' ', '\t', '\r', '\n':
			return JSON
		}
	}
	return Raw
}

// scan is Scan for a kind that payload may be of. It counts no message if one
// byte does not fit.
func scan(kind Kind, payload []byte, first *Message) (count, bodies int, keyed bool) {
	var r Reader
	var m Message
	r.Reset(kind, payload)
	announced := r.left
	for ; r.Next(&m); count++ {
		if count == 0 {
			*first = m
		}
		bodies += len(m.Body)
		keyed = keyed || len(m.Key) > 0
	}
	if count != announced || (kind == Envelope && len(r.rest) != 0) {
		return 0, 0, false
	}
	return count, bodies, keyed
}

// Reader walks over the messages of one payload, and allocates nothing but the
// strings of a JSON frame that had to be decoded. [Walk] is the short form, for
// where an allocation does not matter.
type Reader struct {
	rest []byte // what is still to be read
	left int    // messages still to be read
	kind Kind
}

// Reset makes r read payload as the kind that [Detect] gave for it. A payload
// that is not of that kind ends the walk at the first byte that does not fit.
func (r *Reader) Reset(kind Kind, payload []byte) {
	*r = Reader{rest: payload, left: 1, kind: kind}
	if kind == Envelope {
		n, body, ok := frameHeader(payload)
		if !ok {
			n = 0
		}
		r.rest, r.left = body, n
	}
}

// Next fills m with the next message, or reports false at the end.
func (r *Reader) Next(m *Message) bool {
	if r.left == 0 {
		return false
	}
	r.left--
	var ok bool
	switch r.kind {
	case Envelope:
		r.rest, ok = nextInFrame(r.rest, m)
	case JSON:
		ok = decodeJSON(r.rest, m)
	case PHP:
		*m = Message{Priority: -1}
		m.Body, ok = phpString(r.rest)
	case Raw:
		*m = Message{Priority: -1, Body: slices.Clip(r.rest)}
		ok = true
	}
	if !ok {
		r.left = 0
	}
	return ok
}

// Walk calls fn for each message of a payload that [Detect] called kind, in
// order, until fn returns false. The Message is valid until fn returns; its
// slices are valid as long as the payload is.
func Walk(kind Kind, payload []byte, fn func(i int, m *Message) bool) {
	var r Reader
	var m Message
	r.Reset(kind, payload)
	for i := 0; r.Next(&m) && fn(i, &m); i++ {
	}
}
