package cli

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Escape gives s in a form that is safe to print on a terminal and cannot be
// mistaken for anything else: what is not printable is written as \n, \t, \r, \xNN,
// \uNNNN or \UNNNNNNNN, and a backslash as two.
//
// Printable is what [unicode.IsPrint] says: letters, marks, numbers, punctuation,
// symbols and the ASCII space. So C0, DEL, C1, the bidirectional controls, other
// format characters, private use, unassigned code points and invalid UTF-8 never
// reach the terminal (CWE-150).
func Escape[B string | []byte](s B) string {
	return string(AppendEscaped(make([]byte, 0, len(s)), s))
}

// AppendEscaped appends what [Escape] gives of s to dst.
func AppendEscaped[B string | []byte](dst []byte, s B) []byte {
	return appendSafe(dst, string(s), true)
}

// printable is [Escape] without the doubled backslash: for text that is already
// worded for people, where a backslash mostly comes from a %q.
func printable(s string) string {
	return string(appendSafe(make([]byte, 0, len(s)), s, false))
}

func appendSafe(dst []byte, s string, doubleBackslash bool) []byte {
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			dst = appendHexByte(dst, s[0])
		case r == '\\' && doubleBackslash:
			dst = append(dst, `\\`...)
		case unicode.IsPrint(r):
			dst = append(dst, s[:size]...)
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r < utf8.RuneSelf:
			dst = appendHexByte(dst, byte(r))
		default:
			// The standard library's form of a code point outside ASCII, without
			// the quotes around it.
			quoted := strconv.QuoteRuneToASCII(r)
			dst = append(dst, quoted[1:len(quoted)-1]...)
		}
		s = s[size:]
	}
	return dst
}

func appendHexByte(dst []byte, b byte) []byte {
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'x', digits[b>>4], digits[b&0xf])
}
