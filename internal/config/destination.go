package config

import (
	"errors"
	"io/fs"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const schemes = "http://, https://, stdout: or discard:"

// parseTo takes a destination. Its scheme is stored in lower case.
func parseTo(t target, v value) []problem {
	scheme, rest, found := strings.Cut(v.text, ":")
	scheme = strings.ToLower(scheme)
	if !found || !schemeName(scheme) {
		p := problem{what: "no scheme", value: quote(redact(v.text)), allowed: schemes, todo: "write for example https://host/path"}
		if v.text == "stdout" || v.text == "discard" {
			p.todo = "write " + quote(v.text+":")
		}
		return one(p)
	}
	switch scheme {
	case "http", "https":
		if p := checkURL(v.text); p != nil {
			return one(*p)
		}
	case "stdout", "discard":
		if rest != "" {
			return one(problem{what: "takes nothing after the colon", value: quote(redact(v.text)), allowed: schemes, todo: "write " + quote(scheme+":")})
		}
	default:
		// What stands behind a scheme that is not known may be a secret.
		p := problem{what: "scheme not available", value: quote(scheme + ":"), allowed: schemes, todo: "choose one of them"}
		if near := nearest(scheme, []string{"http", "https", "stdout", "discard"}); near != "" {
			p.todo = "did you mean " + near + ":?"
		}
		return one(p)
	}
	t.To = scheme + ":" + rest
	return nil
}

// schemeName reports whether s can be the scheme of a URL (RFC 3986, 3.1).
func schemeName(s string) bool {
	for i, c := range []byte(s) {
		if !lowerOrDigit(c) && c != '+' && c != '-' && c != '.' || i == 0 && c < 'a' {
			return false
		}
	}
	return s != ""
}

// checkURL says what is wrong with an http or https URL, or nil.
func checkURL(to string) *problem {
	p := problem{what: "not a URL", value: quote(redact(to)), allowed: "https://HOST[:PORT]/PATH", todo: "correct it"}
	u, err := url.Parse(to)
	if err != nil {
		// The error quotes the piece it stumbled over, which with an @ in the
		// text may be of a password.
		var parse *url.Error
		if errors.As(err, &parse) && !strings.Contains(to, "@") {
			p.what += ": " + parse.Err.Error()
		}
		return &p
	}
	port, portErr := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case u.User != nil:
		p.what = "user info in a URL would end up in logs"
		p.todo = `take it out and write headers = { Authorization = "file:/PATH" }`
	case u.Hostname() == "":
		p.what = "no host in the URL"
	case u.Port() != "" && (portErr != nil || port == 0):
		p.what = "no such port"
		p.allowed = "1 to 65535"
	case u.Fragment != "":
		p.what = "a fragment is never sent"
		p.todo = "take out the # and what follows"
	default:
		return nil
	}
	return &p
}

// redact gives a destination without user info, query and fragment. Of a text that is no
// URL it leaves out everything up to the last @.
func redact(to string) string {
	u, err := url.Parse(to)
	if err != nil {
		before, after, _ := strings.Cut(to, "//")
		if i := strings.LastIndexByte(after, '@'); i >= 0 {
			to = before + "//...@" + after[i+1:]
		}
		to, _, _ = strings.Cut(to, "?")
		return to
	}
	if u.User == nil && u.RawQuery == "" && u.Fragment == "" {
		return to
	}
	if u.User != nil {
		u.User = url.User("...")
	}
	if u.RawQuery != "" {
		u.RawQuery = "..."
	}
	if u.Fragment != "" {
		u.Fragment, u.RawFragment = "...", ""
	}
	return u.String()
}

// ownHeaders and ownPrefixes are set by mqd or belong to the connection: from a
// configuration they would be overwritten or break the request. They are those
// that package forward refuses; here the error has a line.
var (
	ownHeaders = [...]string{
		"Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host",
		"Idempotency-Key", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	}
	ownPrefixes = [...]string{"Ce-", "Mqd-", "Proxy-"}
)

// filePrefix marks a header value that is the content of a file.
const filePrefix = "file:"

// parseHeaders takes a table of names and values. No value ever gets into a
// problem; a path after file: is none.
func parseHeaders(t target, v value) []problem {
	var problems []problem
	headers := make(map[string]string, len(v.table))
	canonical := map[string]string{}
	names := make([]string, 0, len(v.table))
	for name := range v.table {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p := checkHeader(name, v.table[name])
		form := textproto.CanonicalMIMEHeaderKey(name)
		if p == nil && canonical[form] != "" {
			p = &problem{what: "the same header as " + canonical[form], todo: "take one of them out"}
		}
		if p != nil {
			p.sub = name
			problems = append(problems, *p)
			continue
		}
		canonical[form] = name
		headers[name] = v.table[name].(string)
	}
	if problems == nil {
		t.Headers = headers
	}
	return problems
}

// checkHeader says what is wrong with one header, or nil.
func checkHeader(name string, raw any) *problem {
	text, ok := raw.(string)
	form := textproto.CanonicalMIMEHeaderKey(name)
	begins := func(prefix string) bool { return strings.HasPrefix(form, prefix) }
	switch {
	case !token(name):
		return &problem{what: "not the name of a header", value: quote(name), allowed: "letters, digits and !#$%&'*+-.^_`|~", todo: "correct the name"}
	case slices.Contains(ownHeaders[:], form) || slices.ContainsFunc(ownPrefixes[:], begins):
		return &problem{what: "mqd or HTTP itself sets this header", todo: "take it out"}
	case !ok:
		return &problem{what: "wrong type", allowed: "a string", todo: "put the value in quotes"}
	case strings.ContainsFunc(text, func(r rune) bool { return control(r) && r != '\t' }):
		return &problem{what: "a control character in the value, such as CR, LF or NUL", allowed: "text on one line", todo: "take it out"}
	}
	if path, isFile := strings.CutPrefix(text, filePrefix); isFile {
		return checkSecretFile(path)
	}
	return nil
}

// maxSecret bounds the file of a header value, in bytes. It is the forwarder's
// bound.
const maxSecret = 16 * kib

// checkSecretFile says why the file of a header value cannot be used, or nil. It
// does not read it: the forwarder does, as the user that the daemon runs as.
func checkSecretFile(path string) *problem {
	if !filepath.IsAbs(path) {
		return &problem{what: "not an absolute path after file:", allowed: "file:/PATH", todo: "write the whole path"}
	}
	p := problem{value: quote(path), allowed: "a file of 1B to " + formatSize(maxSecret)}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.what, p.todo = "no such file", "create it or correct the path"
	case errors.Is(err, fs.ErrPermission):
		p.what, p.todo = "the file cannot be looked at: permission denied", "run as the user that the daemon runs as"
	case err != nil:
		p.what, p.todo = "the file cannot be looked at", "correct the path"
	case !info.Mode().IsRegular():
		p.what, p.todo = "not a regular file", "name a file"
	case info.Size() == 0:
		p.what, p.todo = "the file is empty", "write the value into it"
	case info.Size() > maxSecret:
		p.what, p.todo = "the file is too large: "+formatSize(info.Size()), "name the file with the value alone"
	case info.Mode()&0o002 != 0:
		p = writableByAll(path, info)
	default:
		return nil
	}
	return &p
}

// token reports whether s is a token, as the name of a header is (RFC 9110, 5.6.2).
func token(s string) bool {
	for _, c := range []byte(s) {
		if !lowerOrDigit(c) && (c < 'A' || c > 'Z') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
