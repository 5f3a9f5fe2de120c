package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/internal/control"
	"github.com/mqdaemon/mqd/mq"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mqctl": main})
}

// The scripts see no daemon and no queue but those that they make.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Values[daemonKey{}] = &fileDaemon{}
			// A program built with -race sleeps a second before it ends.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			runtime := filepath.Join(env.WorkDir, "run")
			env.Setenv("MQD_RUNTIME", runtime)
			env.Setenv("MQD_STATE", filepath.Join(env.WorkDir, "state"))
			return os.Mkdir(runtime, 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"newkey":   cmdNewKey,
			"newname":  cmdNewName,
			"routes":   cmdRoutes,
			"daemon":   cmdDaemon,
			"bigfile":  cmdBigFile,
			"flushed":  cmdFlushed,
			"exitcode": cmdExitCode,
			"put":      cmdPut,
			"cmpraw":   cmdCmpRaw,
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Geteuid() == 0, nil
			case "daemon": // somebody's, at the usual place
				_, err := os.Stat(client.RuntimeDir())
				return err == nil, nil
			case "mqueue":
				for _, err := range mq.List(mq.KindPOSIX) {
					return err == nil, nil
				}
				return true, nil
			}
			return false, errors.New("unknown condition")
		},
	})
}

// freshKey gives a key that no queue has, and removes the queue that has it at the
// end.
func freshKey(cleanup func(func())) mq.Key {
	for {
		key := mq.Key(1 + rand.Int32N(1<<31-2))
		if _, err := mq.OpenSysV(key, nil); errors.Is(err, fs.ErrNotExist) {
			cleanup(func() { _ = mq.Remove(mq.SysVAddr(key)) })
			return key
		}
	}
}

// newkey VAR sets VAR to the address of a System V queue that does not exist yet.
func cmdNewKey(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], mq.SysVAddr(freshKey(ts.Defer)).String())
}

// newname VAR sets VAR to the address of a POSIX queue that does not exist yet.
func cmdNewName(ts *testscript.TestScript, _ bool, args []string) {
	addr := mq.POSIXAddr("/mqctl-test-" + strconv.FormatUint(rand.Uint64(), 36))
	ts.Defer(func() { _ = mq.Remove(addr) })
	ts.Setenv(args[0], addr.String())
}

// routes ADDR [NAME...] writes the routes file of a daemon: one route, default, or
// several on the same queue.
func cmdRoutes(ts *testscript.TestScript, _ bool, args []string) {
	addr, err := mq.ParseAddr(args[0])
	ts.Check(err)
	file := client.RoutesFile{Version: client.RoutesVersion}
	names := args[1:]
	if len(names) == 0 {
		names = []string{"default"}
	}
	for _, name := range names {
		file.Routes = append(file.Routes, client.RouteEntry{Name: name, Queue: addr})
	}
	ts.Check(file.WriteFile(filepath.Join(ts.Getenv("MQD_RUNTIME"), client.RoutesName)))
}

// bigfile NAME SIZE writes a file of SIZE bytes.
func cmdBigFile(ts *testscript.TestScript, _ bool, args []string) {
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), bytes.Repeat([]byte("x"), size), 0o644))
}

// fileDaemon answers with the status in a file, and counts what it is asked to do.
type fileDaemon struct {
	status  client.Status
	mu      sync.Mutex
	flushes []string // the route of each
}

func (d *fileDaemon) Status() *client.Status { return &d.status }
func (d *fileDaemon) Health() (bool, string) { return true, "" }

func (d *fileDaemon) Flush(route string) error {
	if route == "fax" {
		return fmt.Errorf("%w: fax", control.ErrNoRoute)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flushes = append(d.flushes, route)
	return nil
}

func (d *fileDaemon) flushed() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.flushes)
}

type daemonKey struct{}

// daemon FILE serves the socket of a daemon whose status is in FILE.
func cmdDaemon(ts *testscript.TestScript, _ bool, args []string) {
	d := ts.Value(daemonKey{}).(*fileDaemon)
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &d.status))
	server := control.New(control.Config{Path: filepath.Join(ts.Getenv("MQD_RUNTIME"), "mqd.sock"), Daemon: d})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	ts.Defer(func() {
		cancel()
		if err := <-done; err != nil {
			ts.Logf("control: %v", err)
		}
	})
	select {
	case <-server.Ready():
	case err := <-done:
		done <- nil
		ts.Fatalf("control: %v", err)
	}
}

// flushed [ROUTE...] asserts what the daemon of this script was asked to flush; ”
// is all routes.
func cmdFlushed(ts *testscript.TestScript, _ bool, args []string) {
	d := ts.Value(daemonKey{}).(*fileDaemon)
	if got := d.flushed(); !slices.Equal(got, args) {
		ts.Fatalf("flushed %q, want %q", got, args)
	}
}

// exitcode N COMMAND... runs a command and asserts its exit code.
func cmdExitCode(ts *testscript.TestScript, _ bool, args []string) {
	code := 0
	var failed *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		code = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if got := strconv.Itoa(code); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// put ADDR TYPE TEXT puts a bare kernel message on a queue; TEXT may hold the
// escapes of a Go string.
func cmdPut(ts *testscript.TestScript, _ bool, args []string) {
	addr, err := mq.ParseAddr(args[0])
	ts.Check(err)
	mtype, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	q, err := mq.Open(addr, nil)
	ts.Check(err)
	defer q.Close()
	ts.Check(q.TrySend(mq.Message{Type: mtype, Body: []byte(unquote(ts, args[2]))}))
}

// cmpraw TEXT asserts the standard output of the last command, byte by byte.
func cmdCmpRaw(ts *testscript.TestScript, _ bool, args []string) {
	if got, want := ts.ReadFile("stdout"), unquote(ts, args[0]); got != want {
		ts.Fatalf("got %q, want %q", got, want)
	}
}

// unquote reads the escapes in text, which has no need to escape quotes.
func unquote(ts *testscript.TestScript, text string) string {
	out, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
	ts.Check(err)
	return out
}
