package forward

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"
)

func TestRequest(t *testing.T) {
	addr, requests := receiver(t, 200)
	for _, f := range []Format{CloudEvents, JSON, NDJSON, Lines} {
		c := Config{Route: "sms", Host: "web1", To: addr + "/v1/batch?a=b", Format: f, Headers: map[string]string{"authorization": "Bearer x", "X-Team": "a b"}}
		d := open(t, c)
		b := batchOf("batch-1", goldens()...)
		r := d.Send(t.Context(), b)
		if r != (Result{Verdict: Delivered, Status: 200}) {
			t.Fatalf("%v: %+v", f, r)
		}
		got := <-requests
		if got.Method != "POST" || got.Proto != "HTTP/1.1" || got.RequestURI != "/v1/batch?a=b" || "http://"+got.Host != addr {
			t.Errorf("%v: %s %s %s to %s", f, got.Method, got.RequestURI, got.Proto, got.Host)
		}
		for name, want := range map[string]string{
			"Idempotency-Key": "batch-1", "Mqd-Route": "sms", "Mqd-Count": "6", "Content-Type": f.ContentType(),
			"Authorization": "Bearer x", "X-Team": "a b", "Accept-Encoding": "", "Cookie": "", "Transfer-Encoding": "", "Expect": "",
		} {
			if v := strings.Join(got.Header.Values(name), ","); v != want {
				t.Errorf("%v: %s: %q, want %q", f, name, v, want)
			}
		}
		if ua := got.UserAgent(); !strings.HasPrefix(ua, "mqd/") || !isToken(ua[4:]) {
			t.Errorf("User-Agent %q", ua)
		}
		if want := string(newEncoder(f, &c).append(nil, b)); got.body != want || got.ContentLength != int64(len(want)) {
			t.Errorf("%v: body %q of length %d, want %q", f, got.body, got.ContentLength, want)
		}
	}
}

// TestEveryStatus sends one batch for each status that can end an exchange.
func TestEveryStatus(t *testing.T) {
	var status atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(int(status.Load()))
	}))
	defer s.Close()
	d := open(t, Config{To: s.URL})
	b := repeated(1, "x")
	for code := 200; code <= 599; code++ {
		status.Store(int32(code))
		r := d.Send(t.Context(), b)
		if r.Verdict != Classify(code) || r.Status != code {
			t.Errorf("status %d: %+v", code, r)
		}
		if (r.Err == nil) != (r.Verdict == Delivered) || (r.RetryAfter == 3*time.Second) != (r.Verdict != Delivered) {
			t.Errorf("status %d: Err %v, RetryAfter %v", code, r.Err, r.RetryAfter)
		}
	}
}

// countingConn counts writes. It hides ReadFrom, so that each call of the
// transport is one write system call.
type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func TestKeepAliveAndOneWrite(t *testing.T) {
	var opened atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, strings.Repeat("a", 60<<10)) // under the limit: read, so the connection is used again
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	d := open(t, Config{To: s.URL, Format: Lines})
	var writes atomic.Int64
	d.(*httpDestination).transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		return countingConn{c, &writes}, err
	}
	const tries = 50
	b := repeated(100, strings.Repeat("m", 255)) // 25,600 bytes
	for range tries {
		mustDeliver(t, d, b)
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections for %d batches in a row, want 1", n, tries)
	}
	if n := writes.Load(); n != tries {
		t.Errorf("%d writes for %d batches, want one each", n, tries)
	}
}

func TestAllSlotsKeepTheirConnection(t *testing.T) {
	const slots = maxIdleConns
	var opened, busy atomic.Int64
	all := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if busy.Add(1) == slots {
			close(all)
		}
		<-all
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	d := open(t, Config{To: s.URL})
	b := repeated(1, "x")
	for range 3 {
		busy.Store(0)
		all = make(chan struct{})
		var wg sync.WaitGroup
		for range slots {
			wg.Go(func() { mustDeliver(t, d, b) })
		}
		wg.Wait()
	}
	if n := opened.Load(); n != slots {
		t.Errorf("%d connections for 3 rounds of %d slots", n, slots)
	}
}

