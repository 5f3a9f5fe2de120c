package config

import (
	"time"

	"github.com/mqdaemon/mqd/internal/envelope"
	"github.com/mqdaemon/mqd/internal/forward"
)

// place says where in the file a key stands.
type place uint8

const (
	wholeDaemon place = iota // above the first table
	oneRoute                 // in [route.NAME]
)

// target is what an option stores into. Route is nil for the whole daemon's.
type target struct {
	*Config
	*Route
}

// place is where the options stand that store into t.
func (t target) place() place {
	if t.Route == nil {
		return wholeDaemon
	}
	return oneRoute
}

// option is one key of the file: how it is written, checked and stored, and what
// the documentation says of it.
type option struct {
	key   string // a dot leads into a table: slots.min
	place place
	kind  kind
	// def is the default as TOML gives it (string, int64, []any); nil: the zero
	// value of the field, which the documentation describes as otherwise.
	def       any
	otherwise string
	example   any // what an error tells to write; nil: def
	// Bounds, both inside: numbers, bytes or nanoseconds, as kind says.
	min, max int64
	oneOf    []string // the only values, or the only elements of a list
	allowed  string   // the range in words, where neither bounds nor oneOf give it
	meaning  string   // one line for the documentation
	// One of the two: the field that takes the value, or a function that reads
	// and stores it.
	into  func(target) any
	parse func(target, value) []problem
}

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// options is the table of every key, in the order of the documentation.
func options() []option {
	return []option{
		{
			key: "state", kind: kindText, otherwise: "by user, see below", example: "/var/lib/mqd",
			allowed: "an absolute path", meaning: "directory for what must outlive the daemon",
			parse: func(t target, v value) []problem { return parseDir(&t.State, v) },
		},
		{
			key: "runtime", kind: kindText, otherwise: "by user, see below", example: "/run/mqd",
			allowed: "an absolute path", meaning: "directory for the pid file and the socket",
			parse: func(t target, v value) []problem { return parseDir(&t.Runtime, v) },
		},
		{
			key: "listen", kind: kindText, otherwise: "off", example: "127.0.0.1:9464",
			allowed: "HOST:PORT", meaning: "TCP address for metrics and health",
			parse: parseListen,
		},
		{
			key: "log_format", kind: kindText, def: "text", oneOf: []string{"text", "json"},
			meaning: "form of the log on standard error",
			into:    func(t target) any { return &t.LogFormat },
		},
		{
			key: "log_level", kind: kindText, def: "info", oneOf: []string{"debug", "info", "warn", "error"},
			meaning: "lowest level that is logged",
			into:    func(t target) any { return &t.LogLevel },
		},
		{
			key: "stop_timeout", kind: kindDuration, def: "4s", max: int64(time.Hour),
			meaning: "how long requests in flight may take when the daemon stops; then they are cut, and repeated at the next start",
			into:    func(t target) any { return &t.StopTimeout },
		},

		{
			key: "queue", place: oneRoute, kind: kindText, def: DefaultQueue, example: "sysv:0x6d716432",
			allowed: "sysv:KEY, sysv:ftok:PATH:C or posix:/NAME",
			meaning: "the queue; the default is for the route `default`, every other route names its own",
			parse:   parseQueue,
		},
		{
			key: "queue_bytes", place: oneRoute, kind: kindSize, otherwise: "left as it is", example: "1MiB",
			max: gib, meaning: "room wanted in the queue (msg_qbytes); 0 leaves it as it is",
			into: func(t target) any { return &t.QueueBytes },
		},
		{
			key: "mode", place: oneRoute, kind: kindText, def: "0620",
			allowed: "0600, 0620, 0602 or 0622",
			meaning: "mode of the queue: who may write may send, nobody but the daemon may read",
			parse:   parseMode,
		},
		{
			key: "group", place: oneRoute, kind: kindGroup, otherwise: "the daemon's own", example: "www-data",
			allowed: "the name or number of a group", meaning: "group of the queue",
			parse: parseGroup,
		},
		{
			key: "accept", place: oneRoute, kind: kindList, def: asList(envelope.AcceptAll.Names()),
			oneOf: envelope.AcceptAll.Names(), meaning: "frames that are looked for; everything else is a raw message",
			parse: parseAccept,
		},
		{
			key: "to", place: oneRoute, kind: kindText, def: "stdout:", example: "https://sms.example/v1/batch",
			allowed: "an http or https URL, stdout: or discard:", meaning: "the destination",
			parse: parseTo,
		},
		{
			key: "format", place: oneRoute, kind: kindText, def: forward.CloudEvents.String(),
			oneOf:   forward.Formats(),
			meaning: "form of a request's body; `stdout:` is always ndjson",
			into:    func(t target) any { return &t.Format },
		},
		{
			key: "headers", place: oneRoute, kind: kindTable, otherwise: "none",
			example: map[string]any{"Authorization": "file:/run/credentials/mqd/sms"},
			allowed: "names and values of HTTP headers, or file:/PATH for a value",
			meaning: "sent with each request; a secret belongs in a file",
			parse:   parseHeaders,
		},
		{
			key: "ce_type", place: oneRoute, kind: kindText, def: forward.DefaultCEType,
			allowed: "text without control characters, not empty", meaning: "type attribute of a CloudEvent",
			parse: parseCEType,
		},
		{
			key: "max_messages", place: oneRoute, kind: kindNumber, def: int64(500), min: 1, max: 100_000,
			meaning: "most messages in a request; always 1 with format raw over HTTP",
			into:    func(t target) any { return &t.MaxMessages },
		},
		{
			key: "max_bytes", place: oneRoute, kind: kindSize, def: "1MiB", min: kib, max: 64 * mib,
			meaning: "most bytes of payload in a request",
			into:    func(t target) any { return &t.MaxBytes },
		},
		{
			key: "linger", place: oneRoute, kind: kindDuration, def: "0s", example: "100ms", max: int64(time.Hour),
			meaning: "how long a message may wait for others to share its request",
			into:    func(t target) any { return &t.Linger },
		},
		{
			key: "rate", place: oneRoute, kind: kindText, otherwise: "no limit", example: "50/s burst 10",
			allowed: "1 to 1000000 requests per s, m or h, and a burst of 1 to 100000",
			meaning: "most requests started; without `burst` it is 1, so that no second has more than it should",
			parse:   parseRate,
		},
		{
			key: "slots.min", place: oneRoute, kind: kindNumber, def: int64(1), min: 1, max: 256,
			meaning: "requests in flight that push-back never goes below",
			into:    func(t target) any { return &t.SlotsMin },
		},
		{
			key: "slots.max", place: oneRoute, kind: kindNumber, def: int64(16), min: 1, max: 256,
			meaning: "most requests in flight; 1 with order strict",
			into:    func(t target) any { return &t.SlotsMax },
		},
		{
			key: "order", place: oneRoute, kind: kindText, def: "key", oneOf: []string{"none", "key", "strict"},
			meaning: "what may not overtake: nothing, messages with the same key, all messages",
			into:    func(t target) any { return &t.Order },
		},
		{
			key: "timeout", place: oneRoute, kind: kindDuration, def: formatDuration(forward.DefaultTimeout), min: int64(time.Millisecond), max: int64(time.Hour),
			meaning: "for one request, from its start to the end of the answer",
			into:    func(t target) any { return &t.Timeout },
		},
		{
			key: "retry.initial", place: oneRoute, kind: kindDuration, def: formatDuration(forward.DefaultInitial), min: int64(time.Millisecond), max: int64(time.Hour),
			meaning: "longest wait before the second try; it doubles with each further one",
			into:    func(t target) any { return &t.RetryInitial },
		},
		{
			key: "retry.max", place: oneRoute, kind: kindDuration, def: formatDuration(forward.DefaultMax), min: int64(time.Millisecond), max: int64(24 * time.Hour),
			meaning: "longest wait between two tries",
			into:    func(t target) any { return &t.RetryMax },
		},
	}
}

// asList gives names in the form in which TOML gives a list.
func asList(names []string) []any {
	list := make([]any, len(names))
	for i, name := range names {
		list[i] = name
	}
	return list
}
