package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/client"
	"github.com/mqdaemon/mqd/mq"
)

const startTime = 10 * time.Second // for a process to start, on a busy machine

// daemon is one mqd with its directories, over all its restarts.
type daemon struct {
	t       testing.TB
	dir     string
	state   string
	runtime string
	routes  []route
	own     []mq.Addr // queues that go with the daemon

	uid    int               // run as; 0: as the test does
	wrap   []string          // command in front of mqd, which must exec it
	args   []string          // after "run"
	top    string            // first lines of the configuration
	before func(b *exec.Cmd) // last changes to the command

	process        // the one that runs, or ran last
	log     output // of all of them
	stdout  output
}

// process is one run of mqd.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// route is one table of the configuration.
type route struct {
	name  string
	queue string // "" for a System V queue with a random key
	to    string
	more  string // further lines
}

// newDaemon makes directories for a daemon with these routes; it starts nothing.
func newDaemon(t testing.TB, routes ...route) *daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "mqd-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, dir: dir, state: filepath.Join(dir, "state"), runtime: filepath.Join(dir, "run")}
	t.Cleanup(d.remove)
	for _, r := range routes {
		d.add(r)
	}
	return d
}

// remove ends the daemon and takes away what it leaves, in this order: it would
// make its queues again.
func (d *daemon) remove() {
	d.kill()
	for _, addr := range d.own {
		removeQueue(d.t, addr)
	}
	for _, uid := range []int{os.Geteuid(), d.uid} {
		os.RemoveAll(landingDir(d.state, uid))
	}
	os.RemoveAll(d.dir)
	if d.t.Failed() {
		d.t.Logf("from mqd's log:\n%s", d.excerpt())
	}
}

