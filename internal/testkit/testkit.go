// Package testkit holds what the tests of several packages share: skips that a
// strict run turns into failures, and the checks for root and for tools.
//
// It is imported by _test.go files only.
package testkit

import (
	"os"
	"os/exec"
	"testing"
)

// NoSkip is the environment variable that turns every skip into a failure. CI
// sets it, so that a tool that is missing there is noticed.
const NoSkip = "MQD_TEST_NOSKIP"

// Skip skips t with a reason, or fails it when [NoSkip] is set.
func Skip(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv(NoSkip) != "" {
		t.Fatalf("%s forbids skipping: %s", NoSkip, reason)
	}
	t.Skip(reason)
}

// Need skips t when a program is not on the PATH, and gives its path.
func Need(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		Skip(t, "needs "+program)
	}
	return path
}

// NeedRoot skips t when it does not run as root.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Skip(t, "needs root")
	}
}
