package forward

import (
	"encoding/base64"
	"encoding/binary"
	"math/bits"
	"time"
	"unicode/utf8"
)

// appendString appends s as a JSON string (RFC 8259 section 7). What is not
// UTF-8 in s becomes U+FFFD, byte by byte, as encoding/json does it.
func appendString(dst, s []byte) []byte {
	if utf8.Valid(s) {
		return appendValid(dst, s)
	}
	dst = append(dst, '"')
	for len(s) > 0 {
		r, size := utf8.DecodeRune(s)
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, "\uFFFD"...)
		case mustEscape(s[0]):
			dst = appendEscape(dst, s[0])
		default:
			dst = append(dst, s[:size]...)
		}
		s = s[size:]
	}
	return append(dst, '"')
}

// appendValid is appendString for s that is known to be valid UTF-8: runs that
// need no escape, which is nearly always all of s, are copied whole. Where one
// byte needs an escape, more are near (JSON in JSON), so the 8 bytes from there
// on are looked at one by one: two to three times as fast on such text.
func appendValid(dst, s []byte) []byte {
	dst = append(dst, '"')
	for {
		n := plainRun(s)
		dst = append(dst, s[:n]...)
		if n == len(s) {
			return append(dst, '"')
		}
		near := min(n+8, len(s))
		for _, c := range s[n:near] {
			if mustEscape(c) {
				dst = appendEscape(dst, c)
			} else {
				dst = append(dst, c)
			}
		}
		s = s[near:]
	}
}

// plainRun is the length of the longest prefix of s without a byte that JSON
// wants escaped. It looks at 8 bytes at a time: the top bit of a byte of hit is
// set where the byte is under 0x20, a quote or a backslash. A borrow can set
// further bits above a true hit, never below, so the lowest one is right.
func plainRun(s []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := binary.LittleEndian.Uint64(s[i:])
		quote, backslash := x^(ones*'"'), x^(ones*'\\')
		hit := ((x - ones*0x20) &^ x) | ((quote - ones) &^ quote) | ((backslash - ones) &^ backslash)
		if hit &= tops; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for i < len(s) && !mustEscape(s[i]) {
		i++
	}
	return i
}

func mustEscape(c byte) bool { return c < 0x20 || c == '"' || c == '\\' }

// appendEscape appends c, one of the bytes of mustEscape, escaped.
func appendEscape(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
	}
}

// appendData appends the member that carries the payload: "data" with a string
// if body is UTF-8, else "data_base64" with RFC 4648 base64, padded. JSON has no
// other way to carry any bytes whatever without loss.
func appendData(dst, body []byte) []byte {
	if utf8.Valid(body) {
		return appendValid(append(dst, `"data":`...), body)
	}
	dst = append(dst, `"data_base64":"`...)
	return append(base64.StdEncoding.AppendEncode(dst, body), '"')
}

// appendID appends the id of m as a JSON string.
func appendID(dst []byte, m *Message) []byte {
	if len(m.ID) > 0 {
		return appendString(dst, m.ID)
	}
	return append(appendUUID(append(dst, '"'), m.UUID), '"')
}

// appendUUID appends the text form of a UUID (RFC 9562 section 4): the digits in
// groups of 8, 4, 4, 4 and 12.
func appendUUID(dst []byte, u [2]uint64) []byte {
	var text [36]byte
	a, b := hex8(uint32(u[0]>>32)), hex8(uint32(u[0]))
	c, d := hex8(uint32(u[1]>>32)), hex8(uint32(u[1]))
	binary.LittleEndian.PutUint64(text[0:], a)
	binary.LittleEndian.PutUint32(text[9:], uint32(b))
	binary.LittleEndian.PutUint32(text[14:], uint32(b>>32))
	binary.LittleEndian.PutUint32(text[19:], uint32(c))
	binary.LittleEndian.PutUint32(text[24:], uint32(c>>32))
	binary.LittleEndian.PutUint64(text[28:], d)
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return append(dst, text[:]...)
}

// hex8 gives the 8 hexadecimal digits of v, the highest in the lowest byte: the
// nibbles are spread over the bytes, and those over 9 moved on from ':' to 'a'.
func hex8(v uint32) uint64 {
	const ones = 0x0101010101010101
	x := uint64(bits.ReverseBytes32(v))
	x = (x | x<<16) & 0x0000FFFF0000FFFF
	x = (x | x<<8) & 0x00FF00FF00FF00FF
	x = (x>>4 | x<<8) & 0x0F0F0F0F0F0F0F0F
	over := (x + 6*ones) >> 4 & ones
	return x + '0'*ones + over*('a'-'0'-10)
}

// clock writes times, RFC 3339 in UTC, always with nine digits of fraction so
// that the text sorts as the time does. The messages of a batch mostly share
// their second, so that part is kept.
type clock struct {
	second int64
	text   [len("2006-01-02T15:04:05")]byte
	valid  bool
}

// append appends ns, unix nanoseconds. Every int64 lies between the years 1677
// and 2262, so the year has four digits.
func (c *clock) append(dst []byte, ns int64) []byte {
	const billion = int64(time.Second)
	second, frac := ns/billion, ns%billion
	if frac < 0 {
		second, frac = second-1, frac+billion
	}
	if !c.valid || second != c.second {
		time.Unix(second, 0).UTC().AppendFormat(c.text[:0], "2006-01-02T15:04:05")
		c.second, c.valid = second, true
	}
	dst = append(dst, c.text[:]...)
	fraction := [...]byte{'.', 0, 0, 0, 0, 0, 0, 0, 0, 0, 'Z'}
	for i := 9; i >= 1; i-- {
		fraction[i] = byte('0' + frac%10)
		frac /= 10
	}
	return append(dst, fraction[:]...)
}
