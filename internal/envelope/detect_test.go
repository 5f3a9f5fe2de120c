package envelope_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mqdaemon/mqd/internal/envelope"
	"pgregory.net/rapid"
)

// only gives the single message of a payload with what Detect called it.
func only(t testing.TB, payload string) (envelope.Kind, envelope.Message) {
	t.Helper()
	kind, n := envelope.Detect([]byte(payload), envelope.AcceptAll)
	if n != 1 {
		t.Fatalf("%q: %d messages, want 1", payload, n)
	}
	var got envelope.Message
	envelope.Walk(kind, []byte(payload), func(_ int, m *envelope.Message) bool {
		got = *m
		return true
	})
	return kind, got
}

func TestJSONFrame(t *testing.T) {
	const sec = 1_000_000_000
	for payload, want := range map[string]envelope.Message{
		`{"mqd":1,"data":"hello"}`:                    {Body: []byte("hello"), Priority: -1},
		" \t\r\n{ \"mqd\" : 1 , \"data\" : \"\" } \n": {Priority: -1},
		`{"data_base64":"AP8=","mqd":1}`:              {Body: []byte{0, 255}, Priority: -1},
		`{"mqd":1,"data":"x","id":"i","key":"k","priority":9,"ttl":"10s","delay":1.5,"content_type":"a/b","reply_type":4}`: {
			Body: []byte("x"), ID: []byte("i"), Key: []byte("k"), Priority: 9, TTL: 10 * sec, Delay: 1.5 * sec,
			ContentType: []byte("a/b"), ReplyType: 4,
		},
		`{"mqd":1,"data":"x","priority":0,"ttl":0,"delay":"0s"}`:                        {Body: []byte("x")},
		`{"mqd":1,"data":"x","ttl":60,"delay":"250ms"}`:                                 {Body: []byte("x"), TTL: 60 * sec, Delay: sec / 4, Priority: -1},
		`{"mqd":1,"data":"x","ttl":1e2}`:                                                {Body: []byte("x"), TTL: 100 * sec, Priority: -1},
		`{"mqd":1,"data":"x","key":null,"id":null,"ttl":null,"data_base64":null}`:       {Body: []byte("x"), Priority: -1},
		`{"mqd":1,"data":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é\u0000"}`:                  {Body: []byte("\"\\/\b\f\n\r\té😀é\x00"), Priority: -1},
		`{"mqd":1,"\u0064ata":"x"}`:                                                     {Body: []byte("x"), Priority: -1},
		`{"mqd":1,"data":"x","more":{"a":[1,-2.5e+3,true,false,null,"\ud800"],"b":{}}}`: {Body: []byte("x"), Priority: -1},
		`{"mqd":1,"data":"x","Key":7,"DATA":false,"\ud800":0}`:                          {Body: []byte("x"), Priority: -1},
		`{"mqd":1,"data":"x","key":"` + strings.Repeat("k", 255) + `"}`:                 {Body: []byte("x"), Key: []byte(strings.Repeat("k", 255)), Priority: -1},
		`{"mqd":1,"data":"x","more":` + nested(999) + `}`:                               {Body: []byte("x"), Priority: -1},
	} {
		kind, got := only(t, payload)
		if kind != envelope.JSON || !equal(&got, &want) {
			t.Errorf("%s: %v %+v, want json %+v", payload, kind, got, want)
		}
	}
}

