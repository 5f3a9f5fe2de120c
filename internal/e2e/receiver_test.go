package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// receiver is the far end of a route: an HTTP server that keeps what it gets. It
// counts a message when it accepts its request.
type receiver struct {
	t        testing.TB
	addr     string
	messages atomic.Int64 // accepted, repeats among them

	// answer gives the status for a request and may wait; nil: 204 at once. It is
	// set before the first request.
	answer func(*request) int
	// unchecked leaves Mqd-Count alone. It too is set before the first request.
	unchecked bool

	mu       sync.Mutex // guards what follows
	server   *http.Server
	requests []*request // accepted, in the order of their answers
	refused  int
}

// hangUp is an answer that closes the connection instead.
const hangUp = 0

// request is one request and when it came and was answered.
type request struct {
	begin, end time.Time
	path       string
	header     http.Header
	body       []byte
	messages   []message
	gone       <-chan struct{} // closed when the daemon has hung up
}

// message is one message, whatever the format.
type message struct {
	id, key, time string
	mtype         int64
	body          string
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{t: t, addr: "127.0.0.1:0"}
	r.open()
	t.Cleanup(r.close)
	return r
}

func (r *receiver) url() string { return "http://" + r.addr + "/in" }

// open begins to listen, always on the same port.
func (r *receiver) open() {
	r.t.Helper()
	l, err := net.Listen("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.addr = l.Addr().String()
	s := &http.Server{Handler: r}
	r.mu.Lock()
	r.server = s
	r.mu.Unlock()
	go s.Serve(l)
}

// close stops listening and cuts all connections.
func (r *receiver) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.server.Close()
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, h *http.Request) {
	q := &request{begin: time.Now(), path: h.URL.RequestURI(), header: h.Header, gone: h.Context().Done()}
	var err error
	if q.body, err = io.ReadAll(h.Body); err != nil {
		return // cut off
	}
	if q.messages, err = parse(h.Header, q.body); err != nil && !r.unchecked {
		r.t.Errorf("request %s: %v", h.Header.Get("Idempotency-Key"), err)
	}
	status := http.StatusNoContent
	if r.answer != nil {
		status = r.answer(q)
	}
	if status == hangUp {
		panic(http.ErrAbortHandler)
	}
	r.mu.Lock()
	if status/100 == 2 {
		r.requests = append(r.requests, q)
	} else {
		r.refused++
	}
	r.mu.Unlock()
	if status/100 == 2 {
		r.messages.Add(int64(len(q.messages)))
	}
	w.WriteHeader(status)
	http.NewResponseController(w).Flush()
	r.mu.Lock()
	q.end = time.Now()
	r.mu.Unlock()
}

// parse reads a body of any format and checks it against Mqd-Count.
func parse(h http.Header, body []byte) ([]message, error) {
	var all []message
	var err error
	switch t := h.Get("Content-Type"); t {
	case "text/plain":
		for line := range strings.Lines(string(body)) {
			all = append(all, message{body: strings.TrimSuffix(line, "\n")})
		}
	case "application/x-ndjson":
		for line := range bytes.Lines(body) {
			var m message
			if err = m.unmarshal(line); err != nil {
				break
			}
			all = append(all, m)
		}
	case "application/json", "application/cloudevents-batch+json":
		var items []json.RawMessage
		err = json.Unmarshal(body, &items)
		for _, item := range items {
			var m message
			if err == nil {
				err = m.unmarshal(item)
			}
			all = append(all, m)
		}
	default:
		mtype, _ := strconv.ParseInt(h.Get("Ce-Mqdtype"), 10, 64)
		all = []message{{
			id: h.Get("Ce-Id"), key: h.Get("Ce-Subject"), time: h.Get("Ce-Time"), mtype: mtype, body: string(body),
		}}
	}
	if err != nil {
		return nil, err
	}
	if want := h.Get("Mqd-Count"); want != strconv.Itoa(len(all)) {
		return all, fmt.Errorf("%d messages in the body, Mqd-Count %q", len(all), want)
	}
	return all, nil
}

// unmarshal reads an object of ndjson, json or cloudevents.
func (m *message) unmarshal(item []byte) error {
	var o struct {
		ID, Time, Key, Subject string
		Type                   json.RawMessage
		MqdType                *int64
		Data                   *string
		Base64                 []byte `json:"data_base64"`
	}
	if err := json.Unmarshal(item, &o); err != nil {
		return fmt.Errorf("%s: %w", item, err)
	}
	*m = message{id: o.ID, key: o.Key + o.Subject, time: o.Time, body: string(o.Base64)}
	if o.Data != nil {
		m.body = *o.Data
	}
	if o.MqdType != nil {
		m.mtype = *o.MqdType
		return nil
	}
	return json.Unmarshal(o.Type, &m.mtype)
}

// wait waits until n messages are accepted; more is left to the caller to find.
func (r *receiver) wait(n int, within time.Duration) {
	r.t.Helper()
	deadline := time.Now().Add(within)
	for r.messages.Load() < int64(n) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%d of %d messages after %v", r.messages.Load(), n, within)
		}
		time.Sleep(200 * time.Microsecond)
	}
}

// accepted is a copy of the list of requests.
func (r *receiver) accepted() []*request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*request(nil), r.requests...)
}

// all gives the messages in the order of the answers.
func (r *receiver) all() []message {
	var all []message
	for _, q := range r.accepted() {
		all = append(all, q.messages...)
	}
	return all
}

// bodies gives the payloads in the order of the answers.
func (r *receiver) bodies() []string {
	var bodies []string
	for _, m := range r.all() {
		bodies = append(bodies, m.body)
	}
	return bodies
}
