package control_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/internal/control"
	"github.com/mqdaemon/mqd/internal/testkit"
)

// refused runs a server that must not come up, and gives its error.
func refused(t *testing.T, cfg control.Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return control.New(cfg).Run(ctx)
}

func TestSocketReclaim(t *testing.T) {
	t.Run("stale", func(t *testing.T) {
		path := filepath.Join(socketDir(t), "mqd.sock")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		start(t, &fakeDaemon{}, func(c *control.Config) { c.Path = path })
		if got := ask(t, unixDial(path), "GET", "/healthz"); got.code != 200 {
			t.Errorf("got %d", got.code)
		}
	})
	t.Run("alive", func(t *testing.T) {
		_, path := start(t, &fakeDaemon{}, nil)
		err := refused(t, control.Config{Path: path, Daemon: &fakeDaemon{}})
		if !errors.Is(err, control.ErrInUse) || !strings.Contains(err.Error(), path) {
			t.Errorf("second server: %v", err)
		}
		if got := ask(t, unixDial(path), "GET", "/healthz"); got.code != 200 {
			t.Errorf("first server after that: %d", got.code)
		}
	})
	t.Run("a file", func(t *testing.T) {
		path := filepath.Join(socketDir(t), "mqd.sock")
		if err := os.WriteFile(path, []byte("keep me"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := refused(t, control.Config{Path: path, Daemon: &fakeDaemon{}})
		if !errors.Is(err, fs.ErrExist) {
			t.Errorf("got %v", err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != "keep me" {
			t.Errorf("the file is now %q, %v", data, err)
		}
	})
	t.Run("replaced", func(t *testing.T) {
		path := filepath.Join(socketDir(t), "mqd.sock")
		ctx, cancel := context.WithCancel(t.Context())
		server := control.New(control.Config{Path: path, Daemon: &fakeDaemon{}})
		done := make(chan error)
		go func() { done <- server.Run(ctx) }()
		<-server.Ready()
		if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte("new"), 0o600)); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("the stop removed what it had not made: %v", err)
		}
	})
}

func TestSocketPath(t *testing.T) {
	dir := socketDir(t)
	name := func(length int) string { return filepath.Join(dir, strings.Repeat("x", length-len(dir)-1)) }
	start(t, &fakeDaemon{}, func(c *control.Config) { c.Path = name(107) })
	for path, want := range map[string]error{
		name(108):                         unix.ENAMETOOLONG,
		"":                                unix.EINVAL,
		"a\x00b":                          unix.EINVAL,
		filepath.Join(dir, "no", "where"): fs.ErrNotExist,
	} {
		err := refused(t, control.Config{Path: path, Daemon: &fakeDaemon{}})
		if !errors.Is(err, want) {
			t.Errorf("path %q: got %v, want %v", path, err, want)
		}
		if len(path) == 108 && !strings.Contains(err.Error(), "108 bytes, the limit is 107") {
			t.Errorf("the error does not hold both values: %v", err)
		}
	}
	t.Chdir(dir)
	start(t, &fakeDaemon{}, func(c *control.Config) { c.Path = "@here" })
	if _, err := os.Lstat(filepath.Join(dir, "@here")); err != nil {
		t.Errorf("a path with @ in front is not a file: %v", err)
	}
}

// A port that is taken ends Run, and the socket does not stay behind.
func TestListenFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	path := filepath.Join(socketDir(t), "mqd.sock")
	err = refused(t, control.Config{Path: path, Listen: l.Addr().String(), Daemon: &fakeDaemon{}})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket stayed: %v", err)
	}
}

// closed waits until the peer closes c, and fails the test if it sends something.
func closed(t *testing.T, c net.Conn) {
	t.Helper()
	// Far below the time after which the server closes a silent connection.
	if err := c.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) || len(data) > 0 {
		t.Errorf("the refused connection gave %q, %v", data, err)
	}
}

func TestConnectionCap(t *testing.T) {
	_, path := start(t, &fakeDaemon{}, nil)
	var open []net.Conn
	dial := func() net.Conn {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	for range 1024 {
		open = append(open, dial())
	}
	closed(t, dial())
	// One leaves, one comes.
	_ = open[0].Close()
	for {
		c := dial()
		fmt.Fprintf(c, "GET /healthz HTTP/1.0\r\n\r\n")
		if answer, _ := io.ReadAll(c); strings.HasPrefix(string(answer), "HTTP/1.0 200") {
			break // the server may need a moment to notice that a place is free
		}
		if t.Context().Err() != nil {
			t.Fatal("no connection after a place became free")
		}
	}
}

// Other users cannot keep the operator out by filling the socket.
func TestReservedConnections(t *testing.T) {
	testkit.NeedRoot(t)
	_, path := start(t, &fakeDaemon{}, nil)
	for range 1024 - 32 {
		dialAs(t, 33, path)
	}
	closed(t, dialAs(t, 33, path))
	if got := ask(t, unixDial(path), "GET", "/healthz"); got.code != 200 {
		t.Errorf("root got %d", got.code)
	}
}

func TestName(t *testing.T) {
	if got := control.New(control.Config{Path: "/run/mqd/mqd.sock"}).String(); got != "control /run/mqd/mqd.sock" {
		t.Error(got)
	}
	if got := control.New(control.Config{Path: "/a", Listen: ":9464"}).String(); got != "control /a and :9464" {
		t.Error(got)
	}
}
