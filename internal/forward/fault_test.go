package forward

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// readHead reads up to the end of the request headers; rest is what came with
// them. head is empty at the end of the connection.
func readHead(c net.Conn) (head string, rest []byte) {
	var b []byte
	for {
		p := make([]byte, 4096)
		n, err := c.Read(p)
		b = append(b, p[:n]...)
		if h, r, ok := bytes.Cut(b, []byte("\r\n\r\n")); ok {
			return string(h) + "\r\n\r\n", r
		}
		if err != nil {
			return "", nil
		}
	}
}

// readRequest reads a request with a Content-Length.
func readRequest(c net.Conn) (head string, ok bool) {
	head, rest := readHead(c)
	_, after, ok := strings.Cut(head, "\r\nContent-Length: ")
	if !ok {
		return "", false
	}
	length, _, _ := strings.Cut(after, "\r\n")
	n, err := strconv.Atoi(length)
	if err != nil {
		return "", false
	}
	_, err = io.CopyN(io.Discard, c, int64(n-len(rest)))
	return head, err == nil
}

// untilClosed reads until the other side closes: what follows a fault must be
// the end of the connection, not a leak.
func untilClosed(c *net.TCPConn) { io.Copy(io.Discard, c) }

func answer(text string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		if _, ok := readRequest(c); ok {
			io.WriteString(c, text)
		}
	}
}

// trickle sends text byte by byte, a byte each few milliseconds, until the other
// side has had enough.
func trickle(c *net.TCPConn, text string) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := range len(text) {
		if _, err := c.Write([]byte{text[i]}); err != nil {
			return
		}
		<-tick.C
	}
}

func flood(c *net.TCPConn, head, text string) {
	io.WriteString(c, head)
	for {
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
	}
}

