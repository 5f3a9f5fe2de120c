package forward

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file:" + path
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		to      string
		headers map[string]string
		want    string
	}{
		{to: "", want: "to: no scheme; write for example https://host/path"},
		{to: "nats://h:4222/x", want: `to: scheme not available ("nats:..."); choose one of them`},
		{to: "exec:/bin/true", want: "scheme not available"},
		{to: "stdout", want: `no scheme ("stdout"); write "stdout:"`},
		{to: "discard:x", want: `takes nothing after the colon ("discard:..."); write "discard:"`},
		{to: "localhost:8080", want: "scheme not available"},
		{to: "-x:", want: "no scheme"},
		{to: "http:", want: "no host"},
		{to: "http:/x", want: "no host"},
		{to: "http://:80/", want: "no host"},
		{to: "http://h:0/", want: `no such port ("http://h:0/")`},
		{to: "http://h:65536/", want: "no such port"},
		{to: "http://h:http/", want: "not a URL: invalid port"},
		{to: "http://h/\x01", want: "not a URL"},
		{to: "http://h/a#b", want: "fragment"},
		{to: "stdout:", want: "no writer"},
		{to: "http://h/", headers: map[string]string{"": "v"}, want: "not the name of a header"},
		{to: "http://h/", headers: map[string]string{"A B": "v"}, want: "not the name of a header"},
		{to: "http://h/", headers: map[string]string{"X\r\nY": "v"}, want: "not the name of a header"},
		{to: "http://h/", headers: map[string]string{"X-É": "v"}, want: "not the name of a header"},
		{to: "http://h/", headers: map[string]string{"idempotency-key": "v"}, want: `header "idempotency-key": mqd or HTTP itself sets this header`},
		{to: "http://h/", headers: map[string]string{"MQD-Route": "v"}, want: "mqd or HTTP"},
		{to: "http://h/", headers: map[string]string{"ce-id": "v"}, want: "mqd or HTTP"},
		{to: "http://h/", headers: map[string]string{"Content-Length": "1"}, want: "mqd or HTTP"},
		{to: "http://h/", headers: map[string]string{"Host": "v"}, want: "mqd or HTTP"},
		{to: "http://h/", headers: map[string]string{"Transfer-Encoding": "chunked"}, want: "mqd or HTTP"},
		{to: "http://h/", headers: map[string]string{"Content-Type": "v"}, want: "mqd or HTTP"},
		{to: "http://h/", headers: map[string]string{"Expect": "100-continue"}, want: "mqd or HTTP"},
		{to: "http://h/", headers: map[string]string{"Proxy-Authorization": "v"}, want: "mqd or HTTP"},
		{to: "http://h/", headers: map[string]string{"X-A": "1", "x-a": "2"}, want: "given twice"},
		{to: "http://h/", headers: map[string]string{"X": "a\r\nY: b"}, want: "a control character in the value: 0x0d at byte 2 of 7"},
		{to: "http://h/", headers: map[string]string{"X": "a\nb"}, want: ": 0x0a at"},
		{to: "http://h/", headers: map[string]string{"X": "a\x00b"}, want: ": 0x00 at"},
		{to: "http://h/", headers: map[string]string{"X": "a\x7f"}, want: ": 0x7f at"},
		{to: "http://h/", headers: map[string]string{"X": file("lines", "a\nb\n")}, want: ": 0x0a at"},
		{to: "http://h/", headers: map[string]string{"X": file("empty", "\n")}, want: "empty"},
		{to: "http://h/", headers: map[string]string{"X": file("big", strings.Repeat("a", maxHeaderFile+2))}, want: "too large: 16386B"},
		{to: "http://h/", headers: map[string]string{"X": "file:" + dir}, want: "not a regular file"},
		{to: "http://h/", headers: map[string]string{"X": "file:relative"}, want: "not an absolute path"},
		{to: "http://h/", headers: map[string]string{"X": "file:" + dir + "/none"}, want: "no such file"},
		{to: "http://h/", headers: map[string]string{"X": "file:" + fifo}, want: "not a regular file"},
		{to: "http://u:p@h/", want: "user info in a URL"},
	} {
		d, err := New(Config{Route: "sms", To: c.to, Headers: c.headers})
		if err == nil {
			t.Errorf("New(%q, %q): no error", c.to, c.headers)
			continue
		}
		if d != nil {
			t.Errorf("New(%q): a destination and an error", c.to)
		}
		wantContains(t, err.Error(), c.want)
		wantContains(t, err.Error(), `route "sms": `)
	}
	_, err := New(Config{To: "http://h/", Headers: map[string]string{"X": "file:/nonexistent/secret"}})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing header file: %v is not fs.ErrNotExist", err)
	}
}