func nested(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

// TestNotAJSONFrame: what is not wholly a JSON frame stays as it is.
func TestNotAJSONFrame(t *testing.T) {
	for _, payload := range []string{
		`{}`, `{`, `{"mqd":1`, `[{"mqd":1,"data":"x"}]`, `"mqd"`,
		`{"mqd":1}`,
		`{"mqd":1,"data":"x","data_base64":"eA=="}`,
		`{"mqd":1,"data":null}`,
		`{"mqd":2,"data":"x"}`, `{"mqd":1.0,"data":"x"}`, `{"mqd":"1","data":"x"}`, `{"mqd":true,"data":"x"}`,
		`{"mqd":null,"data":"x"}`, `{"data":"\"mqd\""}`, `{"more":{"mqd":1,"data":"x"}}`, `{"MQD":1,"\"mqd\"":1,"data":"x"}`,
		`{"mqd":1,"data":5}`, `{"mqd":1,"data":{"a":1}}`, `{"mqd":1,"data":["x"]}`,
		`{"mqd":1,"data_base64":"A"}`, `{"mqd":1,"data_base64":"?A=="}`, `{"mqd":1,"data_base64":1}`,
		`{"mqd":1,"data":"x","id":1}`, `{"mqd":1,"data":"x","key":1}`, `{"mqd":1,"data":"x","content_type":[]}`,
		`{"mqd":1,"data":"x","key":"` + strings.Repeat("k", 256) + `"}`,
		`{"mqd":1,"data":"x","id":"` + strings.Repeat("k", 256) + `"}`,
		`{"mqd":1,"data":"x","priority":10}`, `{"mqd":1,"data":"x","priority":-1}`, `{"mqd":1,"data":"x","priority":1.5}`,
		`{"mqd":1,"data":"x","priority":"5"}`, `{"mqd":1,"data":"x","priority":99999999999999999999}`,
		`{"mqd":1,"data":"x","ttl":"10"}`, `{"mqd":1,"data":"x","ttl":"-1s"}`, `{"mqd":1,"data":"x","ttl":-1}`,
		`{"mqd":1,"data":"x","ttl":true}`, `{"mqd":1,"data":"x","ttl":9223372037}`, `{"mqd":1,"data":"x","ttl":1e400}`,
		`{"mqd":1,"data":"x","delay":{}}`, `{"mqd":1,"data":"x","reply_type":-1}`, `{"mqd":1,"data":"x","reply_type":"a"}`,
		`{"mqd":1,"data":"x","data":"y"}`, `{"mqd":1,"mqd":1,"data":"x"}`, `{"mqd":1,"data":"x","key":"a","key":"a"}`,
		`{"mqd":1,"data":"\ud800"}`, `{"mqd":1,"data":"\ud800\u0041"}`, `{"mqd":1,"data":"\udc00\ud800"}`, `{"mqd":1,"data":"\ud83d"}`,
		"{\"mqd\":1,\"data\":\"\xff\"}", "{\"mqd\":1,\"data\":\"a\nb\"}", `{"mqd":1,"data":"\x"}`, `{"mqd":1,"data":"\u12"}`,
		`{"mqd":1,"data":"x",}`, `{"mqd":1 "data":"x"}`, `{"mqd":1,"data":"x"} x`, `{"mqd":1,"data":"x"}{}`, `{mqd:1,"data":"x"}`,
		`{"mqd":1,"data":"x","a":01}`, `{"mqd":1,"data":"x","a":1.}`, `{"mqd":1,"data":"x","a":-}`, `{"mqd":1,"data":"x","a":1e}`,
		`{"mqd":1,"data":"x","a":tru}`, `{"mqd":1,"data":"x","a":[1,]}`, `{"mqd":1,"data":"x","a":{1:2}}`, `{"mqd":1,"data":"x","a":{"b"}}`,
		`{"mqd":1,"data":"x","a":}`, `{"mqd":1,"data":"x`, `{"mqd":1,"data":"x\`, `{"mqd":1,"data":"x"` + "\x00}",
		`{"mqd":1,"data":"x","more":` + nested(1000) + `}`,
		`{"mqd":1,"data":"x","more":` + strings.Repeat("[", 1<<20),
	} {
		kind, got := only(t, payload)
		if kind != envelope.Raw || string(got.Body) != payload {
			t.Errorf("%.100s: %v with body %.100q, want raw with the payload", payload, kind, got.Body)
		}
	}
}

func TestPHP(t *testing.T) {
	for payload, want := range map[string]string{
		`s:5:"hello";`: "hello", `s:0:"";`: "", `s:1:"";`: "-", `s:3:"";"";`: `";"`, "s:2:\"\xc3\xa9\";": "é",
		`s:10:"0123456789";`: "0123456789",
		// Not exactly a string: each stays as it is.
		`s:4:"hello";`: "-", `s:6:"hello";`: "-", `s:5:"hello"; `: "-", ` s:5:"hello";`: "-", `s:5:"hello"`: "-",
		`s:5:"hello":`: "-", `s:18446744073709551621:"hello";`: "-", `s:5:hello;`: "-", `s:5:"hello`: "-", `s::"";`: "-", `s:00:"";`: "-", `s:05:"hello";`: "-", `s:+5:"hello";`: "-",
		`s:-1:"";`: "-", `S:5:"hello";`: "-", `i:42;`: "-", `a:1:{i:0;s:1:"x";}`: "-", `s:5:"hello";s:1:"x";`: "-",
		`s:99999999999999999999999:"x";`: "-", `s`: "-", `s:`: "-", `s:0:"`: "-", `s:5:'hello';`: "-", `s:5x"hello";`: "-",
	} {
		kind, got := only(t, payload)
		if want == "-" {
			if kind != envelope.Raw || string(got.Body) != payload {
				t.Errorf("%q: %v with body %q, want raw with the payload", payload, kind, got.Body)
			}
		} else if kind != envelope.PHP || string(got.Body) != want {
			t.Errorf("%q: %v with body %q, want php with %q", payload, kind, got.Body, want)
		}
		if got.Priority != -1 {
			t.Errorf("%q: priority %d, want -1", payload, got.Priority)
		}
	}
}

// TestEmptyPayload: callers take doorbells out before; what is left is a message.
func TestEmptyPayload(t *testing.T) {
	if kind, got := only(t, ""); kind != envelope.Raw || len(got.Body) != 0 {
		t.Errorf("%v %+v, want raw and empty", kind, got)
	}
}

// TestAcceptNarrows: a kind that the route does not accept is raw.
func TestAcceptNarrows(t *testing.T) {
	payloads := map[envelope.Kind]string{
		envelope.Raw: "x", envelope.Envelope: string(frame(t, full)),
		envelope.JSON: `{"mqd":1,"data":"x"}`, envelope.PHP: `s:1:"x";`,
	}
	for kind, payload := range payloads {
		for accept := range envelope.AcceptAll + 2 {
			want := envelope.Raw
			if accept.Has(kind) {
				want = kind
			}
			if got, n := envelope.Detect([]byte(payload), accept); got != want || n != 1 {
				t.Errorf("%v under %q: %v, %d, want %v, 1", kind, accept.Names(), got, n, want)
			}
		}
	}
}

// TestWalkOnAnotherKind: a kind that the payload is not gives no message, or for
// Raw the payload, and never harm.
func TestWalkOnAnotherKind(t *testing.T) {
	payloads := []string{"", "x", `{"mqd":1,"data":"x"}`, `s:1:"x";`, string(frame(t, full, full))}
	for _, payload := range payloads {
		right, count := envelope.Detect([]byte(payload), envelope.AcceptAll)
		for kind := range envelope.Kind(6) {
			n := 0
			envelope.Walk(kind, []byte(payload), func(int, *envelope.Message) bool { n++; return true })
			want := 0
			switch kind {
			case envelope.Raw:
				want = 1
			case right:
				want = count
			}
			if n != want {
				t.Errorf("%q as %v: %d messages, want %d", payload, kind, n, want)
			}
		}
	}
}

func TestWalkStops(t *testing.T) {
	var seen []int
	envelope.Walk(envelope.Envelope, frame(t, full, full, full), func(i int, _ *envelope.Message) bool {
		seen = append(seen, i)
		return i < 1
	})
	if !slices.Equal(seen, []int{0, 1}) {
		t.Errorf("walked over %v, want 0 and 1", seen)
	}
}

// TestJSONRoundTrip: every string that encoding/json writes reads back as the
// same bytes, and base64 carries any bytes.
func TestJSONRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, key := rapid.String().Draw(t, "data"), rapid.StringN(0, 60, 255).Draw(t, "key")
		if !utf8.ValidString(text) || !utf8.ValidString(key) {
			t.Skip("encoding/json would alter it")
		}
		blob := rapid.SliceOf(rapid.Byte()).Draw(t, "blob")
		p, err := json.Marshal(map[string]any{"mqd": 1, "data": text, "key": key, "x": []any{text, 1.5, nil}})
		if err != nil {
			t.Fatal(err)
		}
		var m envelope.Message
		var r envelope.Reader
		if r.Reset(envelope.JSON, p); !r.Next(&m) || string(m.Body) != text || string(m.Key) != key || r.Next(&m) {
			t.Fatalf("%s: %+v", p, m)
		}
		p = fmt.Appendf(nil, `{"mqd":1,"data_base64":%q}`, base64.StdEncoding.EncodeToString(blob))
		if r.Reset(envelope.JSON, p); !r.Next(&m) || string(m.Body) != string(blob) {
			t.Fatalf("%s: %+v", p, m)
		}
	})
}