// excerpt gives the end of the log, and what it complains of before.
func (d *daemon) excerpt() string {
	var b strings.Builder
	lines := strings.SplitAfter(d.log.String(), "\n")
	for i, line := range lines {
		if len(lines)-i < 20 || strings.Contains(line, " ERRO ") || strings.Contains(line, " WARN ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// startDaemon is newDaemon with one route named default, started.
func startDaemon(t testing.TB, r *receiver, more string) *daemon {
	t.Helper()
	d := newDaemon(t, route{name: "default", to: r.url(), more: more})
	d.start()
	return d
}

// add adds a route to the configuration that the next start or HUP reads.
func (d *daemon) add(r route) {
	if r.queue == "" {
		addr := freeQueue()
		d.own = append(d.own, addr)
		r.queue = addr.String()
	}
	d.routes = append(d.routes, r)
}

// newQueue gives the address of a queue that does not exist; the test's end
// removes it if it does then. Call it before newDaemon.
func newQueue(t testing.TB) mq.Addr {
	t.Helper()
	addr := freeQueue()
	t.Cleanup(func() { removeQueue(t, addr) })
	return addr
}

func freeQueue() mq.Addr {
	for {
		addr := mq.SysVAddr(mq.Key(rand.Int32N(0x6fffffff) + 0x10000000))
		q, err := mq.Open(addr, nil)
		if err != nil {
			return addr
		}
		q.Close()
	}
}

// removeQueue removes a queue and the daemon's lock of it, which a kill leaves.
func removeQueue(t testing.TB, addr mq.Addr) {
	if err := mq.Remove(addr); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	name := strings.NewReplacer("/", "%", ":", "-").Replace(addr.String())
	locks, _ := filepath.Glob("/dev/shm/mqd-*-" + name + ".lock")
	for _, lock := range locks {
		os.Remove(lock)
	}
}

// key is the key of the first route's queue, as programs take it.
func (d *daemon) key() string { return d.keyOf(d.routes[0].name) }

func (d *daemon) keyOf(name string) string {
	return strings.TrimPrefix(d.addr(name).String(), "sysv:")
}

func (d *daemon) addr(name string) mq.Addr {
	for _, r := range d.routes {
		if r.name == name {
			addr, err := mq.ParseAddr(r.queue)
			if err != nil {
				d.t.Fatal(err)
			}
			return addr
		}
	}
	d.t.Fatalf("no route %s", name)
	return mq.Addr{}
}

// config writes the configuration file and gives its path.
func (d *daemon) config() string {
	d.t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "state = %q\nruntime = %q\n%s\n", d.state, d.runtime, d.top)
	for _, r := range d.routes {
		fmt.Fprintf(&b, "[route.%s]\nqueue = %q\nto = %q\n%s\n", r.name, r.queue, r.to, r.more)
	}
	path := filepath.Join(d.dir, "mqd.toml")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// spawn starts mqd and does not wait for it.
func (d *daemon) spawn() {
	d.t.Helper()
	args := append([]string{built.mqd, "run", "--config", d.config()}, d.args...)
	args = append(append([]string{}, d.wrap...), args...)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr, cmd.Stdout = &d.log, &d.stdout
	if d.uid != 0 {
		asUser(cmd, d.uid)
		for _, dir := range []string{d.state, d.runtime} {
			if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chown(dir, d.uid, d.uid)); err != nil {
				d.t.Fatal(err)
			}
		}
	}
	if d.before != nil {
		d.before(cmd)
	}
	if err := os.MkdirAll(d.state, 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.process = process{cmd: cmd, done: make(chan struct{})}
	go func(p process) {
		p.cmd.Wait()
		close(p.done)
	}(d.process)
}

// landingDir is where the landing of a user's daemon lies if its runtime directory
// is on no tmpfs.
func landingDir(state string, uid int) string {
	if resolved, err := filepath.EvalSymlinks(state); err == nil {
		state = resolved
	}
	return fmt.Sprintf("/dev/shm/mqd-%d-%.6x", uid, sha256.Sum256([]byte(state)))
}

// asUser makes cmd run as a user and its group of the same number.
func asUser(cmd *exec.Cmd, uid int) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
}

// start starts mqd and waits for its pid file.
func (d *daemon) start() {
	d.t.Helper()
	d.spawn()
	want := strconv.Itoa(d.pid()) + "\n"
	eventually(d.t, startTime, "pid file of "+strings.Join(d.cmd.Args, " "), func() bool {
		select {
		case <-d.done:
			d.t.Fatalf("mqd ended: %v", d.cmd.ProcessState)
		default:
		}
		pid, err := os.ReadFile(filepath.Join(d.runtime, "mqd.pid"))
		return err == nil && string(pid) == want
	})
}

func (d *daemon) pid() int { return d.cmd.Process.Pid }

func (d *daemon) signal(sig syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(sig); err != nil {
		d.t.Fatal(err)
	}
}

// kill ends mqd at whatever instruction it is.
func (d *daemon) kill() {
	if d.cmd != nil {
		d.cmd.Process.Kill()
		<-d.done
	}
}

// exit waits for the end of mqd and gives its code.
func (d *daemon) exit(within time.Duration) int {
	d.t.Helper()
	select {
	case <-d.done:
		return d.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		d.t.Fatalf("mqd runs after %v", within)
		return -1
	}
}

// stop ends mqd by TERM and expects it to be content.
func (d *daemon) stop() {
	d.t.Helper()
	d.signal(syscall.SIGTERM)
	if code := d.exit(10 * time.Second); code != 0 {
		d.t.Fatalf("exit code %d after TERM", code)
	}
}

func (d *daemon) status() *client.Status {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c := client.Client{Runtime: d.runtime}
	defer c.Close()
	s, err := c.Status(ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// route gives the status of one route; "" is the first.
func (d *daemon) route(name string) client.RouteStatus {
	d.t.Helper()
	for _, r := range d.status().Routes {
		if name == "" || r.Name == name {
			return r
		}
	}
	d.t.Fatalf("status has no route %s", name)
	return client.RouteStatus{}
}

// backedUp reports that the first route has messages on its queue and takes none.
func (d *daemon) backedUp() bool {
	before := d.route("")
	time.Sleep(100 * time.Millisecond)
	now := d.route("")
	return before.Depth > 0 && before.Depth == now.Depth && before.Pending > 0 && before.Pending == now.Pending
}

// cpu is the time that mqd has used so far.
func (d *daemon) cpu() time.Duration {
	d.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.pid()))
	if err != nil {
		d.t.Fatal(err)
	}
	// Behind the name, which may hold anything: state is field 3 of proc_pid_stat(5).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	utime, err1 := strconv.Atoi(fields[14-3])
	stime, err2 := strconv.Atoi(fields[15-3])
	if err := errors.Join(err1, err2); err != nil {
		d.t.Fatal(err)
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every machine that mqd runs on
	return time.Duration(utime+stime) * tick
}

// waitLog waits until the log holds text.
func (d *daemon) waitLog(within time.Duration, text string) {
	d.t.Helper()
	eventually(d.t, within, fmt.Sprintf("%q in the log", text), func() bool { return strings.Contains(d.log.String(), text) })
}

// output collects what a process writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// send puts payloads of a type on the queue of the first route.
func (d *daemon) send(mtype int64, payloads ...string) {
	d.t.Helper()
	d.sendTo(d.routes[0].name, mtype, payloads...)
}

func (d *daemon) sendTo(name string, mtype int64, payloads ...string) {
	d.t.Helper()
	q, err := mq.Open(d.addr(name), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	defer q.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	for _, p := range payloads {
		if err := q.Send(ctx, mq.Message{Type: mtype, Body: []byte(p)}); err != nil {
			d.t.Fatal(err)
		}
	}
}
