package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// maxPath is the longest socket path in bytes: sun_path of unix(7) is 108 with the
// NUL at its end.
const maxPath = 107

// maxConns bounds the open connections of one listener; what comes above is closed
// at once. The last reservedConns of a unix socket are for root and the daemon's
// own user, so that an operator gets in while others fill the rest.
const (
	maxConns      = 1024
	reservedConns = 32
)

// anyUID is the uid of a connection that has no peer credentials.
const anyUID = -1

type peerKey struct{}

// withPeer puts the uid of the peer into the context of its requests.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	uid := anyUID
	if p, ok := c.(*conn); ok {
		uid = p.uid
	}
	return context.WithValue(ctx, peerKey{}, uid)
}

// peerUID gives the uid of the peer, or anyUID.
func peerUID(ctx context.Context) int {
	if uid, ok := ctx.Value(peerKey{}).(int); ok {
		return uid
	}
	return anyUID
}

// listener counts its connections, bounds them, and knows the peers of a unix
// socket by SO_PEERCRED (unix(7)): the uid at the time of connect(2).
type listener struct {
	net.Listener
	open  atomic.Int64
	owner int // the uid that may use the reserved connections, besides root

	// Of a unix socket: the file that we made.
	path     string
	dev, ino uint64
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		uid, limit := anyUID, int64(maxConns)
		if u, ok := c.(*net.UnixConn); ok {
			// Without credentials the peer is a stranger, not an error: the
			// connection may be gone already.
			if got, err := peerCredentials(u); err == nil {
				uid = got
			}
			if uid != 0 && uid != l.owner {
				limit = maxConns - reservedConns
			}
		}
		if l.open.Add(1) > limit {
			l.open.Add(-1)
			_ = c.Close() // refused; nothing was written
			continue
		}
		return &conn{Conn: c, uid: uid, release: sync.OnceFunc(func() { l.open.Add(-1) })}, nil
	}
}

// conn is one counted connection.
type conn struct {
	net.Conn
	uid     int
	release func()
}

func (c *conn) Close() error {
	c.release()
	return c.Conn.Close()
}

func peerCredentials(c *net.UnixConn) (uid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return anyUID, err
	}
	var cred *unix.Ucred
	var errno error
	if err := raw.Control(func(fd uintptr) {
		cred, errno = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return anyUID, err
	}
	if errno != nil {
		return anyUID, os.NewSyscallError("getsockopt SO_PEERCRED", errno)
	}
	return int(cred.Uid), nil
}

// listenUnix makes the socket at path with mode 0666: who may reach it is up to the
// directory, who may do what is up to the handlers.
func listenUnix(ctx context.Context, path string, owner int) (*listener, error) {
	if path == "" || strings.ContainsRune(path, 0) {
		return nil, fmt.Errorf("path %q: %w", path, unix.EINVAL)
	}
	if len(path) > maxPath {
		return nil, fmt.Errorf("path has %d bytes, the limit is %d (unix(7)): take a shorter runtime directory: %w",
			len(path), maxPath, unix.ENAMETOOLONG)
	}
	if path[0] == '@' { // to package net this is the abstract namespace, which has no permissions
		path = "./" + path
	}
	if err := reclaim(ctx, path); err != nil {
		return nil, err
	}
	config := net.ListenConfig{}
	l, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	// Closing would unlink whatever has the name by then; remove looks first.
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	sock := &listener{Listener: l, owner: owner, path: path}
	if err := sock.adopt(); err != nil {
		_ = l.Close() // the first error counts
		return nil, err
	}
	return sock, nil
}

// reclaim removes the socket of a daemon that is gone. What is not a socket stays,
// and so does a socket that somebody accepts on.
//
// Two daemons that start at the same time could both find the old socket dead. The
// daemon's lock on its state directory keeps the second one away before it gets
// here.
func reclaim(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("there is something else than a socket (%v): %w", info.Mode(), fs.ErrExist)
	}
	dialer := net.Dialer{Timeout: time.Second}
	c, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		_ = c.Close() // it was only a question
		return ErrInUse
	}
	// EAGAIN is a living daemon with a full backlog; only a refusal proves that
	// nobody has the socket open.
	if !errors.Is(err, unix.ECONNREFUSED) {
		return fmt.Errorf("is anybody there? %w", err)
	}
	return os.Remove(path)
}

// adopt opens the socket file to all users and notes which file it is.
func (l *listener) adopt() error {
	if err := os.Chmod(l.path, 0o666); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(l.path, &st); err != nil {
		return os.NewSyscallError("lstat", err)
	}
	l.dev, l.ino = st.Dev, st.Ino
	return nil
}

// remove unlinks the socket file if it still is the one that listenUnix made.
func (l *listener) remove() {
	var st unix.Stat_t
	if err := unix.Lstat(l.path, &st); err != nil || st.Dev != l.dev || st.Ino != l.ino {
		return
	}
	_ = os.Remove(l.path) // a socket left behind is reclaimed at the next start
}

func listenTCP(ctx context.Context, addr string) (*listener, error) {
	config := net.ListenConfig{}
	// A scraper gains nothing from MPTCP, and rules for TCP ports (Landlock,
	// some firewalls) do not see it.
	config.SetMultipathTCP(false)
	l, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &listener{Listener: l, owner: anyUID}, nil
}
