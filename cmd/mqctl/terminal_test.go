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
	if !cli.UseColour(tty) || !cli.UseColour(cli.Output(tty)) {
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

// A terminal gives one line to each read. Lines that are there already still share
// a kernel message.
func TestTerminalPaste(t *testing.T) {
	q := testQueue(t, mq.Options{})
	master, tty := terminal(t)
	if _, err := master.WriteString("one\ntwo\nthree\n\x04"); err != nil {
		t.Fatal(err)
	}
	if got := <-start(t.Context(), tty, "send", "--queue", q.Addr().String(), "--lines"); got.code != 0 {
		t.Errorf("got %+v", got)
	}
	if got := bodies(t, q); strings.Join(got, ",") != "one,two,three" {
		t.Errorf("the first kernel message has %q", got)
	}
}

// A person sees a number while many lines go, and none of it stays.
func TestProgress(t *testing.T) {
	var out strings.Builder
	p := progress{w: &out, on: true}
	p.show(1)
	if out.Len() != 0 {
		t.Errorf("%q for a short job", out.String())
	}
	p.last = p.last.Add(-progressEvery)
	p.show(4096)
	p.show(8192)
	p.clear()
	if got := out.String(); got != "\rmqctl: 4096 lines sent\r\x1b[K" {
		t.Errorf("got %q", got)
	}
	quiet := progress{w: &out}
	quiet.show(1)
	quiet.last = quiet.last.Add(-progressEvery)
	quiet.show(2)
	quiet.clear()
	if strings.Contains(out.String(), " 2 ") {
		t.Error("progress where nobody looks")
	}
}
