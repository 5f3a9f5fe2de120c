package forward

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
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
	for _, c := range []struct {
		to      string
		headers map[string]string
		want    string
	}{
		{to: "", want: `to "": no such destination; only http://, https://, stdout: and discard: exist`},
		{to: "nats://h:4222/x", want: `to "nats://h:4222/x": no such destination; only http`},
		{to: "exec:/bin/true", want: "no such destination; only http"},
		{to: "stdout", want: "no such destination"},
		{to: "discard:x", want: "no such destination"},
		{to: "localhost:8080", want: "no such destination"},
		{to: "http:", want: "no host"},
		{to: "http:/x", want: "no host"},
		{to: "http://:80/", want: "no host"},
		{to: "http://h:0/", want: "port 0 is not in 1 to 65535"},
		{to: "http://h:65536/", want: "port 65536 is not in 1 to 65535"},
		{to: "http://h:http/", want: "not a valid URL"},
		{to: "http://h/\x01", want: "not a valid URL"},
		{to: "http://h/a#b", want: "fragment"},
		{to: "stdout:", want: "no writer"},
		{to: "http://h/", headers: map[string]string{"": "v"}, want: "not a header name"},
		{to: "http://h/", headers: map[string]string{"A B": "v"}, want: "not a header name"},
		{to: "http://h/", headers: map[string]string{"X\r\nY": "v"}, want: "not a header name"},
		{to: "http://h/", headers: map[string]string{"X-É": "v"}, want: "not a header name"},
		{to: "http://h/", headers: map[string]string{"idempotency-key": "v"}, want: `header "idempotency-key": set by mqd itself`},
		{to: "http://h/", headers: map[string]string{"MQD-Route": "v"}, want: "set by mqd itself"},
		{to: "http://h/", headers: map[string]string{"ce-id": "v"}, want: "set by mqd itself"},
		{to: "http://h/", headers: map[string]string{"Content-Length": "1"}, want: "or by HTTP"},
		{to: "http://h/", headers: map[string]string{"Host": "v"}, want: "or by HTTP"},
		{to: "http://h/", headers: map[string]string{"Transfer-Encoding": "chunked"}, want: "or by HTTP"},
		{to: "http://h/", headers: map[string]string{"Content-Type": "v"}, want: "or by HTTP"},
		{to: "http://h/", headers: map[string]string{"Expect": "100-continue"}, want: "or by HTTP"},
		{to: "http://h/", headers: map[string]string{"Proxy-Authorization": "v"}, want: "or by HTTP"},
		{to: "http://h/", headers: map[string]string{"X-A": "1", "x-a": "2"}, want: "given twice"},
		{to: "http://h/", headers: map[string]string{"X": "a\r\nY: b"}, want: "control character (0x0d) at byte 2 of 7"},
		{to: "http://h/", headers: map[string]string{"X": "a\nb"}, want: "control character (0x0a)"},
		{to: "http://h/", headers: map[string]string{"X": "a\x00b"}, want: "control character (0x00)"},
		{to: "http://h/", headers: map[string]string{"X": "a\x7f"}, want: "control character (0x7f)"},
		{to: "http://h/", headers: map[string]string{"X": file("lines", "a\nb\n")}, want: "control character (0x0a)"},
		{to: "http://h/", headers: map[string]string{"X": file("empty", "\n")}, want: "empty"},
		{to: "http://h/", headers: map[string]string{"X": file("big", strings.Repeat("a", maxHeaderFile+2))}, want: "over 16384 bytes"},
		{to: "http://h/", headers: map[string]string{"X": "file:" + dir}, want: "not a regular file"},
		{to: "http://h/", headers: map[string]string{"X": "file:relative"}, want: "must be absolute"},
		{to: "http://h/", headers: map[string]string{"X": "file:" + dir + "/none"}, want: "no such file"},
		{to: "http://u:p@h/", headers: map[string]string{"authorization": "x"}, want: "which of them"},
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
	u, err := url.Parse("http://user:pass%22word@h/?key=passage")
	if err != nil {
		t.Fatal(err)
	}
	r := newRedactor(u, map[string]string{"A": "pass", "B": "password1", "C": "Bearer tokentoken", "D": "abc", "E": "tokentokentoken"})
	for text, want := range map[string]string{
		"password1":                    "xxxxx",
		"a passage, a pass":            "a xxxxx, a xxxxx",
		"tokentokentoken tokentoken":   "xxxxx xxxxx",
		`"pass\"word" pass%22word`:     `"xxxxx" xxxxx`,
		"Basic " + basicAuth(u.User):   "Basic xxxxx",
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
	d := open(t, Config{To: strings.Replace(addr, "http://", "http://us%40er:pa%3Ass@", 1)})
	mustDeliver(t, d, repeated(1, "x"))
	if user, password, ok := (<-requests).BasicAuth(); !ok || user != "us@er" || password != "pa:ss" {
		t.Errorf("basic authentication %q %q %v", user, password, ok)
	}
}
