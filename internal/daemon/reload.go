package daemon

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/mqdaemon/mqd/internal/config"
)

// reload takes a new configuration. Routes that did not change go on untouched;
// the others are stopped in order and start again on what their landing holds.
// Everything that can be refused is looked at before anything is touched.
//
// stop says that a TERM or INT came while old routes were stopped.
func (d *Daemon) reload() (stop bool, err error) {
	if d.cfg.Reload == nil {
		d.log.Info("nothing to reload: the configuration came from flags")
		return false, nil
	}
	next, err := d.cfg.Reload()
	if err != nil {
		return false, err
	}
	if err := d.fixed(next); err != nil {
		return false, err
	}
	for _, w := range next.Warnings {
		d.log.Warn(w)
	}
	var plans []*plan
	for _, cfg := range next.Routes {
		if slices.ContainsFunc(d.routes, func(w *worker) bool { return w.runs(cfg) }) {
			continue
		}
		p, err := newPlan(cfg, d.host, d.cfg.Stdout)
		if err != nil {
			return false, errors.Join(err, discard(plans))
		}
		plans = append(plans, p)
	}
	if err := d.lockQueues(next.Routes); err != nil {
		return false, errors.Join(err, discard(plans))
	}
	return d.exchange(next, plans)
}

// fixed refuses a change of what only a restart can change.
func (d *Daemon) fixed(next *config.Config) error {
	for _, s := range []struct{ key, is, asked string }{
		{"state", d.cfg.State, next.State}, {"runtime", d.cfg.Runtime, next.Runtime}, {"listen", d.cfg.Listen, next.Listen},
		{"log_format", d.cfg.LogFormat, next.LogFormat}, {"log_level", d.cfg.LogLevel, next.LogLevel},
	} {
		if s.is != s.asked {
			return errors.New(s.key + " cannot be changed by a reload (is " + s.is + ", asked for " + s.asked + "); restart mqd")
		}
	}
	return nil
}

// exchange ends the routes that changed or went, starts the new ones and keeps
// the order of the file.
func (d *Daemon) exchange(next *config.Config, plans []*plan) (stop bool, err error) {
	var kept, gone []*worker
	for _, w := range d.routes {
		if slices.ContainsFunc(next.Routes, w.runs) {
			kept = append(kept, w)
		} else {
			gone = append(gone, w)
		}
	}
	stop, err = d.end(gone)
	errs := []error{err}
	if stop {
		d.mu.Lock()
		d.routes = kept // the others have ended
		d.mu.Unlock()
		return true, errors.Join(err, discard(plans))
	}
	now, started := slices.Clone(kept), make([]string, len(plans))
	var failed []*failure
	for i, p := range plans {
		started[i] = p.cfg.Name
		w, err := d.start(p)
		if err != nil {
			errs = append(errs, err)
			failed = append(failed, &failure{p, err})
			continue
		}
		now = append(now, w)
	}
	place := func(name string) int {
		return slices.IndexFunc(next.Routes, func(r config.Route) bool { return r.Name == name })
	}
	slices.SortFunc(now, func(a, b *worker) int { return place(a.cfg.Name) - place(b.cfg.Name) })
	err = writeRoutes(d.at, next.Routes)
	d.stale = err != nil
	errs = append(errs, err)
	// Until here status shows the old routes, and from here on the new ones.
	d.mu.Lock()
	before := d.failed
	d.routes, d.failed = now, failed
	d.mu.Unlock()
	for _, f := range before { // planned anew, or gone
		errs = append(errs, f.dest.Close())
	}
	for _, w := range gone {
		if place(w.cfg.Name) < 0 {
			d.log.Warn("route removed; what it had not delivered stays in its landing until a route of that name is back",
				"route", w.cfg.Name, "waiting", w.landing.Stats().Pending)
		}
	}
	d.cfg.Config = next
	errs = append(errs, d.unlockUnused(next.Routes))
	d.log.Info("configuration reloaded", "routes", len(next.Routes), "untouched", len(kept), "started", started)
	return false, errors.Join(errs...)
}

// unfinished reports whether a reload left something to be tried again.
func (d *Daemon) unfinished() bool { return d.stale || len(d.failed) > 0 }

// finish tries again what a reload could not do.
func (d *Daemon) finish() {
	if d.stale {
		d.stale = writeRoutes(d.at, d.cfg.Routes) != nil
	}
	d.mu.Lock()
	failed := slices.Clone(d.failed)
	d.mu.Unlock()
	for _, f := range failed {
		w, err := d.start(f.plan)
		if err != nil {
			continue
		}
		d.mu.Lock()
		d.routes = append(d.routes, w)
		d.failed = slices.DeleteFunc(d.failed, func(o *failure) bool { return o == f })
		d.mu.Unlock()
		d.log.Info("route is started at last", "route", f.cfg.Name)
	}
}

// runs reports whether the worker runs this very route. Its place in the file
// does not count. A secret that is read from a file may have changed, so a route
// with one is never the same.
func (w *worker) runs(r config.Route) bool {
	for _, value := range r.Headers {
		if strings.HasPrefix(value, "file:") {
			return false
		}
	}
	r.Line = w.cfg.Line
	return reflect.DeepEqual(w.cfg, r)
}
