package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

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

	Reload func() (*config.Config, error) // reads the configuration again; nil: there is no file
	// From signal.Notify, which was called first of all. TERM and INT have a
	// channel of their own, so that no storm of the others can push them out.
	Stops, Signals <-chan os.Signal
	Stdout         io.Writer // for the destination stdout:
	Log            *slog.Logger
	Version        string
}

// Daemon is one running mqd. Make it with [New], which takes the locks, and
// call [Daemon.Run] once.
type Daemon struct {
	cfg    Config
	log    *slog.Logger
	at     places
	host   string
	lock   *os.File            // of the state directory
	queues map[string]*os.File // locks of the queues, by address; nil: none to be had
	totals map[string]*totals  // of the routes there were, by name

	mu     sync.Mutex // guards what follows
	routes []*worker  // in the order of the configuration
	failed []*failure // routes that a reload could not start

	stale bool // a reload could not write routes.json
}

// failure is a route that could not be started, and why. It is tried again every
// second.
type failure struct {
	*plan
	err error
}

// task is something that runs until it is stopped or fails.
type task struct {
	done chan struct{}
	err  error // valid after done
}

func launch(run func() error) *task {
	t := &task{done: make(chan struct{})}
	go func() {
		defer close(t.done)
		t.err = run()
	}()
	return t
}

// worker is a route at work and what stops it: stop begins the ordered stop, cut
// ends the requests in flight.
type worker struct {
	*route
	*task
	stop, cut context.CancelFunc
}

// New makes the directories and takes the locks; it touches no queue. An error
// is [ErrInUse] if another daemon holds one of them.
func New(cfg Config) (*Daemon, error) {
	d := &Daemon{cfg: cfg, log: cfg.Log, queues: map[string]*os.File{}, totals: map[string]*totals{}}
	if err := makeDir(cfg.State, stateMode); err != nil {
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
		if _, ok := d.queues[key]; ok {
			continue
		}
		f, err := lockQueue(r.Queue)
		if errors.Is(err, errNoLock) {
			d.log.Warn("somebody keeps the lock's name", "route", r.Name, "error", err)
		} else if err != nil {
			return errors.Join(fmt.Errorf("route %s: %w", r.Name, err), d.unlockQueues(fresh))
		}
		d.queues[key] = f
		fresh = append(fresh, key)
	}
	return nil
}

// unlockUnused gives back the locks of queues that none of these routes has.
func (d *Daemon) unlockUnused(routes []config.Route) error {
	var unused []string
	for key := range d.queues {
		if !slices.ContainsFunc(routes, func(r config.Route) bool { return r.Queue.String() == key }) {
			unused = append(unused, key)
		}
	}
	return d.unlockQueues(unused)
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
	for _, cfg := range d.cfg.Routes {
		if err := d.open(cfg); err != nil {
			return errors.Join(fmt.Errorf("%w: %w", ErrNotStarted, err), d.stop())
		}
	}
	server := control.New(control.Config{
		Path: filepath.Join(d.at.runtime, socketFile), Listen: d.cfg.Listen,
		Daemon: d, Version: d.cfg.Version, Log: d.log,
	})
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	serve := launch(func() error { return server.Run(serving) })
	defer func() {
		stopServing()
		<-serve.done
	}()
	select {
	case <-serve.done:
		return errors.Join(fmt.Errorf("%w: %w", ErrNotStarted, serve.err), d.stop())
	case <-server.Ready():
	}
	return errors.Join(d.work(ctx, serve), d.stop())
}

// work is what lies between start and stop.
func (d *Daemon) work(ctx context.Context, server *task) error {
	if err := d.announce(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotStarted, err)
	}
	for _, name := range strangers(d.at, d.cfg.Routes) {
		d.log.Warn("there is a spool of a route that is not configured; what waits there is kept until a route of that name is back", "route", name)
	}
	d.log.Info("mqd runs", "pid", os.Getpid(), "routes", len(d.cfg.Routes), "state", d.at.state, "runtime", d.at.runtime)
	err := d.serve(ctx, server)
	// From here on no client is told to signal us.
	if rerr := os.Remove(filepath.Join(d.at.runtime, pidFile)); !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return err
}

// announce writes what clients look for. The pid file is last: whoever reads it
// may signal, and everything is there.
func (d *Daemon) announce() error {
	if err := writeRoutes(d.at, d.cfg.Routes); err != nil {
		return err
	}
	return writePID(d.at)
}

// open opens a route and runs it.
func (d *Daemon) open(cfg config.Route) error {
	p, err := newPlan(cfg, d.host, d.cfg.Stdout)
	if err != nil {
		return err
	}
	w, err := d.start(p)
	if err != nil {
		return errors.Join(err, discard([]*plan{p}))
	}
	d.show(w)
	return nil
}

// show makes a worker one of the daemon's routes.
func (d *Daemon) show(w *worker) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.routes = append(d.routes, w)
}

// start runs a planned route and returns when its queue is there, or found
// unusable: whoever sees the pid file may send. A route that fails later is held,
// and the others go on.
func (d *Daemon) start(p *plan) (*worker, error) {
	name := p.cfg.Name
	if d.totals[name] == nil {
		d.totals[name] = new(totals)
	}
	r, err := openRoute(p, d.totals[name], d.at, d.log)
	if err != nil {
		return nil, fmt.Errorf("route %s: %w", name, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	hard, cut := context.WithCancel(context.Background())
	w := &worker{route: r, stop: stop, cut: cut}
	w.task = launch(func() error {
		err := r.run(ctx, hard)
		if err != nil {
			r.setHeld(err)
		}
		return err
	})
	select {
	case <-r.ready:
	case <-w.done:
	}
	return w, nil
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
	for _, f := range d.failed {
		s.Routes = append(s.Routes, client.RouteStatus{
			Name: f.cfg.Name, Queue: f.cfg.Queue.String(), State: client.StateHeld, LastError: f.err.Error(), Landing: "unlocked",
		})
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
