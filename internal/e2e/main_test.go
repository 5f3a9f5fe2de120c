package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/internal/testkit"
)

// built is where the programs are. It is set before any test runs.
var built struct {
	dir        string
	mqd, mqctl string
	c          sync.Map // C programs: source to a func() (path, error)
}

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "mqd-e2e-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // other users run what is in it
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", dir+"/", "./cmd/mqd", "./cmd/mqctl")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: %s: %v\n%s", build, err, out)
		return 1
	}
	built.dir, built.mqd, built.mqctl = dir, filepath.Join(dir, "mqd"), filepath.Join(dir, "mqctl")
	// What the person's shell says of another daemon is not for the tests' own.
	for _, name := range []string{"QUEUE", "SOCKET", "DROP", "RUNTIME", "STATE", "CONFIG", "TO", "FORMAT", "LISTEN", "LOG_FORMAT", "LOG_LEVEL"} {
		os.Unsetenv("MQD_" + name)
	}
	return m.Run()
}

// program gives a command of testdata, ready to run: .c files are compiled once,
// the others run by their interpreter.
func program(t testing.TB, source string, args ...string) *exec.Cmd {
	t.Helper()
	path := filepath.Join("testdata", source)
	switch filepath.Ext(source) {
	case ".c":
		return exec.Command(compiled(t, source), args...)
	case ".php":
		return exec.Command(testkit.Need(t, "php"), append([]string{path}, args...)...)
	case ".pl":
		return exec.Command(testkit.Need(t, "perl"), append([]string{path}, args...)...)
	case ".rb":
		return exec.Command(testkit.Need(t, "ruby"), append([]string{path}, args...)...)
	case ".py":
		return exec.Command(needSysvIPC(t), append([]string{path}, args...)...)
	default:
		t.Fatalf("nothing runs %s", source)
		return nil
	}
}

func compiled(t testing.TB, source string) string {
	t.Helper()
	gcc := testkit.Need(t, "gcc")
	once, _ := built.c.LoadOrStore(source, sync.OnceValues(func() (string, error) {
		out := filepath.Join(built.dir, source+".bin")
		text, err := exec.Command(gcc, "-O2", "-Wall", "-o", out, filepath.Join("testdata", source), "-lrt").CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("gcc %s: %w\n%s", source, err, text)
		}
		return out, nil
	}))
	path, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// needSysvIPC finds a Python that has sysv_ipc: the one of the distribution,
// which is not always the first on the PATH.
func needSysvIPC(t testing.TB) string {
	t.Helper()
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import sysv_ipc").Run() == nil {
			return python
		}
	}
	testkit.Skip(t, "needs python3 with sysv_ipc")
	return ""
}

// mustRun runs a command and gives its standard output.
func mustRun(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("%s: %v\n%s", cmd, err, exit.Stderr)
		}
		t.Fatalf("%s: %v", cmd, err)
	}
	return string(out)
}

// background starts a command that the test's end kills; its result is waited for
// with the function returned.
func background(t testing.TB, cmd *exec.Cmd) (wait func() error) {
	t.Helper()
	stderr := new(output)
	if cmd.Stderr == nil {
		cmd.Stderr = stderr
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wait = sync.OnceValue(func() error {
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("%s: %w: %s", cmd, err, stderr)
		}
		return nil
	})
	t.Cleanup(func() {
		cmd.Process.Kill()
		wait()
	})
	return wait
}

// eventually waits until ok, and fails the test if that takes longer than within.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}
