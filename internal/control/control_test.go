package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/internal/control"
	"github.com/mqdaemon/mqd/internal/testkit"
)

// fakeDaemon answers with what it is told and notes what it is asked.
type fakeDaemon struct {
	mu      sync.Mutex
	status  client.Status
	reason  string // of bad health; "" is healthy
	flushed []string
	entered chan struct{} // closed when Status is called, if not nil; hold is set then
	hold    chan struct{} // what Status waits for after that
}

func (d *fakeDaemon) Status() *client.Status {
	if d.entered != nil {
		close(d.entered)
		<-d.hold
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.status
	return &s
}

func (d *fakeDaemon) Flush(route string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch route {
	case "nowhere":
		return fmt.Errorf("route %q: %w", route, control.ErrNoRoute)
	case "broken":
		return errors.New("it broke")
	}
	d.flushed = append(d.flushed, route)
	return nil
}

func (d *fakeDaemon) Health() (bool, string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reason == "", d.reason
}

func twoRoutes() client.Status {
	return client.Status{Version: 1, PID: 42, Routes: []client.RouteStatus{
		{Name: "default", Queue: "sysv:0x6d716431", State: "ok", Depth: 1, Pending: 2, InFlight: 3, Slots: 4, Oldest: 5,
			QueueBytes: 16384, Delivered: 1 << 40, Dead: 7, Expired: 8, Requests: 9, Retries: 10, Landing: "locked"},
		{Name: "sms", Queue: "posix:/sms", State: "held", LastError: "401 Unauthorized", Landing: "unlocked"},
	}}
}

// start runs a server until the test ends and gives its socket.
func start(t *testing.T, d control.Daemon, edit func(*control.Config)) (server *control.Server, path string) {
	t.Helper()
	cfg := control.Config{Path: filepath.Join(socketDir(t), "mqd.sock"), Daemon: d, Version: "v1.2.3"}
	if edit != nil {
		edit(&cfg)
	}
	server = control.New(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if _, err := os.Lstat(cfg.Path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket is still there after the stop: %v", err)
		}
	})
	select {
	case <-server.Ready():
	case err := <-done:
		done <- nil
		t.Fatalf("Run: %v", err)
	}
	return server, cfg.Path
}

// socketDir is a directory that every user can enter: that of the test alone is
// behind one that nobody else can.
func socketDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// dialAs connects as another user, by changing the credentials of one thread
// (credentials(7)), which ends with its goroutine.
func dialAs(t *testing.T, uid int, path string) net.Conn {
	t.Helper()
	type result struct {
		c   net.Conn
		err error
	}
	got := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is of no further use
		if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			got <- result{nil, errno}
			return
		}
		c, err := net.Dial("unix", path)
		got <- result{c, err}
	}()
	r := <-got
	if r.err != nil {
		t.Fatalf("connect as uid %d: %v", uid, r.err)
	}
	t.Cleanup(func() { _ = r.c.Close() })
	return r.c
}

type answer struct {
	code   int
	header http.Header
	body   string
}

// ask makes one request over dial.
func ask(t *testing.T, dial func() (net.Conn, error), method, target string) answer {
	t.Helper()
	hc := http.Client{Transport: &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return dial() },
		DisableKeepAlives: true,
	}}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://mqd"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func unixDial(path string) func() (net.Conn, error) {
	return func() (net.Conn, error) { return net.Dial("unix", path) }
}

func TestStatus(t *testing.T) {
	_, path := start(t, &fakeDaemon{status: twoRoutes()}, nil)
	got := ask(t, unixDial(path), "GET", "/v1/status")
	if got.code != 200 || got.header.Get("Content-Type") != "application/json" || got.header.Get("Mqd-Version") != "v1.2.3" {
		t.Errorf("got %d, %v", got.code, got.header)
	}
	want := `{"version":1,"pid":42,"routes":[` +
		`{"name":"default","queue":"sysv:0x6d716431","state":"ok","last_error":"","depth":1,"pending":2,"in_flight":3,"slots":4,"oldest_s":5,` +
		`"queue_bytes":16384,"delivered_total":1099511627776,"dead_total":7,"expired_total":8,"requests_total":9,"retries_total":10,"landing":"locked"},` +
		`{"name":"sms","queue":"posix:/sms","state":"held","last_error":"401 Unauthorized","depth":0,"pending":0,"in_flight":0,"slots":0,"oldest_s":0,` +
		`"queue_bytes":0,"delivered_total":0,"dead_total":0,"expired_total":0,"requests_total":0,"retries_total":0,"landing":"unlocked"}]}` + "\n"
	if got.body != want {
		t.Errorf("got\n%s\nwant\n%s", got.body, want)
	}
	if head := ask(t, unixDial(path), "HEAD", "/v1/status"); head.code != 200 || head.body != "" {
		t.Errorf("HEAD: %d %q", head.code, head.body)
	}
}

