package main

import (
	"bufio"
	"bytes"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// serviceTime is how long the receiver takes for a request: the remote services
// that mqd is for are not on this host.
const serviceTime = 2 * time.Millisecond

// request is what the receiver notes of one.
type request struct {
	phase    string
	messages int
}

// receiver is the remote service: it counts, and it can be down.
type receiver struct {
	mu       sync.Mutex
	phase    string
	isDown   bool
	refused  int
	requests []request
	got      map[string]int
	count    int
	sent     map[string]time.Time // when a line of the quiet phase was handed to mqctl
	latency  []time.Duration
}

func newReceiver() *receiver {
	return &receiver{got: map[string]int{}, sent: map[string]time.Time{}}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var lines []string
	in := bufio.NewReader(req.Body)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			lines = append(lines, string(bytes.TrimSuffix(line, []byte("\n"))))
		}
		if err != nil {
			break
		}
	}
	now := time.Now()
	time.Sleep(serviceTime)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isDown {
		r.refused++
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	n, err := strconv.Atoi(req.Header.Get("Mqd-Count"))
	if err != nil || n != len(lines) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.requests = append(r.requests, request{r.phase, n})
	r.count += n
	for _, line := range lines {
		r.got[line]++
		if t, ok := r.sent[line]; ok {
			r.latency = append(r.latency, now.Sub(t))
			delete(r.sent, line)
		}
	}
}

func (r *receiver) begin(phase string) { r.locked(func() { r.phase = phase }) }
func (r *receiver) expect(line string) { r.locked(func() { r.sent[line] = time.Now() }) }
func (r *receiver) down(yes bool)      { r.locked(func() { r.isDown = yes }) }
func (r *receiver) refusals() (n int)  { r.locked(func() { n = r.refused }); return n }
func (r *receiver) total() (n int)     { r.locked(func() { n = r.count }); return n }

// lines is what arrived. Nothing arrives any more when it is called.
func (r *receiver) lines() map[string]int { return r.got }

func (r *receiver) locked(fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fn()
}