// TestStaleConnection: what was kept open is closed by the other side just when
// the next batch goes out. The transport sends that batch again by itself.
func TestStaleConnection(t *testing.T) {
	var conns atomic.Int64
	addr := listener(t, func(c *net.TCPConn) {
		conns.Add(1)
		readRequest(c)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		readRequest(c) // and closes without a word
	})
	d := open(t, Config{To: addr})
	b := repeated(1000, strings.Repeat("m", 256))
	for range 5 {
		mustDeliver(t, d, b)
	}
	if n := conns.Load(); n != 5 {
		t.Errorf("%d connections, want 5: one for each batch, none used twice", n)
	}
}

func TestTransportSettings(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	tr := open(t, Config{To: "http://mqd.invalid/"}).(*httpDestination).transport
	if tr.Proxy != nil {
		t.Error("the proxy of the environment is used")
	}
	if tr.TLSClientConfig.MinVersion < 0x0303 || tr.TLSClientConfig.InsecureSkipVerify {
		t.Error("TLS under 1.2 or not verified")
	}
	if !tr.DisableCompression || tr.MaxResponseHeaderBytes != 32<<10 || tr.DisableKeepAlives {
		t.Errorf("transport %+v", tr)
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			t.Errorf("protocol %s", r.Proto)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	d := open(t, Config{To: s.URL})
	r := d.Send(t.Context(), repeated(1, "x"))
	if r.Verdict != Retry || r.Status != 0 {
		t.Errorf("unknown certificate: %+v", r)
	}
	wantContains(t, r.Err.Error(), "certificate")
	d.(*httpDestination).transport.TLSClientConfig.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	mustDeliver(t, d, repeated(1, "x"))
}

func TestNoRedirectNoCookie(t *testing.T) {
	other, reached := receiver(t, 200)
	var cookies atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookies.Add(int64(len(r.Cookies())))
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
		http.Redirect(w, r, strings.Replace(other, "http://", "http://u:sesame@", 1)+"/new?token=sesame", http.StatusPermanentRedirect)
	}))
	defer s.Close()
	d := open(t, Config{To: s.URL})
	for range 2 {
		r := d.Send(t.Context(), repeated(1, "x"))
		if r.Verdict != Hold || r.Status != 308 {
			t.Fatalf("redirect: %+v", r)
		}
		wantContains(t, r.Err.Error(), "308 Permanent Redirect to http://xxxxx@"+other[len("http://"):]+"/new?xxxxx (redirects are not followed)")
	}
	if len(reached) != 0 {
		t.Error("a redirect was followed")
	}
	if cookies.Load() != 0 {
		t.Error("a cookie was kept")
	}
}

func TestContextEnds(t *testing.T) {
	arrived := make(chan struct{}, 1)
	addr := listener(t, func(c *net.TCPConn) {
		readRequest(c)
		arrived <- struct{}{}
		io.Copy(io.Discard, c)
	})
	d := open(t, Config{To: addr})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	r := d.Send(ctx, repeated(1, "x"))
	if r.Verdict != Retry || !errors.Is(r.Err, context.Canceled) || r.Status != 0 {
		t.Errorf("cut in flight: %+v", r)
	}
	if r := d.Send(ctx, repeated(1, "x")); r.Verdict != Retry || !errors.Is(r.Err, context.Canceled) {
		t.Errorf("cut before: %+v", r)
	}
}

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
			"Ce-Specversion": "1.0", "Ce-Id": string(m.ID), "Ce-Source": "/mqd/web1/a%2520b", "Ce-Type": "com.example.x",
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
			w.WriteHeader(503)
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

// TestBodyGoesBackLast: the buffer of a request is free only when Send and every
// connection that was given it are done, in whatever order.
func TestBodyGoesBackLast(t *testing.T) {
	var pool sync.Pool
	free := func() bool {
		for range 4 { // under the race detector, Put drops some at random
			if pool.Get() != nil {
				return true
			}
		}
		return false
	}
	b := newBody(&pool)
	b.refs.Add(2) // two connections: the first broke, the second answered early
	b.release()   // Send
	b.release()   // the second
	if free() || b.refs.Load() != 1 {
		t.Error("the buffer is free while a connection may still read it")
	}
	b.release()
	if b.refs.Load() != 0 {
		t.Error("the buffer is never free")
	}
	big := newBody(&pool)
	big.data = make([]byte, 0, maxKeptBuffer+1)
	big.release()
	if free() && cap(big.data) > 0 {
		if x, ok := pool.Get().(*body); ok && x == big {
			t.Error("a giant buffer is kept")
		}
	}
}

