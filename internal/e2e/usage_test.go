package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestExitCodes starts mqd in ways that cannot work.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := newDaemon(t, route{name: "default", to: "discard:"}).config()
	bad := filepath.Join(dir, "bad.toml")
	if err := os.WriteFile(bad, []byte("[route.a]\nqueue = \"sysv:0x11111111\"\nto = \"discard:\"\nmax_mesages = 5\nformat = \"xml\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		env  string
		code int
		says []string
	}{
		{"unknown flag", []string{"--nonsense"}, "", 64, []string{"--nonsense"}},
		{"unknown command", []string{"dance"}, "", 64, []string{"dance"}},
		{"queue with config", []string{"--config", good, "--queue", "sysv:1"}, "", 64, []string{"--queue", "--config"}},
		{"to with config", []string{"run", "--config", good, "--to", "stdout:"}, "", 64, []string{"--to"}},
		{"format with config", []string{"--config", good, "--format", "raw"}, "", 64, []string{"--format"}},
		{"queue in the environment", []string{"--config", good}, "MQD_QUEUE=sysv:1", 64, []string{"--queue"}},
		{"key 0", []string{"--queue", "sysv:0"}, "", 64, []string{"sysv:0"}},
		{"bad address", []string{"--to", "gopher://x"}, "", 64, []string{"gopher"}},
		{"bad log level", []string{"--log-level", "loud"}, "", 64, []string{"loud"}},
		{"bad file", []string{"--config", bad}, "", 78, []string{"bad.toml:4", "max_mesages", "bad.toml:5", "xml", "cloudevents"}},
		{"bad file, check", []string{"check", "--config", bad}, "", 78, []string{"bad.toml:4", "bad.toml:5"}},
		{"no file", []string{"--config", filepath.Join(dir, "absent.toml")}, "", 78, []string{"absent.toml"}},
		{"state is a file", []string{"--to", "discard:", "--state", file, "--runtime", dir}, "", 73, []string{file}},
	} {
		var stdout, stderr bytes.Buffer
		cmd := exec.Command(built.mqd, tt.args...)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		cmd.Env = append(os.Environ(), tt.env)
		timer := time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
		cmd.Run()
		timer.Stop()
		if code := cmd.ProcessState.ExitCode(); code != tt.code {
			t.Errorf("%s: exit code %d, want %d", tt.name, code, tt.code)
		}
		for _, text := range tt.says {
			if !strings.Contains(stderr.String(), text) {
				t.Errorf("%s: %q does not say %q", tt.name, stderr.String(), text)
			}
		}
		if stdout.Len() > 0 {
			t.Errorf("%s: wrote %q to standard output", tt.name, stdout.String())
		}
	}
}

// TestVersion prints the version of both programs.
func TestVersion(t *testing.T) {
	t.Parallel()
	for _, path := range []string{built.mqd, built.mqctl} {
		if out := mustRun(t, exec.Command(path, "version")); !strings.HasPrefix(out, filepath.Base(path)+" ") {
			t.Errorf("%s version: %q", path, out)
		}
	}
}

// TestCheck prints what would run and changes nothing.
func TestCheck(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, route{name: "sms", to: "https://sms.example/v1?token=hush", more: `headers = { Authorization = "Bearer hush" }`})
	out := mustRun(t, exec.Command(built.mqd, "check", "--config", d.config()))
	for _, text := range []string{"sms", d.routes[0].queue, "https://sms.example/v1"} {
		if !strings.Contains(out, text) {
			t.Errorf("check does not say %q:\n%s", text, out)
		}
	}
	if strings.Contains(out, "hush") {
		t.Errorf("check tells a secret:\n%s", out)
	}
	if queueID(t, d.key()) != "" {
		t.Error("check made the queue")
	}
	if _, err := os.Stat(d.state); err == nil {
		t.Error("check made the state directory")
	}
}

// TestFlags describes one route by flags and environment, and prints to standard
// output.
func TestFlags(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, route{name: "default"}) // for its directories and queue
	cmd := exec.Command(built.mqd)
	cmd.Args = append(cmd.Args, "--state", d.state, "--queue", d.routes[0].queue)
	cmd.Env = append(os.Environ(), "MQD_RUNTIME="+d.runtime, "MQD_QUEUE=sysv:1", "MQD_FORMAT=lines")
	stdout := new(output)
	cmd.Stdout = stdout
	background(t, cmd)
	d.process = process{cmd: cmd, done: make(chan struct{})}
	close(d.done) // its end is the background's
	eventually(t, startTime, "pid file", func() bool { _, err := os.Stat(d.runtime + "/mqd.pid"); return err == nil })
	if st := d.status(); len(st.Routes) != 1 || st.Routes[0].Name != "default" || st.Routes[0].Queue != d.routes[0].queue || st.PID != cmd.Process.Pid {
		t.Errorf("status %+v: the flag holds over the environment", st)
	}
	d.send(9, "to standard output")
	eventually(t, 5*time.Second, "output", func() bool { return strings.HasSuffix(stdout.String(), "\n") })
	var o struct {
		ID, Time, Route, Data string
		Type                  int64
	}
	if err := json.Unmarshal([]byte(stdout.String()), &o); err != nil || o.Route != "default" || o.Data != "to standard output" || o.Type != 9 {
		t.Errorf("standard output %q, %v: stdout: is always ndjson", stdout.String(), err)
	}
}

// TestJSONLog reads every line of a log that has a little of everything.
func TestJSONLog(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.close()
	d := newDaemon(t, route{name: "default", to: r.url(), more: "format = \"lines\"\nretry = { initial = \"1ms\", max = \"5ms\" }"})
	d.args = []string{"--log-format", "json", "--log-level", "debug"}
	d.start()
	d.send(1, "x")
	d.waitLog(5*time.Second, "does not accept")
	r.open()
	d.waitLog(5*time.Second, "accepts again")
	d.signal(syscall.SIGUSR2)
	d.waitLog(5*time.Second, "snapshot")
	d.routes[0].to = "nonsense"
	d.config()
	d.signal(syscall.SIGHUP)
	d.waitLog(5*time.Second, "mqd.toml:")
	d.stop()
	for line := range strings.Lines(d.log.String()) {
		var o struct {
			Time       time.Time
			Level, Msg string
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil || o.Time.IsZero() || o.Level == "" || o.Msg == "" {
			t.Errorf("log line %q: %v", line, err)
		}
	}
}
