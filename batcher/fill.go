package batcher

import (
	"math"
	"time"
)

// fill moves the longest prefix of what is pending that makes one batch to w,
// and counts it as started. If the key of the oldest message is in flight,
// there is none: it sets blocked and returns false.
func (b *Batcher[S]) fill(w *worker[S], now time.Duration) bool {
	w.number = b.slots.number + 1
	w.batch = Batch[S]{Spans: w.batch.Spans[:0], Reason: b.startReason()}
	b.keys.batch, b.keys.held = w.number, w.keys[:0]
	b.take(&w.batch)
	w.keys = b.keys.held

	switch {
	case w.batch.Messages == 0:
		return false
	case w.batch.Messages == b.cfg.MaxMessages:
		w.batch.Reason = Messages
	case b.blocked:
		w.batch.Reason = Key
	case w.batch.Bytes >= b.cfg.MaxBytes, b.pending.n > 0:
		w.batch.Reason = Bytes
	}
	b.stats.Pending -= w.batch.Messages
	b.stats.PendingBytes -= w.batch.Bytes
	b.stats.InFlight += w.batch.Messages
	b.stats.InFlightBytes += w.batch.Bytes
	b.stats.Busy++
	b.slots.number = w.number
	b.flush = max(b.flush-w.batch.Messages, 0)
	b.lastStart = now
	b.budget.spend(now)
	b.closeIfDrained()
	return true
}

// take fills batch up to the limits or the first key in flight.
func (b *Batcher[S]) take(batch *Batch[S]) {
	for b.pending.n > 0 && batch.Messages < b.cfg.MaxMessages && batch.Bytes <= b.cfg.MaxBytes {
		messages, bytes := b.cfg.MaxMessages-batch.Messages, b.cfg.MaxBytes-batch.Bytes
		oldest := b.pending.oldest()
		head, rest, more := oldest.span, oldest.span, false
		if head.Len() > messages || head.Size() > bytes {
			head, rest, more = oldest.span.Cut(messages, bytes)
			if head.Size() > bytes && batch.Messages > 0 {
				return // its first message is for the next batch
			}
		}
		if b.keys.of != nil {
			if free, ok := b.keys.claim(head); !ok {
				b.blocked = true
				if free == 0 {
					return
				}
				head, rest, more = oldest.span.Cut(free, math.MaxInt)
			}
		}
		batch.Spans = append(batch.Spans, head)
		batch.Messages += head.Len()
		batch.Bytes += head.Size()
		if more {
			oldest.span = rest
			return
		}
		b.pending.pop()
	}
}

// startReason is the reason for a batch that nothing ends but the end of what
// is pending.
func (b *Batcher[S]) startReason() Reason {
	switch {
	case b.cfg.Linger == 0:
		return Free
	case b.state == draining:
		return Drain
	case b.flush > 0:
		return Flush
	default:
		return Linger
	}
}
