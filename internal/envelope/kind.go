package envelope

import "fmt"

// Kind says how a kernel message is to be read. The zero Kind is none of them.
// The values are stored in spool records: they never change.
type Kind uint8

// The four kinds of a payload.
const (
	Raw      Kind = 1 // the payload is the body
	Envelope Kind = 2 // the binary frame of package client
	JSON     Kind = 3 // a JSON object with the member "mqd":1
	PHP      Kind = 4 // exactly s:N:"...";
)

// kinds is every kind in the order in which [Accept.Names] gives them.
var kinds = [...]struct {
	kind Kind
	name string
}{{Envelope, "envelope"}, {JSON, "json"}, {PHP, "php"}, {Raw, "raw"}}

// String gives the name that an accept list uses for k.
func (k Kind) String() string {
	for _, known := range kinds {
		if known.kind == k {
			return known.name
		}
	}
	return fmt.Sprintf("envelope.Kind(%d)", uint8(k))
}

// Accept is the set of kinds that a route looks for. A payload of a kind that is
// not in the set is a raw message, so [Raw] is accepted whether it is named or
// not: nothing that a producer put on the queue is refused for its form.
type Accept uint8

// AcceptAll looks for every kind. It is what a route does by default.
const AcceptAll Accept = 1<<Raw | 1<<Envelope | 1<<JSON | 1<<PHP

// Has reports whether k is in the set.
func (a Accept) Has(k Kind) bool { return a&(1<<k) != 0 }

// Names gives the set as an accept list, in a fixed order.
func (a Accept) Names() []string {
	names := make([]string, 0, len(kinds))
	for _, known := range kinds {
		if a.Has(known.kind) {
			names = append(names, known.name)
		}
	}
	return names
}
