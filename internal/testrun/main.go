// Command testrun runs "go test -json" with the arguments it is given and prints
// what a person wants of it: a line for each package, the whole output of what
// failed, and at the end every test that was skipped, with its reason.
//
// "make test" runs it.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

func main() {
	cmd := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testrun:", err)
		os.Exit(1)
	}
	r := &run{output: map[string][]string{}}
	err = errors.Join(r.read(out, os.Stdout), cmd.Wait())
	r.summary(os.Stdout)
	if err != nil {
		os.Exit(1)
	}
}

// event is one line of "go test -json", see "go doc test2json".
type event struct {
	Action, Package, ImportPath, Test, Output string
}

// run collects the events of one run.
type run struct {
	output         map[string][]string // of tests and packages that have not ended well yet
	skips          []string
	passed, failed int
}

func (r *run) read(in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var e event
		if json.Unmarshal(line, &e) != nil {
			fmt.Fprintf(out, "%s", line)
			continue
		}
		r.event(e, out)
	}
}

func (r *run) event(e event, out io.Writer) {
	key := e.Package + e.ImportPath + "\x00" + e.Test
	switch e.Action {
	case "output", "build-output":
		if e.Test == "" && (strings.HasPrefix(e.Output, "ok ") || strings.HasPrefix(e.Output, "FAIL\t") ||
			strings.HasPrefix(e.Output, "?")) {
			fmt.Fprint(out, e.Output)
			return
		}
		r.output[key] = append(r.output[key], e.Output)
	case "fail", "build-fail":
		fmt.Fprint(out, strings.Join(r.output[key], ""))
		if e.Test != "" {
			r.failed++
		}
	case "pass":
		if e.Test != "" {
			r.passed++
		}
	case "skip":
		if e.Test != "" {
			r.skips = append(r.skips, fmt.Sprintf("%s %s: %s", e.Package, e.Test, reason(r.output[key])))
		}
	}
	if e.Action != "output" && e.Action != "build-output" {
		delete(r.output, key)
	}
}

// reason finds what a test said when it skipped itself.
func reason(lines []string) string {
	for _, line := range lines {
		if _, text, ok := strings.Cut(line, ".go:"); ok {
			_, text, _ = strings.Cut(text, ": ")
			return strings.TrimSpace(text)
		}
	}
	return "no reason given"
}

func (r *run) summary(out io.Writer) {
	if len(r.skips) > 0 {
		fmt.Fprintf(out, "\nskipped (%d):\n", len(r.skips))
		for _, s := range r.skips {
			fmt.Fprintln(out, "  "+s)
		}
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, len(r.skips))
}
