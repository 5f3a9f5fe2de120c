package envelope_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
	"unsafe"

	"github.com/mqdaemon/mqd/internal/envelope"
)

func addSeeds(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("hello"))
	f.Add([]byte(`s:5:"hello";`))
	f.Add([]byte(`{"mqd":1,"data":"h\u00e9\ud83d\ude00","key":"k","ttl":"10s","delay":1.5,"more":[{}]}`))
	f.Add([]byte(`{"mqd":1,"data_base64":"AP8=","priority":3,"reply_type":7,"id":"i","content_type":"a/b"}`))
	f.Add(bytes.Clone(frame(f, full)))
	f.Add(bytes.Clone(frame(f, envelope.Message{Priority: -1}, full, envelope.Message{Body: []byte("x"), Priority: 0})))
}

// FuzzDetect: whatever the payload, Detect and Walk agree, nothing is read
// outside it and nothing in it changes, and what is not a frame is raw.
func FuzzDetect(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		// The payload lies between two bytes that are not part of it.
		memory := append(append([]byte{'"'}, payload...), '"')
		payload = memory[1 : len(memory)-1]
		before := bytes.Clone(memory)
		kind, count := envelope.Detect(payload, envelope.AcceptAll)
		n, bodies, keyed := 0, 0, false
		var first envelope.Message
		kind2, count2, bodies2, keyed2 := envelope.Scan(payload, envelope.AcceptAll, &first)
		envelope.Walk(kind, payload, func(i int, m *envelope.Message) bool {
			if i != n {
				t.Fatalf("message %d, want %d", i, n)
			}
			if n == 0 && !equal(&first, m) {
				t.Fatalf("Scan gives %+v for %+v", first, m)
			}
			n++
			bodies += len(m.Body)
			keyed = keyed || len(m.Key) > 0
			for _, s := range [][]byte{m.ID, m.Key, m.ContentType, m.Trace, m.Body} {
				if !inside(payload, s) && kind != envelope.JSON {
					t.Fatalf("%q lies outside the payload", s)
				}
				if inside(payload, s) && cap(s) != len(s) {
					t.Fatalf("appending to %q would change the payload", s)
				}
			}
			if len(m.ID) > 255 || len(m.Key) > 255 || len(m.ContentType) > 255 || m.Priority < -1 || m.Priority > 9 ||
				m.TTL < 0 || m.Delay < 0 || m.ReplyType < 0 || m.Time < 0 {
				t.Fatalf("out of range: %+v", m)
			}
			return true
		})
		if n != count || n == 0 {
			t.Fatalf("walked over %d messages, Detect said %d", n, count)
		}
		if kind2 != kind || count2 != n || bodies2 != bodies || keyed2 != keyed {
			t.Fatalf("Scan says %v, %d messages, %d bytes, keyed %v: want %v, %d, %d, %v",
				kind2, count2, bodies2, keyed2, kind, n, bodies, keyed)
		}
		if bodies > len(payload) || (kind == envelope.Raw && bodies != len(payload)) {
			t.Fatalf("%v: %d bytes of bodies in %d bytes", kind, bodies, len(payload))
		}
		for k := range envelope.Kind(6) { // a wrong kind does no harm
			envelope.Walk(k, payload, func(int, *envelope.Message) bool { return true })
		}
		if !bytes.Equal(memory, before) {
			t.Fatal("the payload was changed")
		}
	})
}

// inside reports whether s lies in p; an empty s does.
func inside(p, s []byte) bool {
	if cap(s) == 0 {
		return true
	}
	start, first := uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(unsafe.Pointer(unsafe.SliceData(s)))
	return first >= start && first+uintptr(len(s)) <= start+uintptr(len(p))
}

// FuzzJSON holds the scanner against encoding/json: a value is well-formed for
// both or for neither, and a string means the same bytes.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`1`, `-0.5e+10`, `"a\u00e9\n"`, `[1,{"a":[]},null]`, `{"a":true,"b":false}`, ` 1 `, `01`, `"\ud83d\ude00"`, `[1,]`, `"`, `tru`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		if !utf8.Valid(value) || bytes.Count(value, []byte("["))+bytes.Count(value, []byte("{")) >= 999 {
			t.Skip("stricter than encoding/json on purpose")
		}
		// The value of a member that means nothing to us.
		payload := append(append([]byte(`{"mqd":1,"data":"x","other":`), value...), '}')
		kind, _ := envelope.Detect(payload, envelope.AcceptAll)
		if json.Valid(value) && kind != envelope.JSON {
			t.Fatalf("%s: %v, want json", payload, kind)
		}
		// A value that ends its own member early may make a valid payload or not.
		if !json.Valid(payload) && kind != envelope.Raw {
			t.Fatalf("%s: %v, want raw", payload, kind)
		}
		var text string
		if json.Unmarshal(value, &text) != nil || string(value) == "null" || bytes.Contains(value, []byte(`\u`)) {
			return // \u: half surrogate pairs differ on purpose, TestJSONFrame has whole ones
		}
		var m envelope.Message
		var r envelope.Reader
		r.Reset(envelope.JSON, append(append([]byte(`{"mqd":1,"data":`), value...), '}'))
		if !bytes.ContainsAny(value[:1], " \t\r\n") && (!r.Next(&m) || string(m.Body) != text) {
			t.Fatalf("%s: body %q, want %q", value, m.Body, text)
		}
	})
}
