package batcher

import (
	"fmt"
	"math"
	"time"
)

// Limits of one batch that a zero [Config] gets.
const (
	DefaultMaxMessages = 500
	DefaultMaxBytes    = 1 << 20
)

// Config is the policy of one [Batcher]. The zero value sends each message as
// soon as the one request in flight is over, in batches of up to
// DefaultMaxMessages and DefaultMaxBytes.
type Config[S any] struct {
	// MaxMessages is the most messages in one batch. 0: DefaultMaxMessages.
	MaxMessages int

	// MaxBytes is the most bytes in one batch, as counted by [Span].Size.
	// A single larger message goes alone. 0: DefaultMaxBytes.
	MaxBytes int

	// Linger is how long a batch waits to be filled, counted from the time its
	// oldest message was added. A full batch does not wait. 0: never wait.
	Linger time.Duration

	// Pace is the least time between two starts. It keeps a fast destination
	// from being sent many tiny requests: what arrives meanwhile joins the next
	// one. A message that comes after a quiet Pace goes at once, and so does a
	// full batch at any time. 0: none.
	Pace time.Duration

	// Rate bounds the requests per second. Nothing goes past it, neither a full
	// batch nor Flush nor Drain: batches fill while the budget refills.
	Rate Rate

	// MinSlots and MaxSlots bound how many batches may be in flight. The limit
	// starts at MinSlots and adapts: see [Outcome]. MaxSlots 1 is strict order.
	// MinSlots 0: 1. MaxSlots 0: MinSlots, that is, a fixed number.
	MinSlots, MaxSlots int

	// Keys yields the hash of the key of each message of a span, in order; 0 is
	// a message without a key. It stops when yield returns false, and yields
	// nothing at all for a span in which no message has a key, which then costs
	// nothing.
	//
	// When it is set, a batch ends before the first message whose key is in
	// flight in another batch. Everything behind that message waits too, with a
	// key or without: a batch is always a prefix of what is pending. Two keys
	// of one hash count as one key. nil: messages have no order.
	Keys func(span S, yield func(hash uint64) bool)
}

// Rate is a budget of requests, refilled steadily (a token bucket).
type Rate struct {
	// PerSecond is the mean number of requests a second. 0: no limit.
	PerSecond float64

	// Burst is how many requests an unused budget allows at once. 0: 1.
	Burst int
}

// Validate reports the first value that is out of range, with the field's name.
func (c *Config[S]) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"MaxMessages", c.MaxMessages},
		{"MaxBytes", c.MaxBytes},
		{"MinSlots", c.MinSlots},
		{"MaxSlots", c.MaxSlots},
		{"Rate.Burst", c.Rate.Burst},
	} {
		if f.value < 0 {
			return fmt.Errorf("batcher: %s (%d) must be at least 0", f.name, f.value)
		}
	}
	if c.Linger < 0 {
		return fmt.Errorf("batcher: Linger (%v) must be at least 0", c.Linger)
	}
	if c.Pace < 0 {
		return fmt.Errorf("batcher: Pace (%v) must be at least 0", c.Pace)
	}
	if minSlots := max(c.MinSlots, 1); c.MaxSlots != 0 && c.MaxSlots < minSlots {
		return fmt.Errorf("batcher: MaxSlots (%d) must be at least MinSlots (%d)", c.MaxSlots, minSlots)
	}
	return c.Rate.validate()
}

func (r Rate) validate() error {
	if !(r.PerSecond >= 0) || math.IsInf(r.PerSecond, 1) { // the first is false for NaN
		return fmt.Errorf("batcher: Rate.PerSecond (%v) must be a number of at least 0", r.PerSecond)
	}
	if r.PerSecond == 0 && r.Burst != 0 {
		return fmt.Errorf("batcher: Rate.Burst (%d) needs a Rate.PerSecond (%v) above 0", r.Burst, r.PerSecond)
	}
	// The time to refill the whole burst must fit a time.Duration, with room to
	// be added to the clock.
	if r.PerSecond > 0 && float64(max(r.Burst, 1))/r.PerSecond*float64(time.Second) > math.MaxInt64/4 {
		return fmt.Errorf("batcher: Rate.Burst (%d) at Rate.PerSecond (%v) takes over 70 years to refill",
			max(r.Burst, 1), r.PerSecond)
	}
	return nil
}

// withDefaults fills in what the zero values stand for.
func (c Config[S]) withDefaults() Config[S] {
	if c.MaxMessages == 0 {
		c.MaxMessages = DefaultMaxMessages
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	c.MinSlots = max(c.MinSlots, 1)
	c.MaxSlots = max(c.MaxSlots, c.MinSlots)
	c.Rate.Burst = max(c.Rate.Burst, 1)
	return c
}
