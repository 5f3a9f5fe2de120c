package forward

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// maxErrorText bounds what an error says, in bytes: part of it may be the
// answer of the other side, up to 32 KiB of it.
const maxErrorText = 512

// sendError is why a batch is not delivered.
type sendError struct {
	to    string // redacted
	text  string // redacted and printable
	cause error  // for errors.Is; nil for a status
}

func (e *sendError) Error() string { return "send to " + e.to + ": " + e.text }
func (e *sendError) Unwrap() error { return e.cause }

// cutShort is the result when the context of the caller ended the try. Nothing
// was said about the destination, so the verdict is Retry.
func cutShort(to string, err error) Result {
	return Result{Verdict: classifyError(err), Err: &sendError{to: to, text: "cut short: " + err.Error(), cause: err}}
}

// minSecret is the length from which a value is looked for in texts. Shorter
// ones protect nothing, and replacing them would mangle every message.
const minSecret = 4

// redactor takes secrets out of texts. Our own texts are made without them; but
// an error can quote the other side, and that can be an echo of what we sent.
type redactor struct{ r *strings.Replacer }

func newRedactor(u *url.URL, headers map[string]string) redactor {
	var secrets []string
	for _, v := range headers {
		secrets = append(secrets, v)
		// "Bearer TOKEN": the token alone is the secret.
		if _, token, ok := strings.Cut(v, " "); ok {
			secrets = append(secrets, strings.TrimSpace(token))
		}
	}
	if u.User != nil {
		user := u.User.Username()
		password, _ := u.User.Password()
		secrets = append(secrets, user, password, basicAuth(u.User))
	}
	secrets = append(secrets, u.RawQuery)
	for _, values := range u.Query() {
		secrets = append(secrets, values...)
	}
	// The longest first: what is left of a secret after a part of it was
	// replaced would be found no more.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range secrets {
		if len(s) < minSecret {
			continue
		}
		quoted := strconv.Quote(s)
		for _, form := range []string{s, quoted[1 : len(quoted)-1], url.QueryEscape(s), url.PathEscape(s)} {
			pairs = append(pairs, form, "xxxxx")
		}
	}
	return redactor{strings.NewReplacer(pairs...)}
}

// basicAuth is the credentials part of Authorization: Basic (RFC 7617).
func basicAuth(user *url.Userinfo) string {
	password, _ := user.Password()
	return base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
}

// text makes s fit for a log line: no secret, no control or invisible
// character, at most maxErrorText bytes.
func (r redactor) text(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return '?'
	}, r.r.Replace(s))
	if len(s) > maxErrorText {
		s = strings.ToValidUTF8(s[:maxErrorText], "") + "..."
	}
	return s
}

// redactURL is u without credentials and query.
func redactURL(u *url.URL) string {
	r := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if u.User != nil {
		r.User = url.User("xxxxx")
	}
	if u.RawQuery != "" {
		r.RawQuery = "xxxxx"
	}
	return r.String()
}

// redactAddress is an address that may not even be a URL, for the error that
// says so: without what stands before an "@" and after a "?" or "#", quoted.
func redactAddress(to string) string {
	if i := strings.LastIndexByte(to, '@'); i >= 0 {
		scheme := ""
		if j := strings.Index(to[:i], "://"); j >= 0 {
			scheme = to[:j+len("://")]
		}
		to = scheme + "xxxxx" + to[i:]
	}
	if i := strings.IndexAny(to, "?#"); i >= 0 {
		to = to[:i+1] + "xxxxx"
	}
	if len(to) > maxErrorText {
		to = to[:maxErrorText] + "..."
	}
	return fmt.Sprintf("%q", to)
}
