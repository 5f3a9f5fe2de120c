package envelope

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep the values that we skip may nest. The scanner calls
// itself for each level, and the stack must not grow with what a stranger sends.
const maxDepth = 1000

// scanner splits JSON text (RFC 8259) into tokens without copying.
type scanner struct {
	p []byte
	i int // the next byte
}

// peek gives the next byte, 0 at the end. A NUL byte is valid nowhere in JSON,
// so the two need not be told apart.
func (s *scanner) peek() byte {
	if s.i < len(s.p) {
		return s.p[s.i]
	}
	return 0
}

// next takes c if it is the next byte.
func (s *scanner) next(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.i++
	return true
}

func (s *scanner) space() {
	for s.i < len(s.p) {
		switch s.p[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

// members reads the rest of an object after its '{', and calls fn with each name
// and value as they stand in the text. It reports whether the object is well
// formed and fn was content with every member.
func (s *scanner) members(fn func(name, value []byte) bool) bool {
	return s.list('}', func() bool {
		start := s.i
		if !s.str() {
			return false
		}
		name := s.p[start:s.i]
		s.space()
		if !s.next(':') {
			return false
		}
		s.space()
		start = s.i
		return s.value(1) && fn(name, s.p[start:s.i])
	})
}

// list reads the elements of an object or array after its opening bracket.
func (s *scanner) list(end byte, element func() bool) bool {
	s.space()
	if s.next(end) {
		return true
	}
	for {
		s.space()
		if !element() {
			return false
		}
		s.space()
		if s.next(end) {
			return true
		}
		if !s.next(',') {
			return false
		}
	}
}

// value skips one value of any type.
func (s *scanner) value(depth int) bool {
	switch c := s.peek(); c {
	case '"':
		return s.str()
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	case '{', '[':
		return s.compound(depth)
	default:
		return s.number()
	}
}

func (s *scanner) compound(depth int) bool {
	if depth == maxDepth {
		return false
	}
	if s.next('[') {
		return s.list(']', func() bool { return s.value(depth + 1) })
	}
	s.i++
	return s.list('}', func() bool {
		if !s.str() {
			return false
		}
		s.space()
		if !s.next(':') {
			return false
		}
		s.space()
		return s.value(depth + 1)
	})
}

func (s *scanner) literal(word string) bool {
	if !bytes.HasPrefix(s.p[s.i:], []byte(word)) {
		return false
	}
	s.i += len(word)
	return true
}

// number takes [ - ] int [ frac ] [ exp ].
func (s *scanner) number() bool {
	s.next('-')
	if !s.next('0') && !s.digits() {
		return false
	}
	if s.next('.') && !s.digits() {
		return false
	}
	if s.next('e') || s.next('E') {
		if !s.next('+') {
			s.next('-')
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	start := s.i
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.i++
	}
	return s.i > start
}

// str skips a string with its quotes.
func (s *scanner) str() bool {
	if !s.next('"') {
		return false
	}
	for i := s.i; i < len(s.p); i++ {
		switch c := s.p[i]; {
		case c == '"':
			s.i = i + 1
			return true
		case c < ' ':
			return false
		case c == '\\':
			if s.i = i + 1; !s.escape() {
				return false
			}
			i = s.i - 1
		}
	}
	return false
}

// escape skips what follows a backslash.
func (s *scanner) escape() bool {
	c := s.peek()
	s.i++
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		_, ok := hex4(s.p[min(s.i, len(s.p)):])
		s.i += 4
		return ok
	}
	return false
}

func hex4(p []byte) (r rune, ok bool) {
	if len(p) < 4 {
		return 0, false
	}
	for _, c := range p[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unquote gives the bytes that a string token stands for: a part of the token
// itself where it has no escapes. It reports false for a token that is not a
// string, and for half a surrogate pair, which stands for no bytes at all.
func unquote(token []byte) ([]byte, bool) {
	if len(token) < 2 || token[0] != '"' {
		return nil, false
	}
	token = token[1 : len(token)-1 : len(token)-1]
	next := bytes.IndexByte(token, '\\')
	if next < 0 {
		return token, true
	}
	out := make([]byte, 0, len(token))
	for next >= 0 {
		out = append(out, token[:next]...)
		var n int
		if out, n = appendEscape(out, token[next:]); n == 0 {
			return nil, false
		}
		token = token[next+n:]
		next = bytes.IndexByte(token, '\\')
	}
	return append(out, token...), true
}

// appendEscape appends what the escape at the front of p stands for; n is its
// length, 0 for half a surrogate pair. p has passed the scanner.
func appendEscape(out, p []byte) (appended []byte, n int) {
	switch c := p[1]; c {
	case 'b':
		return append(out, '\b'), 2
	case 'f':
		return append(out, '\f'), 2
	case 'n':
		return append(out, '\n'), 2
	case 'r':
		return append(out, '\r'), 2
	case 't':
		return append(out, '\t'), 2
	case 'u':
	default:
		return append(out, c), 2
	}
	r, _ := hex4(p[2:])
	if !utf16.IsSurrogate(r) {
		return utf8.AppendRune(out, r), 6
	}
	if len(p) < 12 || p[6] != '\\' || p[7] != 'u' {
		return out, 0
	}
	low, _ := hex4(p[8:])
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return out, 0
	}
	return utf8.AppendRune(out, r), 12
}
