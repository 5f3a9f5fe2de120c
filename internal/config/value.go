package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mqdaemon/mqd/internal/forward"
)

// kind is how the value of an option is written.
type kind uint8

const (
	kindText kind = iota
	kindNumber
	kindDuration
	kindSize
	kindGroup
	kindList
	kindTable
)

// String names k for the documentation.
func (k kind) String() string {
	return [...]string{"string", "integer", "duration", "size", "string or integer", "list of strings", "table of strings"}[k]
}

// written says how a value of kind k is typed, for an error.
func (k kind) written() string {
	switch k {
	case kindNumber:
		return "an integer"
	case kindDuration:
		return `a string with a unit, like "5s"`
	case kindSize:
		return `an integer of bytes or a string, like "64KiB"`
	case kindGroup:
		return "a string or an integer"
	case kindList:
		return "a list of strings"
	case kindTable:
		return "a table of strings"
	}
	return "a string"
}

// value is what an option's text was decoded to. Which field holds it follows
// from the kind.
type value struct {
	text   string         // kindText, kindGroup
	number int64          // kindNumber; bytes; nanoseconds
	list   []string       // kindList
	table  map[string]any // kindTable: what is in it is not checked yet
}

// apply checks raw, which has a type that TOML gives, and stores it in t.
func (o *option) apply(t target, raw any) []problem {
	v, p := o.decode(raw)
	if p != nil {
		return one(*p)
	}
	if o.parse != nil {
		return o.parse(t, v)
	}
	switch field := o.into(t).(type) {
	case *string:
		*field = v.text
	case *Order:
		*field = Order(v.text)
	case *forward.Format:
		format, err := forward.ParseFormat(v.text)
		if err != nil {
			return one(problemOf(err))
		}
		*field = format
	case *int:
		*field = int(v.number)
	case *int64:
		*field = v.number
	case *time.Duration:
		*field = time.Duration(v.number)
	default:
		panic(fmt.Sprintf("config: option %s has a field of type %T", o.key, field))
	}
	return nil
}

// decode turns raw into a value of the option's kind and within its bounds.
func (o *option) decode(raw any) (value, *problem) {
	switch o.kind {
	case kindText:
		if text, ok := raw.(string); ok {
			return value{text: text}, o.checkOneOf(text)
		}
	case kindGroup:
		switch raw := raw.(type) {
		case string:
			return value{text: raw}, nil
		case int64:
			return value{text: strconv.FormatInt(raw, 10)}, nil
		}
	case kindNumber:
		if n, ok := raw.(int64); ok {
			return value{number: n}, o.checkBounds(n)
		}
	case kindDuration:
		if text, ok := raw.(string); ok {
			d, err := time.ParseDuration(text)
			if err != nil {
				return value{}, o.unreadable("not a duration", text)
			}
			return value{number: int64(d)}, o.checkBounds(int64(d))
		}
	case kindSize:
		switch raw := raw.(type) {
		case int64:
			return value{number: raw}, o.checkBounds(raw)
		case string:
			n, ok := parseSize(raw)
			if !ok {
				return value{}, o.unreadable("not a size", raw)
			}
			return value{number: n}, o.checkBounds(n)
		}
	case kindList:
		if list, ok := raw.([]any); ok {
			return o.decodeList(list)
		}
	case kindTable:
		if table, ok := raw.(map[string]any); ok {
			return value{table: table}, nil
		}
	}
	p := problem{what: "wrong type", value: describe(raw), allowed: o.kind.written(), todo: o.write()}
	if o.kind == kindTable {
		p.value = "" // headers = "Bearer ..." is a secret already
	}
	return value{}, &p
}

func (o *option) decodeList(list []any) (value, *problem) {
	var v value
	if len(list) == 0 {
		return v, &problem{what: "empty list", allowed: o.inWords(), todo: "name at least one"}
	}
	for _, element := range list {
		text, ok := element.(string)
		if !ok {
			return v, &problem{what: "wrong type in the list", value: describe(element), allowed: o.inWords(), todo: o.write()}
		}
		if p := o.checkOneOf(text); p != nil {
			return v, p
		}
		if slices.Contains(v.list, text) {
			return v, &problem{what: "named twice", value: quote(text), todo: "take one of them out"}
		}
		v.list = append(v.list, text)
	}
	return v, nil
}

