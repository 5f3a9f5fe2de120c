package daemon

import (
	"context"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// serve does what signals ask for until one of them, or ctx, or a control server
// that failed, ends the daemon.
func (d *Daemon) serve(ctx context.Context, server *task) error {
	var again <-chan time.Time
	for {
		// A look at what failed is due a second after the last one, however many
		// signals come meanwhile.
		if again == nil && d.unfinished() {
			again = time.After(lookAgain)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-server.done:
			return server.err
		case <-again:
			again = nil
			d.finish()
		case sig := <-d.cfg.Stops:
			d.log.Info("stopping", "signal", sig.String(), "stop_timeout", d.cfg.StopTimeout.String())
			return nil
		case sig := <-d.cfg.Signals:
			switch sig {
			case unix.SIGUSR1:
				d.flushAll()
			case unix.SIGUSR2:
				d.snapshot()
			case unix.SIGHUP:
				if stop := d.reloadAndSay(); stop {
					return nil
				}
			}
		}
	}
}

// reloadAndSay reloads and logs every line of what went wrong. It reports whether
// the daemon was told to stop meanwhile.
func (d *Daemon) reloadAndSay() (stop bool) {
	stop, err := d.reload()
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			d.log.Error("reload failed", "error", strings.TrimSuffix(line, "\n"))
		}
	}
	return stop
}

// snapshot logs one line per route.
func (d *Daemon) snapshot() {
	for _, r := range d.Status().Routes {
		d.log.Info("snapshot", "route", r.Name, "queue", r.Queue, "state", r.State, "depth", r.Depth, "pending", r.Pending,
			"in_flight", r.InFlight, "slots", r.Slots, "oldest_s", r.Oldest, "delivered_total", r.Delivered,
			"requests_total", r.Requests, "retries_total", r.Retries, "landing", r.Landing, "last_error", r.LastError)
	}
}
