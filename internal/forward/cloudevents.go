package forward

import (
	"bytes"
	"math"
	"net/http"
	"net/url"
	"strconv"
)

// DefaultCEType is the CloudEvents type when [Config.CEType] is empty.
const DefaultCEType = "mqd.message"

// source is the CloudEvents source: /mqd/HOST/ROUTE, a URI-reference.
func (c *Config) source() string {
	host := c.Host
	if host == "" {
		host = "localhost"
	}
	return "/mqd/" + url.PathEscape(host) + "/" + url.PathEscape(c.Route)
}

func (c *Config) eventType() string {
	if c.CEType == "" {
		return DefaultCEType
	}
	return c.CEType
}

// appendEvent appends m as one event of the JSON Batch Format (CloudEvents JSON
// Event Format 1.0, sections 2 to 4).
func (e *encoder) appendEvent(dst []byte, m *Message, c *clock) []byte {
	dst = appendID(append(dst, e.fixed...), m)
	dst = c.append(append(dst, `,"time":"`...), m.Time)
	dst = append(dst, `","mqdtype":`...)
	// A CloudEvents Integer has 32 bits; an mtype has 63. One that does not
	// fit goes as a string, or receivers refuse the whole batch for it.
	if m.Type <= math.MaxInt32 {
		dst = strconv.AppendInt(dst, m.Type, 10)
	} else {
		dst = append(strconv.AppendInt(append(dst, '"'), m.Type, 10), '"')
	}
	if len(m.Key) > 0 {
		dst = appendString(append(dst, `,"subject":`...), m.Key)
	}
	if len(m.ContentType) > 0 {
		dst = appendString(append(dst, `,"datacontenttype":`...), m.ContentType)
	}
	if len(m.Trace) > 0 {
		dst = appendString(append(dst, `,"traceparent":`...), m.Trace)
	}
	dst = append(dst, ',')
	if isJSON(m.ContentType) && validJSON(m.Body) {
		dst = append(append(dst, `"data":`...), m.Body...)
	} else {
		dst = appendData(dst, m.Body)
	}
	return append(dst, '}')
}

// isJSON reports whether a content type declares JSON: its subtype is json or
// ends in +json, whatever the parameters (JSON Event Format 3.1.1).
func isJSON(contentType []byte) bool {
	media, _, _ := bytes.Cut(contentType, []byte(";"))
	_, subtype, ok := bytes.Cut(bytes.TrimSpace(media), []byte("/"))
	if n := len(subtype) - len("+json"); n >= 0 && bytes.EqualFold(subtype[n:], []byte("+json")) {
		return ok
	}
	return ok && bytes.EqualFold(subtype, []byte("json"))
}

// setEvent puts the attributes of m into h for the binary content mode
// (CloudEvents HTTP binding 3.1). source and event type are in h already: they
// are the same for all messages of a route.
func setEvent(h http.Header, m *Message) {
	id := m.ID
	if len(id) == 0 {
		id = appendUUID(nil, m.UUID)
	}
	h["Ce-Id"] = []string{percent(id)}
	h["Ce-Time"] = []string{string(new(clock).append(nil, m.Time))}
	h["Ce-Mqdtype"] = []string{strconv.FormatInt(m.Type, 10)}
	if len(m.Key) > 0 {
		h["Ce-Subject"] = []string{percent(m.Key)}
	}
	if len(m.Trace) > 0 {
		h["Ce-Traceparent"] = []string{percent(m.Trace)}
	}
	if isHeaderText(m.ContentType) {
		h["Content-Type"] = []string{string(m.ContentType)}
	} else {
		h["Content-Type"] = []string{Raw.ContentType()}
	}
}

// isHeaderText reports whether v may stand in a header as it is: not empty,
// printable ASCII, no space at either end. Content-Type is the one attribute
// that the binding does not percent-encode; one that fails here is no media
// type, and the request says application/octet-stream instead.
func isHeaderText(v []byte) bool {
	for _, c := range v {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return len(v) > 0 && v[0] != ' ' && v[len(v)-1] != ' '
}

// percent encodes a string attribute for a header (HTTP binding 3.1.3.2): all
// but printable ASCII, and space, quote and percent. A receiver must refuse what
// is not UTF-8 when decoded, so such bytes become U+FFFD first.
func percent(s []byte) string {
	const hex = "0123456789ABCDEF"
	out := make([]byte, 0, len(s)+16)
	for _, c := range bytes.ToValidUTF8(s, []byte("\uFFFD")) {
		if c > ' ' && c <= '~' && c != '"' && c != '%' {
			out = append(out, c)
		} else {
			out = append(out, '%', hex[c>>4], hex[c&0xf])
		}
	}
	return string(out)
}
