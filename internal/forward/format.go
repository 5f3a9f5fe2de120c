package forward

import (
	"fmt"
	"slices"
	"strings"
)

// Format is the form a batch takes on the wire. The zero value is CloudEvents,
// the default.
type Format uint8

// The formats. Every one but Raw puts the whole batch in one request.
const (
	// CloudEvents is one JSON array of CloudEvents 1.0, the JSON Batch Format.
	CloudEvents Format = iota
	// JSON is one array of {id, time, route, type, key, data | data_base64}.
	JSON
	// NDJSON is the same objects, one a line.
	NDJSON
	// Lines is each payload and a newline. Newlines within a payload stay,
	// so Mqd-Count is the truth about the number of messages.
	Lines
	// Raw is one message a request: the payload is the body, the rest are
	// ce-* headers (CloudEvents HTTP binding, binary content mode).
	Raw
)

var formats = [...]struct{ name, contentType string }{
	CloudEvents: {"cloudevents", "application/cloudevents-batch+json"},
	JSON:        {"json", "application/json"},
	NDJSON:      {"ndjson", "application/x-ndjson"},
	Lines:       {"lines", "text/plain"},
	Raw:         {"raw", "application/octet-stream"},
}

// Formats gives the names of all formats, the default first.
func Formats() []string {
	names := make([]string, len(formats))
	for f, v := range formats {
		names[f] = v.name
	}
	return names
}

// ParseFormat gives the format of that name, as the configuration spells it.
func ParseFormat(name string) (Format, error) {
	i := slices.Index(Formats(), name)
	if i < 0 {
		return 0, fmt.Errorf("format %q: there are %s", name, strings.Join(Formats(), ", "))
	}
	return Format(i), nil
}

// String is the name that [ParseFormat] takes.
func (f Format) String() string {
	if int(f) >= len(formats) {
		return fmt.Sprintf("Format(%d)", uint8(f))
	}
	return formats[f].name
}

// ContentType is the media type of a request in this format. A Raw request
// has the content type of its message instead, if the message has one.
func (f Format) ContentType() string {
	if int(f) >= len(formats) {
		return ""
	}
	return formats[f].contentType
}

// OneByOne reports whether a request of this format holds one message only.
// Whoever builds batches then caps them at one message.
func (f Format) OneByOne() bool { return f == Raw }