// Every failed request has the contract's body, a code for programs and a message.
func TestFailures(t *testing.T) {
	_, path := start(t, &fakeDaemon{}, nil)
	for _, tt := range []struct {
		method, target string
		status         int
		code           string
	}{
		{"GET", "/", 404, "not_found"},
		{"GET", "/v1/status/", 404, "not_found"},
		{"GET", "/v1/../v1/status", 404, "not_found"},
		{"POST", "/v2/flush", 404, "not_found"},
		{"GET", "/debug/pprof/", 404, "not_found"},
		{"POST", "/v1/status", 405, "method_not_allowed"},
		{"DELETE", "/metrics", 405, "method_not_allowed"},
		{"POST", "/healthz", 405, "method_not_allowed"},
		{"GET", "/v1/flush", 405, "method_not_allowed"},
		{"HEAD", "/v1/flush", 405, ""},
		{"POST", "/v1/flush?route=nowhere", 404, "no_route"},
		{"POST", "/v1/flush?route=broken", 500, "failed"},
		{"POST", "/v1/flush?rout=sms", 400, "bad_request"},
		{"POST", "/v1/flush?route=a&route=b", 400, "bad_request"},
	} {
		got := ask(t, unixDial(path), tt.method, tt.target)
		var body struct {
			Error struct{ Code, Message string }
		}
		if tt.code != "" {
			if err := json.Unmarshal([]byte(got.body), &body); err != nil || body.Error.Message == "" {
				t.Errorf("%s %s: body %q: %v", tt.method, tt.target, got.body, err)
			}
		}
		if got.code != tt.status || body.Error.Code != tt.code || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: got %d %q, want %d %q", tt.method, tt.target, got.code, got.body, tt.status, tt.code)
		}
		if tt.status == 405 && got.header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow header", tt.method, tt.target)
		}
	}
}

func TestFlush(t *testing.T) {
	d := &fakeDaemon{}
	_, path := start(t, d, nil)
	for _, target := range []string{"/v1/flush", "/v1/flush?route=sms"} {
		if got := ask(t, unixDial(path), "POST", target); got.code != 202 || got.body != "{}\n" {
			t.Errorf("%s: got %d %q", target, got.code, got.body)
		}
	}
	if got := strings.Join(d.flushed, ","); got != ",sms" {
		t.Errorf("the daemon was asked to flush %q", d.flushed)
	}
}

// Anybody who reaches the socket may look; only root and the daemon may act.
func TestPeers(t *testing.T) {
	testkit.NeedRoot(t)
	d := &fakeDaemon{status: twoRoutes()}
	_, path := start(t, d, nil)
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o666 {
		t.Fatalf("socket mode %v, %v", info.Mode(), err)
	}
	const www = 33
	as := func() (net.Conn, error) { return dialAs(t, www, path), nil }
	for _, target := range []string{"/v1/status", "/metrics", "/healthz"} {
		if got := ask(t, as, "GET", target); got.code != 200 {
			t.Errorf("%s as uid %d: %d %s", target, www, got.code, got.body)
		}
	}
	got := ask(t, as, "POST", "/v1/flush")
	if got.code != 403 || !strings.Contains(got.body, `"code":"forbidden"`) || len(d.flushed) != 0 {
		t.Errorf("flush as uid %d: %d %s, flushed %q", www, got.code, got.body, d.flushed)
	}
	if got := ask(t, unixDial(path), "POST", "/v1/flush"); got.code != 202 {
		t.Errorf("flush as root: %d %s", got.code, got.body)
	}
}

