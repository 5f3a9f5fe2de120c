package forward

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MaxRetryAfter is the longest time that a destination can ask us to stay away.
// A larger wish counts as this one: a slip of the other side must not silence a
// route for a year.
const MaxRetryAfter = time.Hour

// retryAfter reads Retry-After (RFC 9110 section 10.2.3) in either form. A date
// counts from the Date of the same answer, so that two clocks that differ do no
// harm; without a Date it counts from now. What is neither form, or negative,
// or too large for 64 bits, is 0.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if strings.Trim(v, "0123456789") == "" {
		seconds, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return 0
		}
		return time.Duration(min(seconds, int64(MaxRetryAfter/time.Second))) * time.Second
	}
	until, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(until.Sub(now), 0), MaxRetryAfter)
}
