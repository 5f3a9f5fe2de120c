package batcher

// slots is the limit of batches in flight: additive increase, multiplicative
// decrease, at most one change of each kind per round trip. Without that bound
// every batch of a full window would raise the limit and double it, and one
// refusal that meets a full window would take it down to the least.
type slots struct {
	limit, least, most int

	number  uint64 // of the last batch started; the first is 1
	changed uint64 // number at the last change
	halved  uint64 // number at the last decrease
}

// settled takes the outcome of a batch into account. starved means that all
// slots were taken when it ended and another batch could have been started:
// without that, a higher limit would not have been tested.
func (s *slots) settled(batch uint64, outcome Outcome, starved bool) {
	switch {
	case outcome == PushedBack && batch > s.halved:
		s.limit = max(s.limit/2, s.least)
		s.halved, s.changed = s.number, s.number
	case outcome == Done && starved && batch > s.changed && s.limit < s.most:
		s.limit++
		s.changed = s.number
	}
}
