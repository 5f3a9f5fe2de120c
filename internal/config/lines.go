package config

import (
	"slices"
	"sort"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// lines knows on which line each key of a TOML document stands. The decoder of
// go-toml gives values without positions; this is the second pass that finds
// them, and the only user of go-toml's unstable package, whose API may change.
// The nil *lines knows nothing.
type lines struct {
	first map[string]int   // joined path -> line where it is first named
	at    map[int][]string // line -> path of the key that is set there
}

// maxDepth is the length of the longest path that an option has, as in
// route.sms.slots.min. Deeper keys are not noted: a key with very many dots
// would cost the square of its length.
const maxDepth = 4

// scanLines reads doc up to its end or its first syntax error.
func scanLines(doc []byte) *lines {
	var newlines []int
	for i, c := range doc {
		if c == '\n' {
			newlines = append(newlines, i)
		}
	}
	l := &lines{first: map[string]int{}, at: map[int][]string{}}
	lineOf := func(key *unstable.Node) int {
		return 1 + sort.SearchInts(newlines, int(key.Raw.Offset))
	}

	var parser unstable.Parser
	parser.Reset(doc)
	var table []string
	for parser.NextExpression() {
		switch e := parser.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = l.key(nil, e, lineOf)
		case unstable.KeyValue:
			l.keyValue(table, e, lineOf)
		}
	}
	return l
}

// keyValue notes a key and, if its value is an inline table, the keys in that.
func (l *lines) keyValue(table []string, e *unstable.Node, lineOf func(*unstable.Node) int) {
	path := l.key(table, e, lineOf)
	if e.Value().Kind != unstable.InlineTable || len(path) == maxDepth {
		return
	}
	for members := e.Value().Children(); members.Next(); {
		l.keyValue(path, members.Node(), lineOf)
	}
}

// key notes the parts of e's key, which stands in table, and gives its path, cut
// to maxDepth.
func (l *lines) key(table []string, e *unstable.Node, lineOf func(*unstable.Node) int) []string {
	path, line := slices.Clone(table), 0
	for parts := e.Key(); parts.Next(); {
		if len(path) == maxDepth {
			return path
		}
		part := parts.Node()
		path = append(path, string(part.Data))
		joined := join(path)
		line = lineOf(part)
		if l.first[joined] == 0 {
			l.first[joined] = line
		}
	}
	l.at[line] = path
	return path
}

// line gives the line where path is first named; 0: nowhere.
func (l *lines) line(path ...string) int {
	if l == nil {
		return 0
	}
	return l.first[join(path)]
}

// pathAt gives the path of the key that is set on a line; nil: none is.
func (l *lines) pathAt(line int) []string { return l.at[line] }

// join makes a map key of a path. Two paths that differ only by a NUL in a part
// would share it, and then a line in an error would be wrong, nothing more.
func join(path []string) string { return strings.Join(path, "\x00") }
