package forward

import (
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

func (e *sendError) Error() string { return "send to " + strings.TrimSuffix(e.to, ":") + ": " + e.text }
func (e *sendError) Unwrap() error { return e.cause }

// SettingError is why an address or a header cannot be used. It comes in parts,
// so that whoever reads a file of settings can add where in it the setting stands.
// No part holds a header value or what [Redact] hides.
type SettingError struct {
	What    string // what is wrong
	Value   string // what was found, not quoted; empty: nothing to show
	Allowed string // what would do; may be empty
	Todo    string // what to do
	Err     error  // the cause, where a system call failed
}

// Error gives the parts on one line.
func (e *SettingError) Error() string {
	s := e.What
	if e.Value != "" {
		s += " (" + strconv.QuoteToASCII(e.Value) + ")"
	}
	return s + "; " + e.Todo
}

// Unwrap gives the cause, so that errors.Is finds an errno.
func (e *SettingError) Unwrap() error { return e.Err }

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

// text makes s fit for a log line: no secret, no control or invisible
// character, at most maxErrorText bytes.
func (r redactor) text(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return '?'
	}, r.r.Replace(s))
	return cut(s)
}

// cut bounds s to maxErrorText.
func cut(s string) string {
	if len(s) > maxErrorText {
		s = strings.ToValidUTF8(s[:maxErrorText], "") + "..."
	}
	return s
}
