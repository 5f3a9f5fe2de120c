package main

import (
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/internal/cli"
	"github.com/mqdaemon/mqd/mq"
)

// terminal gives both ends of a pseudo terminal (pty(7)).
func terminal(t *testing.T) (master, tty *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	return master, tty
}

func TestTerminalInput(t *testing.T) {
	q := testQueue(t, mq.Options{})
	_, tty := terminal(t)
	got := <-start(t.Context(), tty, "send", "--queue", q.Addr().String())
	if got.code != cli.CodeUsage || !strings.HasPrefix(got.stderr, "mqctl: nothing to send\nhint: ") {
		t.Errorf("no message and a terminal: got %+v", got)
	}
}

// A line typed on a terminal is sent when it is complete, and ^D ends the input.
func TestTerminalLines(t *testing.T) {
	q := testQueue(t, mq.Options{})
	master, tty := terminal(t)
	done := start(t.Context(), tty, "send", "--queue", q.Addr().String(), "--lines")
	if _, err := master.WriteString("typed\n"); err != nil {
		t.Fatal(err)
	}
	if got := bodies(t, q); len(got) != 1 || got[0] != "typed" {
		t.Errorf("the queue has %q", got)
	}
	if _, err := master.WriteString("\x04"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestTerminalRefusesRaw(t *testing.T) {
	q := testQueue(t, mq.Options{})
	_, tty := terminal(t)
	err := run(t.Context(), []string{"queue", "peek", "--raw", q.Addr().String()}, stdio{out: tty, err: io.Discard})
	if code := cli.Exit(io.Discard, program, err); code != cli.CodeUsage {
		t.Errorf("got %d, %v", code, err)
	}
}

func TestTerminalColour(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	_, tty := terminal(t)
	if !cli.UseColour(tty) {
		t.Error("no colour on a terminal")
	}
	var out strings.Builder
	status := &client.Status{Routes: []client.RouteStatus{{Name: "\x1b[2J", State: client.StateHeld}}}
	if _, err := statusTable(status, true).WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Count(got, "\x1b") != 2 || !strings.Contains(got, "\x1b[31mheld\x1b[0m") {
		t.Errorf("got %q", got)
	}
	t.Setenv("NO_COLOR", "1")
	if cli.UseColour(tty) {
		t.Error("colour in spite of NO_COLOR")
	}
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	if cli.UseColour(tty) {
		t.Error("colour on a dumb terminal")
	}
	if cli.UseColour(&out) {
		t.Error("colour in a buffer")
	}
}