// TestEarlyAnswer: an answer comes before the body has gone out. The batch after
// it must not write to the memory that the transport is still sending.
func TestEarlyAnswer(t *testing.T) {
	const size = 3 << 20 // under maxKeptBuffer, over what the sockets hold
	second := make(chan struct{})
	var conns atomic.Int64
	early := make(chan []byte, 1)
	addr := listener(t, func(c *net.TCPConn) {
		if conns.Add(1) == 2 {
			_, rest := readHead(c) // now its body is made, and it is not on the first connection
			close(second)
			io.CopyN(io.Discard, c, int64(size-len(rest)))
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			return
		}
		c.SetReadBuffer(4 << 10)
		_, rest := readHead(c)
		// With a body: without one, the transport waits for its own writing.
		io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
		<-second
		body, _ := io.ReadAll(io.LimitReader(c, size))
		early <- append(rest, body...)
	})
	d := open(t, Config{To: addr, Format: Raw, Timeout: 5 * time.Second})
	if r := d.Send(t.Context(), repeated(1, strings.Repeat("a", size))); r.Status != 413 {
		t.Fatalf("early answer: %+v", r)
	}
	mustDeliver(t, d, repeated(1, strings.Repeat("b", size)))
	if body := <-early; bytes.Contains(body, []byte("b")) {
		t.Errorf("of %d bytes of the first batch, %d are of the second", len(body), bytes.Count(body, []byte("b")))
	}
}

// TestForeignCancel: a cancellation that is not our caller's does not look like
// one, or the gate would not back off.
func TestForeignCancel(t *testing.T) {
	d := open(t, Config{To: "http://mqd.invalid/"}).(*httpDestination)
	r := d.failed(t.Context(), fmt.Errorf("dial: %w", context.Canceled))
	if r.Verdict != Retry || errors.Is(r.Err, context.Canceled) {
		t.Errorf("%+v", r)
	}
	wantContains(t, r.Err.Error(), "dial: context canceled")
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file:" + path
	}
	for _, c := range []struct {
		to      string
		headers map[string]string
		want    string
	}{
		{to: "", want: `to "": no such destination; there are http://, https://, stdout: and discard:`},
		{to: "nats://h:4222/x", want: `to "nats://h:4222/x": no such destination; there are`},
		{to: "exec:/bin/true", want: "no such destination; there are"},
		{to: "stdout", want: "no such destination"},
		{to: "discard:x", want: "no such destination"},
		{to: "localhost:8080", want: "no such destination"},
		{to: "http:", want: "no host"},
		{to: "http:/x", want: "no host"},
		{to: "http://:80/", want: "no host"},
		{to: "http://h:0/", want: "port 0 is not in 1 to 65535"},
		{to: "http://h:65536/", want: "port 65536 is not in 1 to 65535"},
		{to: "http://h:http/", want: "not a valid URL"},
		{to: "http://h/\x01", want: "not a valid URL"},
		{to: "http://h/a#b", want: "fragment"},
		{to: "stdout:", want: "no writer"},
		{to: "http://h/", headers: map[string]string{"": "v"}, want: "not a header name"},
		{to: "http://h/", headers: map[string]string{"A B": "v"}, want: "not a header name"},
		{to: "http://h/", headers: map[string]string{"X\r\nY": "v"}, want: "not a header name"},
		{to: "http://h/", headers: map[string]string{"X-É": "v"}, want: "not a header name"},
		{to: "http://h/", headers: map[string]string{"idempotency-key": "v"}, want: `header "idempotency-key": set by mqd itself`},
		{to: "http://h/", headers: map[string]string{"MQD-Route": "v"}, want: "set by mqd itself"},
		{to: "http://h/", headers: map[string]string{"ce-id": "v"}, want: "set by mqd itself"},
		{to: "http://h/", headers: map[string]string{"Content-Length": "1"}, want: "or by HTTP"},
		{to: "http://h/", headers: map[string]string{"Host": "v"}, want: "or by HTTP"},
		{to: "http://h/", headers: map[string]string{"Transfer-Encoding": "chunked"}, want: "or by HTTP"},
		{to: "http://h/", headers: map[string]string{"Content-Type": "v"}, want: "or by HTTP"},
		{to: "http://h/", headers: map[string]string{"Expect": "100-continue"}, want: "or by HTTP"},
		{to: "http://h/", headers: map[string]string{"Proxy-Authorization": "v"}, want: "or by HTTP"},
		{to: "http://h/", headers: map[string]string{"X-A": "1", "x-a": "2"}, want: "given twice"},
		{to: "http://h/", headers: map[string]string{"X": "a\r\nY: b"}, want: "control character (0x0d) at byte 2 of 7"},
		{to: "http://h/", headers: map[string]string{"X": "a\nb"}, want: "control character (0x0a)"},
		{to: "http://h/", headers: map[string]string{"X": "a\x00b"}, want: "control character (0x00)"},
		{to: "http://h/", headers: map[string]string{"X": "a\x7f"}, want: "control character (0x7f)"},
		{to: "http://h/", headers: map[string]string{"X": file("lines", "a\nb\n")}, want: "control character (0x0a)"},
		{to: "http://h/", headers: map[string]string{"X": file("empty", "\n")}, want: "empty"},
		{to: "http://h/", headers: map[string]string{"X": file("big", strings.Repeat("a", maxHeaderFile+2))}, want: "over 16384 bytes"},
		{to: "http://h/", headers: map[string]string{"X": "file:" + dir}, want: "not a regular file"},
		{to: "http://h/", headers: map[string]string{"X": "file:relative"}, want: "must be absolute"},
		{to: "http://h/", headers: map[string]string{"X": "file:" + dir + "/none"}, want: "no such file"},
		{to: "http://u:p@h/", headers: map[string]string{"authorization": "x"}, want: "which of them"},
	} {
		d, err := New(Config{Route: "sms", To: c.to, Headers: c.headers})
		if err == nil {
			t.Errorf("New(%q, %q): no error", c.to, c.headers)
			continue
		}
		if d != nil {
			t.Errorf("New(%q): a destination and an error", c.to)
		}
		wantContains(t, err.Error(), c.want)
		wantContains(t, err.Error(), `route "sms": `)
	}
	_, err := New(Config{To: "http://h/", Headers: map[string]string{"X": "file:/nonexistent/secret"}})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing header file: %v is not fs.ErrNotExist", err)
	}
}

