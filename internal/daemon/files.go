package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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

// makeDir makes dir, or gives one that is already one's own its mode; the umask
// is not asked.
func makeDir(dir string, mode fs.FileMode) error {
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	st, err := os.Stat(dir)
	if err != nil || st.Mode().Perm() == mode {
		return err
	}
	if err := os.Chmod(dir, mode); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
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
