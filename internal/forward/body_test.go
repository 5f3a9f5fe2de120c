package forward

import (
	"io"
	"net"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestBodyGoesBackLast: the buffer of a request is free only when Send and every
// connection that was given it are done, in whatever order. net/http says that a
// transport may read a body after RoundTrip has returned.
func TestBodyGoesBackLast(t *testing.T) {
	var pool sync.Pool
	b := newBody(&pool)
	trace := httptrace.ContextClientTrace(b.watch(t.Context()))
	trace.GotConn(httptrace.GotConnInfo{}) // breaks
	trace.GotConn(httptrace.GotConnInfo{}) // answers early
	trace.WroteRequest(httptrace.WroteRequestInfo{})
	b.release() // Send
	if pool.Get() != nil || b.refs.Load() != 1 {
		t.Error("the buffer is free while a connection may still read it")
	}
	trace.WroteRequest(httptrace.WroteRequestInfo{})
	if b.refs.Load() != 0 {
		t.Error("the buffer is never free")
	}
}

// TestBuffersAreUsedAgain: batches of 1 MiB do not cost 1 MiB each, and one that
// is larger than maxKeptBuffer is not kept.
func TestBuffersAreUsedAgain(t *testing.T) {
	addr, requests := receiver(t, 200)
	d := open(t, Config{To: addr, Format: Lines}).(*httpDestination)
	send := func(size int) {
		mustDeliver(t, d, repeated(1, strings.Repeat("x", size)))
		<-requests
	}
	kept := 0
	for range 20 {
		send(1 << 20)
		if b, ok := d.bodies.Get().(*body); ok {
			kept++
			d.bodies.Put(b)
		}
	}
	if kept < 5 { // all 20 without the race detector and garbage collection
		t.Errorf("a buffer was kept after %d of 20 batches", kept)
	}
	for d.bodies.Get() != nil {
	}
	send(maxKeptBuffer + 1)
	if d.bodies.Get() != nil {
		t.Error("a giant buffer is kept")
	}
}

// TestEarlyAnswer: the status counts although the body has not all gone out.
func TestEarlyAnswer(t *testing.T) {
	addr := listener(t, func(c *net.TCPConn) {
		c.SetReadBuffer(16 << 10)
		readHead(c)
		io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
		<-t.Context().Done()
	})
	d := open(t, Config{To: addr, Timeout: 20 * time.Second})
	if r := d.Send(t.Context(), repeated(1, strings.Repeat("a", 32<<20))); r.Verdict != Hold || r.Status != 413 {
		t.Errorf("early answer: %+v", r)
	}
}
