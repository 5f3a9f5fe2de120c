package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

const docsFile = "../../docs/configuration.md"

// With this flag the tables in the documentation are written, not compared:
//
//	go test ./internal/config -run TestDocs -update
var update = flag.Bool("update", false, "write the tables in "+docsFile)

// The tables between the marks in the documentation are those of options().
func TestDocsHaveTheTable(t *testing.T) {
	data, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	docs := string(data)
	for name, p := range map[string]place{"daemon": wholeDaemon, "route": oneRoute} {
		begin, end := "<!-- keys of the "+name+": written by go test ./internal/config -update -->\n\n", "\n<!-- end -->"
		before, rest, ok := strings.Cut(docs, begin)
		table, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no %q ... %q", docsFile, begin, end)
		}
		want := docsTable(p)
		if table != want && !*update {
			t.Errorf("the keys of the %s are not those of the code; got\n%s\nwant\n%s", name, table, want)
		}
		docs = before + begin + want + end + after
	}
	if *update {
		if err := os.WriteFile(docsFile, []byte(docs), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// docsTable writes the options of p as a Markdown table.
func docsTable(p place) string {
	var b strings.Builder
	b.WriteString("| key | type | default | allowed | meaning |\n| --- | --- | --- | --- | --- |\n")
	for _, o := range newLoader("", nil).options[p] {
		def := o.otherwise
		if o.def != nil {
			def = "`" + formatTOML(o.def) + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", o.key, o.kind, def, o.inWords(), o.meaning)
	}
	return b.String()
}

// Every example in the documentation that is a whole file is accepted as it
// stands. The file of a secret is the only thing that need not be there.
func TestDocsExamplesParse(t *testing.T) {
	data, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	secret := "file:" + secretDir(t) + "/secret"
	parts := strings.Split(string(data), "```toml\n")
	if len(parts) < 2 {
		t.Fatalf("%s has no example", docsFile)
	}
	for _, part := range parts[1:] {
		doc, _, _ := strings.Cut(part, "```")
		doc = strings.ReplaceAll(doc, "file:/run/credentials/mqd/sms", secret)
		doc = strings.ReplaceAll(doc, `"www-data"`, `"root"`)
		if _, err := parse(docsFile, []byte(doc)); err != nil {
			t.Errorf("%s\n%v", doc, err)
		}
	}
}
