package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/internal/config"
	"github.com/mqdaemon/mqd/internal/control"
)

// ErrNotStarted is returned by [Daemon.Run] when something that it needs cannot
// be made: a landing, a destination, the socket, the address to listen on.
var ErrNotStarted = errors.New("not started")

// Config is what one daemon runs.
type Config struct {
	*config.Config // State and Runtime are set

	Reload  func() (*config.Config, error) // reads the configuration again; nil: there is no file
	Signals <-chan os.Signal               // from signal.Notify, which was called first of all
	Stdout  io.Writer                      // for the destination stdout:
	Log     *slog.Logger
	Version string
}

// Daemon is one running mqd. Make it with [New], which takes the locks, and
// call [Daemon.Run] once.
type Daemon struct {
	cfg    Config
	log    *slog.Logger
	at     places
	host   string
	lock   *os.File            // of the state directory
	queues map[string]*os.File // locks of the queues, by address
	totals map[string]*totals  // of the routes there were, by name

	mu     sync.Mutex // guards routes
	routes []*worker  // in the order of the configuration
}

// worker is a route at work and what stops it: stop begins the ordered stop, cut
// ends the requests in flight.
type worker struct {
	*route
	stop, cut context.CancelFunc
	done      chan struct{}
	err       error // valid after done
}

// New makes the directories and takes the locks; it touches no queue. An error
// is [ErrInUse] if another daemon holds one of them.
func New(cfg Config) (*Daemon, error) {
	d := &Daemon{cfg: cfg, log: cfg.Log, queues: map[string]*os.File{}, totals: map[string]*totals{}}
	if err := makeDir(cfg.State, 0o711); err != nil {
		return nil, err
	}
	var err error
	if d.lock, err = lockState(cfg.State); err != nil {
		return nil, err
	}
	if err := d.prepare(); err != nil {
		return nil, errors.Join(err, d.unlock())
	}
	return d, nil
}

func (d *Daemon) prepare() (err error) {
	if err := d.lockQueues(d.cfg.Routes); err != nil {
		return err
	}
	if d.at, err = makePlaces(d.cfg.State, d.cfg.Runtime); err != nil {
		return err
	}
	d.host, err = os.Hostname()
	return err
}

// lockQueues takes the locks of the queues that are not locked yet: all or none.
func (d *Daemon) lockQueues(routes []config.Route) error {
	var fresh []string
	for _, r := range routes {
		key := r.Queue.String()
		if d.queues[key] != nil {
			continue
		}
		f, err := lockQueue(r.Queue)
		if err != nil {
			return errors.Join(fmt.Errorf("route %s: %w", r.Name, err), d.unlockQueues(fresh))
		}
		d.queues[key] = f
		fresh = append(fresh, key)
	}
	return nil
}

func (d *Daemon) unlockQueues(keys []string) error {
	var errs []error
	for _, key := range keys {
		errs = append(errs, unlockQueue(d.queues[key]))
		delete(d.queues, key)
	}
	return errors.Join(errs...)
}

func (d *Daemon) unlock() error {
	return errors.Join(d.unlockQueues(slices.Collect(maps.Keys(d.queues))), d.lock.Close())
}

// Run works until ctx ends or a signal ends it, which is no error. A route whose
// landing or destination cannot be opened at start is an error; a queue that
// cannot be used holds its route only.
func (d *Daemon) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, d.unlock()) }()
	for _, r := range d.cfg.Routes {
		if err := d.start(r); err != nil {
			return errors.Join(fmt.Errorf("%w: %w", ErrNotStarted, err), d.stop())
		}
	}
	server := control.New(control.Config{
		Path: filepath.Join(d.at.runtime, socketFile), Listen: d.cfg.Listen,
		Daemon: d, Version: d.cfg.Version, Log: d.log,
	})
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- server.Run(serving) }()
	defer func() {
		stopServing()
		err = errors.Join(err, <-served)
	}()
	select {
	case err := <-served:
		served <- nil
		return errors.Join(fmt.Errorf("%w: %w", ErrNotStarted, err), d.stop())
	case <-server.Ready():
	}
	return errors.Join(d.work(ctx, served), d.stop())
}

