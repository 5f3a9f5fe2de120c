package forward

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

// strange are strings that JSON writers have got wrong before.
var strange = []string{
	"", "a", "plain text, longer than one word of eight bytes", `"`, `\`, "\x00", "\x1f", "\x20", "\x7f", "\x80", "\xff",
	"\b\f\n\r\t", "\u2028\u2029", "\uFFFD", "\uFEFF", "héllo wörld", "日本語テキスト", "😀", "1234567\"", "12345678\"", "\"1234567", "1234567\x1f",
	"\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x80", "ok\xffok", "</script>&'", strings.Repeat("x", 1000) + "\n",
}

// checkString holds appendString against encoding/json.
func checkString(t *testing.T, s []byte) {
	t.Helper()
	prefix := []byte("before")
	out := appendString(bytes.Clone(prefix), s)
	if !bytes.HasPrefix(out, prefix) {
		t.Fatalf("appendString(%q) overwrote what was there: %q", s, out)
	}
	out = out[len(prefix):]
	var got, want string
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("appendString(%q) = %q: %v", s, out, err)
	}
	reference, err := json.Marshal(string(s))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(reference, &want); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("appendString(%q) means %q, encoding/json says %q", s, got, want)
	}
}

func TestAppendString(t *testing.T) {
	for _, s := range strange {
		checkString(t, []byte(s))
	}
	// Every byte at every place of a word, alone among plain ones and twice.
	for c := range 256 {
		for at := range 17 {
			s := []byte("abcdefghijklmnopqrst")
			s[at] = byte(c)
			checkString(t, s)
			s[19-at] = byte(c)
			checkString(t, s)
		}
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range strange {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) { checkString(t, s) })
}

func TestPlainRun(t *testing.T) {
	slow := func(s []byte) int {
		for i, c := range s {
			if c < 0x20 || c == '"' || c == '\\' {
				return i
			}
		}
		return len(s)
	}
	// All pairs of bytes next to each other: a borrow of the first must not
	// hide or invent the second.
	for a := range 256 {
		for b := range 256 {
			s := []byte{'x', 'y', byte(a), byte(b), 0xff, 0x80, 0x21, 0x7f, 'z'}
			if got, want := plainRun(s), slow(s); got != want {
				t.Fatalf("plainRun(%q) = %d, want %d", s, got, want)
			}
		}
	}
}

func TestClock(t *testing.T) {
	var c clock
	times := []int64{0, 1, -1, 999_999_999, 1_000_000_000, -1_000_000_000, sample, sample, sample + 1, math.MaxInt64, math.MinInt64, 951782400e9, 1709164800e9}
	for _, ns := range times {
		got := string(c.append([]byte("x"), ns)[1:])
		if want := time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000000Z"); got != want {
			t.Errorf("time %d = %s, want %s", ns, got, want)
		}
		if back, err := time.Parse(time.RFC3339Nano, got); err != nil || back.UnixNano() != ns {
			t.Errorf("%s parsed back = %v, %v; want %d", got, back.UnixNano(), err, ns)
		}
	}
}
