package daemon

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/mqdaemon/mqd/"

// pkg is what "go list -json" tells of a package.
type pkg struct {
	ImportPath string
	Doc        string
	Name       string
	Imports    []string
	Standard   bool
	Deps       []string
}

func listPackages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Doc,Name,Imports,Standard,Deps", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// The house: what a package may import besides the standard library. Data goes
// one way, from mq to forward, and only daemon knows them all.
var mayImport = map[string][]string{
	"mq":                {"golang.org/x/sys/unix"},
	"batcher":           {},
	"internal/envelope": {},
	"client":            {"golang.org/x/sys/unix", module + "mq", module + "internal/envelope"},
	"internal/spool":    {"golang.org/x/sys/unix", module + "internal/envelope"},
	"internal/forward":  {},
	"internal/config":   {"github.com/pelletier/go-toml/v2", "github.com/pelletier/go-toml/v2/unstable", module + "mq", module + "internal/envelope", module + "internal/forward"},
	"internal/control": {
		"golang.org/x/sys/unix", module + "client",
		"github.com/prometheus/client_golang/prometheus", "github.com/prometheus/client_golang/prometheus/promhttp",
		"github.com/prometheus/client_golang/prometheus/collectors",
	},
	"internal/daemon": {
		"golang.org/x/sys/unix", module + "mq", module + "batcher", module + "client", module + "internal/config",
		module + "internal/control", module + "internal/forward", module + "internal/spool",
	},
	"internal/cli": {"golang.org/x/sys/unix", "github.com/alecthomas/kong"},
	"cmd/mqd": {
		"golang.org/x/sys/unix", "github.com/alecthomas/kong", "github.com/charmbracelet/log", "github.com/muesli/termenv", module + "client",
		module + "internal/cli", module + "internal/config", module + "internal/daemon",
	},
	"cmd/mqctl": {
		"golang.org/x/sys/unix", "github.com/alecthomas/kong", module + "client", module + "mq",
		module + "internal/cli", module + "internal/envelope",
	},
}

func TestImports(t *testing.T) {
	seen := 0
	for _, p := range listPackages(t) {
		allowed, ok := mayImport[strings.TrimPrefix(p.ImportPath, module)]
		if !ok {
			continue
		}
		seen++
		for _, imp := range p.Imports {
			std := !strings.Contains(strings.Split(imp, "/")[0], ".")
			if !std && !slices.Contains(allowed, imp) {
				t.Errorf("%s imports %s", p.ImportPath, imp)
			}
		}
	}
	if seen != len(mayImport) {
		t.Errorf("%d of %d packages of the table exist", seen, len(mayImport))
	}
}

// What must never be linked, and why.
var mustNotLink = []struct{ pkg, dep, why string }{
	{"client", "net/http", "a program that only sends would start three times as slowly"},
	{"cmd/mqctl", "net/http", "the same, for every mqctl send"},
	{"cmd/mqctl", "github.com/charmbracelet/log", "it belongs to the daemon"},
	{"mq", "net", "it is about kernel queues"},
	{"batcher", "net", "it is about time and numbers"},
	{"internal/spool", "net", "it knows no network"},
}

func TestLinks(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, rule := range mustNotLink {
			if p.ImportPath == module+rule.pkg && slices.Contains(p.Deps, rule.dep) {
				t.Errorf("%s links %s: %s", rule.pkg, rule.dep, rule.why)
			}
		}
		if slices.Contains(p.Imports, "testing") && p.ImportPath != module+"internal/testkit" {
			t.Errorf("%s imports testing outside its tests", p.ImportPath)
		}
	}
}

func TestPackageDocs(t *testing.T) {
	for _, p := range listPackages(t) {
		if len(p.Doc) < 40 {
			t.Errorf("%s has no package comment worth the name: %q", p.ImportPath, p.Doc)
		}
	}
}
