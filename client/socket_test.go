package client

import (
	"bufio"
	"bytes"
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
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// serve answers on a socket with net/http, as the daemon does.
func serve(t testing.TB, path string, h http.HandlerFunc) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // http.ErrServerClosed
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
}

// statusForm is the form that scripts depend on: every member, in this order.
const statusForm = `{"version":1,"pid":42,"routes":[{"name":"default","queue":"sysv:0x6d716431","state":"backing_off",` +
	`"last_error":"no route to host","depth":1,"pending":2,"in_flight":3,"slots":4,"oldest_s":5,"queue_bytes":6,` +
	`"delivered_total":7,"dead_total":8,"expired_total":9,"requests_total":10,"retries_total":11,"landing":"locked"}]}`

var status = Status{Version: 1, PID: 42, Routes: []RouteStatus{{
	Name: "default", Queue: "sysv:0x6d716431", State: StateBackingOff, LastError: "no route to host",
	Depth: 1, Pending: 2, InFlight: 3, Slots: 4, Oldest: 5, QueueBytes: 6,
	Delivered: 7, Dead: 8, Expired: 9, Requests: 10, Retries: 11, Landing: "locked",
}}}

func TestStatusForm(t *testing.T) {
	text, err := json.Marshal(status)
	if err != nil || string(text) != statusForm {
		t.Errorf("%s, %v, want\n%s", text, err, statusForm)
	}
}

func TestStatus(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	serve(t, path, func(w http.ResponseWriter, r *http.Request) {
		if r.Method+" "+r.URL.Path != "GET /v1/status" || r.Host != "mqd" {
			t.Errorf("asked for %s %s of %q", r.Method, r.URL.Path, r.Host)
		}
		_, _ = io.WriteString(w, statusForm)
	})
	c := &Client{Socket: path}
	for range 2 { // a connection for each
		got, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Routes) != 1 || got.Version != 1 || got.PID != 42 || got.Routes[0] != status.Routes[0] {
			t.Errorf("status %+v", got)
		}
	}
}

func TestFlush(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	var code int
	var route []string
	serve(t, path, func(w http.ResponseWriter, r *http.Request) {
		if r.Method+" "+r.URL.Path != "POST /v1/flush" || !slices.Equal(r.URL.Query()["route"], route) {
			t.Errorf("asked for %s %s, want route %q", r.Method, r.URL, route)
		}
		w.WriteHeader(code)
		if code == 403 {
			_, _ = io.WriteString(w, `{"error":{"code":"forbidden","message":"only root may"}}`)
		}
		if code == 404 {
			_, _ = io.WriteString(w, `{"error":{"code":"no_route","message":"no such route"}}`)
		}
	})
	c := &Client{Socket: path}
	for _, tc := range []struct {
		code int
		want *StatusError
		text string
	}{
		{200, nil, ""}, {202, nil, ""},
		{403, &StatusError{403, "forbidden", "only root may"}, "flush: mqd answered 403: only root may"},
		{503, &StatusError{503, "", ""}, "flush: mqd answered 503"},
	} {
		code = tc.code
		err := c.Flush(t.Context())
		var got *StatusError
		if tc.want == nil && err != nil || tc.want != nil && (!errors.As(err, &got) || *got != *tc.want || err.Error() != tc.text) {
			t.Errorf("code %d: %v, want %q", tc.code, err, tc.text)
		}
	}
	// A route is passed on, whatever is in its name.
	c, code, route = &Client{Socket: path, Route: "a b&c=1"}, 202, []string{"a b&c=1"}
	if err := c.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	code = 404
	if err := c.Flush(t.Context()); !errors.Is(err, ErrNoRoute) {
		t.Errorf("%v, want ErrNoRoute", err)
	}
}

// TestAnswers gives exact bytes to the reader of answers.
func TestAnswers(t *testing.T) {
	const ok = "HTTP/1.0 200 OK\r\n"
	for _, tc := range []struct{ name, answer, body, err string }{
		{"length", ok + "Content-Length: 2\r\n\r\n{}", "{}", ""},
		{"other case, HTTP/1.1, bare newlines", "HTTP/1.1 200\ncontent-LENGTH:2\n\n{}", "{}", ""},
		{"to the end", ok + "\r\n{}", "{}", ""},
		{"more than the length", ok + "Content-Length: 2\r\n\r\n{} and more", "{}", ""},
		{"no body", "HTTP/1.0 204 No Content\r\n\r\n", "", ""},
		{"cut off", ok + "Content-Length: 3\r\n\r\n{}", "", "answer cut off: 2 of 3 bytes: unexpected EOF"},
		{"cut off in the header", ok + "Content-Le", "", "unexpected EOF"},
		{"nothing", "", "", "unexpected EOF"},
		{"no HTTP", "220 mail.example ESMTP\r\n\r\n", "", `not an HTTP answer: "220 mail.example ESMTP"`},
		{"no number", "HTTP/1.0 OK\r\n\r\n", "", `not an HTTP answer: "HTTP/1.0 OK"`},
		{"bad length", ok + "Content-Length: x\r\n\r\n{}", "", `not an HTTP answer: "Content-Length: x"`},
		{"negative length", ok + "Content-Length: -1\r\n\r\n{}", "", `not an HTTP answer: "Content-Length: -1"`},
		{"endless line", strings.Repeat("x", 1<<16), "", bufio.ErrBufferFull.Error()},
		{"endless header", ok + strings.Repeat("A: b\r\n", maxAnswer/6), "", "unexpected EOF"},
		{"endless body", ok + "\r\n" + strings.Repeat("x", maxAnswer), "", "answer over 16777216 bytes"},
		{"refusal without body", "HTTP/1.0 404 Not Found\r\n\r\n", "", "mqd answered 404"},
		{"refusal by name", "HTTP/1.0 404 Not Found\r\n\r\n" + `{"error":{"code":"no_route"}}`, "", "mqd answered 404: no_route"},
		{"redirection", "HTTP/1.0 302 Found\r\nLocation: /\r\n\r\n", "", "mqd answered 302"},
	} {
		body, err := roundTrip(&answer{r: strings.NewReader(tc.answer)}, "GET", "/")
		if tc.err != "" {
			if err == nil || err.Error() != tc.err {
				t.Errorf("%s: error %v, want %s", tc.name, err, tc.err)
			}
		} else if err != nil || string(body) != tc.body {
			t.Errorf("%s: %q, %v, want %q", tc.name, body, err, tc.body)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
	f.Add([]byte("HTTP/1.1 403 Forbidden\r\n\r\n{\"error\":{\"code\":\"a\",\"message\":\"b\"}}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		body, err := roundTrip(&answer{r: bytes.NewReader(text)}, "GET", "/")
		if err == nil && !bytes.Contains(text, body) {
			t.Errorf("body %q is not in the answer %q", body, text)
		}
	})
}

// answer is a connection whose other side says one thing.
type answer struct {
	net.Conn
	r io.Reader
}

func (a *answer) Read(p []byte) (int, error)  { return a.r.Read(p) }
func (a *answer) Write(p []byte) (int, error) { return len(p), nil }

// TestExchangeContext: a daemon that does not answer holds nobody longer than the
// context.
func TestExchangeContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := &Client{Socket: "/s", Dial: func(_ context.Context, path string) (net.Conn, error) {
			if path != "/s" {
				t.Errorf("dialled %q", path)
			}
			return ours, nil
		}}
		go func() { _, _ = theirs.Read(make([]byte, 4096)) }() // and says nothing
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		_, err := c.Status(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("%v after %v, want DeadlineExceeded after 1m", err, time.Since(start))
		}
	})
}

