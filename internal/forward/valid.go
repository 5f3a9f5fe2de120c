package forward

import "unicode/utf8"

// maxNesting is how deep arrays and objects in a payload may lie in each other
// for it to go out as a JSON value. Receivers have limits of their own (PHP 512
// by default), and a batch that one message makes unreadable is lost for all of
// its messages; a payload that is nested deeper goes as a string.
const maxNesting = 500

// validJSON reports whether s is one JSON text (RFC 8259) in UTF-8, nested at
// most maxNesting deep. It is not json.Valid because that takes up to four times
// as long, allocates for a text that is not valid, and lets bytes pass that are
// not UTF-8.
//
// The functions below take the index where a part begins and give the index
// after it, or -1.
func validJSON(s []byte) bool {
	if !utf8.Valid(s) {
		return false
	}
	i := skipValue(s, skipSpace(s, 0), maxNesting)
	return i >= 0 && skipSpace(s, i) == len(s)
}

func skipSpace(s []byte, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

func skipValue(s []byte, i, nesting int) int {
	if i >= len(s) {
		return -1
	}
	switch s[i] {
	case '"':
		return skipString(s, i)
	case '{':
		return skipList(s, i, '}', nesting)
	case '[':
		return skipList(s, i, ']', nesting)
	case 't':
		return skipWord(s, i, "true")
	case 'f':
		return skipWord(s, i, "false")
	case 'n':
		return skipWord(s, i, "null")
	default:
		return skipNumber(s, i)
	}
}

func skipWord(s []byte, i int, word string) int {
	if len(s)-i < len(word) || string(s[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

// skipList skips an object or an array; end tells which.
func skipList(s []byte, i int, end byte, nesting int) int {
	if nesting == 0 {
		return -1
	}
	i = skipSpace(s, i+1)
	if i < len(s) && s[i] == end {
		return i + 1
	}
	for {
		if end == '}' {
			if i = skipName(s, i); i < 0 {
				return -1
			}
		}
		if i = skipValue(s, i, nesting-1); i < 0 {
			return -1
		}
		i = skipSpace(s, i)
		switch {
		case i < len(s) && s[i] == end:
			return i + 1
		case i < len(s) && s[i] == ',':
			i = skipSpace(s, i+1)
		default:
			return -1
		}
	}
}

// skipName skips the name of a member, the colon and the space around it.
func skipName(s []byte, i int) int {
	if i >= len(s) || s[i] != '"' {
		return -1
	}
	if i = skipString(s, i); i < 0 {
		return -1
	}
	i = skipSpace(s, i)
	if i >= len(s) || s[i] != ':' {
		return -1
	}
	return skipSpace(s, i+1)
}

func skipString(s []byte, i int) int {
	for i++; ; {
		i += plainRun(s[i:])
		if i+1 < len(s) && s[i] == '\\' {
			if i = skipEscape(s, i+1); i < 0 {
				return -1
			}
			continue
		}
		if i < len(s) && s[i] == '"' {
			return i + 1
		}
		return -1
	}
}

// skipEscape skips what follows a backslash.
func skipEscape(s []byte, i int) int {
	switch s[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
	default:
		return -1
	}
	if len(s)-i < len("uXXXX") {
		return -1
	}
	for _, c := range s[i+1 : i+5] {
		hex := '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
		if !hex {
			return -1
		}
	}
	return i + 5
}

func skipNumber(s []byte, i int) int {
	if i < len(s) && s[i] == '-' {
		i++
	}
	if i < len(s) && s[i] == '0' {
		i++
	} else if i = skipDigits(s, i); i < 0 {
		return -1
	}
	if i < len(s) && s[i] == '.' {
		if i = skipDigits(s, i+1); i < 0 {
			return -1
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		return skipDigits(s, i)
	}
	return i
}

// skipDigits skips one digit or more.
func skipDigits(s []byte, i int) int {
	begin := i
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	if i == begin {
		return -1
	}
	return i
}