// TestRedactor: secrets that are parts of each other, or quoted, leave nothing.
func TestRedactor(t *testing.T) {
	u, err := url.Parse("http://user:pass%22word@h/?key=passage")
	if err != nil {
		t.Fatal(err)
	}
	r := newRedactor(u, map[string]string{"A": "pass", "B": "password1", "C": "Bearer tokentoken", "D": "abc", "E": "tokentokentoken"})
	for text, want := range map[string]string{
		"password1":                    "xxxxx",
		"a passage, a pass":            "a xxxxx, a xxxxx",
		"tokentokentoken tokentoken":   "xxxxx xxxxx",
		`"pass\"word" pass%22word`:     `"xxxxx" xxxxx`,
		"Basic " + basicAuth(u.User):   "Basic xxxxx",
		"abc":                          "abc", // too short to be a secret
		"a\x1b[2J\r\n\u202eb":          "a?[2J???b",
		strings.Repeat("é", 300):       strings.Repeat("é", 256) + "...",
		"x" + strings.Repeat("é", 300): "x" + strings.Repeat("é", 255) + "...",
	} {
		if got := r.text(text); got != want {
			t.Errorf("text(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestHeaderFromFile(t *testing.T) {
	addr, requests := receiver(t, 200)
	for content, want := range map[string]string{"Bearer abc\n": "Bearer abc", "Bearer abc\r\n": "Bearer abc", "Bearer abc": "Bearer abc", "a\tb \n": "a\tb"} {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		d := open(t, Config{To: addr, Headers: map[string]string{"Authorization": "file:" + path}})
		mustDeliver(t, d, repeated(1, "x"))
		if got := (<-requests).Header.Get("Authorization"); got != want {
			t.Errorf("file %q: Authorization %q, want %q", content, got, want)
		}
	}
	d := open(t, Config{To: strings.Replace(addr, "http://", "http://us%40er:pa%3Ass@", 1)})
	mustDeliver(t, d, repeated(1, "x"))
	if user, password, ok := (<-requests).BasicAuth(); !ok || user != "us@er" || password != "pa:ss" {
		t.Errorf("basic authentication %q %q %v", user, password, ok)
	}
}