func TestFaults(t *testing.T) {
	const timeout = 200 * time.Millisecond
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, f := range []struct {
		name   string
		serve  func(*net.TCPConn)
		want   Result // without Err
		text   string // part of Err
		timely bool   // must end well before the timeout
		is     error
	}{
		{name: "reset at once", serve: func(c *net.TCPConn) { c.SetLinger(0) }, timely: true},
		{name: "reset after the request", serve: func(c *net.TCPConn) { readRequest(c); c.SetLinger(0) }, timely: true},
		{name: "closed at once", serve: func(*net.TCPConn) {}, timely: true},
		{name: "closed after the request", serve: func(c *net.TCPConn) { readRequest(c) }, text: "EOF", timely: true, is: io.EOF},
		{name: "hangs after the request", serve: untilClosed, text: "no answer within 200ms", is: context.DeadlineExceeded},
		{name: "hangs in the status line", serve: func(c *net.TCPConn) { answer("HTTP/1.1 20")(c); untilClosed(c) }, text: "no answer within"},
		{name: "hangs in the headers", serve: func(c *net.TCPConn) { answer(ok + "X-A: b\r\nX-")(c); untilClosed(c) }, text: "no answer within"},
		{name: "trickles the headers", serve: func(c *net.TCPConn) { readRequest(c); trickle(c, ok+"X-A: "+strings.Repeat("b", 1000)) }, text: "no answer within"},
		{name: "closed in the headers", serve: answer(ok + "X-A: b\r\n"), timely: true},
		{name: "garbage", serve: answer("\x00\xff\x1b[31mhello\r\n\r\n"), text: "malformed HTTP", timely: true},
		{name: "another protocol", serve: answer("SSH-2.0-OpenSSH_9.2\r\n\r\n"), text: "malformed HTTP", timely: true},
		{name: "no status", serve: answer("HTTP/1.1 OK\r\n\r\n"), text: "malformed HTTP", timely: true},
		{name: "huge status", serve: answer("HTTP/1.1 20000000000000000000 OK\r\n\r\n"), text: "malformed HTTP", timely: true},
		{name: "status 999", serve: answer("HTTP/1.1 999 ?\r\nContent-Length: 0\r\n\r\n"), want: Result{Status: 999}, timely: true},
		{name: "bad header", serve: answer(ok + "no colon\r\n\r\n"), text: "malformed", timely: true},
		{name: "two lengths", serve: answer(ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), timely: true},
		{name: "huge header", serve: answer(ok + "X-A: " + strings.Repeat("b", 64<<10) + "\r\n\r\n"), text: "exceeded 32768 bytes", timely: true},
		{name: "endless headers", serve: func(c *net.TCPConn) { readRequest(c); flood(c, ok, "X-A: b\r\n") }, text: "exceeded 32768 bytes", timely: true},
		{name: "endless status line", serve: func(c *net.TCPConn) { readRequest(c); flood(c, "HTTP/1.1 200 ", "xxxxxxxxxxxx") }, text: "exceeded 32768 bytes", timely: true},
		{name: "1xx flood", serve: func(c *net.TCPConn) { readRequest(c); flood(c, "", "HTTP/1.1 103 Early Hints\r\nX-A: b\r\n\r\n") }, text: "exceeded 32768 bytes", timely: true},
		{name: "1xx, then well", serve: answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + ok + "Content-Length: 0\r\n\r\n"), want: Result{Verdict: Delivered, Status: 200}, timely: true},
		{name: "101", serve: func(c *net.TCPConn) {
			answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")(c)
			untilClosed(c)
		}, want: Result{Verdict: Hold, Status: 101}, text: "101 Switching Protocols", timely: true},
		{name: "endless body", serve: func(c *net.TCPConn) { readRequest(c); flood(c, ok+"\r\n", strings.Repeat("x", 4096)) }, want: Result{Verdict: Delivered, Status: 200}, timely: true},
		{name: "huge body", serve: func(c *net.TCPConn) { readRequest(c); flood(c, ok+"Content-Length: 9999999999\r\n\r\n", "x") }, want: Result{Verdict: Delivered, Status: 200}, timely: true},
		{name: "endless chunks", serve: func(c *net.TCPConn) {
			readRequest(c)
			flood(c, "HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n")
		}, want: Result{Status: 500}, text: "500 Internal Server Error"},
		{name: "body hangs", serve: func(c *net.TCPConn) { answer(ok + "Content-Length: 10\r\n\r\nabc")(c); untilClosed(c) }, want: Result{Verdict: Delivered, Status: 200}},
		{name: "body trickles", serve: func(c *net.TCPConn) {
			readRequest(c)
			io.WriteString(c, ok+"Content-Length: 1000\r\n\r\n")
			trickle(c, strings.Repeat("x", 1000))
		}, want: Result{Verdict: Delivered, Status: 200}},
		{name: "body cut", serve: answer(ok + "Content-Length: 10\r\n\r\nabc"), want: Result{Verdict: Delivered, Status: 200}, timely: true},
		{name: "body is not chunks", serve: answer(ok + "Transfer-Encoding: chunked\r\n\r\nzzz\r\n"), want: Result{Verdict: Delivered, Status: 200}, timely: true},
		{name: "says gzip", serve: answer(ok + "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"), want: Result{Verdict: Delivered, Status: 200}, timely: true},
		{name: "busy", serve: answer("HTTP/1.1 503 \x1b[2Jgo away\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"), want: Result{Status: 503, RetryAfter: 7 * time.Second}, text: "503 Service Unavailable", timely: true},
		{name: "unauthorised", serve: answer("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"), want: Result{Verdict: Hold, Status: 401}, text: "401 Unauthorized", timely: true},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			addr := listener(t, f.serve)
			tryTime := timeout
			if f.timely {
				tryTime = 20 * time.Second // ends by itself, or the test is too slow
			}
			d := open(t, Config{To: addr + "/in?secret", Timeout: tryTime})
			begin := time.Now()
			r := d.Send(t.Context(), repeated(10, "hello"))
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			err := r.Err
			r.Err = nil
			if r != f.want {
				t.Errorf("result %+v (%v), want %+v", r, err, f.want)
			}
			if (err == nil) != (r.Verdict == Delivered) {
				t.Fatalf("%v: error %v", r.Verdict, err)
			}
			if err == nil {
				return
			}
			wantContains(t, err.Error(), "send to "+addr+"/in?...: ")
			wantContains(t, err.Error(), f.text)
			if f.is != nil && !errors.Is(err, f.is) {
				t.Errorf("%v is not %v", err, f.is)
			}
			if strings.ContainsFunc(err.Error(), func(c rune) bool { return c < ' ' || c == 0x7f }) || len(err.Error()) > 1000 {
				t.Errorf("%q (%d bytes) does not belong in a log", err, len(err.Error()))
			}
		})
	}
}

// TestEveryPrefix ends the connection after each byte of a good answer. Before
// the end of the headers nothing is known; from there on the status holds.
func TestEveryPrefix(t *testing.T) {
	const head = "HTTP/1.1 202 Accepted\r\nContent-Length: 4\r\n\r\n"
	const whole = head + "done"
	cut := make(chan int, 1)
	addr := listener(t, func(c *net.TCPConn) {
		if _, ok := readRequest(c); ok {
			io.WriteString(c, whole[:<-cut])
		}
	})
	for k := range len(whole) {
		d := open(t, Config{To: addr})
		cut <- k
		r := d.Send(t.Context(), repeated(1, "x"))
		if want := k >= len(head); (r.Verdict == Delivered) != want {
			t.Errorf("cut after %d bytes: %+v", k, r)
		}
	}
}

