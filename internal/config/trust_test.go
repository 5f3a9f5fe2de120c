package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/internal/testkit"
)

// nobody is a user that is neither root nor, as a rule, the one who tests.
const nobody = 65534

func TestLoadRefusesWhatOthersCanChange(t *testing.T) {
	tests := []struct {
		name    string
		root    bool // needs root
		prepare func(t *testing.T, dir, file string)
		want    string // empty: accepted; %DIR% and %FILE% stand for the paths
	}{
		{"private", false, func(*testing.T, string, string) {}, ""},
		{"readable", false, func(t *testing.T, _, file string) { chmod(t, file, 0o644) }, ""},
		{"group may write", false, func(t *testing.T, _, file string) { chmod(t, file, 0o664) }, ""},
		{
			"all may write", false,
			func(t *testing.T, _, file string) { chmod(t, file, 0o646) },
			"%FILE%: may be written by everybody (value mode 0646, allowed no write bit for others); type: chmod o-w %FILE%",
		},
		{
			"directory", false,
			func(t *testing.T, dir, _ string) { chmod(t, dir, 0o777) },
			"%FILE%: lies in a directory that everybody may write to (value %DIR%, allowed no write bit for others); type: chmod o-w %DIR%",
		},
		{"sticky directory", false, func(t *testing.T, dir, _ string) { chmod(t, dir, 0o777|fs.ModeSticky) }, ""},
		{
			"another user's", true,
			func(t *testing.T, _, file string) {
				if err := os.Chown(file, nobody, -1); err != nil {
					t.Fatal(err)
				}
			},
			"%FILE%: belongs to another user, who could change it (value uid 65534, allowed root); type as root: chown root %FILE%",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.root {
				testkit.NeedRoot(t)
			}
			dir := filepath.Join(t.TempDir(), "etc")
			file := filepath.Join(dir, "mqd.toml")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte("[route.default]"), 0o600); err != nil {
				t.Fatal(err)
			}
			tt.prepare(t, dir, file)

			got := ""
			if _, err := Load(file); err != nil {
				got = err.Error()
			}
			want := strings.NewReplacer("%DIR%", dir, "%FILE%", file).Replace(tt.want)
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}

			// A link in a good directory does not make a bad one good.
			link := filepath.Join(t.TempDir(), "link.toml")
			if err := os.Symlink(file, link); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(link); (err == nil) != (want == "") {
				t.Errorf("through a link: got %v", err)
			}
		})
	}
}

// Whatever its mode: advice about that would not help.
func TestLoadRefusesDirectories(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := Load(dir)
	if want := dir + ": cannot be read: read: is a directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A FIFO without a writer must not be waited for, as a reload could not end.
func TestLoadRefusesFIFOs(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "fifo"), filepath.Join(dir, "link")
	if err := errors.Join(syscall.Mkfifo(path, 0o600), os.Symlink(path, link)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, link} {
		loaded := make(chan error, 1)
		go func() {
			_, err := Load(path)
			loaded <- err
		}()
		select {
		case err := <-loaded:
			want := path + ": not a regular file (value prw-------, allowed a file, /dev/stdin or /dev/fd/N); name a configuration file"
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: still waiting for a writer after 10s", path)
		}
	}
}

// mqd --config /dev/stdin, and --config <(command) of a shell: the writer may come
// after the open, and may be gone before the end of it.
func TestLoadReadsInheritedPipes(t *testing.T) {
	for _, dir := range []string{"/dev/fd/", "/proc/self/fd/"} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		path := dir + strconv.Itoa(int(r.Fd()))
		loaded := make(chan error, 1)
		go func() {
			_, err := Load(path)
			loaded <- err
		}()
		for _, part := range []string{"[route.", "default]"} {
			if _, err := w.WriteString(part); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-loaded; err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLoadRefusesLargeFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mqd.toml")
	head := "[route.default]\n#"
	for size, wantErr := range map[int]string{
		maxFile:     "",
		maxFile + 1: file + ": too large (value over 1MiB, allowed up to 1MiB); name a configuration file",
	} {
		if err := os.WriteFile(file, []byte(head+strings.Repeat("x", size-len(head))), 0o600); err != nil {
			t.Fatal(err)
		}
		got := ""
		if _, err := Load(file); err != nil {
			got = err.Error()
		}
		if got != wantErr {
			t.Errorf("%d bytes: got %q, want %q", size, got, wantErr)
		}
	}
}

func TestWarnsOfAnotherUsersSecret(t *testing.T) {
	testkit.NeedRoot(t)
	secret := filepath.Join(secretDir(t), "secret")
	if err := os.Chown(secret, nobody, -1); err != nil {
		t.Fatal(err)
	}
	c := mustParse(t, "[route.default]\nto = 'http://h'\nheaders = { A = 'file:"+secret+"' }")
	want := "f:3: route.default.headers.A: belongs to another user, who could change it (value uid 65534, allowed root); type as root: chown root " + secret
	if got := strings.Join(c.Warnings, "\n"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestShellQuote(t *testing.T) {
	for path, want := range map[string]string{
		"/etc/mqd/mqd.toml": "/etc/mqd/mqd.toml", "": "''", "/a b": "'/a b'", "/a'b": `'/a'\''b'`, "/$(x)": "'/$(x)'", "/ä": "'/ä'",
	} {
		if got := shellQuote(path); got != want {
			t.Errorf("%q: got %s, want %s", path, got, want)
		}
	}
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
