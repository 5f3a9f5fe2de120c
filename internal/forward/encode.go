package forward

import (
	"slices"
	"strconv"
)

// encoder turns batches into request bodies. It does not change after
// newEncoder, so all slots share one.
type encoder struct {
	format Format
	// What is the same in every object is escaped once: the members up to
	// the id for CloudEvents, the route for JSON and NDJSON.
	fixed []byte
	// overhead is about what an object takes besides its payload, so that
	// a body is mostly written without growing.
	overhead int
}

func newEncoder(f Format, c *Config) *encoder {
	e := &encoder{format: f, overhead: 1}
	switch f {
	case CloudEvents:
		e.fixed = append(e.fixed, `{"specversion":"1.0","source":`...)
		e.fixed = appendString(e.fixed, []byte(c.source()))
		e.fixed = append(e.fixed, `,"type":`...)
		e.fixed = appendString(e.fixed, []byte(c.eventType()))
		e.fixed = append(e.fixed, `,"id":`...)
		e.overhead = len(e.fixed) + 160
	case JSON, NDJSON:
		e.fixed = append(e.fixed, `","route":`...)
		e.fixed = appendString(e.fixed, []byte(c.Route))
		e.fixed = append(e.fixed, `,"type":`...)
		e.overhead = len(e.fixed) + 128
	case Lines, Raw:
	}
	return e
}

// append appends the body for b. It allocates for the batch (the growth of dst,
// the closure of the loop), never for a message.
func (e *encoder) append(dst []byte, b *Batch) []byte {
	dst = slices.Grow(dst, b.Bytes+b.Count*e.overhead+2)
	switch e.format {
	case CloudEvents:
		return e.appendArray(dst, b, e.appendEvent)
	case JSON:
		return e.appendArray(dst, b, e.appendObject)
	case NDJSON:
		var c clock
		for m := range b.Messages {
			dst = append(e.appendObject(dst, m, &c), '\n')
		}
	case Lines:
		for m := range b.Messages {
			dst = append(append(dst, m.Body...), '\n')
		}
	case Raw:
		for m := range b.Messages {
			dst = append(dst, m.Body...)
		}
	}
	return dst
}

func (e *encoder) appendArray(dst []byte, b *Batch, item func([]byte, *Message, *clock) []byte) []byte {
	var c clock
	next := byte('[')
	for m := range b.Messages {
		dst = item(append(dst, next), m, &c)
		next = ','
	}
	if next == '[' {
		dst = append(dst, '[')
	}
	return append(dst, ']')
}

// appendObject appends {id, time, route, type, key, data | data_base64}; key is
// left out if there is none.
func (e *encoder) appendObject(dst []byte, m *Message, c *clock) []byte {
	dst = appendID(append(dst, `{"id":`...), m)
	dst = c.append(append(dst, `,"time":"`...), m.Time)
	dst = append(dst, e.fixed...)
	dst = append(strconv.AppendInt(dst, m.Type, 10), ',')
	if len(m.Key) > 0 {
		dst = append(appendString(append(dst, `"key":`...), m.Key), ',')
	}
	return append(appendData(dst, m.Body), '}')
}
