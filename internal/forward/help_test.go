package forward

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// sample is the time of all messages of the tests.
var sample = time.Date(2026, 2, 3, 4, 5, 6, 7_080_900, time.UTC).UnixNano()

// batchOf is a batch of these messages. As the daemon does, it lends one Message
// value to all of them.
func batchOf(id string, messages ...Message) *Batch {
	b := &Batch{ID: id, Count: len(messages)}
	for i := range messages {
		b.Bytes += len(messages[i].Body)
	}
	b.Messages = func(yield func(*Message) bool) {
		var m Message
		for i := range messages {
			m = messages[i]
			if !yield(&m) {
				return
			}
		}
	}
	return b
}

// repeated is a batch of n messages with that body.
func repeated(n int, body string) *Batch {
	messages := slices.Repeat([]Message{{UUID: [2]uint64{0x0197f3c000007000, 0x8000000000000001}, Time: sample, Type: 1, Body: []byte(body)}}, n)
	return batchOf("key", messages...)
}

func open(t testing.TB, c Config) Destination {
	t.Helper()
	d, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// received is a request as the other side saw it.
type received struct {
	*http.Request
	body string
}

// receiver answers every request with status, after telling the test.
func receiver(t testing.TB, status int) (url string, requests <-chan received) {
	t.Helper()
	ch := make(chan received, 1024)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read request: %v", err)
		}
		ch <- received{r, string(body)}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s.URL, ch
}

// listener serves each connection by serve, in its own goroutine, and waits for
// all of them at the end of the test. serve need not close.
func listener(t testing.TB, serve func(*net.TCPConn)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served := make(chan struct{})
			go func() {
				defer close(served)
				defer c.Close()
				serve(c.(*net.TCPConn))
			}()
			defer func() { <-served }()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Error("a connection is still open 10 s after the end of the test")
		}
	})
	return "http://" + l.Addr().String()
}

func mustDeliver(t testing.TB, d Destination, b *Batch) {
	t.Helper()
	if r := d.Send(context.Background(), b); r != (Result{Verdict: Delivered, Status: r.Status}) {
		t.Fatalf("Send = %+v, want delivered", r)
	}
}

func wantContains(t testing.TB, s, part string) {
	t.Helper()
	if !strings.Contains(s, part) {
		t.Errorf("%q does not contain %q", s, part)
	}
}
