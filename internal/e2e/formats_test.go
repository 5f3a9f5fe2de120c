package e2e

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mqdaemon/mqd/client"
)

// sent is what TestFormats sends: text, text that JSON must escape, and bytes that
// are no text; the second has a key and an id of its own.
var sent = []client.Message{
	{Type: 7, Body: []byte("plain")},
	{Type: 8, Body: []byte("zwei \"Zeilen\"\nund ein Tab\t"), Key: "customer 42", ID: "own-1", ContentType: "text/x-note"},
	{Type: 1<<31 - 1, Body: []byte("\xff\x00\xfe")},
}

var uuidV7 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// TestFormats sends the same messages to a route of each format and holds body and
// headers against the contract.
func TestFormats(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for format, check := range map[string]func(*testing.T, []*request){
		"lines": checkLines,
		"ndjson": func(t *testing.T, q []*request) {
			checkObjects(t, bytes.Split(bytes.TrimSuffix(q[0].body, []byte("\n")), []byte("\n")))
		},
		"json": func(t *testing.T, q []*request) { checkObjects(t, array(t, q[0].body)) },
		"cloudevents": func(t *testing.T, q []*request) {
			checkEvents(t, array(t, q[0].body), "/mqd/"+host+"/default")
		},
		"raw": func(t *testing.T, q []*request) { checkRaw(t, q, "/mqd/"+host+"/default") },
	} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t)
			if format == "lines" {
				r.unchecked = true // the newline in a payload is kept
			}
			d := startDaemon(t, r, "order = \"strict\"\nlinger = \"1h\"\nformat = \""+format+"\"\nheaders = { X-Own = \"yes\" }")
			c := client.Client{Queue: d.addr("default")}
			defer c.Close()
			for _, m := range sent {
				if err := c.TrySend(m); err != nil {
					t.Fatal(err)
				}
			}
			want := len(sent) // of raw, where each message is a full batch
			if format != "raw" {
				want = 1
				eventually(t, 5*time.Second, "all taken", func() bool { return d.route("").Pending == int64(len(sent)) })
				if err := c.Wake(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, 5*time.Second, "requests", func() bool { return len(r.accepted()) == want })
			keys := map[string]bool{}
			for _, q := range r.accepted() {
				keys[q.header.Get("Idempotency-Key")] = true
				if q.header.Get("Mqd-Route") != "default" || q.header.Get("X-Own") != "yes" || !strings.HasPrefix(q.header.Get("User-Agent"), "mqd/") {
					t.Errorf("headers %v", q.header)
				}
				if n := q.header.Get("Mqd-Count"); n != map[bool]string{true: "1", false: "3"}[format == "raw"] {
					t.Errorf("Mqd-Count %q", n)
				}
			}
			if len(keys) != want || keys[""] {
				t.Errorf("Idempotency-Keys %v", keys)
			}
			check(t, r.accepted())
		})
	}
}

func checkLines(t *testing.T, q []*request) {
	var want []byte
	for _, m := range sent {
		want = append(append(want, m.Body...), '\n')
	}
	if !bytes.Equal(q[0].body, want) || q[0].header.Get("Content-Type") != "text/plain" {
		t.Errorf("%s: %q\nwant %q", q[0].header.Get("Content-Type"), q[0].body, want)
	}
}

func array(t *testing.T, body []byte) [][]byte {
	t.Helper()
	var items []json.RawMessage
	if err := json.Unmarshal(body, &items); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	var all [][]byte
	for _, item := range items {
		all = append(all, item)
	}
	return all
}

// object reads item and checks that it has exactly these members.
func object(t *testing.T, item []byte, members ...string) map[string]any {
	t.Helper()
	o := map[string]any{}
	if err := json.Unmarshal(item, &o); err != nil {
		t.Fatalf("%v: %s", err, item)
	}
	slices.Sort(members)
	if got := slices.Sorted(maps.Keys(o)); !slices.Equal(got, members) {
		t.Errorf("members %q, want %q", got, members)
	}
	return o
}

// common checks what json and cloudevents share.
func common(t *testing.T, o map[string]any, m client.Message) {
	t.Helper()
	id, _ := o["id"].(string)
	if m.ID != "" && id != m.ID || m.ID == "" && !uuidV7.MatchString(id) {
		t.Errorf("id %q, want %q or a UUIDv7", id, m.ID)
	}
	text, _ := o["time"].(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || !strings.HasSuffix(text, "Z") || time.Since(at).Abs() > time.Minute {
		t.Errorf("time %q, %v", text, err)
	}
	if data, ok := o["data"]; ok && data != string(m.Body) {
		t.Errorf("data %q, want %q", data, m.Body)
	}
	if data, ok := o["data_base64"]; ok && data != "/wD+" {
		t.Errorf("data_base64 %q", data)
	}
}

func dataMember(m client.Message) string {
	if utf8.Valid(m.Body) {
		return "data"
	}
	return "data_base64"
}

func checkObjects(t *testing.T, items [][]byte) {
	for i, m := range sent {
		members := []string{"id", "time", "route", "type", dataMember(m)}
		if m.Key != "" {
			members = append(members, "key")
		}
		o := object(t, items[i], members...)
		common(t, o, m)
		if o["route"] != "default" || o["type"] != float64(m.Type) || m.Key != "" && o["key"] != m.Key {
			t.Errorf("message %d: %s", i, items[i])
		}
	}
}

func checkEvents(t *testing.T, items [][]byte, source string) {
	for i, m := range sent {
		members := []string{"specversion", "source", "type", "id", "time", "mqdtype", dataMember(m)}
		if m.Key != "" {
			members = append(members, "subject", "datacontenttype")
		}
		o := object(t, items[i], members...)
		common(t, o, m)
		if o["specversion"] != "1.0" || o["source"] != source || o["type"] != "mqd.message" || o["mqdtype"] != float64(m.Type) {
			t.Errorf("event %d: %s, want source %s", i, items[i], source)
		}
		if m.Key != "" && (o["subject"] != m.Key || o["datacontenttype"] != m.ContentType) {
			t.Errorf("event %d: %s", i, items[i])
		}
	}
}

func checkRaw(t *testing.T, q []*request, source string) {
	for i, m := range sent {
		h := q[i].header
		if !bytes.Equal(q[i].body, m.Body) {
			t.Errorf("body %q, want %q", q[i].body, m.Body)
		}
		want := map[string]string{
			"Ce-Specversion": "1.0", "Ce-Source": source, "Ce-Type": "mqd.message", "Ce-Subject": strings.ReplaceAll(m.Key, " ", "%20"),
			"Content-Type": m.ContentType,
		}
		if m.ContentType == "" {
			want["Content-Type"] = "application/octet-stream"
		}
		for name, value := range want {
			if h.Get(name) != value {
				t.Errorf("message %d: %s %q, want %q", i, name, h.Get(name), value)
			}
		}
		common(t, map[string]any{"id": h.Get("Ce-Id"), "time": h.Get("Ce-Time")}, m)
	}
}
