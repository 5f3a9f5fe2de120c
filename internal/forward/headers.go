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
	"path/filepath"
	"slices"
	"strings"
	"syscall"
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

// FilePrefix marks a header value that is the content of a file.
const FilePrefix = "file:"

// CheckHeader says why a header cannot be configured: one that this package or
// HTTP itself sets, or a value that is not one line. Of a value file:/PATH it reads
// the file, and keeps nothing of it. The error is a [*SettingError]; nil: it can.
func CheckHeader(name, value string) error {
	_, err := readHeader(name, value)
	return err
}

// readHeaders checks configured headers and reads those that are in files. The
// names come back in canonical form.
func readHeaders(configured map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(configured))
	for _, name := range slices.Sorted(maps.Keys(configured)) {
		value, err := readHeader(name, configured[name])
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", name, err)
		}
		key := textproto.CanonicalMIMEHeaderKey(name)
		if _, ok := out[key]; ok {
			return nil, fmt.Errorf("header %q: given twice, in two spellings", name)
		}
		out[key] = value
	}
	return out, nil
}

// readHeader checks one header and gives its value, or what the file holds that
// the value names.
func readHeader(name, value string) (string, error) {
	if !isToken(name) {
		return "", &SettingError{
			What: "not the name of a header", Value: cut(name), Allowed: "letters, digits and !#$%&'*+-.^_`|~", Todo: "correct the name",
		}
	}
	key := textproto.CanonicalMIMEHeaderKey(name)
	begins := func(prefix string) bool { return strings.HasPrefix(key, prefix) }
	if slices.Contains(reserved, key) || slices.ContainsFunc(reservedPrefixes, begins) {
		return "", &SettingError{What: "mqd or HTTP itself sets this header", Todo: "take it out"}
	}
	path, isFile := strings.CutPrefix(value, FilePrefix)
	if isFile {
		var err error
		if value, err = readHeaderFile(path); err != nil {
			return "", err
		}
	}
	control := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
	if i := strings.IndexFunc(value, control); i >= 0 {
		bad := &SettingError{
			What:    fmt.Sprintf("a control character in the value: 0x%02x at byte %d of %d", value[i], i+1, len(value)),
			Allowed: "text on one line", Todo: "take it out",
		}
		if isFile {
			bad.Value = path
		}
		return "", bad
	}
	return value, nil
}

// readHeaderFile reads path without its last newline.
func readHeaderFile(path string) (string, error) {
	if !filepath.IsAbs(path) {
		// What stands there may be the secret itself.
		return "", &SettingError{What: "not an absolute path after file:", Allowed: "file:/PATH", Todo: "write the whole path"}
	}
	bad := &SettingError{Value: cut(path), Allowed: "a file of 1B to 16KiB"}
	// Without O_NONBLOCK, the open of a FIFO would wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", bad.cannotRead(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", bad.cannotRead(err)
	}
	if !info.Mode().IsRegular() {
		bad.What, bad.Todo = "not a regular file", "name a file"
		return "", bad
	}
	b, err := io.ReadAll(io.LimitReader(f, maxHeaderFile+1))
	if err != nil {
		return "", bad.cannotRead(err)
	}
	v := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	switch {
	case len(b) > maxHeaderFile:
		bad.What = fmt.Sprintf("the file is too large: %dB", max(info.Size(), int64(len(b))))
		bad.Todo = "name the file with the value alone"
	case v == "":
		bad.What, bad.Todo = "the file is empty", "write the value into it"
	default:
		return v, nil
	}
	return "", bad
}

// cannotRead makes e the error for a system call that failed.
func (e *SettingError) cannotRead(err error) error {
	e.Err = err
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.What, e.Todo = "no such file", "create it or correct the path"
	case errors.Is(err, fs.ErrPermission):
		e.What, e.Todo = "the file cannot be read: permission denied", "run as the user that the daemon runs as"
	default:
		if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
			err = pathErr.Err // the path is in Value
		}
		e.What, e.Todo = "the file cannot be read: "+err.Error(), "correct the path"
	}
	return e
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
