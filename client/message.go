package client

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"math"
	"time"
	"unsafe"

	"github.com/mqdaemon/mqd/internal/envelope"
)

// Message is one message to be forwarded.
type Message struct {
	// ID is the sender's own name for the message, at most 255 bytes; "" lets
	// the daemon give one.
	ID string

	// Key groups messages that must keep their order, at most 255 bytes; "" is
	// none.
	Key string

	// ContentType is the media type of Body, at most 255 bytes; "" is not said.
	ContentType string

	// Type is the mtype on a System V queue, at least 1; on a POSIX queue the
	// msg_prio plus 1, 1 to 32768. 0 stands for 1.
	Type int64

	// Body is the payload. It may be empty. It is not kept after the call.
	Body []byte

	// Time is when the message was made, from 1970 to 2261; zero stands for the
	// time of the call.
	Time time.Time
}

// headerSize is the mtype in front of the text, a long of the machine (msgop(2)).
// mqd runs on 64-bit machines only.
const headerSize = 8

// frame is the memory in which one kernel message is put together: mtype, then
// the binary envelope.
type frame struct {
	buf     []byte
	builder envelope.Builder
	mtype   int64
}

const (
	frameSize = headerSize + 8192     // holds what the default msgmax lets through
	frameKeep = headerSize + packMost // larger buffers are not kept for the next call
)

// reset starts a kernel message of a type with a text of at most limit bytes.
func (f *frame) reset(mtype int64, limit int) {
	if cap(f.buf) < headerSize+limit {
		f.buf = make([]byte, headerSize+limit)
	}
	f.mtype = mtype
	binary.NativeEndian.PutUint64(f.buf[:headerSize], uint64(mtype))
	f.builder.Reset(f.buf[headerSize : headerSize+limit])
}

// add appends m, which was made at now (ns since 1970) if it does not say when.
// It reports false if m does not fit or cannot be written; checkMessage knows
// which.
func (f *frame) add(m *Message, now int64) bool {
	var e envelope.Message
	wrap(&e, m, now)
	return f.builder.Add(&e)
}

// bytes completes the kernel message.
func (f *frame) bytes() []byte { return f.buf[:headerSize+len(f.builder.Finish())] }

// wrap sets e to m as the envelope has it. Every message goes in a frame, even one
// without attributes: a bare body could look like a frame of its own. The time
// goes along because a message may wait in the kernel for hours, and the kernel
// keeps no time for it.
func wrap(e *envelope.Message, m *Message, now int64) {
	if !m.Time.IsZero() {
		now = unixNano(m.Time)
	}
	e.ID = bytesOf(m.ID)
	e.Key = bytesOf(m.Key)
	e.ContentType = bytesOf(m.ContentType)
	e.Body = m.Body
	e.Time = now
	e.Priority = -1
}

// unixNano is t.UnixNano(), and -1, which no frame takes, outside its range.
func unixNano(t time.Time) int64 {
	if s := t.Unix(); s < 0 || s >= math.MaxInt64/int64(time.Second) {
		return -1
	}
	return t.UnixNano()
}

// bytesOf gives the bytes of s without copying them. They are only read, and not
// kept.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// textSize is the size of a kernel message that holds m alone, without mtype.
func textSize(m *Message) int {
	var e envelope.Message
	wrap(&e, m, 1) // any time takes the same room
	var b envelope.Builder
	return b.MaxOverhead(&e) + len(m.Body)
}

// checkMessage says why a frame cannot hold m, however large it is.
func checkMessage(m *Message) error {
	for _, a := range [...]struct{ name, value string }{
		{"id", m.ID}, {"key", m.Key}, {"content type", m.ContentType},
	} {
		if len(a.value) > math.MaxUint8 {
			return fmt.Errorf("%s of %d bytes, at most %d: %w", a.name, len(a.value), math.MaxUint8, fs.ErrInvalid)
		}
	}
	if !m.Time.IsZero() && unixNano(m.Time) < 0 {
		return fmt.Errorf("time %v, want one from 1970 to 2261: %w", m.Time, fs.ErrInvalid)
	}
	return nil
}

// mtypeOf gives the mtype of m.
func mtypeOf(m *Message) int64 {
	if m.Type == 0 {
		return 1
	}
	return m.Type
}
