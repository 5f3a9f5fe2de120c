package forward

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// jsonTexts are valid, nearly valid and not valid.
var jsonTexts = []string{
	``, ` `, `null`, `true`, `false`, `nul`, `nulll`, `True`, `tru`, ` null `, "\t\r\nnull\n", "\fnull", "null\x00", `0`, `-0`, `-`, `+1`, `01`, `-01`, `1.`, `.1`, `1.0`, `1e`, `1e+`, `1e+1`,
	`1E-10`, `1.5e3.2`, `0x1`, `1_0`, `NaN`, `Infinity`, `"`, `""`, `"a`, `a"`, `"a"b`, `"\"`, `"\""`, `"\\"`, `"\/\b\f\n\r\t"`, `"\a"`, `"\u"`, `"\u00"`, `"\u00e9"`, `"\u00eg"`, `"\uD800"`,
	"\"\n\"", "\"\x7f\"", "\"\x1f\"", "\"\xff\"", `[]`, `[`, `]`, `[1]`, `[1,]`, `[,1]`, `[1,2]`, `[1 2]`, `[ 1 , 2 ]`, `[[]]`, `[[]`, `[]]`, `{}`, `{`, `}`, `{"a"}`, `{"a":}`, `{"a":1}`, `{"a":1,}`,
	`{"a":1,"b":[{}]}`, `{a:1}`, `{'a':1}`, `{1:1}`, `{"a" : 1 , "a" : 2}`, `{"a":1]`, `[1}`, `{,}`, `{"a":1 "b":2}`, `/**/1`, `1//`, `1,2`, `1 2`, "\xef\xbb\xbf1",
}

func TestValidJSON(t *testing.T) {
	for _, s := range jsonTexts {
		checkValid(t, []byte(s))
		for _, frame := range []string{"[%]", `{"k":%}`, `[0,%,[],{}]`, "%%"} {
			checkValid(t, []byte(strings.ReplaceAll(frame, "%", s)))
		}
	}
	// Every prefix of a text that has everything.
	whole := `{"a":[1,-2.5e+10,true,false,null,"x\u00e9\"\\"],"b":{"c":{}}, "long enough for words":"0123456789abcdef\n"}`
	for i := range len(whole) + 1 {
		checkValid(t, []byte(whole[:i]))
	}
	for _, pair := range [][2]string{{"[", "]"}, {`{"a":`, "}"}} {
		for depth, want := range map[int]bool{1: true, maxNesting: true, maxNesting + 1: false, 1_000_000: false} {
			s := strings.Repeat(pair[0], depth) + "1" + strings.Repeat(pair[1], depth)
			if got := validJSON([]byte(s)); got != want {
				t.Errorf("nested %d deep: %v", depth, got)
			}
		}
	}
}

func checkValid(t *testing.T, s []byte) {
	t.Helper()
	want := utf8.Valid(s) && json.Valid(s)
	if got := validJSON(s); got != want {
		t.Errorf("validJSON(%q) = %v, encoding/json says %v", s, got, want)
	}
}

func FuzzValidJSON(f *testing.F) {
	for _, s := range jsonTexts {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		if strings.Count(string(s), "[")+strings.Count(string(s), "{") <= maxNesting {
			checkValid(t, s)
		}
	})
}
