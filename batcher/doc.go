// Package batcher groups messages into requests by the load itself. While it
// is quiet each message goes out at once and alone; while all requests that may
// be in flight are in flight, what arrives piles up, and the next one that is
// free takes all of it. Batch size follows load times latency and there is
// nothing to tune. No timer runs unless [Config] asks for one.
//
// The unit of work is a span: a run of messages that lie together in memory,
// say one read's worth in a buffer. The cost is per span and per batch, never
// per message (except for order by key, which looks at each key), and in the
// steady state nothing is allocated.
//
// # Guarantees
//
//   - Every message added is in exactly one batch, in order of arrival, for as
//     long as Run starts batches. What was not started stays with the caller.
//   - A batch holds at most MaxMessages messages and MaxBytes bytes; only a
//     single message larger than MaxBytes goes over, and then goes alone.
//   - At most MaxSlots sends run at once, and the requests keep to the rate.
//   - With [Config.Keys] two messages with one key are never in flight in two
//     batches, and never overtake each other.
//   - An idle Batcher makes no system calls and holds no timer.
//
// # Who should not use it
//
// [Batcher.Add] never blocks, so the bound on what is pending belongs in front
// of it; without one, memory grows for as long as the destination is slower than the
// source. Nothing is kept on disk and nothing is retried here: the send
// function owns both. Who has single items, no bound and a destination that
// takes them one by one is better off with a channel.
//
// # Locks
//
// One mutex guards all state. It is never held while a send runs. The methods
// of a span and Keys are called with it held: they must be short and must not
// call the Batcher. No other lock is taken under it.
package batcher
