package control

import (
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqdaemon/mqd/client"
)

type nobody struct{}

func (nobody) Status() *client.Status { return &client.Status{} }
func (nobody) Flush(string) error     { return nil }
func (nobody) Health() (bool, string) { return true, "" }

// pipeListener hands out one end of a pipe, whose deadlines follow the fake clock.
type pipeListener struct {
	conns chan net.Conn
}

func (l pipeListener) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (pipeListener) Close() error   { return nil }
func (pipeListener) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// serve starts the server of s on a pipe, gives the peer's end, and closes
// everything after fn.
func serve(s *Server, fn func(peer net.Conn)) {
	server := s.newServer(s.socketRoutes())
	l := pipeListener{make(chan net.Conn, 1)}
	peer, conn := net.Pipe()
	l.conns <- conn
	done := make(chan error)
	go func() { done <- server.Serve(l) }()
	fn(peer)
	_ = peer.Close()
	close(l.conns)
	<-done
	_ = server.Close()
}

func TestTimeouts(t *testing.T) {
	for _, tt := range []struct {
		name string
		send string
		want time.Duration // until the server closes
	}{
		{"nothing sent", "", headerTimeout},
		{"half a header", "GET /healthz HTTP/1.1\r\nHos", headerTimeout},
		{"no body", "POST /v1/flush HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", requestTime},
		{"idle after a request", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", idleTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Config{Daemon: nobody{}, Log: slog.New(slog.DiscardHandler)})
				serve(s, func(peer net.Conn) {
					begin := time.Now()
					go func() { _, _ = io.WriteString(peer, tt.send) }() // ends with the pipe
					_, _ = io.Copy(io.Discard, peer)                     // until the server closes
					if got := time.Since(begin); got != tt.want {
						t.Errorf("closed after %v, want %v", got, tt.want)
					}
				})
			})
		})
	}
}

func TestPeerUnknownWithoutCredentials(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if uid := peerUID(withPeer(t.Context(), a)); uid != anyUID {
		t.Errorf("a pipe has uid %d", uid)
	}
	if uid := peerUID(t.Context()); uid != anyUID {
		t.Errorf("a bare context has uid %d", uid)
	}
}
