package envelope

import (
	"bytes"
	"encoding/base64"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// jsonMark is in every JSON frame. It is looked for before anything is parsed,
// so that JSON payloads that are not ours cost one search.
const jsonMark = `"mqd"`

// decodeJSON reads a JSON frame, and reports false for anything else: an object
// without "mqd":1, without data or with both kinds of it, with a known member of
// another type or given twice. Members it does not know are ignored, and so is a
// known one that is null. Names are compared exactly, as RFC 8259 has it (which
// is why encoding/json, blind to case, is not used here).
func decodeJSON(payload []byte, m *Message) bool {
	s := scanner{p: payload}
	s.space()
	if !s.next('{') || !bytes.Contains(payload, []byte(jsonMark)) || !utf8.Valid(payload) {
		return false
	}
	*m = Message{Priority: -1}
	var f jsonFrame
	if !s.members(func(name, value []byte) bool { return f.member(m, name, value) }) {
		return false
	}
	s.space()
	return s.i == len(payload) && f.seen&seenMark != 0 && (f.seen&seenData != 0) != (f.seen&seenBase64 != 0)
}

// jsonFrame notes which members were there.
type jsonFrame struct{ seen uint16 }

const (
	seenMark = 1 << iota
	seenData
	seenBase64
	seenID
	seenKey
	seenPriority
	seenTTL
	seenDelay
	seenContentType
	seenReplyType
)

// member takes one member of the object; name and value are the tokens as they
// stand in the payload.
func (f *jsonFrame) member(m *Message, name, value []byte) (ok bool) {
	if string(value) == "null" {
		return true
	}
	name, ok = unquote(name)
	if !ok {
		return true // half a surrogate pair: none of ours
	}
	var bit uint16
	switch string(name) {
	case "mqd":
		bit, ok = seenMark, string(value) == "1"
	case "data":
		bit = seenData
		m.Body, ok = unquote(value)
	case "data_base64":
		bit = seenBase64
		m.Body, ok = unbase64(value)
	case "id":
		bit = seenID
		m.ID, ok = shortString(value)
	case "key":
		bit = seenKey
		m.Key, ok = shortString(value)
	case "content_type":
		bit = seenContentType
		m.ContentType, ok = shortString(value)
	case "priority":
		bit = seenPriority
		var v int64
		v, ok = integer(value, maxPriority)
		m.Priority = int8(v)
	case "ttl":
		bit = seenTTL
		m.TTL, ok = duration(value)
	case "delay":
		bit = seenDelay
		m.Delay, ok = duration(value)
	case "reply_type":
		bit = seenReplyType
		m.ReplyType, ok = integer(value, math.MaxInt64)
	default:
		return true
	}
	if f.seen&bit != 0 {
		return false
	}
	f.seen |= bit
	return ok
}

func shortString(value []byte) ([]byte, bool) {
	b, ok := unquote(value)
	return b, ok && len(b) <= maxAttribute
}

func unbase64(value []byte) ([]byte, bool) {
	text, ok := unquote(value)
	if !ok {
		return nil, false
	}
	b := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(b, text)
	return b[:n], err == nil
}

// integer reads a number without fraction or exponent from 0 to limit.
func integer(value []byte, limit int64) (int64, bool) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	return n, err == nil && n >= 0 && n <= limit
}

// duration reads "10s" (see time.ParseDuration) or a number of seconds, and
// gives nanoseconds, not negative.
func duration(value []byte) (int64, bool) {
	if value[0] == '"' {
		text, ok := unquote(value)
		if !ok {
			return 0, false
		}
		d, err := time.ParseDuration(string(text))
		return int64(d), err == nil && d >= 0
	}
	if value[0] != '-' && (value[0] < '0' || value[0] > '9') {
		return 0, false
	}
	seconds, err := strconv.ParseFloat(string(value), 64)
	if err != nil || seconds < 0 || seconds >= math.MaxInt64/1e9 {
		return 0, false
	}
	return int64(math.Round(seconds * 1e9)), true
}
