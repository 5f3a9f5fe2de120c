package forward

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files")

// goldens are the messages of the golden files: what each format does with all
// attributes, none, quotes and newlines, bytes that are not UTF-8, and JSON.
func goldens() []Message {
	id := func(n string) []byte { return []byte("0197f3c0-1234-7000-8000-00000000000" + n) }
	uuid := func(n uint64) [2]uint64 { return [2]uint64{0x0197f3c012347000, 0x8000000000000000 | n} }
	return []Message{
		{UUID: uuid(1), Time: sample, Type: 1, Body: []byte("hello")},
		{
			ID: id("2"), Time: sample + 1, Type: math.MaxInt32, Key: []byte("customer 7"), ContentType: []byte("application/json; charset=utf-8"),
			Trace: []byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), Body: []byte(`{"a": [1, 2.50, "é"]}`),
		},
		{ID: id("3"), Time: sample + int64(time.Second), Type: math.MaxInt32 + 1, Body: []byte("two\nlines \"quoted\" \\ \x00 \u2028 ümlaut")},
		{ID: id("4"), Time: 0, Type: math.MaxInt64, Key: []byte("k\xff"), ContentType: []byte("image/png"), Body: []byte("\x89PNG\r\n\x1a\n")},
		{ID: id("5"), Time: sample, Type: 2, ContentType: []byte("application/vnd.x+JSON"), Body: []byte(`not { json`)},
		{UUID: uuid(6), Time: sample, Type: 3},
	}
}

func goldenConfig() *Config {
	return &Config{Route: `sms "a"`, Host: "web 1.example"}
}

func TestGolden(t *testing.T) {
	for _, f := range []Format{CloudEvents, JSON, NDJSON, Lines} {
		t.Run(f.String(), func(t *testing.T) {
			e := newEncoder(f, goldenConfig())
			got := e.append(nil, batchOf("key", goldens()...))
			path := filepath.Join("testdata", f.String()+".golden")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			if again := e.append([]byte("x"), batchOf("key", goldens()...)); !bytes.Equal(again[1:], want) {
				t.Error("the second try of a batch is not the first, byte for byte")
			}
		})
	}
}

func TestEmptyBatch(t *testing.T) {
	for f, want := range map[Format]string{CloudEvents: "[]", JSON: "[]", NDJSON: "", Lines: "", Raw: ""} {
		if got := string(newEncoder(f, &Config{}).append(nil, batchOf("key"))); got != want {
			t.Errorf("%v of no message = %q, want %q", f, got, want)
		}
	}
}

// object is what the formats JSON and NDJSON promise.
type object struct {
	ID         string  `json:"id"`
	Time       string  `json:"time"`
	Route      string  `json:"route"`
	Type       int64   `json:"type"`
	Key        *string `json:"key"`
	Data       *string `json:"data"`
	DataBase64 *string `json:"data_base64"`
}

// payload gives the body back, and fails unless exactly one member has it.
func payload(t *testing.T, data, base *string) []byte {
	t.Helper()
	if (data == nil) == (base == nil) {
		t.Fatal("data and data_base64: want exactly one")
	}
	if data != nil {
		return []byte(*data)
	}
	b, err := base64.StdEncoding.DecodeString(*base)
	if err != nil {
		t.Fatal(err)
	}
	if utf8.Valid(b) {
		t.Errorf("%q is UTF-8 and went as base64", b)
	}
	return b
}

