// Package control serves the daemon's socket: HTTP and JSON on a unix socket for
// mqctl, for curl and for whoever watches the daemon; and the part of it that only
// reads, on a TCP address, for a scraper.
//
//	GET  /v1/status                 the state of every route
//	POST /v1/flush?route=NAME       send what is pending now; without route, everywhere
//	GET  /metrics                   Prometheus text format, mqd_*, label route
//	GET  /healthz                   200 "ok", or 503 and the reason
//
// A failed request gets {"error":{"code","message"}}. TCP has /metrics and /healthz
// only: it does not know who is asking.
//
// Only the daemon imports it; the other side of the socket is package client, which
// also holds the types of the answers. It knows the daemon as the few methods of
// [Daemon].
//
// It guarantees that whatever arrives here cannot hold up the daemon: sizes, times
// and the number of connections are bounded, a connection that is idle costs no
// system call until it is closed for being idle, and only root and the daemon's own
// user can change anything.
package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/mqdaemon/mqd/client"
)

// ErrNoRoute is what [Daemon.Flush] returns for a route that does not exist.
var ErrNoRoute = errors.New("no such route")

// ErrInUse is what [Server.Run] returns when somebody answers at the socket path.
var ErrInUse = errors.New("another process listens there")

// Daemon is what the server asks of the daemon. All methods are called from several
// goroutines at once and must not wait for I/O.
type Daemon interface {
	// Status gives a snapshot that the caller may keep.
	Status() *client.Status

	// Flush wakes the named route, or every route for "". It does not wait for
	// anything to be sent. A route that does not exist is [ErrNoRoute].
	Flush(route string) error

	// Health says whether the daemon does its work, and why not.
	Health() (ok bool, reason string)
}

// The bounds of a connection. They are far above what mqctl and a scraper need.
const (
	maxHeader     = 16 << 10        // bytes of request line and headers
	headerTimeout = 5 * time.Second // to send them
	requestTime   = 10 * time.Second
	idleTimeout   = 2 * time.Minute // between requests, then the connection is closed
	stopTimeout   = time.Second     // for requests in flight at stop
)

// Config says where to listen and whom to ask.
type Config struct {
	// Path is the unix socket to make, at most 107 bytes (unix(7)). Its directory
	// must exist. Required.
	Path string

	// Listen is a TCP address as [net.Listen] takes it, for /metrics and
	// /healthz. Empty: none.
	Listen string

	// Daemon answers. Required.
	Daemon Daemon

	// Version goes into mqd_build_info and the Mqd-Version header.
	Version string

	// Log gets what goes wrong. Nil: nowhere.
	Log *slog.Logger
}

// Server is the task that serves the socket. Make it with [New].
type Server struct {
	cfg     Config
	uid     int // the daemon's own
	metrics http.Handler
	ready   chan struct{}

	mu  sync.Mutex
	tcp net.Addr // guarded by mu; nil until Run listens
}

// New makes a server. It does not listen yet.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg: cfg, uid: os.Geteuid(), metrics: newMetrics(&cfg), ready: make(chan struct{})}
}

// String names the task.
func (s *Server) String() string {
	if s.cfg.Listen == "" {
		return "control " + s.cfg.Path
	}
	return "control " + s.cfg.Path + " and " + s.cfg.Listen
}

// Ready is closed when connections are accepted.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addr gives the TCP address in use once the server is ready, or nil.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tcp
}

// Run listens and serves until ctx ends, then gives requests in flight one second
// and returns nil. It may be called once. An error says what could not be listened
// on: [ErrInUse] for a socket that answers.
func (s *Server) Run(ctx context.Context) error {
	socket, err := listenUnix(ctx, s.cfg.Path, s.uid)
	if err != nil {
		return fmt.Errorf("control socket %s: %w", s.cfg.Path, err)
	}
	defer socket.remove()
	listeners := map[*http.Server]net.Listener{s.newServer(s.socketRoutes()): socket}
	if s.cfg.Listen != "" {
		tcp, err := listenTCP(ctx, s.cfg.Listen)
		if err != nil {
			_ = socket.Close() // nobody has connected yet
			return fmt.Errorf("listen address %s: %w", s.cfg.Listen, err)
		}
		s.mu.Lock()
		s.tcp = tcp.Addr()
		s.mu.Unlock()
		listeners[s.newServer(s.tcpRoutes())] = tcp
	}

	failed := make(chan error, len(listeners))
	var serving sync.WaitGroup
	for server, l := range listeners {
		serving.Go(func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("control: %w", err)
			}
		})
	}
	close(s.ready)
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	s.stop(listeners)
	serving.Wait()
	return err
}

// stop ends the servers: listeners and idle connections at once, requests in flight
// after stopTimeout.
func (s *Server) stop(listeners map[*http.Server]net.Listener) {
	// Not derived from Run's context, which is over by now.
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var stopping sync.WaitGroup
	for server := range listeners {
		stopping.Go(func() {
			if err := server.Shutdown(ctx); err != nil {
				_ = server.Close() // the error is that time was up, or a listener closed twice
			}
		})
	}
	stopping.Wait()
}

func (s *Server) newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTime,
		WriteTimeout:      requestTime,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       withPeer,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelWarn),
	}
}

// healthz answers for a supervisor: the status code is all that it needs to read.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	ok, reason := s.cfg.Daemon.Health()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, reason+"\n") // the peer has gone: nothing to do
		return
	}
	_, _ = io.WriteString(w, "ok\n") // as above
}
