package daemon

import (
	"errors"
	"os"
	"time"
)

// ErrStopNow is returned by [Daemon.Run] after a second TERM or INT. What was in
// flight will be sent again.
var ErrStopNow = errors.New("stopped at once by a second signal")

// afterCut is how long routes may take whose requests were cut by a signal:
// nothing of them waits for anything any more.
const afterCut = 500 * time.Millisecond

// stop ends all routes. What is in flight gets until stop_timeout or until a
// second signal.
func (d *Daemon) stop() error {
	d.mu.Lock()
	routes := d.routes
	d.mu.Unlock()
	urgent, err := d.end(routes)
	var left int64
	for _, w := range routes {
		left += w.landing.Stats().Pending
	}
	_ = os.Remove(d.at.landing) // if nothing waits in it
	d.log.Info("mqd stopped", "pending", left)
	if urgent {
		err = errors.Join(err, ErrStopNow)
	}
	return err
}

// end stops these routes in order and gives them back. What is not delivered
// stays in their landings. A TERM or INT meanwhile is urgent: it cuts requests in
// flight, which stop_timeout would do later.
//
// A route that does not end even then is left as it is: its memory must not be
// taken away under it, and the process ends anyway.
func (d *Daemon) end(routes []*worker) (urgent bool, err error) {
	for _, w := range routes {
		w.stop()
	}
	timeout := time.NewTimer(d.cfg.StopTimeout)
	defer timeout.Stop()
	var giveUp <-chan time.Time
	var errs []error
	for _, w := range routes {
		for running := true; running; {
			select {
			case <-w.done:
				running = false
			case <-timeout.C:
				cutAll(routes)
			case <-d.cfg.Stops:
				if !urgent {
					urgent = true
					giveUp = time.After(afterCut)
					cutAll(routes)
				}
			case <-giveUp:
				return urgent, errors.Join(errs...)
			}
		}
		w.cut() // its context ends with it
		errs = append(errs, w.err, w.close())
	}
	return urgent, errors.Join(errs...)
}

func cutAll(routes []*worker) {
	for _, w := range routes {
		w.cut()
	}
}