func TestNotRunning(t *testing.T) {
	f, _, env := testFinder(t)
	ordinary(f)
	c := &Client{finder: f}
	run, xdg := f.system.runtime, filepath.Join(env["XDG_RUNTIME_DIR"], "mqd")
	_, err := c.Status(t.Context())
	for _, want := range []string{xdg, run, envSocket} {
		if !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want ErrNotRunning with %s", err, want)
		}
	}
	// A socket that nobody listens on any more.
	path := filepath.Join(t.TempDir(), "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	c = &Client{Socket: path}
	want := fmt.Sprintf("flush: mqd is not running (start it, or name its socket with MQD_SOCKET; tried %s: connection refused)", path)
	if err := c.Flush(t.Context()); !errors.Is(err, ErrNotRunning) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	// A refusal is no absence.
	c.Dial = func(context.Context, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", unix.EACCES)}
	}
	if err := c.Flush(t.Context()); errors.Is(err, ErrNotRunning) || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v, want fs.ErrPermission", err)
	}
}

// TestFindSocket: each step of the search wins over those after it.
func TestFindSocket(t *testing.T) {
	f, root, env := testFinder(t)
	ordinary(f)
	xdg := filepath.Join(env["XDG_RUNTIME_DIR"], "mqd")
	addr, _ := testQueue(t)
	writeRoutes(t, xdg, "default", addr)
	writeRoutes(t, f.system.runtime, "default", addr, "sms", addr)
	var dialled []string
	refuse := func(_ context.Context, path string) (net.Conn, error) {
		dialled = append(dialled, path)
		return nil, unix.ECONNREFUSED
	}
	own, system := filepath.Join(xdg, socketName), filepath.Join(f.system.runtime, socketName)
	for _, tc := range []struct {
		name string
		c    *Client
		env  map[string]string
		want []string
	}{
		{"field", &Client{Socket: "/a", Runtime: "/b"}, map[string]string{envSocket: "/c", envRuntime: "/d"}, []string{"/a"}},
		{"MQD_SOCKET", &Client{Runtime: "/b"}, map[string]string{envSocket: "/c", envRuntime: "/d"}, []string{"/c"}},
		{"field Runtime", &Client{Runtime: "/b"}, map[string]string{envRuntime: "/d"}, []string{"/b/mqd.sock"}},
		{"MQD_RUNTIME", &Client{}, map[string]string{envRuntime: "/d"}, []string{"/d/mqd.sock"}},
		{"own, then system", &Client{}, nil, []string{own, system}},
		{"named state", &Client{State: root}, nil, []string{own}},
		{"route", &Client{Route: "sms"}, nil, []string{system}},
		{"no such route", &Client{Route: "fax"}, nil, nil},
	} {
		dialled = nil
		for _, name := range []string{envSocket, envRuntime} {
			env[name] = tc.env[name]
		}
		c := tc.c
		c.finder, c.Dial = f, refuse
		wantErr := ErrNotRunning
		if tc.want == nil {
			wantErr = ErrNoRoute
		}
		if err := c.Flush(t.Context()); !errors.Is(err, wantErr) {
			t.Errorf("%s: %v, want %v", tc.name, err, wantErr)
		}
		if fmt.Sprint(dialled) != fmt.Sprint(tc.want) {
			t.Errorf("%s: dialled %q, want %q", tc.name, dialled, tc.want)
		}
	}
	// A directory of that name that others may write to is passed over.
	if err := os.Chmod(xdg, 0o777); err != nil {
		t.Fatal(err)
	}
	dialled = nil
	c := Client{finder: f, Dial: refuse}
	if err := c.Flush(t.Context()); !strings.Contains(err.Error(), "not trusted") || fmt.Sprint(dialled) != fmt.Sprint([]string{system}) {
		t.Errorf("%v, dialled %q, want only %q", err, dialled, system)
	}
}
