package forward

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/textproto"
	"os"
	"slices"
	"strings"
)

// maxHeaderFile bounds a header value that is read from a file, in bytes.
const maxHeaderFile = 16 << 10

// reserved are the names that a configuration cannot set, in canonical form:
// those this package sets, those that frame the message (a second opinion there
// is request smuggling), and those that would change how the answer is read.
var reserved = []string{
	"Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host",
	"Idempotency-Key", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// reservedPrefixes likewise. Ce-* are the attributes of a message in Raw format.
var reservedPrefixes = []string{"Ce-", "Mqd-", "Proxy-"}

// readHeaders checks configured headers and reads those that are in files. The
// names come back in canonical form. No error repeats a value.
func readHeaders(configured map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(configured))
	for _, name := range slices.Sorted(maps.Keys(configured)) {
		if !isToken(name) {
			return nil, fmt.Errorf("header %q: not a header name", name)
		}
		key := textproto.CanonicalMIMEHeaderKey(name)
		if slices.Contains(reserved, key) || slices.ContainsFunc(reservedPrefixes, func(p string) bool { return strings.HasPrefix(key, p) }) {
			return nil, fmt.Errorf("header %q: set by mqd itself, or by HTTP", name)
		}
		if _, ok := out[key]; ok {
			return nil, fmt.Errorf("header %q: given twice, in two spellings", name)
		}
		value, err := headerValue(configured[name])
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", name, err)
		}
		out[key] = value
	}
	return out, nil
}

// headerValue is v, or what the file it names holds.
func headerValue(v string) (string, error) {
	if path, ok := strings.CutPrefix(v, "file:"); ok {
		var err error
		if v, err = readHeaderFile(path); err != nil {
			return "", err
		}
	}
	for i := range len(v) {
		if c := v[i]; (c < ' ' && c != '\t') || c == 0x7f {
			return "", fmt.Errorf("the value has a control character (0x%02x) at byte %d of %d", c, i+1, len(v))
		}
	}
	return v, nil
}

// readHeaderFile reads path without its last newline.
func readHeaderFile(path string) (string, error) {
	if !strings.HasPrefix(path, "/") {
		return "", fmt.Errorf("file:%s: the path must be absolute", path)
	}
	// Stat first: opening a FIFO would wait for a writer.
	if info, err := os.Stat(path); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxHeaderFile+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxHeaderFile {
		return "", &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("over %d bytes, the limit for a header", maxHeaderFile)}
	}
	v := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if v == "" {
		return "", &fs.PathError{Op: "read", Path: path, Err: errors.New("empty")}
	}
	return v, nil
}

// isToken reports whether s is a token, as header names are (RFC 9110 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// toHeader makes the headers that every request of a route carries.
func toHeader(values map[string]string) http.Header {
	h := make(http.Header, len(values)+8)
	for k, v := range values {
		h[k] = []string{v}
	}
	return h
}
