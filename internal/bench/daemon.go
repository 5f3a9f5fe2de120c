package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mqdaemon/mqd/mq"
)

// quietMessages is how many single messages a round times, and quietEvery apart.
const (
	quietMessages = 200
	quietEvery    = 5 * time.Millisecond
)

// latencies are the times of single messages in quiet traffic, and of the same
// bodies posted directly over a kept-alive connection.
type latencies struct {
	viaDaemon, direct  []time.Duration
	messages, requests int64
}

func (l *latencies) batch() float64 { return float64(l.messages) / float64(max(1, l.requests)) }

func (l *latencies) report(w io.Writer) {
	slices.Sort(l.viaDaemon)
	slices.Sort(l.direct)
	at := func(d []time.Duration, p int) time.Duration { return d[len(d)*p/100].Round(100 * time.Nanosecond) }
	fmt.Fprintln(w, "| quiet latency, send to the receiver's handler | p50 | p99 |\n| --- | ---: | ---: |")
	fmt.Fprintf(w, "| direct keep-alive POST | %v | %v |\n", at(l.direct, 50), at(l.direct, 99))
	fmt.Fprintf(w, "| msgsnd, through mqd | %v | %v |\n", at(l.viaDaemon, 50), at(l.viaDaemon, 99))
	fmt.Fprintf(w, "| ratio | %.2f | %.2f |\n",
		float64(at(l.viaDaemon, 50))/float64(at(l.direct, 50)), float64(at(l.viaDaemon, 99))/float64(at(l.direct, 99)))
}

// receiver counts messages by Mqd-Count and hands over when single ones came.
type receiver struct {
	count, requests atomic.Int64
	want            int64
	all             chan struct{}
	single          chan time.Time
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	now := time.Now()
	if req.URL.Path == "/direct" {
		r.single <- now
		return
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	n, err := strconv.ParseInt(req.Header.Get("Mqd-Count"), 10, 64)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.requests.Add(1)
	if before := r.count.Add(n) - n; before >= r.want {
		r.single <- now
	} else if before+n == r.want {
		close(r.all)
	}
}

// patience bounds every wait for something that should have come long ago.
const patience = time.Minute

func (r *receiver) wait(all <-chan struct{}) error {
	select {
	case <-all:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%d of %d messages after %v", r.count.Load(), r.want, patience)
	}
}

func single(arrived <-chan time.Time) (time.Time, error) {
	select {
	case at := <-arrived:
		return at, nil
	case <-time.After(patience):
		return time.Time{}, fmt.Errorf("a single message did not come within %v", patience)
	}
}

// daemon times one sender, mqd and a receiver, and then quiet traffic.
func (b *bench) daemon(f *figure, quiet *latencies) (err error) {
	dir, err := os.MkdirTemp("", "mqd-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	recv := &receiver{want: int64(b.messages), all: make(chan struct{}), single: make(chan time.Time, 1)}
	server := httptest.NewServer(recv)
	defer server.Close()
	key := randomKey()
	daemon := exec.Command(filepath.Join(b.bin, "mqd"), "--queue", mq.SysVAddr(key).String(), "--to", server.URL, "--format", "lines",
		"--state", filepath.Join(dir, "state"), "--runtime", filepath.Join(dir, "run"), "--log-level", "warn")
	daemon.Stderr = os.Stderr
	if err := daemon.Start(); err != nil {
		return err
	}
	defer daemon.Process.Kill()
	defer func() { err = errors.Join(err, mq.Remove(mq.SysVAddr(key))) }()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "run", "mqd.pid")); err == nil {
			break
		} else if time.Now().After(deadline) {
			return fmt.Errorf("mqd did not come up: %w", err)
		}
	}
	begin := time.Now()
	if err := b.role("send", key).Run(); err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	if err := recv.wait(recv.all); err != nil {
		return err
	}
	took := time.Since(begin)
	cpu, err := cpuOf(daemon.Process.Pid)
	if err != nil {
		return err
	}
	f.rates = append(f.rates, float64(b.messages)/took.Seconds())
	f.cpu = append(f.cpu, cpu.Seconds()*1e6/float64(b.messages))
	quiet.messages += recv.count.Load()
	quiet.requests += recv.requests.Load()
	if err := quiet.measure(key, server.URL, recv.single); err != nil {
		return err
	}
	if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return daemon.Wait()
}

// measure sends single messages, in turn by the queue and directly.
func (l *latencies) measure(key mq.Key, url string, arrived <-chan time.Time) error {
	q, err := mq.OpenSysV(key, nil)
	if err != nil {
		return err
	}
	body := bytes.Repeat([]byte{'x'}, bodySize)
	tick := time.NewTicker(quietEvery)
	defer tick.Stop()
	for range quietMessages {
		<-tick.C
		begin := time.Now()
		if err := q.TrySend(mq.Message{Type: 1, Body: body}); err != nil {
			return err
		}
		at, err := single(arrived)
		if err != nil {
			return err
		}
		l.viaDaemon = append(l.viaDaemon, at.Sub(begin))
		<-tick.C
		begin = time.Now()
		resp, err := http.Post(url+"/direct", "text/plain", bytes.NewReader(body))
		if err != nil {
			return err
		}
		if at, err = single(arrived); err != nil {
			return err
		}
		l.direct = append(l.direct, at.Sub(begin))
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if err := resp.Body.Close(); err != nil {
			return err
		}
	}
	return nil
}
