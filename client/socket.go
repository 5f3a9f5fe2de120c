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
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxAnswer bounds what the socket may answer, in bytes.
const maxAnswer = 16 << 20

// Status asks the daemon for its state. Errors: [ErrNotRunning], a
// [*StatusError], or the error of ctx.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	body, err := c.exchange(ctx, "GET", "/v1/status")
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	var s Status
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	return &s, nil
}

// Flush tells the daemon to look at the doors and to send what it has now, of the
// route in Route, or of all routes if that is "". It does not wait for anything to
// be sent. Only root and the user of the daemon may; for others there is
// [Client.Wake]. Errors are those of Status, and [ErrNoRoute].
func (c *Client) Flush(ctx context.Context) error {
	path := "/v1/flush"
	if c.Route != "" {
		path += "?route=" + url.QueryEscape(c.Route)
	}
	if _, err := c.exchange(ctx, "POST", path); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}

// exchange makes one request on the socket and gives the body of the answer. It
// speaks HTTP/1.0 by hand: one request on one connection that ends with the
// answer is all that is needed, and net/http would make every "mqctl send" that
// only puts a message on the queue start later by a third.
func (c *Client) exchange(ctx context.Context, method, path string) ([]byte, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	// Expired already when ctx has ended: what waits below returns at once.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	body, err := roundTrip(conn, method, path)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return body, err
}

func roundTrip(conn net.Conn, method, path string) ([]byte, error) {
	request := method + " " + path + " HTTP/1.0\r\nHost: mqd\r\nContent-Length: 0\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: conn, N: maxAnswer}
	r := bufio.NewReader(limited)
	code, length, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	var end io.Reader = r // up to the end of the connection, if the length was not said
	if length >= 0 {
		end = io.LimitReader(r, length)
	}
	body, err := io.ReadAll(end)
	switch {
	case err != nil:
		return nil, err
	case limited.N == 0:
		return nil, fmt.Errorf("answer over %d bytes", maxAnswer)
	case length > int64(len(body)):
		return nil, fmt.Errorf("answer cut off: %d of %d bytes: %w", len(body), length, io.ErrUnexpectedEOF)
	case code < 200 || code > 299:
		return nil, refusal(code, body)
	}
	return body, nil
}

// readHeader reads the status line and the header fields; length is -1 if they
// do not say it.
func readHeader(r *bufio.Reader) (code int, length int64, err error) {
	line, err := readLine(r)
	if err != nil {
		return 0, 0, err
	}
	version, rest, _ := strings.Cut(line, " ")
	digits, _, _ := strings.Cut(rest, " ")
	code, err = strconv.Atoi(digits)
	if err != nil || !strings.HasPrefix(version, "HTTP/1.") {
		return 0, 0, fmt.Errorf("not an HTTP answer: %.100q", line)
	}
	length = -1
	for {
		if line, err = readLine(r); err != nil || line == "" {
			return code, length, err
		}
		name, value, _ := strings.Cut(line, ":")
		if strings.EqualFold(name, "Content-Length") {
			length, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			if err != nil || length < 0 {
				return 0, 0, fmt.Errorf("not an HTTP answer: %.100q", line)
			}
		}
	}
}

// readLine reads a line without its end. A line longer than the buffer of r is
// nothing that the daemon sends.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return "", err
	}
	return string(bytes.TrimRight(line, "\r\n")), nil
}

// refusal makes an error of the answer {"error":{"code","message"}}, and of
// whatever else came with a code that is not 2xx.
func refusal(code int, body []byte) error {
	var answer struct {
		Error struct{ Code, Message string }
	}
	e := &StatusError{Code: code}
	if json.Unmarshal(body, &answer) == nil {
		e.Name, e.Message = answer.Error.Code, answer.Error.Message
	}
	return e
}

// connect gives a connection to the first daemon that answers.
func (c *Client) connect(ctx context.Context) (net.Conn, error) {
	var tried []string
	var without *noRouteError // of the first daemon that lacks the route
	dialled := false          // one that has it, or was named
	for _, s := range c.sockets() {
		if s.err != nil {
			if without == nil {
				errors.As(s.err, &without)
			}
			tried = append(tried, reason(s.err))
			continue
		}
		dialled = true
		conn, err := c.dial(ctx, s.path)
		switch {
		case err == nil:
			return conn, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("socket %s: %w", s.path, ctx.Err())
		case errors.Is(err, fs.ErrPermission):
			return nil, fmt.Errorf("socket %s: %w", s.path, cause(err))
		}
		tried = append(tried, fmt.Sprintf("%s: %v", s.path, cause(err)))
	}
	if without != nil && !dialled {
		return nil, without
	}
	return nil, fmt.Errorf("%w (start it, or name its socket with %s; tried %s)",
		ErrNotRunning, envSocket, strings.Join(tried, "; "))
}

func (c *Client) dial(ctx context.Context, path string) (net.Conn, error) {
	if c.Dial != nil {
		return c.Dial(ctx, path)
	}
	var d net.Dialer
	return d.DialContext(ctx, "unix", path)
}

// cause gives the errno of a failed connection without the text around it, which
// repeats the path.
func cause(err error) error {
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		return errno
	}
	return err
}

// socketPath is where a daemon may answer, or why it is not asked.
type socketPath struct {
	path string
	err  error
}

// sockets gives the paths to try. One that was named is the only one. Of the
// default ones only those count whose directory can be trusted, as anybody may
// make a directory of that name in /dev/shm; and if the client has a route, only
// that of a daemon that has it too.
func (c *Client) sockets() []socketPath {
	f := c.find()
	if path := f.firstOf(c.Socket, envSocket); path != "" {
		return []socketPath{{path: path}}
	}
	if dir := f.firstOf(c.Runtime, envRuntime); dir != "" {
		return []socketPath{{path: filepath.Join(dir, socketName)}}
	}
	var paths []socketPath
	for _, p := range f.daemons(place{state: c.State}) {
		err := f.trustDir(p.runtime)
		if err == nil && c.Route != "" {
			_, err = f.routeIn(p.runtime, c.Route)
		}
		paths = append(paths, socketPath{filepath.Join(p.runtime, socketName), err})
	}
	return paths
}
