// Package forward takes one batch to one destination and turns the answer into
// a verdict: HTTP and HTTPS, standard output, or nothing.
//
// It is for internal/daemon, which decides what a batch is, keeps the batch
// until its verdict is [Delivered], and tries again when it is not. A program
// that only wants to post JSON needs net/http, not this package.
//
// The guarantee: [Destination.Send] reports [Delivered] only when the
// destination has said so for this very batch. Whatever else happens (a reset,
// a timeout, an answer that is not HTTP, a status that means a wrong setting)
// is [Retry] or [Hold], and neither of them ever means that a message may be
// dropped. Every try of a batch carries the same Idempotency-Key and the same
// bytes, so that a destination can tell a repetition from a new batch.
package forward

import (
	"context"
	"io"
	"iter"
	"time"
)

// DefaultTimeout is how long one try may take when [Config.Timeout] is 0.
const DefaultTimeout = 30 * time.Second

// Message is one message of a batch. Every slice aliases memory of the caller
// and is valid until the sequence that gave it goes on; one Message value
// serves a whole sequence.
type Message struct {
	ID          []byte    // what the sender gave; nil or empty: UUID is the id
	UUID        [2]uint64 // high and low half, written out only where a format wants it
	Time        int64     // when it was sent or accepted, unix nanoseconds
	Type        int64     // mtype: 1 and up
	Key         []byte    // nil or empty: none
	ContentType []byte    // nil or empty: not given
	Trace       []byte    // W3C traceparent; nil or empty: none
	Body        []byte    // the payload; may be empty
}

// Batch is what goes out in one request. It does not change between tries.
type Batch struct {
	// ID is sent as the Idempotency-Key: the same for every try of this
	// batch, another one for every other batch.
	ID string
	// Count is the number of messages that Messages gives, at least 1.
	Count int
	// Bytes is the sum of the lengths of all bodies.
	Bytes int
	// Messages gives the messages in order. It is ranged over at least once
	// for each try and must give the same messages each time.
	Messages iter.Seq[*Message]
}

// Result is what came of one try of one batch.
type Result struct {
	Verdict Verdict
	// Status is the HTTP status of the answer, 100 to 599; 0 if there was
	// no answer or if the destination does not speak HTTP.
	Status int
	// RetryAfter is how long the destination asked us to stay away, 0 to
	// [MaxRetryAfter]; 0 if it did not ask.
	RetryAfter time.Duration
	// Err is nil if and only if Verdict is Delivered. It names the
	// destination, without credentials and query, and the cause; errors.Is
	// finds the errno or context error underneath.
	Err error
}

// Destination is where a route sends. It is safe for concurrent use: one Send
// for each slot of the route.
type Destination interface {
	// Send makes one try and takes at most the timeout of the configuration.
	// When ctx ends, it returns early with [Retry] and an error that is
	// context.Canceled or what else ended ctx; whether the batch arrived is
	// then unknown.
	Send(ctx context.Context, b *Batch) Result
	// String is the address without credentials and query, fit for logs.
	String() string
	// Close gives back what the destination holds open. Call it after the
	// last Send has returned; a second call does nothing.
	Close() error
}

// Config says where a route sends and in which form.
type Config struct {
	Route string // name of the route: Mqd-Route, "route", and the end of the CloudEvents source
	Host  string // this machine, for the CloudEvents source; "" means localhost
	// To is http://..., https://..., "stdout:" or "discard:".
	To     string
	Format Format // zero: CloudEvents. stdout: is always NDJSON.
	// Headers are added to every request. A value "file:/path" is read from
	// that file by New, without its last newline. See [CheckHeader].
	Headers map[string]string
	Timeout time.Duration // of one try with everything in it; 0: DefaultTimeout
	CEType  string        // CloudEvents type; "": DefaultCEType
	Stdout  io.Writer     // for "stdout:"; needed there only
}
