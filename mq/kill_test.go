package mq_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/mq"
)

// waiterRole waits on the queue of a key, again and again, and takes nothing.
// With "receive" it calls Receive instead, and says what it got.
func waiterRole(args []string) {
	key, err := strconv.Atoi(args[0])
	if err != nil {
		panic(err)
	}
	q, err := mq.OpenSysV(mq.Key(key), nil)
	if err != nil {
		panic(err)
	}
	if args[1] == "receive" {
		m, err := q.Receive(context.Background(), make([]byte, 64))
		fmt.Printf("%s %v\n", m.Body, err)
		time.Sleep(time.Hour)
	}
	w := q.NewWaiter(context.Background())
	for {
		if _, err := w.Wait(); err != nil {
			panic(err)
		}
	}
}

// sleepingChild starts a process that waits on q, and returns when it is asleep.
func sleepingChild(t *testing.T, q *mq.SysV, how string) *exec.Cmd {
	t.Helper()
	cmd := roleCommand("waiter", strconv.Itoa(int(q.Addr().Key)), how)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(t, "a child in msgrcv", func() bool { return len(inMsgrcv(t, cmd.Process.Pid)) == 1 })
	return cmd
}

// The reason for the wait that takes nothing: a process that is killed while it
// waits takes no message with it. The two orders are two races: the kernel hands
// a message over while the receiver dies, and to one that is dying already.
func TestKillWhileWaitingLosesNothing(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	q := keyed(t, mq.Options{Mode: 0o600})
	for i := range rounds {
		how := []string{"wait", "receive"}[i/2%2]
		// A Receive that was woken may take the message before it is killed. So
		// there the kill comes first, as it must to be a test of the wait.
		killFirst := i%2 == 1 || how == "receive"
		child := sleepingChild(t, q, how)
		body := fmt.Sprintf("message %d", i)
		kill := func() {
			if err := child.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		if killFirst {
			kill()
		}
		send(t, q, 1, body)
		if !killFirst {
			kill()
		}
		_ = child.Wait()
		m, err := q.TryReceive(make([]byte, 64))
		if err != nil || string(m.Body) != body {
			t.Fatalf("round %d (%s, kill first: %v): %q, %v", i, how, killFirst, m.Body, err)
		}
	}
}

// Stopping and continuing a process (job control, a debugger) is not noticed.
func TestStopAndContinue(t *testing.T) {
	q := keyed(t, mq.Options{Mode: 0o600})
	cmd := roleCommand("waiter", strconv.Itoa(int(q.Addr().Key)), "receive")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	pid := cmd.Process.Pid
	inWait := func() bool { return len(inMsgrcv(t, pid)) == 1 }
	eventually(t, "a child in msgrcv", inWait)
	for range 5 {
		if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a stopped child", func() bool { return state(t, pid) == "T" })
		if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a child in msgrcv again", func() bool { return state(t, pid) == "S" && inWait() })
	}
	send(t, q, 1, "hello")
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "hello <nil>\n" {
		t.Errorf("the child said %q, %v", line, err)
	}
}

// state is the letter of a process in proc_pid_stat(5).
func state(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	var id int
	var comm, letter string
	if _, err := fmt.Sscan(string(text), &id, &comm, &letter); err != nil {
		t.Fatal(err)
	}
	return letter
}
