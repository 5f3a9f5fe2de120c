package client

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/mqdaemon/mqd/internal/testkit"
)

// TestImports: producers pay for what this package links, with every start of
// "mqctl send".
func TestImports(t *testing.T) {
	out, err := exec.Command(testkit.Need(t, "go"), "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{
		"github.com/mqdaemon/mqd/client", "github.com/mqdaemon/mqd/mq",
		"github.com/mqdaemon/mqd/internal/envelope", "golang.org/x/sys/unix",
	}
	for path := range strings.FieldsSeq(string(out)) {
		switch {
		case path == "net/http", path == "testing", path == "crypto/tls":
			t.Errorf("links %s", path)
		case strings.Contains(path, ".") && !slices.Contains(allowed, path) && !strings.HasPrefix(path, "vendor/"):
			t.Errorf("links %s, outside the standard library", path)
		}
	}
}
