package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one thing that is wrong with a configuration.
type Error struct {
	File string // empty: a flag or its environment variable
	Line int    // from 1; 0: the file as a whole, or a flag
	Key  string // dotted, as route.sms.linger, or the flag; empty: the file as a whole
	Text string // what is wrong (value X, allowed Y); what to do

	err error // the cause, where a system call failed
}

// Unwrap gives the cause, so that errors.Is finds an errno.
func (e *Error) Unwrap() error { return e.err }

// Error gives FILE:LINE: key: text, without the parts that are not there.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		b.WriteString(": ")
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Text)
	return b.String()
}

// Errors is everything that is wrong with a configuration, in the order of the
// file. It is never empty. Cmd ends with the exit code for a configuration error
// (78) whatever it holds.
type Errors []*Error

// Error gives one error a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find each [Error].
func (es Errors) Unwrap() []error {
	errs := make([]error, len(es))
	for i, e := range es {
		errs[i] = e
	}
	return errs
}

// sorted gives es by line and key, or nil if there is nothing in it.
func (es Errors) sorted() error {
	if len(es) == 0 {
		return nil
	}
	slices.SortStableFunc(es, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key))
	})
	return es
}

func (es *Errors) add(file string, line int, key string, p problem) {
	*es = append(*es, &Error{File: file, Line: line, Key: key, Text: p.String()})
}

// problem is what is wrong with one value. Every text in it is safe to print:
// whoever fills it in leaves secrets out and quotes what came from outside.
type problem struct {
	sub     string // the key below that of the option, for headers
	what    string
	value   string // empty: nothing to show, or not to be shown
	allowed string
	todo    string
}

// String gives "what (value X, allowed Y); todo".
func (p problem) String() string {
	var in []string
	if p.value != "" {
		in = append(in, "value "+p.value)
	}
	if p.allowed != "" {
		in = append(in, "allowed "+p.allowed)
	}
	s := p.what
	if len(in) > 0 {
		s += " (" + strings.Join(in, ", ") + ")"
	}
	if p.todo != "" {
		s += "; " + p.todo
	}
	return s
}

// one is the list with p alone.
func one(p problem) []problem { return []problem{p} }

// either joins words for a sentence: a, b or c.
func either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// dotted writes a key as TOML does, with quotes where a part needs them.
func dotted(path ...string) string {
	parts := make([]string, len(path))
	for i, part := range path {
		parts[i] = part
		if !bare(part) || len(part) > maxQuoted {
			parts[i] = quote(part)
		}
	}
	return strings.Join(parts, ".")
}

// bare reports whether a TOML key needs no quotes.
func bare(key string) bool {
	for _, c := range []byte(key) {
		if !lowerOrDigit(c) && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return key != ""
}

func lowerOrDigit(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
