package daemon

import (
	"errors"
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

// Modes of the directories, by the contract.
const (
	stateMode   = 0o711 // clients find what is for them by name and cannot list it
	runtimeMode = 0o755
	spoolMode   = 0o700
)

// Names in the runtime directory.
const (
	pidFile    = "mqd.pid"
	socketFile = "mqd.sock"
)

// makePlaces makes the directories of a daemon in its state directory, which is there.
func makePlaces(state, runtime string) (places, error) {
	at := places{state: state, runtime: runtime}
	if err := makeDir(runtime, runtimeMode); err != nil {
		return at, err
	}
	if err := makeSpool(filepath.Join(state, "spool")); err != nil {
		return at, err
	}
	var err error
	at.landing, err = spool.LandingDir(runtime, state)
	return at, err
}

// makeDir makes dir with this mode; the umask is not asked. One that is there gets
// the mode if it is empty or was used by an mqd of this user before; any other is
// left as it is, and refused if others may write to it, as is one with a sticky
// bit, such as /tmp.
//
// It also refuses one that belongs to another user than root or oneself, and a
// link that another user made: whoever owns the directory could put another
// socket, another pid or another landing there.
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
	is, shared := fs.FileMode(st.Mode).Perm(), st.Mode&unix.S_ISVTX != 0
	switch {
	case is == mode && !shared:
		return nil
	case int(st.Uid) == os.Geteuid() && !shared && ours(dir):
		return os.Chmod(dir, mode)
	case is&0o022 != 0 || shared:
		return fmt.Errorf("directory %s may be written by others (mode %#o): name one of its own", dir, is)
	}
	return nil
}

// ours reports whether a directory is empty or has something of mqd in it.
func ours(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && (len(entries) == 0 || slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		var st unix.Stat_t
		return (e.Name() == client.RoutesName || e.Name() == lockName) && e.Type().IsRegular() &&
			unix.Lstat(filepath.Join(dir, e.Name()), &st) == nil && int(st.Uid) == os.Geteuid()
	}))
}

// makeSpool makes the directory of the spools in a state directory. One that is
// there with another mode is somebody else's: --state /var would find /var/spool.
func makeSpool(dir string) error {
	if err := os.Mkdir(dir, spoolMode); err == nil {
		return os.Chmod(dir, spoolMode)
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return &os.PathError{Op: "lstat", Path: dir, Err: err}
	}
	if st.Mode&^unix.S_ISGID != unix.S_IFDIR|spoolMode || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is not a directory of uid %d with mode %#o: name another state directory, or give it that owner and mode",
			dir, os.Geteuid(), spoolMode)
	}
	return nil
}

// strangers gives the names of landings that hold something and whose route is
// not configured.
func strangers(at places, routes []config.Route) []string {
	entries, err := os.ReadDir(filepath.Join(at.state, "spool"))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		held, err := os.ReadDir(filepath.Join(at.landing, e.Name()))
		if err == nil && len(held) > 0 && !slices.ContainsFunc(routes, func(r config.Route) bool { return r.Name == e.Name() }) {
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
	f, err := os.CreateTemp(at.runtime, pidFile+".tmp-")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(at.runtime, pidFile))
}
