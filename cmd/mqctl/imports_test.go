package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/mqdaemon/mqd/internal/testkit"
)

// What mqctl links decides how fast "mqctl send" starts.
func TestImports(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), testkit.Need(t, "go"), "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.Lines(string(out)) {
		dep = strings.TrimSpace(dep)
		for _, bad := range []string{"net/http", "crypto/tls", "log/slog", "testing", "github.com/charmbracelet/", "github.com/prometheus/",
			"github.com/mqdaemon/mqd/internal/daemon", "github.com/mqdaemon/mqd/internal/spool", "github.com/mqdaemon/mqd/internal/forward"} {
			if dep == bad || strings.HasSuffix(bad, "/") && strings.HasPrefix(dep, bad) {
				t.Errorf("mqctl links %s", dep)
			}
		}
	}
}
