package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mqdaemon/mqd/mq"
)

// The environment variables that say where a daemon is. Fields of [Client] come
// before them.
const (
	envQueue   = "MQD_QUEUE"
	envSocket  = "MQD_SOCKET"
	envRuntime = "MQD_RUNTIME"
	envState   = "MQD_STATE"
)

const (
	socketName   = "mqd.sock" // in the runtime directory
	pidName      = "mqd.pid"  // in the runtime directory
	lockName     = "lock"     // in the state directory; the daemon holds flock(2) on it
	systemUser   = "mqd"
	defaultRoute = "default"
)

// RuntimeDir is where a daemon of the calling user keeps its socket and pid file
// when nothing else is said: /run/mqd for root and user mqd, else
// $XDG_RUNTIME_DIR/mqd, else /dev/shm/mqd-UID.
func RuntimeDir() string { return systemFinder().runtimeDir() }

// StateDir is where a daemon of the calling user keeps its spool when nothing
// else is said: /var/lib/mqd for root and user mqd, else $XDG_STATE_HOME/mqd,
// else ~/.local/state/mqd. It is "" for a user without a home.
func StateDir() string { return systemFinder().stateDir() }

// finder is what the search depends on outside this package; tests have their
// own.
type finder struct {
	getenv func(string) string
	euid   int
	mqdUID func() (uid int, ok bool) // of user mqd

	system place // the directories of root and user mqd
}

// place is the pair of directories that one daemon uses. Either may be "".
type place struct{ runtime, state string }

func systemFinder() *finder {
	return &finder{
		getenv: os.Getenv,
		euid:   os.Geteuid(),
		mqdUID: func() (int, bool) {
			u, err := user.Lookup(systemUser)
			if err != nil {
				return 0, false
			}
			uid, err := strconv.Atoi(u.Uid)
			return uid, err == nil
		},
		system: place{runtime: "/run/mqd", state: "/var/lib/mqd"},
	}
}

// trustsUID reports whether files of uid may direct our messages. User mqd is
// looked up last, as that reads a file.
func (f *finder) trustsUID(uid int) bool {
	return uid == 0 || uid == f.euid || f.isMqd(uid)
}

func (f *finder) isMqd(uid int) bool {
	mqd, ok := f.mqdUID()
	return ok && uid == mqd
}

func (f *finder) runtimeDir() string {
	if f.euid == 0 || f.isMqd(f.euid) {
		return f.system.runtime
	}
	if dir := f.absolute("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "mqd")
	}
	return "/dev/shm/mqd-" + strconv.Itoa(f.euid)
}

func (f *finder) stateDir() string {
	if f.euid == 0 || f.isMqd(f.euid) {
		return f.system.state
	}
	if dir := f.absolute("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "mqd")
	}
	if home := f.absolute("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "mqd")
	}
	return ""
}

// absolute reads a variable of the XDG Base Directory Specification, which wants
// relative paths ignored.
func (f *finder) absolute(name string) string {
	if dir := f.getenv(name); filepath.IsAbs(dir) {
		return dir
	}
	return ""
}

// firstOf gives the field, or the variable if the field is not set.
func (f *finder) firstOf(field, env string) string {
	if field != "" {
		return field
	}
	return f.getenv(env)
}

// places gives the daemons to look for, in order. Directories that were named
// stand alone: whoever names a daemon does not want to reach another one.
func (f *finder) places(named place) []place {
	named.runtime = f.firstOf(named.runtime, envRuntime)
	named.state = f.firstOf(named.state, envState)
	if named != (place{}) {
		return []place{named}
	}
	own := place{runtime: f.runtimeDir(), state: f.stateDir()}
	if own == f.system {
		return []place{own}
	}
	return []place{own, f.system}
}

// daemons is places for what lies in a runtime directory: a daemon of which only
// the state directory was named has the default one.
func (f *finder) daemons(named place) []place {
	places := f.places(named)
	for i := range places {
		if places[i].runtime == "" {
			places[i].runtime = f.runtimeDir()
		}
	}
	return places
}

// findQueue looks for the queue of a route: its own address if given, then the
// environment, then the routes files. It says which of them it was.
func (f *finder) findQueue(given mq.Addr, route string, named place) (addr mq.Addr, from string, err error) {
	if !given.IsZero() {
		return given, "Queue", nil
	}
	if text := f.getenv(envQueue); text != "" {
		if addr, err = mq.ParseAddr(text); err != nil {
			return mq.Addr{}, "", fmt.Errorf("%s: %w", envQueue, err)
		}
		return addr, envQueue, nil
	}
	e := &notFoundError{route: route}
	for _, p := range f.places(named) {
		var without *noRouteError // the first file of this daemon that lacks the route
		for _, dir := range []string{p.runtime, p.state} {
			if dir == "" {
				continue
			}
			if addr, err = f.routeIn(dir, route); err == nil {
				return addr, filepath.Join(dir, RoutesName), nil
			}
			if without == nil && errors.As(err, &without) {
				e.without = append(e.without, without)
			}
			e.tried = append(e.tried, err)
		}
	}
	return mq.Addr{}, "", e
}

// routeIn gives the queue of a route as the routes file in dir has it.
func (f *finder) routeIn(dir, route string) (mq.Addr, error) {
	routes, err := f.readRoutes(dir)
	if err != nil {
		return mq.Addr{}, err
	}
	addr, ok := routes.Queue(route)
	if !ok || addr.IsZero() {
		return mq.Addr{}, &noRouteError{route: route, dir: dir, has: routes.names()}
	}
	return addr, nil
}

// serves reports whether the routes file in dir names the queue.
func (f *finder) serves(dir string, queue mq.Addr) bool {
	routes, err := f.readRoutes(dir)
	return err == nil && slices.ContainsFunc(routes.Routes, func(r RouteEntry) bool { return r.Queue == queue })
}

// noRouteError: a daemon was found, and it has other routes.
type noRouteError struct {
	route, dir string
	has        []string
}

func (e *noRouteError) Error() string {
	has := "none"
	if len(e.has) > 0 {
		has = strings.Join(e.has, ", ")
	}
	return fmt.Sprintf("no route %s at %s: it has %s", e.route, e.dir, has)
}

func (e *noRouteError) Unwrap() error { return ErrNoRoute }

// notFoundError says where was looked for a route, and why that did not help.
type notFoundError struct {
	route   string
	without []*noRouteError // one for each daemon that was found
	tried   []error
}

func (e *notFoundError) Error() string {
	if len(e.without) > 0 {
		texts := make([]string, 0, len(e.without))
		for _, err := range e.without {
			texts = append(texts, err.Error())
		}
		return strings.Join(texts, "; ")
	}
	reasons := make([]string, 0, len(e.tried))
	for _, err := range e.tried {
		reasons = append(reasons, reason(err))
	}
	return fmt.Sprintf("route %q: %v (start mqd, or name its queue with %s; tried %s)",
		e.route, ErrNotRunning, envQueue, strings.Join(reasons, "; "))
}

func (e *notFoundError) Unwrap() error {
	if len(e.without) > 0 {
		return ErrNoRoute
	}
	return ErrNotRunning
}

// reason is the text of err, short for the usual case of a missing file.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) && errors.Is(err, fs.ErrNotExist) {
		return path.Path + ": not there"
	}
	return err.Error()
}
