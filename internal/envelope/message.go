package envelope

import "slices"

import "sync"

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
	if len(payload) == 0 {
		return Raw, 1
	}
	switch payload[0] {
	case magic[0]:
		if accept.Has(Envelope) {
			if n := countFrame(payload); n > 0 {
				return Envelope, n
			}
		}
	case 's':
		if accept.Has(PHP) {
			if _, ok := phpString(payload); ok {
				return PHP, 1
			}
		}
	case '{', ' ', '\t', '\r', '\n':
		if accept.Has(JSON) {
			var m Message
			if decodeJSON(payload, &m) {
				return JSON, 1
			}
		}
	}
	return Raw, 1
}

// Reader walks over the messages of one payload. It is for callers that own the
// [Message] and want no function call in between; [Walk] is the short form.
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

// messages lends Walk its Message: a variable whose address goes to a function
// value is allocated anew in every call. It holds no data between calls.
var messages = sync.Pool{New: func() any { return new(Message) }}

// Walk calls fn for each message of a payload that [Detect] called kind, in
// order, until fn returns false. The Message is valid until fn returns; its
// slices are valid as long as the payload is. Walk does not allocate, except for
// the strings of a JSON frame that had to be decoded.
func Walk(kind Kind, payload []byte, fn func(i int, m *Message) bool) {
	var r Reader
	r.Reset(kind, payload)
	m := messages.Get().(*Message)
	for i := 0; r.Next(m) && fn(i, m); i++ {
	}
	*m = Message{} // or the pool would keep the payload alive
	messages.Put(m)
}
