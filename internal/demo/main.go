// Command demo shows the main job of mqd on real input, with nothing to set up: it
// starts a receiver and the daemon in a temporary directory, sends the lines of a
// real file through mqctl, slowly and then as fast as it goes, takes the receiver
// down and up again, flushes with SIGUSR1, stops, and prints what happened.
//
// It is run by "make demo", after a build; users have no need of it.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	quietLines = 20
	quietEvery = 50 * time.Millisecond
	refusals   = 5
	patience   = 30 * time.Second
)

func main() {
	bin := flag.String("bin", "bin", "directory of mqd and mqctl")
	busy := flag.Int("busy", 100_000, "lines of the busy phase")
	flag.Parse()
	if err := run(os.Stdout, *bin, *busy); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo is one run.
type demo struct {
	out   io.Writer
	mqd   string
	mqctl string
	flags []string // of mqctl: where the daemon is
	recv  *receiver
	lines []string
	sent  map[string]int
}

func run(out io.Writer, bin string, busy int) (err error) {
	dir, err := os.MkdirTemp("", "mqd-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	source, lines, err := realInput()
	if err != nil {
		return err
	}
	recv := newReceiver()
	server := httptest.NewServer(recv)
	defer server.Close()

	queue := fmt.Sprintf("sysv:0x%08x", 0x6d000000|rand.IntN(1<<24))
	state, runtime := filepath.Join(dir, "state"), filepath.Join(dir, "run")
	d := &demo{
		out: out, mqd: filepath.Join(bin, "mqd"), mqctl: filepath.Join(bin, "mqctl"),
		flags: []string{"--queue", queue, "--runtime", runtime, "--state", state},
		recv:  recv, lines: lines, sent: map[string]int{},
	}
	daemon := exec.Command(d.mqd, "--queue", queue, "--to", server.URL+"/in", "--format", "lines",
		"--state", state, "--runtime", runtime, "--log-level", "error")
	daemon.Stderr = os.Stderr
	if err := daemon.Start(); err != nil {
		return fmt.Errorf("%w; run make build first", err)
	}
	defer func() {
		_ = daemon.Process.Kill() // after the whole story it has ended by itself
		_ = daemon.Wait()
		err = errors.Join(err, exec.Command(d.mqctl, "queue", "rm", queue).Run())
	}()
	if err := wait("the daemon's pid file", func() bool {
		_, err := os.Stat(filepath.Join(runtime, "mqd.pid"))
		return err == nil
	}); err != nil {
		return err
	}
	fmt.Fprintf(out, "mqd runs (pid %d), a receiver listens, input is %s\n\n", daemon.Process.Pid, source)
	return d.story(daemon.Process, busy, daemon.Wait)
}

// story plays the phases and prints them.
func (d *demo) story(daemon *os.Process, busy int, ended func() error) error {
	d.recv.begin("quiet")
	if err := d.quiet(); err != nil {
		return err
	}
	d.recv.begin("busy")
	took, err := d.busy(busy)
	if err != nil {
		return err
	}
	d.recv.begin("outage")
	flushed, err := d.outage(daemon)
	if err != nil {
		return err
	}
	if err := daemon.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := ended(); err != nil {
		return fmt.Errorf("mqd's end: %w", err)
	}
	d.summary(busy, took, flushed)
	if lost, _ := d.balance(); lost > 0 {
		return fmt.Errorf("%d messages lost", lost)
	}
	return nil
}

// quiet feeds one mqctl line by line, slowly.
func (d *demo) quiet() error {
	send := exec.Command(d.mqctl, append([]string{"send", "--lines"}, d.flags...)...)
	send.Stderr = os.Stderr
	in, err := send.StdinPipe()
	if err != nil {
		return err
	}
	if err := send.Start(); err != nil {
		return err
	}
	tick := time.NewTicker(quietEvery)
	defer tick.Stop()
	for i := range quietLines {
		line := fmt.Sprintf("%s (quiet %d)", d.lines[i%len(d.lines)], i)
		d.count(line)
		d.recv.expect(line)
		if _, err := io.WriteString(in, line+"\n"); err != nil {
			return err
		}
		<-tick.C
	}
	if err := errors.Join(in.Close(), send.Wait()); err != nil {
		return fmt.Errorf("mqctl send: %w", err)
	}
	return d.arrived()
}

// busy pours n lines through one mqctl.
func (d *demo) busy(n int) (time.Duration, error) {
	send := exec.Command(d.mqctl, append([]string{"send", "--lines"}, d.flags...)...)
	send.Stderr = os.Stderr
	in, err := send.StdinPipe()
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := send.Start(); err != nil {
		return 0, err
	}
	w := bufio.NewWriterSize(in, 64<<10)
	for i := range n {
		line := d.lines[i%len(d.lines)]
		d.count(line)
		fmt.Fprintln(w, line)
	}
	if err := errors.Join(w.Flush(), in.Close(), send.Wait()); err != nil {
		return 0, fmt.Errorf("mqctl send --lines: %w", err)
	}
	return time.Since(begin), d.arrived()
}

// outage has the receiver answer 503 until mqd has tried a few times and waits
// longer between two tries, while messages come in; then it is up again, and a
// signal cuts the back-off short.
func (d *demo) outage(daemon *os.Process) (time.Duration, error) {
	d.recv.down(true)
	for i := range 100 {
		line := fmt.Sprintf("sent during the outage, %d", i)
		d.count(line)
		send := exec.Command(d.mqctl, append([]string{"send", line}, d.flags...)...)
		send.Stderr = os.Stderr
		if err := send.Run(); err != nil {
			return 0, fmt.Errorf("mqctl send: %w", err)
		}
	}
	if err := wait("refused requests", func() bool { return d.recv.refusals() >= refusals }); err != nil {
		return 0, err
	}
	d.recv.down(false)
	begin := time.Now()
	if err := daemon.Signal(syscall.SIGUSR1); err != nil {
		return 0, err
	}
	err := d.arrived()
	return time.Since(begin), err
}

func (d *demo) count(line string) { d.sent[line]++ }

// arrived waits until the receiver has as many messages as were sent.
func (d *demo) arrived() error {
	want := 0
	for _, n := range d.sent {
		want += n
	}
	return wait(fmt.Sprintf("%d messages at the receiver", want), func() bool { return d.recv.total() >= want })
}

// balance compares what was sent with what arrived.
func (d *demo) balance() (lost, repeated int) {
	got := d.recv.lines()
	for line, n := range d.sent {
		lost += max(0, n-got[line])
		repeated += max(0, got[line]-n)
	}
	return lost, repeated
}

func wait(what string, done func() bool) error {
	for deadline := time.Now().Add(patience); !done(); {
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v for %s in vain", patience, what)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// realInput finds a file that this machine wrote itself.
func realInput() (string, []string, error) {
	for _, path := range []string{"/var/log/dpkg.log", "/var/log/syslog", "/var/log/messages", "/etc/services", "README.md"} {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
		if len(lines) >= 20 {
			return path + ", " + strconv.Itoa(len(lines)) + " lines", lines, nil
		}
	}
	return "", nil, errors.New("no file with 20 lines found to read from")
}