// TestUnreachable: nobody listens; a listener that never accepts; no such host.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := "http://" + l.Addr().String()
	d := open(t, Config{To: addr, Timeout: 100 * time.Millisecond})
	if r := d.Send(t.Context(), repeated(1, "x")); r.Verdict != Retry || !errors.Is(r.Err, context.DeadlineExceeded) {
		t.Errorf("never accepted: %+v", r)
	}
	l.Close()
	if r := d.Send(t.Context(), repeated(1, "x")); r.Verdict != Retry || !errors.Is(r.Err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens: %+v", r)
	}
	d = open(t, Config{To: "http://host.invalid/", Timeout: 5 * time.Second})
	if r := d.Send(t.Context(), repeated(1, "x")); r.Verdict != Retry || r.Err == nil {
		t.Errorf("no such host: %+v", r)
	}
	d = open(t, Config{To: strings.Replace(addr, "http:", "https:", 1)})
	if r := d.Send(t.Context(), repeated(1, "x")); r.Verdict != Retry || r.Err == nil {
		t.Errorf("no TLS there: %+v", r)
	}
}

// TestNoSecretInErrors makes every kind of error with secrets everywhere and
// looks for them.
func TestNoSecretInErrors(t *testing.T) {
	const canary = "s3same0pen"
	check := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: no error", what)
			return
		}
		if strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, to := range []string{
		"http://u:" + canary + "@h:port/", "http://u:" + canary + "@h/\x01", "http://" + canary + "@h/%zz", "nats://u:" + canary + "@h", "http://h:99999/?k=" + canary,
		canary + "@h", "http://u:a?" + canary + "@h:x/", "http://u:a#" + canary + "@h:x/", "http://h:x/#" + canary, "http://u:" + canary + "@/",
	} {
		_, err := New(Config{To: to})
		check(to, err)
	}
	for _, h := range []map[string]string{{"Host": canary}, {"X": canary + "\n"}, {"a b": canary}, {"X": canary, "x": canary}} {
		_, err := New(Config{To: "http://h/", Headers: h})
		check(fmt.Sprint(h), err)
	}
	echo := func(c *net.TCPConn) {
		head, ok := readRequest(c)
		if !ok {
			return
		}
		for line := range strings.SplitSeq(head, "\r\n") {
			if strings.Contains(line, canary) {
				io.WriteString(c, line+"\r\n") // the first is no status line
			}
		}
	}
	for name, serve := range map[string]func(*net.TCPConn){
		"echo":     echo,
		"header":   answer("HTTP/1.1 Bearer " + canary + "\r\n\r\n"),
		"reason":   answer("HTTP/1.1 401 " + canary + "\r\nContent-Length: 0\r\n\r\n"),
		"redirect": answer("HTTP/1.1 302 Found\r\nLocation: http://u:" + canary + "@h/" + canary + "?a=" + canary + "\r\nContent-Length: 0\r\n\r\n"),
		"reset":    func(c *net.TCPConn) { c.SetLinger(0) },
		"hangs":    untilClosed,
	} {
		d := open(t, Config{To: listener(t, serve) + "/p?token=" + canary, Timeout: 100 * time.Millisecond, Headers: map[string]string{"X-Api-Key": canary, "X-Bearer": "Bearer " + canary}})
		if strings.Contains(d.String(), canary) || !strings.Contains(d.String(), "/p?...") {
			t.Errorf("String() = %s", d)
		}
		check(name, d.Send(t.Context(), repeated(1, canary)).Err)
	}
}

// TestErrorNamesStdout: its address ends in a colon, the error has one and not two.
func TestErrorNamesStdout(t *testing.T) {
	r, w := io.Pipe()
	r.CloseWithError(syscall.ENOSPC)
	d := open(t, Config{To: "stdout:", Stdout: w})
	err := d.Send(t.Context(), repeated(1, "x")).Err
	if err == nil || !strings.HasPrefix(err.Error(), "send to stdout: wrote 0 of ") {
		t.Errorf("got %v", err)
	}
}

// TestManyFaultsAtOnce drives slots against a server that fails in turn, with
// bodies large enough to be still on their way when the fault comes.
func TestManyFaultsAtOnce(t *testing.T) {
	kinds := []func(*net.TCPConn){
		func(c *net.TCPConn) { c.SetLinger(0) },
		func(c *net.TCPConn) { readHead(c); c.SetLinger(0) },
		func(c *net.TCPConn) { readHead(c); io.WriteString(c, "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n") },
		answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
	}
	turn := make(chan int, 1)
	turn <- 0
	addr := listener(t, func(c *net.TCPConn) {
		n := <-turn
		turn <- n + 1
		kinds[n%len(kinds)](c)
	})
	d := open(t, Config{To: addr, Format: Lines, Timeout: 5 * time.Second})
	done := make(chan int)
	for slot := range 8 {
		go func() {
			delivered := 0
			b := repeated(1, strings.Repeat(string(rune('a'+slot)), 300<<10))
			for range 10 {
				if d.Send(context.Background(), b).Verdict == Delivered {
					delivered++
				}
			}
			done <- delivered
		}()
	}
	total := 0
	for range 8 {
		total += <-done
	}
	if total == 0 || total == 80 {
		t.Errorf("%d of 80 delivered; the server fails three times of four", total)
	}
}
