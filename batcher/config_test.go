package batcher_test

import (
	"math"
	"testing"

	"github.com/mqdaemon/mqd/batcher"
)

func TestValidate(t *testing.T) {
	for want, cfg := range map[string]config{
		"batcher: MaxMessages (-1) must be at least 0":                                          {MaxMessages: -1},
		"batcher: MaxBytes (-2) must be at least 0":                                             {MaxBytes: -2},
		"batcher: Linger (-3ns) must be at least 0":                                             {Linger: -3},
		"batcher: Pace (-4ns) must be at least 0":                                               {Pace: -4},
		"batcher: MinSlots (-5) must be at least 0":                                             {MinSlots: -5},
		"batcher: MaxSlots (-6) must be at least 0":                                             {MaxSlots: -6},
		"batcher: MaxSlots (3) must be at least MinSlots (4)":                                   {MinSlots: 4, MaxSlots: 3},
		"batcher: Rate.PerSecond (-1) must be a number of at least 0":                           {Rate: batcher.Rate{PerSecond: -1}},
		"batcher: Rate.PerSecond (NaN) must be a number of at least 0":                          {Rate: batcher.Rate{PerSecond: math.NaN()}},
		"batcher: Rate.PerSecond (+Inf) must be a number of at least 0":                         {Rate: batcher.Rate{PerSecond: math.Inf(1)}},
		"batcher: Rate.Burst (-7) must be at least 0":                                           {Rate: batcher.Rate{PerSecond: 1, Burst: -7}},
		"batcher: Rate.Burst (3) needs a Rate.PerSecond (0) above 0":                            {Rate: batcher.Rate{Burst: 3}},
		"batcher: Rate.Burst (1) at Rate.PerSecond (1e-12) takes over 70 years to refill":       {Rate: batcher.Rate{PerSecond: 1e-12}},
		"batcher: Rate.Burst (10000000000) at Rate.PerSecond (1) takes over 70 years to refill": {Rate: batcher.Rate{PerSecond: 1, Burst: 1e10}},
	} {
		b, err := batcher.New(cfg)
		if err == nil || err.Error() != want || b != nil {
			t.Errorf("New(%+v) = %v, %v; want error %q", cfg, b, err, want)
		}
	}
	for _, cfg := range []config{
		{},
		{MaxSlots: 3},
		{MinSlots: 3},
		{MinSlots: 3, MaxSlots: 3},
		{Rate: batcher.Rate{PerSecond: 1e12, Burst: 5}},
		{Rate: batcher.Rate{PerSecond: 1.0 / 86400}},
	} {
		if _, err := batcher.New(cfg); err != nil {
			t.Errorf("New(%+v): %v", cfg, err)
		}
	}
}

func TestReasonString(t *testing.T) {
	want := []string{"unknown", "free", "messages", "bytes", "key", "linger", "flush", "drain", "unknown"}
	for i, want := range want {
		if got := batcher.Reason(i).String(); got != want {
			t.Errorf("Reason(%d) = %q, want %q", i, got, want)
		}
	}
}
