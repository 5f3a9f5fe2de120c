package client

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mqdaemon/mqd/mq"
)

// TestDefaultDirs: the defaults of the contract, for each kind of user.
func TestDefaultDirs(t *testing.T) {
	const home = "/home/u"
	for _, tc := range []struct {
		name           string
		euid           int
		env            map[string]string
		runtime, state string
	}{
		{"root", 0, map[string]string{"XDG_RUNTIME_DIR": "/run/user/0", "HOME": "/root"}, "/run/mqd", "/var/lib/mqd"},
		{"user mqd", 990, map[string]string{"XDG_RUNTIME_DIR": "/run/user/990", "XDG_STATE_HOME": "/x", "HOME": home}, "/run/mqd", "/var/lib/mqd"},
		{"with XDG", 1000, map[string]string{"XDG_RUNTIME_DIR": "/run/user/1000", "XDG_STATE_HOME": "/x", "HOME": home}, "/run/user/1000/mqd", "/x/mqd"},
		{"without XDG", 1000, map[string]string{"HOME": home}, "/dev/shm/mqd-1000", "/home/u/.local/state/mqd"},
		{"relative XDG", 1000, map[string]string{"XDG_RUNTIME_DIR": "run", "XDG_STATE_HOME": "x", "HOME": home}, "/dev/shm/mqd-1000", "/home/u/.local/state/mqd"},
		{"no home", 33, nil, "/dev/shm/mqd-33", ""},
	} {
		f := systemFinder()
		f.getenv = func(name string) string { return tc.env[name] }
		f.euid = tc.euid
		f.mqdUID = func() (int, bool) { return 990, true }
		if runtime, state := f.runtimeDir(), f.stateDir(); runtime != tc.runtime || state != tc.state {
			t.Errorf("%s: %q and %q, want %q and %q", tc.name, runtime, state, tc.runtime, tc.state)
		}
	}
	if f := systemFinder(); RuntimeDir() != f.runtimeDir() || StateDir() != f.stateDir() {
		t.Error("RuntimeDir and StateDir are not those of the calling user")
	}
}

// TestFindQueue removes the winner of the search again and again: what was next
// in order must be found then.
func TestFindQueue(t *testing.T) {
	f, root, env := testFinder(t)
	ordinary(f)
	queue := func(n int) mq.Addr { return mq.SysVAddr(mq.Key(n)) }
	runtime, state := filepath.Join(root, "r"), filepath.Join(root, "s")
	ownRuntime, ownState := f.runtimeDir(), f.stateDir()
	env[envQueue] = queue(2).String()
	env[envRuntime], env[envState] = runtime, state
	for n, dir := range []string{runtime, state, ownRuntime, ownState, f.system.runtime, f.system.state} {
		writeRoutes(t, dir, "other", queue(99), "default", queue(3+n))
	}
	c := &Client{Queue: queue(1), finder: f}
	froms := []string{"Queue", envQueue}
	for _, dir := range []string{runtime, state, ownRuntime, ownState, f.system.runtime, f.system.state} {
		froms = append(froms, filepath.Join(dir, RoutesName))
	}
	want := 1
	check := func() {
		t.Helper()
		addr, from, err := c.FindQueue()
		if err != nil || addr != queue(want) || from != froms[want-1] {
			t.Errorf("found %v from %s, %v, want %v from %s", addr, from, err, queue(want), froms[want-1])
		}
		want++
	}
	remove := func(dir string) {
		t.Helper()
		if err := os.Remove(filepath.Join(dir, RoutesName)); err != nil {
			t.Fatal(err)
		}
	}
	check() // field
	c.Queue = mq.Addr{}
	check() // MQD_QUEUE
	delete(env, envQueue)
	check() // MQD_RUNTIME
	remove(runtime)
	check() // MQD_STATE
	remove(state)
	if _, _, err := f.findQueue(mq.Addr{}, "default", place{}); !errors.Is(err, ErrNotRunning) {
		t.Errorf("named directories without routes: %v, want ErrNotRunning: no other daemon was meant", err)
	}
	delete(env, envRuntime)
	delete(env, envState)
	check()                                        // own runtime directory
	writeRoutes(t, ownRuntime, "other", queue(99)) // without this route
	check()                                        // own state directory
	remove(ownState)
	check() // system runtime directory
	remove(f.system.runtime)
	check() // system state directory
	remove(f.system.state)
	_, _, err := f.findQueue(mq.Addr{}, "default", place{})
	if !errors.Is(err, ErrNoRoute) || errors.Is(err, ErrNotRunning) {
		t.Errorf("%v, want ErrNoRoute: a daemon is there, without the route", err)
	}
	if want := "no route default at " + ownRuntime + ": it has other"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	remove(ownRuntime)
	_, _, err = f.findQueue(mq.Addr{}, "default", place{})
	if !errors.Is(err, ErrNotRunning) {
		t.Errorf("%v, want ErrNotRunning", err)
	}
	for _, dir := range []string{ownRuntime, ownState, f.system.runtime, f.system.state} {
		if !strings.Contains(err.Error(), dir) {
			t.Errorf("%q does not name %s", err, dir)
		}
	}
	env[envQueue] = "sysv:0"
	if _, _, err := f.findQueue(mq.Addr{}, "default", place{}); err == nil || !strings.Contains(err.Error(), envQueue) {
		t.Errorf("bad MQD_QUEUE: %v", err)
	}
}

// TestFindWithFields: named directories come before the environment.
func TestFindWithFields(t *testing.T) {
	f, root, env := testFinder(t)
	ordinary(f)
	field, variable := filepath.Join(root, "f"), filepath.Join(root, "e")
	writeRoutes(t, field, "default", mq.SysVAddr(1))
	writeRoutes(t, variable, "default", mq.SysVAddr(2))
	env[envRuntime], env[envState] = variable, variable
	for _, p := range []place{{runtime: field}, {runtime: field, state: field}} {
		if addr, _, err := f.findQueue(mq.Addr{}, "default", p); err != nil || addr != mq.SysVAddr(1) {
			t.Errorf("%+v: found %v, %v", p, addr, err)
		}
	}
}

// TestRemembers: the queue that was found is not looked for again until it fails.
func TestRemembers(t *testing.T) {
	f, _, _ := testFinder(t)
	ordinary(f)
	first, q := testQueue(t)
	second, q2 := testQueue(t)
	dir := f.runtimeDir()
	writeRoutes(t, dir, "default", first)
	c := &Client{finder: f}
	send := func() {
		t.Helper()
		if err := c.Send(t.Context(), Message{}); err != nil {
			t.Fatal(err)
		}
	}
	send()
	writeRoutes(t, dir, "default", second)
	send()
	if n := drain(q); n != 2 {
		t.Errorf("%d messages on the first queue, want 2", n)
	}
	if err := q.Remove(); err != nil {
		t.Fatal(err)
	}
	send()
	if n := drain(q2); n != 1 {
		t.Errorf("%d messages on the second queue, want 1", n)
	}
}
