package daemon

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/internal/config"
	"github.com/mqdaemon/mqd/internal/spool"
)

// Names in the runtime directory.
const (
	pidFile    = "mqd.pid"
	socketFile = "mqd.sock"
)

// makePlaces makes the directories of a daemon. Clients find what is for them
// by name in the state directory and cannot list it; the spool is closed to them.
func makePlaces(state, runtime string) (places, error) {
	at := places{state: state, runtime: runtime}
	for _, d := range []struct {
		path string
		mode fs.FileMode
	}{{state, 0o711}, {runtime, 0o755}, {filepath.Join(state, "spool"), 0o700}} {
		if err := makeDir(d.path, d.mode); err != nil {
			return at, err
		}
	}
	var err error
	at.landing, err = spool.LandingDir(runtime, state)
	return at, err
}

// makeDir makes dir, or gives one that is there its mode; the umask is not asked.
// It refuses one that belongs to another user than root or oneself, and a link
// that another user made: whoever owns the directory could put another socket,
// another pid or another landing there.
func makeDir(dir string, mode fs.FileMode) error {
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	var st unix.Stat_t
	for _, stat := range []func(string, *unix.Stat_t) error{unix.Lstat, unix.Stat} {
		if err := stat(dir, &st); err != nil {
			return &os.PathError{Op: "stat", Path: dir, Err: err}
		}
		if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
			return fmt.Errorf("directory %s belongs to uid %d, not to root or uid %d: name another one or remove it",
				dir, st.Uid, os.Geteuid())
		}
	}
	if fs.FileMode(st.Mode).Perm() == mode || int(st.Uid) != os.Geteuid() {
		return nil
	}
	return os.Chmod(dir, mode)
}

// strangers gives the names of spools whose route is not configured.
func strangers(state string, routes []config.Route) []string {
	entries, err := os.ReadDir(filepath.Join(state, "spool"))
	if err != nil {
		return nil // nothing was ever kept, or whoever asks may not look
	}
	var names []string
	for _, e := range entries {
		if !slices.ContainsFunc(routes, func(r config.Route) bool { return r.Name == e.Name() }) {
			names = append(names, e.Name())
		}
	}
	return names
}

// writeRoutes tells clients where the queues are.
func writeRoutes(at places, routes []config.Route) error {
	file := client.RoutesFile{Version: client.RoutesVersion}
	for _, r := range routes {
		file.Routes = append(file.Routes, client.RouteEntry{Name: r.Name, Queue: r.Queue})
	}
	for _, dir := range []string{at.state, at.runtime} {
		if err := file.WriteFile(filepath.Join(dir, client.RoutesName)); err != nil {
			return err
		}
	}
	return nil
}

// writePID makes the pid file. It appears whole and after everything else:
// whoever sees it may signal.
func writePID(at places) error {
	path := filepath.Join(at.runtime, pidFile)
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, fmt.Appendf(nil, "%d\n", os.Getpid()), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
