package batcher

// Span is a run of messages that lie together and were added together. S is the
// implementing type itself. Its methods are called with the Batcher's lock held
// and must have no side effects.
type Span[S any] interface {
	// Len is the number of messages, at least 1.
	Len() int

	// Size is the number of bytes that count against MaxBytes.
	Size() int

	// Cut returns the longest prefix that is within both limits (at least one
	// message, even if it alone is larger than bytes) and the rest; more is
	// false if there is none. Len and Size of the two add up to those of the
	// span. messages is at least 1, bytes at least 0.
	Cut(messages, bytes int) (head, rest S, more bool)
}

// Batch is what one call of the send function sends. It belongs to the Batcher:
// it and its slice of spans are valid until send returns, and then used again.
type Batch[S any] struct {
	Spans    []S // in order of arrival, at least one
	Messages int // sum of Len
	Bytes    int // sum of Size
	Reason   Reason
}

// Reason says why a batch was started with what it has, and not later with more.
type Reason uint8

// The reasons. One that ended the batch (Messages, Bytes, Key) goes before one
// that started it.
const (
	Free     Reason = iota + 1 // a slot was free, and everything pending is in
	Messages                   // MaxMessages are in
	Bytes                      // MaxBytes are in, or the next message does not fit
	Key                        // the next message's key is in flight
	Linger                     // the oldest message has waited for Linger
	Flush                      // Flush was called
	Drain                      // Drain was called
)

// String returns the reason in lower case, fit for a log or a metric's label.
func (r Reason) String() string {
	switch r {
	case Free:
		return "free"
	case Messages:
		return "messages"
	case Bytes:
		return "bytes"
	case Key:
		return "key"
	case Linger:
		return "linger"
	case Flush:
		return "flush"
	case Drain:
		return "drain"
	default:
		return "unknown"
	}
}

// Outcome is what became of a batch. It drives the number of slots: one more
// after a batch that was Done while all slots were taken and more could have been
// sent; half, not below MinSlots, after one that was PushedBack. Only batches
// started since the last change count for more, and only those started since
// the last halving count for less: one refusal that meets all requests in
// flight is one sign of overload, not many.
type Outcome uint8

// The outcomes. The zero value is the one that claims nothing.
const (
	// Unsettled: nothing is known of the batch, its spans stay with the caller.
	// No further batch is started, since that could overtake this one.
	Unsettled Outcome = iota

	// Done: settled at the first attempt.
	Done

	// PushedBack: settled, but the destination refused or failed at least once.
	PushedBack
)
