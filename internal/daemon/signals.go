package daemon

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/internal/config"
)

// ErrStopNow is returned by [Daemon.Run] after a second TERM or INT. What is in
// flight is cut and will be sent again.
var ErrStopNow = errors.New("stopped at once by a second signal")

// serve does what signals ask for until one of them, or ctx, or a part that
// failed, ends the daemon.
func (d *Daemon) serve(ctx context.Context, served chan error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			served <- nil // for the one who waits for the server's end
			return err
		case sig := <-d.cfg.Signals:
			switch sig {
			case unix.SIGUSR1:
				d.flushAll()
			case unix.SIGUSR2:
				d.snapshot()
			case unix.SIGHUP:
				if err := d.reload(); errors.Is(err, ErrStopNow) {
					return nil // the signal came while a route that went was stopped
				} else if err != nil {
					for _, line := range strings.Split(err.Error(), "\n") {
						d.log.Error("not reloaded", "error", line)
					}
				}
			default:
				d.log.Info("stopping", "signal", sig.String(), "stop_timeout", d.cfg.StopTimeout)
				return nil
			}
		}
	}
}

// snapshot logs one line per route.
func (d *Daemon) snapshot() {
	for _, r := range d.Status().Routes {
		d.log.Info("snapshot", "route", r.Name, "queue", r.Queue, "state", r.State, "depth", r.Depth, "pending", r.Pending,
			"in_flight", r.InFlight, "slots", r.Slots, "oldest_s", r.Oldest, "delivered_total", r.Delivered,
			"requests_total", r.Requests, "retries_total", r.Retries, "landing", r.Landing, "last_error", r.LastError)
	}
}

// reload takes a new configuration. Routes that did not change go on untouched;
// the others are stopped in order and start again on what their landing holds.
// An error changes nothing.
func (d *Daemon) reload() error {
	if d.cfg.Reload == nil {
		d.log.Info("nothing to reload: the configuration came from flags")
		return nil
	}
	next, err := d.cfg.Reload()
	if err != nil {
		return err
	}
	if next.State != d.cfg.State || next.Runtime != d.cfg.Runtime || next.Listen != d.cfg.Listen {
		return errors.New("state, runtime and listen cannot be changed by a reload; restart mqd")
	}
	if err := d.lockQueues(next.Routes); err != nil {
		return err
	}
	return d.exchange(next)
}

// exchange ends the routes that changed or went, starts the new ones and keeps
// the order of the file.
func (d *Daemon) exchange(next *config.Config) error {
	d.mu.Lock()
	var kept, gone []*worker
	for _, w := range d.routes {
		if slices.ContainsFunc(next.Routes, w.runs) {
			kept = append(kept, w)
		} else {
			gone = append(gone, w)
		}
	}
	d.routes = slices.Clone(kept)
	d.mu.Unlock()

	errs := []error{d.end(gone)}
	var started []string
	for _, r := range next.Routes {
		if !slices.ContainsFunc(kept, func(w *worker) bool { return w.runs(r) }) {
			started = append(started, r.Name)
			errs = append(errs, d.start(r))
		}
	}
	place := func(name string) int {
		return slices.IndexFunc(next.Routes, func(r config.Route) bool { return r.Name == name })
	}
	d.mu.Lock()
	slices.SortFunc(d.routes, func(a, b *worker) int { return place(a.cfg.Name) - place(b.cfg.Name) })
	d.mu.Unlock()
	var unused []string
	for key := range d.queues {
		if !slices.ContainsFunc(next.Routes, func(r config.Route) bool { return r.Queue.String() == key }) {
			unused = append(unused, key)
		}
	}
	for _, w := range gone {
		if place(w.cfg.Name) < 0 {
			d.log.Warn("route removed; what it had not delivered stays in its landing until a route of that name is back",
				"route", w.cfg.Name, "waiting", w.landing.Stats().Pending)
		}
	}
	d.cfg.Config = next
	errs = append(errs, d.unlockQueues(unused), writeRoutes(d.at, next.Routes))
	d.log.Info("configuration reloaded", "routes", len(next.Routes), "untouched", len(kept), "started", started)
	return errors.Join(errs...)
}

// runs reports whether the worker runs this very route. Its place in the file
// does not count.
func (w *worker) runs(r config.Route) bool {
	r.Line = w.cfg.Line
	return reflect.DeepEqual(w.cfg, r)
}
