package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// WriteJSON writes v as one line of JSON in one Write. What is not printable in the
// sense of [Escape] is written as \uXXXX, since the output may go to a terminal:
// encoding/json leaves DEL, C1 and the bidirectional controls as they are. Text that
// is not UTF-8 comes out with U+FFFD, so payloads that may be binary must be encoded
// by the caller.
func WriteJSON(w io.Writer, v any) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // <, > and & mean nothing on a terminal
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(appendASCII(make([]byte, 0, buf.Len()), buf.Bytes()))
	return err
}

// appendASCII appends the JSON text src to dst with every character that is not
// printable as an escape. Such characters stand only inside strings: outside them
// JSON is printable ASCII, and the newline at the end is left alone.
func appendASCII(dst, src []byte) []byte {
	for len(src) > 0 {
		r, size := utf8.DecodeRune(src)
		switch {
		case r == '\n' || unicode.IsPrint(r):
			dst = append(dst, src[:size]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, high, low)
		default:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		}
		src = src[size:]
	}
	return dst
}
