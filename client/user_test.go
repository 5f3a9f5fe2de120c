package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/mqdaemon/mqd/internal/testkit"
	"github.com/mqdaemon/mqd/mq"
)

// otherUser is nobody, with no rights anywhere.
const otherUser = 65534

// roleVar makes the test binary play a role instead of running tests.
const roleVar = "MQD_CLIENT_TEST_ROLE"

var roles = map[string]func(args []string) error{
	"sender":    senderRole,
	"forbidden": forbiddenRole,
}

func TestMain(m *testing.M) {
	role := os.Getenv(roleVar)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := roles[role](os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// asNobody runs a role as another user.
func asNobody(t *testing.T, role string, args ...string) {
	t.Helper()
	testkit.NeedRoot(t)
	// The test binary may lie where that user cannot go; this link leads there.
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: otherUser, Gid: otherUser}}
	cmd.Dir = "/"
	cmd.Env = []string{roleVar + "=" + role, "GORACE=atexit_sleep_ms=0"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as uid %d: %v\n%s", otherUser, err, out)
	}
}

// TestOtherUser sends as another user to a queue that takes messages from
// everybody and shows them to nobody (0622), as the user of a web server would.
func TestOtherUser(t *testing.T) {
	testkit.NeedRoot(t)
	addr, q := testQueue(t)
	mode, capacity := fs.FileMode(0o622), int64(4000)
	if err := q.Set(mq.Settings{Mode: &mode, MaxBytes: &capacity}); err != nil {
		t.Fatal(err)
	}
	// A daemon of root, which this process is, and which nobody may not signal.
	dir, err := os.MkdirTemp("/dev/shm", "mqd-client-test-") // everybody gets there
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "state")
	writeRoutes(t, dir, "default", addr)
	writePid(t, dir, fmt.Sprintf("%d\n", os.Getpid()))
	lockState(t, state)

	asNobody(t, "sender", dir, state)
	if g := receive(t, q); string(g[0].Body) != "one" {
		t.Errorf("got %q", g[0].Body)
	}
	if g := receive(t, q); len(g) != 2 {
		t.Errorf("got %d messages in a batch, want 2", len(g))
	}
	wantDoorbell(t, q)
}

func senderRole(dirs []string) error {
	c := &Client{Runtime: dirs[0], State: dirs[1]}
	ctx := context.Background()
	if err := c.Send(ctx, Message{Body: []byte("one")}); err != nil {
		return err
	}
	if n, err := c.SendBatch(ctx, []Message{{}, {}}); n != 2 || err != nil {
		return fmt.Errorf("SendBatch = %d, %w", n, err)
	}
	// The limits are known although the queue may not be read.
	var limit *mq.LimitError
	if err := c.Send(ctx, Message{Body: make([]byte, 5000)}); !errors.As(err, &limit) || limit.Limit != "msg_qbytes" || limit.Max != 4000 {
		return fmt.Errorf("too large: %w, want msg_qbytes with 4000", err)
	}
	return c.Wake(ctx)
}

func TestForbidden(t *testing.T) {
	addr, q := testQueue(t) // 0600
	asNobody(t, "forbidden", addr.String())
	wantEmpty(t, q)
}

func forbiddenRole(args []string) error {
	addr, err := mq.ParseAddr(args[0])
	if err != nil {
		return err
	}
	c := &Client{Queue: addr}
	if err := c.Send(context.Background(), Message{}); !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("Send: %w, want fs.ErrPermission", err)
	}
	if _, err := c.SendBatch(context.Background(), []Message{{}}); !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("SendBatch: %w, want fs.ErrPermission", err)
	}
	return nil
}