// work is what lies between start and stop.
func (d *Daemon) work(ctx context.Context, served chan error) error {
	if err := d.announce(); err != nil {
		return err
	}
	for _, name := range strangers(d.at.state, d.cfg.Routes) {
		d.log.Warn("there is a spool of a route that is not configured; what waits there is kept until a route of that name is back", "route", name)
	}
	d.log.Info("mqd runs", "pid", os.Getpid(), "routes", len(d.cfg.Routes), "state", d.at.state, "runtime", d.at.runtime)
	err := d.serve(ctx, served)
	// From here on no client is told to signal us.
	return errors.Join(err, os.Remove(filepath.Join(d.at.runtime, pidFile)))
}

// announce writes what clients look for. The pid file is last: whoever reads it
// may signal, and everything is there.
func (d *Daemon) announce() error {
	if err := writeRoutes(d.at, d.cfg.Routes); err != nil {
		return err
	}
	return writePID(d.at)
}

// start opens a route and runs it.
func (d *Daemon) start(cfg config.Route) error {
	if d.totals[cfg.Name] == nil {
		d.totals[cfg.Name] = new(totals)
	}
	r, err := openRoute(cfg, d.totals[cfg.Name], d.at, d.host, d.cfg.Stdout, d.log)
	if err != nil {
		return fmt.Errorf("route %s: %w", cfg.Name, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	hard, cut := context.WithCancel(context.Background())
	w := &worker{route: r, stop: stop, cut: cut, done: make(chan struct{})}
	d.mu.Lock()
	d.routes = append(d.routes, w)
	d.mu.Unlock()
	go func() {
		defer close(w.done)
		w.err = r.run(ctx, hard)
	}()
	return nil
}

// stop ends all routes. What is in flight gets until stop_timeout or until a
// second signal.
func (d *Daemon) stop() error {
	d.mu.Lock()
	routes := d.routes
	d.mu.Unlock()
	err := d.end(routes)
	var left int64
	for _, w := range routes {
		left += w.landing.Stats().Pending
	}
	d.log.Info("mqd stopped", "pending", left)
	return err
}

// end stops these routes in order and gives them back. What is not delivered
// stays in their landings.
func (d *Daemon) end(routes []*worker) error {
	for _, w := range routes {
		w.stop()
	}
	deadline := time.NewTimer(d.cfg.StopTimeout)
	defer deadline.Stop()
	var errs []error
	for _, w := range routes {
		for running := true; running; {
			select {
			case <-w.done:
				running = false
			case <-deadline.C:
				cutAll(routes)
			case sig := <-d.cfg.Signals:
				if sig == unix.SIGTERM || sig == unix.SIGINT {
					return ErrStopNow
				}
			}
		}
		w.cut()
		errs = append(errs, w.err, w.close())
	}
	return errors.Join(errs...)
}

func cutAll(routes []*worker) {
	for _, w := range routes {
		w.cut()
	}
}

// Status implements control.Daemon.
func (d *Daemon) Status() *client.Status {
	s := &client.Status{Version: client.StatusVersion, PID: os.Getpid(), Routes: []client.RouteStatus{}}
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.routes {
		s.Routes = append(s.Routes, w.status(now))
	}
	return s
}

// Flush implements control.Daemon; an empty name means every route.
func (d *Daemon) Flush(name string) error {
	if name == "" {
		d.flushAll()
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.routes, func(w *worker) bool { return w.cfg.Name == name })
	if i < 0 {
		return fmt.Errorf("%w: %s", control.ErrNoRoute, name)
	}
	d.routes[i].flush()
	return nil
}

func (d *Daemon) flushAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.routes {
		w.flush()
	}
}

// Health implements control.Daemon: every route must be able to work.
func (d *Daemon) Health() (bool, string) {
	var bad []string
	for _, r := range d.Status().Routes {
		if r.State == client.StateHeld {
			bad = append(bad, fmt.Sprintf("route %s is held: %s", r.Name, r.LastError))
		}
	}
	return len(bad) == 0, strings.Join(bad, "; ")
}
