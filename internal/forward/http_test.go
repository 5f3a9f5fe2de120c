package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
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
		if got.Method != http.MethodPost || got.Proto != "HTTP/1.1" || got.RequestURI != "/v1/batch?a=b" || "http://"+got.Host != addr {
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
		wantContains(t, r.Err.Error(), "308 Permanent Redirect to http://...@"+other[len("http://"):]+"/new?... (redirects are not followed)")
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