// TestRedactor: secrets that are parts of each other, or quoted, leave nothing.
func TestRedactor(t *testing.T) {
	u, err := url.Parse("http://h/?key=passage&b=pass%22word")
	if err != nil {
		t.Fatal(err)
	}
	r := newRedactor(u, map[string]string{"A": "pass", "B": "password1", "C": "Bearer tokentoken", "D": "abc", "E": "tokentokentoken"})
	for text, want := range map[string]string{
		"password1":                    "xxxxx",
		"a passage, a pass":            "a xxxxx, a xxxxx",
		"tokentokentoken tokentoken":   "xxxxx xxxxx",
		`"pass\"word" pass%22word`:     `"xxxxx" xxxxx`,
		"abc":                          "abc", // too short to be a secret
		"a\x1b[2J\r\n\u202eb":          "a?[2J???b",
		strings.Repeat("é", 300):       strings.Repeat("é", 256) + "...",
		"x" + strings.Repeat("é", 300): "x" + strings.Repeat("é", 255) + "...",
	} {
		if got := r.text(text); got != want {
			t.Errorf("text(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestHeaderFromFile(t *testing.T) {
	addr, requests := receiver(t, 200)
	for content, want := range map[string]string{"Bearer abc\n": "Bearer abc", "Bearer abc\r\n": "Bearer abc", "Bearer abc": "Bearer abc", "a\tb \n": "a\tb"} {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		d := open(t, Config{To: addr, Headers: map[string]string{"Authorization": "file:" + path}})
		mustDeliver(t, d, repeated(1, "x"))
		if got := (<-requests).Header.Get("Authorization"); got != want {
			t.Errorf("file %q: Authorization %q, want %q", content, got, want)
		}
	}
}

// TestRedact: what is printed of an address, be it one or not.
func TestRedact(t *testing.T) {
	for to, want := range map[string]string{
		"": "", "stdout:": "stdout:", "stdout:?key": "stdout:...", "sms.example/v1": "sms.example/v1", "HTTP:x": "HTTP:x",
		"https://h:8443/a%20b/@me": "https://h:8443/a%20b/@me",
		"https://h/a?token=x#y":    "https://h/a?...#...",
		"https://me:x@h/a":         "https://...@h/a",
		"https://me:x/y@h/a?b":     "https://...@h/a?...",
		"https://me:x?y@h/a?b":     "https://...@h/a?...",
		"http:me:x@h":              "...@h",
		"http://h:x/#y":            "http://h:x/#...",
		"key@h:port":               "...@h:port",
		"me:key@h":                 "me:...",
		"x?key//y":                 "x?...",
		"gopher://me:key@h/":       "gopher:...",
	} {
		if got := Redact(to); got != want {
			t.Errorf("Redact(%q) = %q, want %q", to, got, want)
		}
	}
}

// TestSettingErrorFindsTheErrno: a caller tells a missing file from a bad one.
func TestSettingErrorFindsTheErrno(t *testing.T) {
	err := CheckHeader("X", "file:/nonexistent/secret")
	var setting *SettingError
	if !errors.As(err, &setting) || !errors.Is(err, syscall.ENOENT) || setting.Value != "/nonexistent/secret" {
		t.Errorf("%#v", err)
	}
	if err := CheckHeader("X", "a"); err != nil {
		t.Error(err)
	}
}
