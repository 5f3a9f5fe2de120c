package forward

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// New checks c and gives its destination. It opens no connection and starts no
// goroutine. An error never repeats a header value, a password or a query.
func New(c Config) (Destination, error) {
	d, err := newDestination(&c)
	if err != nil {
		return nil, fmt.Errorf("route %q: %w", c.Route, err)
	}
	return d, nil
}

func newDestination(c *Config) (Destination, error) {
	if int(c.Format) >= len(formats) {
		return nil, fmt.Errorf("format %d: no such format", uint8(c.Format))
	}
	u, err := parseAddress(c.To)
	if err != nil {
		return nil, fmt.Errorf("to: %w", err)
	}
	switch u.Scheme {
	case "stdout":
		return newStdout(c)
	case "discard":
		return discard{}, nil
	}
	return newHTTP(u, c)
}

// Schemes are those that an address can have.
func Schemes() []string { return []string{"http", "https", "stdout", "discard"} }

// CheckAddress says why to cannot be the address of a destination. The error is
// a [*SettingError]; nil: it can.
func CheckAddress(to string) error {
	_, err := parseAddress(to)
	return err
}

func parseAddress(to string) (*url.URL, error) {
	const schemes = "http://, https://, stdout: or discard:"
	bad := &SettingError{Value: cut(Redact(to)), Allowed: schemes}
	scheme, rest, found := splitScheme(to)
	switch {
	case !found:
		bad.What, bad.Todo = "no scheme", "write for example https://host/path"
		if to == "stdout" || to == "discard" {
			bad.Todo = `write "` + to + `:"`
		}
		return nil, bad
	case scheme == "http" || scheme == "https":
		return parseURL(to)
	case scheme != "stdout" && scheme != "discard":
		bad.What, bad.Todo = "scheme not available", "choose one of them"
		return nil, bad
	case rest != "":
		bad.What, bad.Todo = "takes nothing after the colon", `write "`+scheme+`:"`
		return nil, bad
	}
	return &url.URL{Scheme: scheme}, nil
}

// parseURL parses an address with the scheme http or https.
func parseURL(to string) (*url.URL, error) {
	bad := &SettingError{What: "not a URL", Value: cut(Redact(to)), Allowed: "https://HOST[:PORT]/PATH", Todo: "correct it"}
	u, err := url.Parse(to)
	if err != nil {
		// The error quotes the piece it stumbled over, which with an @ in the
		// text may be of a password.
		if parse, ok := errors.AsType[*url.Error](err); ok && !strings.Contains(to, "@") && len(to) <= maxErrorText {
			bad.What += ": " + parse.Err.Error()
		}
		return nil, bad
	}
	port, portErr := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case u.User != nil:
		bad.What = "user info in a URL would end up in logs"
		bad.Todo = `take it out and write headers = { Authorization = "file:/PATH" }`
	case u.Hostname() == "":
		bad.What = "no host in the URL"
	case u.Port() != "" && (portErr != nil || port == 0):
		bad.What, bad.Allowed = "no such port", "1 to 65535"
	case u.Fragment != "":
		bad.What, bad.Todo = "a fragment is never sent", "take out the # and what follows"
	default:
		return u, nil
	}
	return nil, bad
}

// splitScheme gives the scheme of an address in lower case (RFC 3986, 3.1), and
// what follows its colon.
func splitScheme(to string) (scheme, rest string, ok bool) {
	scheme, rest, ok = strings.Cut(to, ":")
	scheme = strings.ToLower(scheme)
	for i := range len(scheme) {
		c := scheme[i]
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return "", "", false
		}
	}
	return scheme, rest, ok && scheme != ""
}

// Redact is an address as it may be printed: without user info, query and
// fragment, and with nothing behind a scheme that is not http or https. It takes
// any text; of one that is no URL it leaves out everything up to the last @. The
// result is as long as the text and may hold control characters if that does.
func Redact(to string) string {
	scheme, rest, found := splitScheme(to)
	overHTTP := found && (scheme == "http" || scheme == "https")
	if found && !overHTTP {
		if rest != "" {
			rest = "..."
		}
		return scheme + ":" + rest
	}
	u, err := url.Parse(to)
	if err == nil && overHTTP && u.Host != "" {
		return redactURL(u, to)
	}
	begin := ""
	if overHTTP && strings.HasPrefix(rest, "//") {
		begin = scheme + "://"
	}
	if i := strings.LastIndexByte(to, '@'); i >= 0 {
		to = begin + "..." + to[i:]
	}
	if i := strings.IndexAny(to, "?#"); i >= 0 {
		to = to[:i+1] + "..."
	}
	return to
}

// redactURL is [Redact] for a URL; to is its text.
func redactURL(u *url.URL, to string) string {
	if u.User == nil && u.RawQuery == "" && u.Fragment == "" {
		return to
	}
	r := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if u.User != nil {
		r.User = url.User("...")
	}
	if u.RawQuery != "" {
		r.RawQuery = "..."
	}
	if u.Fragment != "" {
		r.Fragment = "..."
	}
	return r.String()
}
