package forward

import "fmt"

// Verdict is what the destination said of a batch.
type Verdict uint8

// The verdicts. The zero value is Retry, the one that never loses or stops
// anything.
const (
	// Retry: not delivered, or not known to be. Send the same batch again.
	Retry Verdict = iota
	// Delivered: the destination accepted every message of the batch.
	Delivered
	// Hold: the route is misconfigured, not the batch: wrong path, wrong
	// credentials, a redirect. Nothing is dropped; the batch is kept and
	// the destination probed until somebody mends the setting.
	Hold
)

// String is "retry", "delivered" or "hold".
func (v Verdict) String() string {
	switch v {
	case Retry:
		return "retry"
	case Delivered:
		return "delivered"
	case Hold:
		return "hold"
	default:
		return fmt.Sprintf("Verdict(%d)", uint8(v))
	}
}

// Classify is the verdict for an HTTP status:
//
//	2xx                           Delivered
//	408, 409, 425, 429            Retry: the destination asks for another try
//	501, 505                      Hold: no try of ours can ever be understood
//	every other 5xx               Retry: the fault is the destination's
//	1xx as a final answer         Hold: 101 to a request that offered no upgrade
//	3xx                           Hold: redirects are not followed, "to" is out of date
//	every other 4xx               Hold: address, credentials or limits are wrong
//	anything else                 Retry: not an HTTP status, so not an answer
func Classify(status int) Verdict {
	switch {
	case status >= 200 && status <= 299:
		return Delivered
	case status == 408, status == 409, status == 425, status == 429:
		return Retry
	case status == 501, status == 505:
		return Hold
	case status >= 500 && status <= 599:
		return Retry
	case status >= 100 && status <= 499:
		return Hold
	default:
		return Retry
	}
}

// classifyError is the verdict when there is no status, in one place so that
// the decision can be seen and changed in one place. All of them are Retry:
//
//	refused, unreachable, no such host    the destination may come back
//	TLS handshake, certificate            may be renewed or mended without us
//	reset, EOF before or in the headers   outcome unknown
//	timeout, at whatever stage            outcome unknown
//	answer that is not HTTP, headers
//	over the limit, too many 1xx          outcome unknown
//	our own context ended                 outcome unknown
//	standard output: short write, EPIPE   the reader may be started again
//
// Where the outcome is unknown, the same Idempotency-Key goes out again.
func classifyError(error) Verdict { return Retry }
