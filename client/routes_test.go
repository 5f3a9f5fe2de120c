package client

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/internal/testkit"
	"github.com/mqdaemon/mqd/mq"
)

var routes = RoutesFile{Version: 1, Routes: []RouteEntry{
	{Name: "default", Queue: mq.SysVAddr(0x6d716431)},
	{Name: "sms", Queue: mq.POSIXAddr("/sms")},
}}

// TestRoutesForm: daemons and producers of different versions share this file.
func TestRoutesForm(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, RoutesName)
	old := unix.Umask(0o077)
	err := routes.WriteFile(path)
	unix.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	want := `{"version":1,"routes":[{"name":"default","queue":"sysv:0x6d716431"},{"name":"sms","queue":"posix:/sms"}]}` + "\n"
	if err != nil || string(text) != want {
		t.Errorf("wrote %s, %v, want %s", text, err, want)
	}
	if st, err := os.Stat(path); err != nil || st.Mode() != 0o644 {
		t.Errorf("mode %v, %v, want 0644", st.Mode(), err)
	}
	got, err := ReadRoutes(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes.Routes {
		if addr, ok := got.Queue(r.Name); !ok || addr != r.Queue {
			t.Errorf("route %s: %v, %v, want %v", r.Name, addr, ok, r.Queue)
		}
	}
	if _, ok := got.Queue("fax"); ok {
		t.Error("found a route that is not there")
	}
	// Members that a later version adds are ignored.
	if err := os.WriteFile(path, []byte(`{"version":1,"new":[],"routes":[{"name":"a","queue":"posix:/a","drop":"/d"}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err = ReadRoutes(dir); err != nil || len(got.Routes) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestWriteFileLeavesNothing: a write that fails leaves the old file and no other.
func TestWriteFileLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, RoutesName)
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := routes.WriteFile(path); err == nil {
		t.Error("replaced a directory")
	}
	if err := routes.WriteFile(filepath.Join(dir, "missing", RoutesName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want fs.ErrNotExist", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left %v, %v, want what was in the way", entries, err)
	}
}

// TestTrust: each way in which another user could have written the file.
func TestTrust(t *testing.T) {
	good := func(t *testing.T, dir string) { writeRoutes(t, dir, "default", mq.SysVAddr(1)) }
	chown := func(name string, uid int) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			testkit.NeedRoot(t)
			good(t, dir)
			if err := os.Chown(filepath.Join(dir, name), uid, -1); err != nil {
				t.Fatal(err)
			}
		}
	}
	chmod := func(name string, mode fs.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			good(t, dir)
			if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	content := func(text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			good(t, dir)
			if err := os.WriteFile(filepath.Join(dir, RoutesName), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	const mqdUID, me, stranger = 990, 1000, 1001
	for _, tc := range []struct {
		name  string
		setup func(*testing.T, string)
		err   string // "" : trusted
	}{
		{"good", good, ""},
		{"state directory of 0711", chmod(".", 0o711), ""},
		{"file of user mqd", chown(RoutesName, mqdUID), ""},
		{"directory of user mqd", chown(".", mqdUID), ""},
		{"file of oneself", chown(RoutesName, me), ""},
		{"file of a stranger", chown(RoutesName, stranger), "routes.json: not trusted: owned by uid 1001, want root, uid 1000 or user mqd"},
		{"directory of a stranger", chown(".", stranger), "not trusted: owned by uid 1001"},
		{"file for everybody", chmod(RoutesName, 0o646), "routes.json: not trusted: mode 0646 lets others write"},
		{"file for the group", chmod(RoutesName, 0o664), "routes.json: not trusted: mode 0664 lets others write"},
		{"directory for everybody", chmod(".", 0o777), "not trusted: mode 0777 lets others write"},
		{"directory like /tmp", chmod(".", 0o777|fs.ModeSticky), "not trusted: mode 01777 lets others write"},
		{"directory for the group", chmod(".", 0o775), "not trusted: mode 0775 lets others write"},
		{"symbolic link", func(t *testing.T, dir string) {
			good(t, dir)
			if err := os.Rename(filepath.Join(dir, RoutesName), filepath.Join(dir, "real")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("real", filepath.Join(dir, RoutesName)); err != nil {
				t.Fatal(err)
			}
		}, "routes.json: too many levels of symbolic links"},
		{"FIFO", func(t *testing.T, dir string) {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mkfifo(filepath.Join(dir, RoutesName), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "routes.json: not trusted: not a regular file"},
		{"file instead of a directory", func(t *testing.T, dir string) {
			if err := os.WriteFile(dir, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "not a directory"},
		{"nothing", func(*testing.T, string) {}, "no such file or directory"},
		{"empty", content(""), "routes.json: unexpected end of JSON input"},
		{"no JSON", content("route = default"), "routes.json: invalid character"},
		{"later version", content(`{"version":2}`), "routes.json: version 2, this program reads version 1"},
		{"bad address", content(`{"version":1,"routes":[{"name":"a","queue":"tcp:1"}]}`), `queue address "tcp:1"`},
		{"too large", content(`{"version":1}` + strings.Repeat(" ", maxRoutes)), "routes.json: over 1048576 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := systemFinder()
			if f.euid == 0 {
				f.euid = me
			}
			f.mqdUID = func() (int, bool) { return mqdUID, true }
			dir := filepath.Join(t.TempDir(), "d")
			tc.setup(t, dir)
			r, err := f.readRoutes(dir)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("error %v, want %q in it", err, tc.err)
				}
				return
			}
			if addr, ok := r.Queue("default"); err != nil || !ok || addr != mq.SysVAddr(1) {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}