func TestHealth(t *testing.T) {
	d := &fakeDaemon{}
	server, path := start(t, d, func(c *control.Config) { c.Listen = "127.0.0.1:0" })
	tcp := func() (net.Conn, error) { return net.Dial("tcp", server.Addr().String()) }
	for _, dial := range []func() (net.Conn, error){unixDial(path), tcp} {
		d.reason = ""
		if got := ask(t, dial, "GET", "/healthz"); got.code != 200 || got.body != "ok\n" {
			t.Errorf("healthy: %d %q", got.code, got.body)
		}
		d.reason = "route sms: held"
		if got := ask(t, dial, "GET", "/healthz"); got.code != 503 || got.body != "route sms: held\n" {
			t.Errorf("not healthy: %d %q", got.code, got.body)
		}
	}
}

func TestTCPOnlyReads(t *testing.T) {
	d := &fakeDaemon{status: twoRoutes()}
	server, _ := start(t, d, func(c *control.Config) { c.Listen = "127.0.0.1:0" })
	tcp := func() (net.Conn, error) { return net.Dial("tcp", server.Addr().String()) }
	if got := ask(t, tcp, "GET", "/metrics"); got.code != 200 {
		t.Errorf("/metrics: %d", got.code)
	}
	for _, target := range []string{"/v1/status", "/v1/flush"} {
		for _, method := range []string{"GET", "POST"} {
			if got := ask(t, tcp, method, target); got.code != 404 {
				t.Errorf("%s %s: %d, want 404", method, target, got.code)
			}
		}
	}
	if len(d.flushed) != 0 {
		t.Errorf("flushed over TCP: %q", d.flushed)
	}
}

func TestMetrics(t *testing.T) {
	status := twoRoutes()
	status.Routes = append(status.Routes, client.RouteStatus{Name: "bad\xff\"\n", State: "paused"})
	_, path := start(t, &fakeDaemon{status: status}, nil)
	got := ask(t, unixDial(path), "GET", "/metrics")
	if got.code != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") {
		t.Fatalf("got %d %v %s", got.code, got.header, got.body)
	}
	problems, err := promlint.New(strings.NewReader(got.body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("promlint: %s: %s", p.Metric, p.Text)
	}
	for _, line := range []string{
		`mqd_build_info{goversion="` + runtime.Version() + `",version="v1.2.3"} 1`,
		`mqd_queue_depth{route="default"} 1`,
		`mqd_pending{route="default"} 2`,
		`mqd_in_flight{route="default"} 3`,
		`mqd_slots{route="default"} 4`,
		`mqd_oldest_seconds{route="default"} 5`,
		`mqd_queue_bytes{route="default"} 16384`,
		`mqd_delivered_total{route="default"} 1.099511627776e+12`,
		`mqd_dead_total{route="default"} 7`,
		`mqd_expired_total{route="default"} 8`,
		`mqd_requests_total{route="default"} 9`,
		`mqd_retries_total{route="default"} 10`,
		`mqd_route_state{route="default",state="ok"} 1`,
		`mqd_route_state{route="default",state="held"} 0`,
		`mqd_route_state{route="sms",state="ok"} 0`,
		`mqd_route_state{route="sms",state="held"} 1`,
		`mqd_route_state{route="bad?\"\n",state="paused"} 1`,
	} {
		if !strings.Contains(got.body, line+"\n") {
			t.Errorf("no line %s in\n%s", line, got.body)
		}
	}
	if n := strings.Count(got.body, `mqd_route_state{route="sms"`); n != 7 {
		t.Errorf("%d states for one route, want 7", n)
	}
}

func TestHeaderSize(t *testing.T) {
	_, path := start(t, &fakeDaemon{}, nil)
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: x\r\nA: %s", strings.Repeat("a", 64<<10))
	answer, _ := io.ReadAll(c) // ends in a reset, as part of the request was never read
	if !strings.HasPrefix(string(answer), "HTTP/1.1 431 ") {
		t.Errorf("got %q", answer)
	}
}

// A request that hangs does not hold up the stop for longer than a second.
func TestStopCutsRequests(t *testing.T) {
	d := &fakeDaemon{entered: make(chan struct{}), hold: make(chan struct{})}
	path := filepath.Join(socketDir(t), "mqd.sock")
	server := control.New(control.Config{Path: path, Daemon: d})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- server.Run(ctx) }()
	<-server.Ready()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
	<-d.entered
	begin := time.Now()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if took := time.Since(begin); took < time.Second || took > 5*time.Second {
		t.Errorf("the stop took %v, want 1 s", took)
	}
	if err := c.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(c); len(answer) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the cut request got %q, %v", answer, err)
	}
	close(d.hold)
}
