package config

import (
	"errors"
	"maps"
	"net/textproto"
	"os"
	"slices"
	"strings"

	"github.com/mqdaemon/mqd/internal/forward"
)

// parseTo takes a destination. Its scheme is stored in lower case.
func parseTo(t target, v value) []problem {
	scheme, rest, _ := strings.Cut(v.text, ":")
	scheme = strings.ToLower(scheme)
	if err := forward.CheckAddress(v.text); err != nil {
		p := problemOf(err)
		p.value = quote(forward.Redact(v.text)) // shown even if it is empty
		if near := meantScheme(scheme); near != "" {
			p.todo = "did you mean " + near + ":?"
		}
		return one(p)
	}
	t.To = scheme + ":" + rest
	return nil
}

// meantScheme gives the scheme that was mistyped; empty: none. Two letters off
// count only with the first one right: ftp is no mistake for http.
func meantScheme(scheme string) string {
	near := nearest(scheme, forward.Schemes())
	if near == "" || near == scheme || near[0] != scheme[0] && distance(near, scheme) > 1 {
		return ""
	}
	return near
}

// problemOf gives an error of package forward our shape.
func problemOf(err error) problem {
	e, ok := errors.AsType[*forward.SettingError](err)
	if !ok {
		return problem{what: err.Error()}
	}
	p := problem{what: e.What, allowed: e.Allowed, todo: e.Todo}
	if e.Value != "" {
		p.value = quote(e.Value)
	}
	return p
}

// parseHeaders takes a table of names and values. No value ever gets into a
// problem; a path after file: is none.
func parseHeaders(t target, v value) []problem {
	var problems []problem
	headers := make(map[string]string, len(v.table))
	canonical := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(v.table)) {
		text, p := checkHeader(name, v.table[name])
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
		headers[name] = text
	}
	if problems == nil {
		t.Headers = headers
	}
	return problems
}

// checkHeader gives the value of one header, or says what is wrong with it. A file
// that it names is read, so that a daemon which runs cannot stumble over it later;
// nothing of that is kept.
func checkHeader(name string, raw any) (string, *problem) {
	text, ok := raw.(string)
	if err := forward.CheckHeader(name, text); err != nil {
		p := problemOf(err)
		return "", &p
	}
	if !ok {
		return "", &problem{what: "wrong type", allowed: "a string", todo: "put the value in quotes"}
	}
	if path, isFile := strings.CutPrefix(text, forward.FilePrefix); isFile {
		if info, err := os.Stat(path); err == nil && info.Mode()&0o002 != 0 {
			p := writableByAll(path, info)
			return "", &p
		}
	}
	return text, nil
}
