package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/mqdaemon/mqd/batcher"
	"github.com/mqdaemon/mqd/internal/forward"
	"github.com/mqdaemon/mqd/internal/spool"
)

// send tries one batch until it is delivered. It gives up only when the daemon
// stops: ctx ends the waiting between two tries, hard ends a request.
func (r *route) send(ctx, hard context.Context, b *batcher.Batch[spool.Span]) batcher.Outcome {
	fb := r.batchOf(b)
	outcome := batcher.Done
	for try := 0; ; try++ {
		pass, err := r.gate.Wait(ctx)
		if err != nil {
			return batcher.Unsettled
		}
		r.total.requests.Add(1)
		if try > 0 {
			r.total.retries.Add(1)
		}
		r.inFlight.Add(int64(b.Messages))
		res := r.dest.Send(hard, fb)
		r.inFlight.Add(-int64(b.Messages))
		if hard.Err() != nil && res.Verdict != forward.Delivered {
			return batcher.Unsettled // cut by the stop: that says nothing of the destination
		}
		r.report(pass, res)
		if res.Verdict == forward.Delivered {
			return r.settle(b, outcome)
		}
		outcome = batcher.PushedBack
	}
}

// report tells the gate and logs a change of its state once.
func (r *route) report(pass forward.Pass, res forward.Result) {
	if !r.gate.Report(pass, res) {
		return
	}
	switch res.Verdict {
	case forward.Delivered:
		r.log.Info("destination accepts again", "to", r.dest.String())
	case forward.Retry:
		r.log.Warn("destination does not accept, trying again with back-off", "to", r.dest.String(), "error", res.Err)
	case forward.Hold:
		r.log.Error("destination refuses: route is held, nothing is dropped, trying again with back-off",
			"to", r.dest.String(), "status", res.Status, "error", res.Err)
	}
}

func (r *route) settle(b *batcher.Batch[spool.Span], outcome batcher.Outcome) batcher.Outcome {
	if err := r.landing.Settle(b.Spans); err != nil {
		r.log.Error("batch delivered but not settled, it may be sent again after a restart", "error", err)
		return batcher.Unsettled
	}
	r.total.delivered.Add(int64(b.Messages))
	if r.landing.Spare() {
		r.trim.Reset(trimAfter)
	}
	return outcome
}

// batchOf shows a batch to the destination. Its members and so its
// Idempotency-Key are the same for every try.
func (r *route) batchOf(b *batcher.Batch[spool.Span]) *forward.Batch {
	return &forward.Batch{
		ID: r.idempotencyKey(b.Spans), Count: b.Messages, Bytes: b.Bytes,
		Messages: func(yield func(*forward.Message) bool) {
			var m spool.Message
			var r spool.Reader
			for _, s := range b.Spans {
				for r.Reset(s); r.Next(&m); {
					if !yield((*forward.Message)(&m)) { // the same fields: nothing is copied
						return
					}
				}
			}
		},
	}
}

// idempotencyKey names a batch after its members, its destination and its form.
func (r *route) idempotencyKey(spans []spool.Span) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n", r.cfg.Name, r.cfg.To, r.cfg.Format)
	var b [32]byte
	for _, s := range spans {
		h.Write(s.AppendName(b[:0]))
	}
	return hex.EncodeToString(h.Sum(b[:0])[:16])
}