// asJSON is what a JSON string can keep of b.
func asJSON(t *testing.T, b []byte) string {
	t.Helper()
	text, err := json.Marshal(string(b))
	if err != nil {
		t.Fatal(err)
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// wantID is the id that a JSON format gives m.
func wantID(t *testing.T, m *Message) string {
	t.Helper()
	if len(m.ID) > 0 {
		return asJSON(t, m.ID)
	}
	hi, lo := m.UUID[0], m.UUID[1]
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&(1<<48-1))
}

// strict decodes b into v and refuses members that v does not have.
func strict(t *testing.T, b []byte, v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	if d.More() {
		t.Fatalf("%q: more than one value", b)
	}
}

func checkObject(t *testing.T, m *Message, o *object) {
	t.Helper()
	if o.ID != wantID(t, m) || o.Type != m.Type || o.Route != "r" {
		t.Errorf("object %+v of message %+v", o, m)
	}
	if at, err := time.Parse(time.RFC3339Nano, o.Time); err != nil || at.UnixNano() != m.Time {
		t.Errorf("time %q, %v; want %d", o.Time, err, m.Time)
	}
	if (o.Key != nil) != (len(m.Key) > 0) || (o.Key != nil && *o.Key != asJSON(t, m.Key)) {
		t.Errorf("key %v of %q", o.Key, m.Key)
	}
	if got := payload(t, o.Data, o.DataBase64); !bytes.Equal(got, m.Body) {
		t.Errorf("body %q, want %q", got, m.Body)
	}
}

// event is a CloudEvent with the attributes that mqd sends.
type event struct {
	SpecVersion     string          `json:"specversion"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	ID              string          `json:"id"`
	Time            string          `json:"time"`
	MqdType         json.RawMessage `json:"mqdtype"`
	Subject         *string         `json:"subject"`
	DataContentType *string         `json:"datacontenttype"`
	TraceParent     *string         `json:"traceparent"`
	Data            json.RawMessage `json:"data"`
	DataBase64      *string         `json:"data_base64"`
}

func checkEvent(t *testing.T, m *Message, e *event) {
	t.Helper()
	if e.SpecVersion != "1.0" || e.Source != "/mqd/h/r" || e.Type != "mqd.message" || e.ID != wantID(t, m) {
		t.Errorf("event %+v of message %+v", e, m)
	}
	if at, err := time.Parse(time.RFC3339Nano, e.Time); err != nil || at.UnixNano() != m.Time {
		t.Errorf("time %q, %v; want %d", e.Time, err, m.Time)
	}
	var number int32
	var digits json.Number
	if err := json.Unmarshal(e.MqdType, &number); (err == nil) != (m.Type == int64(number)) {
		t.Errorf("mqdtype %s of %d", e.MqdType, m.Type)
	} else if err != nil {
		if json.Unmarshal(e.MqdType, &digits) != nil || e.MqdType[0] != '"' {
			t.Errorf("mqdtype %s of %d: want a string", e.MqdType, m.Type)
		} else if n, err := digits.Int64(); err != nil || n != m.Type {
			t.Errorf("mqdtype %s of %d", e.MqdType, m.Type)
		}
	}
	for _, a := range []struct {
		got  *string
		want []byte
	}{{e.Subject, m.Key}, {e.DataContentType, m.ContentType}, {e.TraceParent, m.Trace}} {
		if (a.got != nil) != (len(a.want) > 0) || (a.got != nil && *a.got != asJSON(t, a.want)) {
			t.Errorf("attribute %v of %q", a.got, a.want)
		}
	}
	if isJSON(m.ContentType) && validJSON(m.Body) {
		var got, want bytes.Buffer
		if json.Compact(&got, e.Data) != nil || json.Compact(&want, m.Body) != nil || got.String() != want.String() {
			t.Errorf("JSON data %s, want %s", e.Data, m.Body)
		}
		return
	}
	var data *string
	if e.Data != nil {
		data = new(string)
		if err := json.Unmarshal(e.Data, data); err != nil {
			t.Fatalf("data %s: %v", e.Data, err)
		}
	}
	if got := payload(t, data, e.DataBase64); !bytes.Equal(got, m.Body) {
		t.Errorf("body %q, want %q", got, m.Body)
	}
}

// checkMessage encodes m, twice in a batch, in every JSON format and reads it
// back with encoding/json.
func checkMessage(t *testing.T, m Message) {
	t.Helper()
	c := &Config{Route: "r", Host: "h"}
	b := batchOf("key", m, m)

	var events []event
	strict(t, newEncoder(CloudEvents, c).append(nil, b), &events)
	var objects []object
	strict(t, newEncoder(JSON, c).append(nil, b), &objects)
	if len(events) != 2 || len(objects) != 2 {
		t.Fatalf("%d events and %d objects of 2 messages", len(events), len(objects))
	}
	lines := bytes.SplitAfter(newEncoder(NDJSON, c).append(nil, b), []byte("\n"))
	if len(lines) != 3 || len(lines[2]) != 0 {
		t.Fatalf("%d lines of 2 messages", len(lines)-1)
	}
	for i := range 2 {
		checkEvent(t, &m, &events[i])
		checkObject(t, &m, &objects[i])
		var o object
		strict(t, lines[i], &o)
		checkObject(t, &m, &o)
	}
}

func TestFormatsReadBack(t *testing.T) {
	for _, m := range goldens() {
		checkMessage(t, m)
	}
	for _, s := range strange {
		b := []byte(s)
		checkMessage(t, Message{ID: b, Type: 1, Key: b, ContentType: b, Trace: b, Body: b})
	}
	for _, body := range []string{`null`, `0`, `"s"`, ` [1,
2] `, `{"a":"` + "\xff" + `"}`, `{`, ``, `1 2`} {
		checkMessage(t, Message{ID: []byte("i"), Type: 1, ContentType: []byte("application/json"), Body: []byte(body)})
	}
}

func FuzzFormats(f *testing.F) {
	for _, m := range goldens() {
		f.Add(m.ID, m.Time, m.Type, m.Key, m.ContentType, m.Trace, m.Body)
	}
	f.Fuzz(func(t *testing.T, id []byte, at, mtype int64, key, contentType, trace, body []byte) {
		if mtype < 1 {
			t.Skip("not an mtype")
		}
		checkMessage(t, Message{ID: id, UUID: [2]uint64{uint64(at), uint64(mtype)}, Time: at, Type: mtype, Key: key, ContentType: contentType, Trace: trace, Body: body})
	})
}

func TestIsJSON(t *testing.T) {
	for contentType, want := range map[string]bool{
		"application/json": true, "Application/JSON": true, "application/json;charset=utf-8": true, " text/json ; a=b": true,
		"application/ld+json": true, "application/problem+JSON; x=y": true, "a/+json": true,
		"": false, "json": false, "+json": false, "application/jsonp": false, "application/xjson": false, "text/plain; a=/json": false, "application/json+xml": false,
	} {
		if got := isJSON([]byte(contentType)); got != want {
			t.Errorf("isJSON(%q) = %v", contentType, got)
		}
	}
}

func TestFormatNames(t *testing.T) {
	for _, f := range []struct {
		Format
		name, contentType string
		oneByOne          bool
	}{
		{CloudEvents, "cloudevents", "application/cloudevents-batch+json", false},
		{JSON, "json", "application/json", false},
		{NDJSON, "ndjson", "application/x-ndjson", false},
		{Lines, "lines", "text/plain", false},
		{Raw, "raw", "application/octet-stream", true},
	} {
		if f.String() != f.name || f.ContentType() != f.contentType || f.OneByOne() != f.oneByOne {
			t.Errorf("%v: %q %q %v", f.name, f.String(), f.ContentType(), f.OneByOne())
		}
		if back, err := ParseFormat(f.name); err != nil || back != f.Format {
			t.Errorf("ParseFormat(%q) = %v, %v", f.name, back, err)
		}
	}
	for _, name := range []string{"", "JSON", "xml", "raw "} {
		_, err := ParseFormat(name)
		if err == nil {
			t.Fatalf("ParseFormat(%q): no error", name)
		}
		wantContains(t, err.Error(), "cloudevents, json, ndjson, lines, raw")
	}
	if _, err := New(Config{To: "discard:", Format: 99}); err == nil {
		t.Error("New with format 99: no error")
	}
}
