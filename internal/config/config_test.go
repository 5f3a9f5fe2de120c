package config

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/internal/envelope"
	"github.com/mqdaemon/mqd/internal/forward"
	"github.com/mqdaemon/mqd/mq"
)

// wantDefault is the contract: what a route is when nothing is said.
func wantDefault() Route {
	return Route{
		Name:         "default",
		Queue:        mq.SysVAddr(0x6d716431),
		Mode:         0o620,
		GID:          -1,
		Accept:       envelope.AcceptAll,
		To:           "stdout:",
		Format:       forward.CloudEvents,
		CEType:       "mqd.message",
		MaxMessages:  500,
		MaxBytes:     1 << 20,
		SlotsMin:     1,
		SlotsMax:     16,
		Order:        OrderKey,
		Timeout:      30 * time.Second,
		RetryInitial: 200 * time.Millisecond,
		RetryMax:     5 * time.Minute,
	}
}

func mustParse(t *testing.T, doc string) *Config {
	t.Helper()
	c, err := parse("f", []byte(doc))
	if err != nil {
		t.Fatalf("%s\n%v", doc, err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	want := &Config{LogFormat: "text", LogLevel: "info", StopTimeout: 4 * time.Second, Routes: []Route{wantDefault()}}
	got, err := Single("", "", "")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Single: got  %+v\nwant %+v", got, want)
	}

	want.File, want.Routes[0].Line = "f", 1
	if got := mustParse(t, "[route.default]"); !reflect.DeepEqual(got, want) {
		t.Errorf("file: got  %+v\nwant %+v", got, want)
	}
}

// keyCases sets every key to something that is not its default and names the
// fields that it changes.
var keyCases = map[string]struct {
	doc    string // the key and its value
	fields map[string]any
}{
	"state":         {`state = "/s/"`, map[string]any{"State": "/s"}},
	"runtime":       {`runtime = "/r"`, map[string]any{"Runtime": "/r"}},
	"listen":        {`listen = ":9464"`, map[string]any{"Listen": ":9464"}},
	"log_format":    {`log_format = "json"`, map[string]any{"LogFormat": "json"}},
	"log_level":     {`log_level = "debug"`, map[string]any{"LogLevel": "debug"}},
	"stop_timeout":  {`stop_timeout = "0s"`, map[string]any{"StopTimeout": time.Duration(0)}},
	"queue":         {`queue = "posix:/x"`, map[string]any{"Queue": mq.POSIXAddr("/x")}},
	"queue_bytes":   {`queue_bytes = "64KiB"`, map[string]any{"QueueBytes": int64(65536)}},
	"mode":          {`mode = "0622"`, map[string]any{"Mode": fs.FileMode(0o622)}},
	"group":         {`group = "root"`, map[string]any{"Group": "root", "GID": 0}},
	"accept":        {`accept = ["php", "raw"]`, map[string]any{"Accept": envelope.Accept(1<<envelope.PHP | 1<<envelope.Raw)}},
	"to":            {`to = "HTTPS://h/p"`, map[string]any{"To": "https://h/p"}},
	"format":        {`format = "lines"`, map[string]any{"Format": forward.Lines}},
	"headers":       {`headers = { A = "b" }`, map[string]any{"Headers": map[string]string{"A": "b"}}},
	"ce_type":       {`ce_type = "a.b"`, map[string]any{"CEType": "a.b"}},
	"max_messages":  {`max_messages = 1`, map[string]any{"MaxMessages": 1}},
	"max_bytes":     {`max_bytes = 2048`, map[string]any{"MaxBytes": int64(2048)}},
	"linger":        {`linger = "1s"`, map[string]any{"Linger": time.Second}},
	"rate":          {`rate = "30/m burst 3"`, map[string]any{"Rate": Rate{0.5, 3}}},
	"slots.min":     {`slots.min = 2`, map[string]any{"SlotsMin": 2}},
	"slots.max":     {`slots = { max = 32 }`, map[string]any{"SlotsMax": 32}},
	"order":         {`order = "none"`, map[string]any{"Order": OrderNone}},
	"timeout":       {`timeout = "1m"`, map[string]any{"Timeout": time.Minute}},
	"retry.initial": {`retry = { initial = "1s" }`, map[string]any{"RetryInitial": time.Second}},
	"retry.max":     {`retry.max = "1h"`, map[string]any{"RetryMax": time.Hour}},
}

// Each key of the table can be set in a file, changes its own fields and nothing
// else; and every field belongs to a key.
func TestEveryKeyHasAnEffect(t *testing.T) {
	unset := map[string]bool{} // fields that no key has changed so far
	for _, typ := range []reflect.Type{reflect.TypeFor[Config](), reflect.TypeFor[Route]()} {
		for field := range typ.Fields() {
			unset[field.Name] = true
		}
	}
	for _, name := range []string{"File", "Routes", "Warnings", "Name", "Line"} {
		delete(unset, name) // not from a key
	}

	left := maps.Clone(keyCases)
	for _, o := range options() {
		tt, ok := keyCases[o.key]
		if !ok {
			t.Errorf("%s has no case in this test", o.key)
			continue
		}
		delete(left, o.key)
		doc := "[route.default]\n" + tt.doc
		if o.place == wholeDaemon {
			doc = tt.doc + "\n[route.default]"
		}
		base, c := mustParse(t, "[route.default]"), mustParse(t, doc)
		changed := changes(*base, *c)
		maps.Copy(changed, changes(base.Routes[0], c.Routes[0]))
		for _, name := range []string{"Routes", "Warnings", "Line"} {
			delete(changed, name)
		}
		if !reflect.DeepEqual(changed, tt.fields) {
			t.Errorf("%s changes %v, want %v", tt.doc, changed, tt.fields)
		}
		for name := range changed {
			delete(unset, name)
		}
	}
	if len(left) > 0 {
		t.Errorf("keys in this test that the table does not have: %v", slices.Sorted(maps.Keys(left)))
	}
	if len(unset) > 0 {
		t.Errorf("fields that no key sets: %v", slices.Sorted(maps.Keys(unset)))
	}
}

// changes gives the fields of b that differ from those of a.
func changes[T any](a, b T) map[string]any {
	changed := map[string]any{}
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range va.NumField() {
		if fa, fb := va.Field(i).Interface(), vb.Field(i).Interface(); !reflect.DeepEqual(fa, fb) {
			changed[va.Type().Field(i).Name] = fb
		}
	}
	return changed
}

// What an error tells to write, and what the documentation gives as the default,
// must itself be allowed. Headers name a file that need not be there.
func TestExamplesAndDefaultsAreAllowed(t *testing.T) {
	for _, o := range options() {
		for _, raw := range []any{o.def, o.example} {
			if raw == nil || o.key == "headers" || o.key == "group" {
				continue
			}
			if problems := o.apply(target{&Config{}, &Route{}}, raw); problems != nil {
				t.Errorf("%s = %v: %v", o.key, raw, problems)
			}
		}
		if o.def == nil && (o.example == nil || o.otherwise == "") {
			t.Errorf("%s has no default, and no example or no words for it", o.key)
		}
		if (o.into == nil) == (o.parse == nil) {
			t.Errorf("%s wants one of into and parse", o.key)
		}
		if o.meaning == "" {
			t.Errorf("%s has no meaning", o.key)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := secretDir(t)
	doc := `# a comment
state = "/var/lib/mqd"

[route.sms]
queue = "sysv:0x6d716432"
queue_bytes = "1MiB"
mode  = "0620"
group = "root"
accept = ["envelope", "json", "php", "raw"]
to    = "https://sms.example/v1/batch"
format = "cloudevents"           # cloudevents | json | ndjson | lines | raw
headers = { Authorization = "file:` + dir + `/secret" }
max_messages = 500
max_bytes = "1MiB"
linger = "0s"
rate = "50/s"
slots = { min = 1, max = 16 }
order = "key"
timeout = "30s"
retry = { initial = "200ms", max = "5m" }

[route.audit]
queue = "posix:/audit"
order = "strict"
[route.default]
`
	path := filepath.Join(dir, "mqd.toml")
	if err := os.WriteFile(path, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}

	sms, audit, last := wantDefault(), wantDefault(), wantDefault()
	sms.Name, sms.Line, sms.Queue, sms.QueueBytes = "sms", 4, mq.SysVAddr(0x6d716432), 1<<20
	sms.Group, sms.GID = "root", 0
	sms.To, sms.Headers = "https://sms.example/v1/batch", map[string]string{"Authorization": "file:" + dir + "/secret"}
	sms.Rate = Rate{PerSecond: 50, Burst: 1}
	audit.Name, audit.Line, audit.Queue = "audit", 22, mq.POSIXAddr("/audit")
	audit.Order, audit.SlotsMax = OrderStrict, 1
	last.Line = 25
	want := &Config{
		State: "/var/lib/mqd", LogFormat: "text", LogLevel: "info", StopTimeout: 4 * time.Second,
		File: path, Routes: []Route{sms, audit, last},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Routes come in the order of the file, however they are written.
func TestRoutesInOrder(t *testing.T) {
	for _, doc := range []string{
		"[route.c]\nqueue='sysv:1'\n[route.a]\nqueue='sysv:2'\n[route.b]\nqueue='sysv:3'",
		"[route]\nc.queue='sysv:1'\na.queue='sysv:2'\nb.queue='sysv:3'",
		"[route]\nc={queue='sysv:1'}\na={queue='sysv:2'}\nb={queue='sysv:3'}",
		"route.c.queue='sysv:1'\nroute.a.queue='sysv:2'\nroute.b.queue='sysv:3'",
		"[route.c.slots]\nmax=2\n[route.a]\nqueue='sysv:2'\n[route.b]\nqueue='sysv:3'\n[route.c]\nqueue='sysv:1'",
	} {
		var names []string
		last := 0
		for _, r := range mustParse(t, doc).Routes {
			names = append(names, r.Name)
			if r.Line <= last {
				t.Errorf("%s\nroute %s: line %d after %d", doc, r.Name, r.Line, last)
			}
			last = r.Line
		}
		if got := strings.Join(names, ""); got != "cab" {
			t.Errorf("%s\norder %s, want cab", doc, got)
		}
	}
}

func TestSingle(t *testing.T) {
	c, err := Single("posix:/x", "http://h:80/p?q=1", "raw")
	if err != nil {
		t.Fatal(err)
	}
	r := wantDefault()
	r.Queue, r.To, r.Format, r.MaxMessages = mq.POSIXAddr("/x"), "http://h:80/p?q=1", forward.Raw, 1
	if !reflect.DeepEqual(c.Routes, []Route{r}) {
		t.Errorf("got %+v, want %+v", c.Routes, r)
	}
	if got := c.Routes[0].Destination(); got != "http://h:80/p?..." {
		t.Errorf("Destination %q", got)
	}

	_, err = Single("x", "y", "z")
	const want = `--format or MQD_FORMAT: not known (value "z", allowed cloudevents, json, ndjson, lines or raw); choose one of them
--queue or MQD_QUEUE: not a queue (value "x", allowed sysv:KEY with KEY from 1 to 0x7fffffff, sysv:ftok:PATH:C or posix:/NAME); write for example sysv:0x6d716431
--to or MQD_TO: no scheme (value "y", allowed http://, https://, stdout: or discard:); write for example https://host/path`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestOverride(t *testing.T) {
	c := mustParse(t, "state = '/file'\nruntime = '/file'\nlisten = ':1'\nlog_level = 'warn'\n[route.default]")
	work, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	state, empty, level := "s", "", "debug"
	if err := c.Override(Overrides{State: &state, Listen: &empty, LogLevel: &level}); err != nil {
		t.Fatal(err)
	}
	got := [5]string{c.State, c.Runtime, c.Listen, c.LogFormat, c.LogLevel}
	want := [5]string{filepath.Join(work, "s"), "/file", "", "text", "debug"}
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}

	format, listen := "logfmt", "localhost"
	err = c.Override(Overrides{LogFormat: &format, Listen: &listen})
	const wantErr = `--listen or MQD_LISTEN: not an address to listen on (value "localhost", allowed HOST:PORT or :PORT, PORT 0 to 65535); write for example 127.0.0.1:9464
--log-format or MQD_LOG_FORMAT: not known (value "logfmt", allowed text or json); choose one of them`
	if err == nil || err.Error() != wantErr {
		t.Errorf("got\n%v\nwant\n%s", err, wantErr)
	}
}

func TestWarnings(t *testing.T) {
	dir := secretDir(t)
	chmod(t, dir+"/secret", 0o644)
	tests := []struct{ name, doc, want string }{
		{"none", "[route.default]\nto = 'http://h'\nheaders = { A = 'b' }\nce_type = 'c'\nformat = 'raw'\nmax_messages = 1", ""},
		{"stdout, ndjson", "[route.default]\nformat = 'ndjson'", ""},
		{"stdout", "[route.default]\nformat = 'lines'", `f:2: route.default.format: stdout: always writes ndjson (value "lines")`},
		{"no HTTP", "[route.default]\nto = 'discard:'\nheaders = { A = 'b' }\nce_type = 'c'", "f:3: route.default.headers: has no effect with to = \"discard:\"\nf:4: route.default.ce_type: has no effect with to = \"discard:\""},
		{"raw", "[route.default]\nto = 'http://h'\nformat = 'raw'\nmax_messages = 9", `f:4: route.default.max_messages: format raw sends one message a request (value 9, allowed 1)`},
		{"frames stay", "[route.default]\naccept = ['raw']\nto = 'discard:'", "f:2: route.default.accept: without envelope, what mqctl send and package client write arrives as it lies on the queue, frame and all"},
		{"readable secret", "[route.default]\nto = 'http://h'\nheaders = { A = 'file:" + dir + "/secret' }", `f:3: route.default.headers.A: may be read by everybody (value mode 0644, allowed no read bit for others); type: chmod o-r ` + dir + "/secret"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(mustParse(t, tt.doc).Warnings, "\n"); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// The query of a URL is a secret; the rest of what is hidden, package forward tests.
func TestDestination(t *testing.T) {
	if got := (&Route{To: "https://h/a?token=x"}).Destination(); got != "https://h/a?..." {
		t.Errorf("got %s", got)
	}
}
