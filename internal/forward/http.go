package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxAnswerHeaders = 32 << 10 // bytes, 1xx answers included
	maxAnswerBody    = 64 << 10 // bytes that are read before the connection is given up
	maxIdleConns     = 256      // the most slots a route can have
	idleTimeout      = 90 * time.Second
	// writeBuffer takes headers and body of a common batch, which then go out
	// in one write; net/http's 4 KiB makes it two or more and allocates 32 KiB
	// for each request beyond that.
	writeBuffer = 32 << 10
)

// httpDestination posts batches over HTTP/1.1. HTTP/2 is left out: it saves
// connections, of which a route has few, and brings a second framing, flow
// control and reset semantics to the question whether a batch arrived.
type httpDestination struct {
	url       *url.URL
	name      string // the same, redacted
	format    Format
	enc       *encoder
	header    http.Header // of every request; never changed
	timeout   time.Duration
	timedOut  error
	redact    redactor
	transport *http.Transport
	bodies    sync.Pool // of *body
}

func newHTTP(u *url.URL, c *Config) (*httpDestination, error) {
	values, err := readHeaders(c.Headers)
	if err != nil {
		return nil, err
	}
	d := &httpDestination{
		url:     u,
		name:    Redact(u.String()),
		format:  c.Format,
		enc:     newEncoder(c.Format, c),
		timeout: c.Timeout,
		redact:  newRedactor(u, values),
	}
	if d.timeout <= 0 {
		d.timeout = DefaultTimeout
	}
	d.timedOut = timeoutError{d.timeout}
	d.header = d.fixedHeader(values, c)
	d.transport = &http.Transport{
		// Proxy stays nil: an environment that was meant for other programs
		// must not move a route. There is no jar and nothing follows redirects.
		DialContext:            (&net.Dialer{Timeout: d.timeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    d.timeout,
		MaxIdleConnsPerHost:    maxIdleConns,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxAnswerHeaders,
		DisableCompression:     true,
		WriteBufferSize:        writeBuffer,
		Protocols:              new(http.Protocols),
	}
	d.transport.Protocols.SetHTTP1(true)
	return d, nil
}

// fixedHeader is what every request of the route carries. Host is derived from
// the URL and Content-Length from the body, by net/http.
func (d *httpDestination) fixedHeader(values map[string]string, c *Config) http.Header {
	h := toHeader(values)
	h["Content-Type"] = []string{c.Format.ContentType()}
	h["Mqd-Route"] = []string{percent([]byte(c.Route))}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = []string{userAgent()}
	}
	if c.Format == Raw {
		h["Ce-Specversion"] = []string{"1.0"}
		h["Ce-Source"] = []string{percent([]byte(c.source()))}
		h["Ce-Type"] = []string{percent([]byte(c.eventType()))}
	}
	return h
}

// userAgent is mqd/VERSION, the version of the module that was built.
func userAgent() string {
	version := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = strings.Trim(info.Main.Version, "()")
	}
	if !isToken(version) {
		version = "devel"
	}
	return "mqd/" + version
}

func (d *httpDestination) String() string { return d.name }

func (d *httpDestination) Close() error {
	d.transport.CloseIdleConnections()
	return nil
}

func (d *httpDestination) Send(ctx context.Context, b *Batch) Result {
	if d.format.OneByOne() {
		return d.sendEach(ctx, b)
	}
	body := newBody(&d.bodies)
	defer body.release()
	body.data = d.enc.append(body.data, b)
	return d.post(ctx, b.ID, b.Count, nil, body)
}

// sendEach sends the messages one by one and stops at the first that is not
// delivered. Batches of such a route have one message; one that was cut before
// the format changed can have more. Its messages then have keys of their own,
// ID.0, ID.1 and so on, the same in every try, so that those which are sent
// again can be told from new ones.
func (d *httpDestination) sendEach(ctx context.Context, b *Batch) Result {
	result := Result{Verdict: Delivered}
	i := 0
	for m := range b.Messages {
		key := b.ID
		if b.Count > 1 {
			key += "." + strconv.Itoa(i)
		}
		if result = d.sendRaw(ctx, key, m); result.Verdict != Delivered {
			return result
		}
		i++
	}
	return result
}

func (d *httpDestination) sendRaw(ctx context.Context, key string, m *Message) Result {
	body := newBody(&d.bodies)
	defer body.release()
	body.data = append(body.data, m.Body...)
	return d.post(ctx, key, 1, m, body)
}

// post makes one try with everything in it: connect, send, read the answer.
// event is the message whose attributes go into the headers, nil if none.
func (d *httpDestination) post(ctx context.Context, key string, count int, event *Message, body *body) Result {
	if err := ctx.Err(); err != nil {
		return cutShort(d.name, err)
	}
	tryCtx, cancel := context.WithTimeoutCause(ctx, d.timeout, d.timedOut)
	defer cancel()

	header := make(http.Header, len(d.header)+8)
	maps.Copy(header, d.header)
	header["Idempotency-Key"] = []string{key}
	header["Mqd-Count"] = []string{strconv.Itoa(count)}
	if event != nil {
		setEvent(header, event)
	}
	// With an Idempotency-Key and GetBody the transport itself sends again
	// what went out on a kept connection that turned out to be closed.
	req := (&http.Request{
		Method:        http.MethodPost,
		URL:           d.url,
		Host:          d.url.Host,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          http.NoBody,
		ContentLength: int64(len(body.data)),
	}).WithContext(body.watch(tryCtx))
	if len(body.data) > 0 {
		req.Body, _ = body.reader()
		req.GetBody = body.reader
	}
	resp, err := d.transport.RoundTrip(req)
	if err != nil {
		return d.failed(ctx, err)
	}
	defer resp.Body.Close()
	// The status line decides. The rest is read so that the connection can be
	// used again; what hangs, breaks off or never ends changes nothing, it
	// only costs the connection.
	if resp.StatusCode != http.StatusSwitchingProtocols {
		io.CopyN(io.Discard, resp.Body, maxAnswerBody+1) //nolint:errcheck // see above
	}
	return d.answered(resp)
}

// answered is the result for an answer with a status.
func (d *httpDestination) answered(resp *http.Response) Result {
	r := Result{Verdict: Classify(resp.StatusCode), Status: resp.StatusCode}
	if r.Verdict == Delivered {
		return r
	}
	r.RetryAfter = retryAfter(resp.Header, time.Now())
	// Our own words for the status: the reason phrase is the other side's.
	text := strings.TrimSpace(strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode))
	if location, err := resp.Location(); err == nil && resp.StatusCode/100 == 3 {
		text += " to " + Redact(location.String()) + " (redirects are not followed)"
	}
	r.Err = &sendError{to: d.name, text: d.redact.text(text)}
	return r
}

// failed is the result when there is no answer.
func (d *httpDestination) failed(ctx context.Context, err error) Result {
	if ctx.Err() != nil {
		return cutShort(d.name, ctx.Err())
	}
	r := &sendError{to: d.name, text: d.redact.text(err.Error()), cause: err}
	if errors.Is(err, context.Canceled) {
		// Not our caller's doing, and the Gate must not take it for that.
		r.cause = nil
	}
	return Result{Verdict: classifyError(err), Err: r}
}

// timeoutError is context.DeadlineExceeded that says how long.
type timeoutError struct{ after time.Duration }

func (e timeoutError) Error() string { return fmt.Sprintf("no answer within %v", e.after) }
func (e timeoutError) Unwrap() error { return context.DeadlineExceeded }
func (e timeoutError) Timeout() bool { return true }
