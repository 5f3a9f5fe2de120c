package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Load reads and checks the file at path. It refuses a file that somebody other
// than root and the calling user could have written, and a FIFO unless path names
// an open descriptor, as /dev/stdin does. The error is of type [Errors]; a file that
// cannot be read is one too, and errors.Is finds the errno.
func Load(path string) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return parse(path, data)
}

// loader gathers the errors of one configuration.
type loader struct {
	file    string
	lines   *lines
	options map[place][]option
	errs    Errors
	failed  map[string]bool // dotted keys that have an error already
}

func newLoader(file string, lines *lines) *loader {
	l := &loader{file: file, lines: lines, options: map[place][]option{}, failed: map[string]bool{}}
	for _, o := range options() {
		l.options[o.place] = append(l.options[o.place], o)
	}
	return l
}

// parse is [Load] after reading. file is for the errors only.
func parse(file string, data []byte) (*Config, error) {
	var tree map[string]any
	if err := toml.Unmarshal(data, &tree); err != nil {
		return nil, syntaxError(file, data, err)
	}
	l := newLoader(file, scanLines(data))
	c := l.newConfig()
	l.top(c, tree)
	l.check(c)
	if err := l.errs.sorted(); err != nil {
		return nil, err
	}
	return c, nil
}

// syntaxError gives an error of go-toml, which stops at the first, our shape. Its
// message never holds more of the document than a key or one character.
func syntaxError(file string, data []byte, err error) error {
	line, key := 1, "syntax"
	p := problem{what: strings.TrimPrefix(err.Error(), "toml: "), todo: "correct this line"}
	if decode, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ = decode.Position()
		lines := scanLines(data)
		if path := lines.pathAt(line); path != nil {
			key = dotted(path...)
			if first := lines.line(path...); 0 < first && first < line {
				p = problem{what: fmt.Sprintf("set twice (lines %d and %d)", first, line), todo: "take one of them out"}
			}
		}
	}
	for _, sign := range []string{"start of value", "leading zeroes", "must be quoted"} {
		if strings.Contains(p.what, sign) {
			p.todo = `put the value in quotes, like "0620", "5s" or "1MiB"`
		}
	}
	var errs Errors
	errs.add(file, line, key, p)
	return errs
}

// top walks the whole document.
func (l *loader) top(c *Config, tree map[string]any) {
	raw, given := tree["route"]
	delete(tree, "route")
	routes, isTable := raw.(map[string]any)
	switch {
	case given && !isTable:
		l.add(problem{what: "wrong type", value: describe(raw), allowed: "a table with a name", todo: "write [route.NAME]"}, "route")
	case len(routes) == 0:
		l.errs.add(l.file, max(1, l.lines.line("route")), "route",
			problem{what: "no route", allowed: "at least one", todo: "add [route.default] or [route.NAME]"})
	}
	l.table(target{c, nil}, nil, "", tree)

	for _, name := range l.inOrder(routes) {
		if !routeName(name) {
			l.add(problem{
				what: "not a name for a route", value: quote(name),
				allowed: "1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit",
				todo:    "rename it, the name becomes a directory and a metric label",
			}, "route", name)
		}
		keys, ok := routes[name].(map[string]any)
		if !ok {
			l.add(problem{
				what: "wrong type", value: describe(routes[name]), allowed: "a table",
				todo: "write [route.NAME] above the keys of a route",
			}, "route", name)
			continue
		}
		r := l.newRoute(name)
		r.Line = l.lines.line("route", name)
		l.table(target{c, &r}, []string{"route", name}, "", keys)
		c.Routes = append(c.Routes, r)
	}
}

// table checks the keys of one table and stores their values in t. path leads to
// the table of the options; inside is the start of their keys that names a table
// in it ("slots.") or empty.
func (l *loader) table(t target, path []string, inside string, tree map[string]any) {
	opts := l.options[t.place()]
	for key, raw := range tree {
		at := append(slices.Clone(path), key)
		named := func(o option) bool { return o.key == inside+key && !strings.Contains(key, ".") }
		within := func(o option) bool { return strings.HasPrefix(o.key, inside+key+".") && !strings.Contains(key, ".") }
		if i := slices.IndexFunc(opts, named); i >= 0 {
			for _, p := range opts[i].apply(t, raw) {
				where := at
				if p.sub != "" {
					where = append(slices.Clone(at), p.sub)
				}
				l.add(p, where...)
				l.failed[dotted(at...)] = true
			}
			continue
		}
		i := slices.IndexFunc(opts, within)
		if i < 0 {
			l.add(l.unknownKey(key, inside, t.place(), raw), at...)
			continue
		}
		members, ok := raw.(map[string]any)
		if !ok {
			l.add(problem{what: "wrong type", value: describe(raw), allowed: "a table", todo: opts[i].write()}, at...)
			continue
		}
		l.table(t, at, inside+key+".", members)
	}
}

// unknownKey is the problem of a key that no option has.
func (l *loader) unknownKey(key, inside string, here place, raw any) problem {
	inRoute, elsewhere := here == oneRoute, oneRoute
	if inRoute {
		elsewhere = wholeDaemon
	}
	known := l.namesIn(here, inside)
	if !inRoute {
		known = append(known, "route")
	}
	p := problem{what: "unknown key", allowed: strings.Join(known, ", ")}
	_, isTable := raw.(map[string]any)
	near := nearest(key, known)
	switch {
	case inside == "" && slices.Contains(l.namesIn(elsewhere, ""), key):
		if inRoute {
			return problem{what: "unknown key in a route", todo: "put it above the first [route.NAME]"}
		}
		return problem{what: "unknown key outside a route", todo: "put it below [route.NAME]"}
	case near != "":
		return problem{what: "unknown key", todo: "did you mean " + near + "?"}
	case !inRoute && isTable:
		p.todo = "a route is written [" + dotted("route", key) + "]"
	default:
		p.todo = "take it out"
	}
	return p
}

// namesIn gives the keys of p in the table that inside leads to, each once.
func (l *loader) namesIn(p place, inside string) []string {
	var names []string
	for _, o := range l.options[p] {
		rest, ok := strings.CutPrefix(o.key, inside)
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(rest, ".")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// inOrder gives the names of the routes as they stand in the file.
func (l *loader) inOrder(routes map[string]any) []string {
	names := make([]string, 0, len(routes))
	for name := range routes {
		names = append(names, name)
	}
	slices.Sort(names)
	slices.SortStableFunc(names, func(a, b string) int {
		return l.lines.line("route", a) - l.lines.line("route", b)
	})
	return names
}

// flag stores the text of a flag.
func (l *loader) flag(t target, key, text string) {
	opts := l.options[t.place()]
	i := slices.IndexFunc(opts, func(o option) bool { return o.key == key })
	for _, p := range opts[i].apply(t, text) {
		l.errs.add("", 0, flagName(key), p)
		l.failed[key] = true
	}
}

// flagName names the flag of a key, and the environment variable that is the same.
func flagName(key string) string {
	return "--" + strings.ReplaceAll(key, "_", "-") + " or MQD_" + strings.ToUpper(key)
}

// add notes a problem of the key at path.
func (l *loader) add(p problem, path ...string) {
	l.errs.add(l.file, l.lines.line(path...), dotted(path...), p)
	l.failed[dotted(path...)] = true
}