func (o *option) checkOneOf(text string) *problem {
	if o.oneOf == nil || slices.Contains(o.oneOf, text) {
		return nil
	}
	p := &problem{what: "not known", value: quote(text), allowed: o.inWords(), todo: "choose one of them"}
	if near := nearest(text, o.oneOf); near != "" {
		p.todo = "did you mean " + quote(near) + "?"
	}
	return p
}

func (o *option) checkBounds(n int64) *problem {
	switch {
	case n < o.min:
		return &problem{what: "too small", value: o.measure(n), allowed: o.inWords(), todo: "use " + o.measure(o.min) + " or more"}
	case n > o.max:
		return &problem{what: "too large", value: o.measure(n), allowed: o.inWords(), todo: "use " + o.measure(o.max) + " or less"}
	}
	return nil
}

// unreadable is the problem of a duration or size that is not one.
func (o *option) unreadable(what, text string) *problem {
	units := "ns, us, ms, s, m and h"
	if o.kind == kindSize {
		units = "B, KiB, MiB, GiB, kB, MB and GB"
	}
	return &problem{what: what, value: quote(text), allowed: o.inWords(), todo: o.write() + ", the units are " + units}
}

// inWords gives what is allowed, for errors and for the documentation.
func (o *option) inWords() string {
	switch {
	case o.allowed != "":
		return o.allowed
	case o.oneOf != nil:
		return either(o.oneOf)
	}
	return o.measure(o.min) + " to " + o.measure(o.max)
}

// measure writes n in the unit of the option.
func (o *option) measure(n int64) string {
	switch o.kind {
	case kindDuration:
		return formatDuration(time.Duration(n))
	case kindSize:
		return formatSize(n)
	}
	return strconv.FormatInt(n, 10)
}

// write tells what to type: key = example.
func (o *option) write() string {
	example := o.example
	if example == nil {
		example = o.def
	}
	if table, key, ok := strings.Cut(o.key, "."); ok {
		return "write " + table + " = { " + key + " = " + formatTOML(example) + " }"
	}
	return "write " + o.key + " = " + formatTOML(example)
}

// sizeUnits are the units of a size; the ones with an i are powers of 1024.
var sizeUnits = [...]struct {
	name  string
	bytes int64
}{{"KiB", kib}, {"MiB", mib}, {"GiB", gib}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1}}

// parseSize reads digits with a unit or none. It reports false for everything
// else, and for what does not fit into an int64.
func parseSize(text string) (int64, bool) {
	digits := strings.TrimRight(text, "BKMGik")
	unit := text[len(digits):]
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return 0, false
	}
	for _, u := range sizeUnits {
		if u.name == unit {
			bytes := int64(n) * u.bytes
			return bytes, bytes/u.bytes == int64(n)
		}
	}
	return 0, false
}

// formatSize writes bytes in the largest binary unit that gives a whole number,
// as [parseSize] reads it.
func formatSize(n int64) string {
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"GiB", gib}, {"MiB", mib}, {"KiB", kib}, {"B", 1}} {
		if n%u.bytes == 0 && n != 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return "0"
}

// formatDuration writes d as [time.Duration.String] does, without the zeros at
// its end: 5m, not 5m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// formatTOML writes a default or an example as it stands in a file.
func formatTOML(raw any) string {
	switch raw := raw.(type) {
	case string:
		return strconv.Quote(raw)
	case []any:
		parts := make([]string, len(raw))
		for i, element := range raw {
			parts[i] = formatTOML(element)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		var parts []string
		for key, element := range raw {
			parts = append(parts, dotted(key)+" = "+formatTOML(element))
		}
		slices.Sort(parts)
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	return fmt.Sprint(raw)
}

// describe says what a value from the file is, for an error.
func describe(raw any) string {
	switch raw := raw.(type) {
	case string:
		return quote(raw)
	case bool, int64, float64:
		return fmt.Sprint(raw)
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}

// maxQuoted bounds what an error repeats of a value or key, in characters.
const maxQuoted = 80

// quote puts text from outside in quotes, escaped for a terminal and cut to
// [maxQuoted].
func quote(text string) string {
	if runes := []rune(text); len(runes) > maxQuoted {
		return strconv.QuoteToASCII(string(runes[:maxQuoted])) + "..."
	}
	return strconv.QuoteToASCII(text)
}
