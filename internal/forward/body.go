package forward

import (
	"bytes"
	"context"
	"io"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
)

// maxKeptBuffer is the largest buffer that is kept for another batch, in bytes.
// A rare giant would otherwise hold its memory for ever.
const maxKeptBuffer = 4 << 20

// body is the bytes of one request. They come from a pool, and the transport may
// go on reading them after the answer is there (an early 413, a timeout), so
// they go back only when the last reader is done: refs counts the Send and each
// connection that was given the request. A connection that dies before it has
// taken up the request never gives its reference back; then the garbage
// collector has the buffer, and the pool does without.
type body struct {
	data []byte
	refs atomic.Int32
	pool *sync.Pool
}

func newBody(pool *sync.Pool) *body {
	b, ok := pool.Get().(*body)
	if !ok {
		b = &body{pool: pool}
	}
	b.data = b.data[:0]
	b.refs.Store(1)
	return b
}

func (b *body) release() {
	if b.refs.Add(-1) == 0 && cap(b.data) <= maxKeptBuffer {
		b.pool.Put(b)
	}
}

// watch makes a request with that context count the connections that read b.
// The transport calls GotConn before a connection gets the request, and
// WroteRequest when that connection will not read the body any more.
func (b *body) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:      func(httptrace.GotConnInfo) { b.refs.Add(1) },
		WroteRequest: func(httptrace.WroteRequestInfo) { b.release() },
	})
}

// reader gives the bytes from the start. The transport knows this very type as
// being in memory and then sends headers and body in one write.
func (b *body) reader() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b.data)), nil
}
