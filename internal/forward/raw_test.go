package forward

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"
)

// TestRaw: one message a request, attributes as headers.
func TestRaw(t *testing.T) {
	addr, requests := receiver(t, 204)
	d := open(t, Config{Route: "a b", Host: "web1", To: addr, Format: Raw, CEType: "com.example.x"})
	messages := goldens()
	for i := range messages {
		m := &messages[i]
		mustDeliver(t, d, batchOf("key", *m))
		got := <-requests
		contentType := string(m.ContentType)
		if contentType == "" {
			contentType = "application/octet-stream"
		}
		for name, want := range map[string]string{
			"Idempotency-Key": "key", "Mqd-Count": "1", "Mqd-Route": "a%20b", "Content-Type": contentType,
			"Ce-Specversion": "1.0", "Ce-Id": wantID(t, m), "Ce-Source": "/mqd/web1/a%2520b", "Ce-Type": "com.example.x",
			"Ce-Time": string(new(clock).append(nil, m.Time)), "Ce-Subject": percent(m.Key), "Ce-Traceparent": string(m.Trace),
		} {
			if v := got.Header.Get(name); v != want {
				t.Errorf("message %d: %s: %q, want %q", i, name, v, want)
			}
		}
		if got.body != string(m.Body) || got.ContentLength != int64(len(m.Body)) {
			t.Errorf("message %d: body %q, want %q", i, got.body, m.Body)
		}
	}
	mustDeliver(t, d, batchOf("batch", messages...))
	for i := range messages {
		got := <-requests
		if key := got.Header.Get("Idempotency-Key"); key != "batch."+string(rune('0'+i)) || got.body != string(messages[i].Body) {
			t.Errorf("message %d of a batch: key %s, body %q", i, key, got.body)
		}
	}
}

// TestRawStops: a batch for raw is delivered when its last message is.
func TestRawStops(t *testing.T) {
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	d := open(t, Config{To: s.URL, Format: Raw})
	if r := d.Send(t.Context(), repeated(5, "x")); r.Verdict != Retry || r.Status != 503 || n.Load() != 3 {
		t.Errorf("third of five refused: %+v after %d requests", r, n.Load())
	}
	if r := d.Send(t.Context(), repeated(5, "x")); r.Verdict != Delivered || n.Load() != 8 {
		t.Errorf("second try: %+v after %d requests", r, n.Load())
	}
}

// TestHeaderInjection sends every byte in every attribute that goes to a header
// and looks at what is on the wire: one request, the same header names.
func TestHeaderInjection(t *testing.T) {
	wire := make(chan string, 1)
	addr := listener(t, func(c *net.TCPConn) {
		for {
			head, ok := readRequest(c)
			if !ok {
				return
			}
			wire <- head
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	d := open(t, Config{Route: "r\r\nX-Evil: 1", Host: "h\r\nX-Evil: 1", CEType: "t\r\nX-Evil: 1", To: addr, Format: Raw})
	attribute := func(c byte) []byte {
		return []byte("a" + string([]byte{c}) + "\r\nX-Evil: 1\r\n\r\nGET / HTTP/1.1\r\n\x00z")
	}
	for c := range 256 {
		v := attribute(byte(c))
		mustDeliver(t, d, batchOf("key", Message{ID: v, Type: 1, Key: v, ContentType: v, Trace: v, Body: []byte("x")}))
		head := <-wire
		lines := strings.Split(strings.TrimSuffix(head, "\r\n\r\n"), "\r\n")
		names := map[string]string{}
		for _, l := range lines[1:] {
			name, value, ok := strings.Cut(l, ": ")
			if !ok || names[name] != "" || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("byte 0x%02x: line %q", c, l)
			}
			names[name] = value
		}
		if len(names) != 15 || names["X-Evil"] != "" {
			t.Fatalf("byte 0x%02x: %d headers:\n%s", c, len(names), head)
		}
		want := strings.ToValidUTF8(string(v), "\uFFFD")
		for _, name := range []string{"Ce-Id", "Ce-Subject", "Ce-Traceparent"} {
			if got, err := url.PathUnescape(names[name]); err != nil || got != want {
				t.Fatalf("byte 0x%02x: %s decodes to %q, %v; want %q", c, name, got, err, want)
			}
		}
		if names["Content-Type"] != "application/octet-stream" {
			t.Fatalf("byte 0x%02x: Content-Type %q", c, names["Content-Type"])
		}
	}
}

func FuzzPercent(f *testing.F) {
	for _, s := range strange {
		f.Add([]byte(s))
	}
	f.Add([]byte("Euro € 😀"))
	f.Fuzz(func(t *testing.T, s []byte) {
		got := percent(s)
		back, err := url.PathUnescape(got)
		if err != nil || back != strings.ToValidUTF8(string(s), "\uFFFD") || !utf8.ValidString(back) {
			t.Errorf("percent(%q) = %q decodes to %q, %v", s, got, back, err)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) {
			t.Errorf("percent(%q) = %q", s, got)
		}
	})
}

// TestPercentExample is the example of the CloudEvents HTTP binding, 3.1.3.2.
func TestPercentExample(t *testing.T) {
	if got, want := percent([]byte("Euro € 😀")), "Euro%20%E2%82%AC%20%F0%9F%98%80"; got != want {
		t.Errorf("percent = %s, want %s", got, want)
	}
}
