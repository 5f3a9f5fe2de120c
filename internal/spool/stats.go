package spool

// Stats is a snapshot of a landing.
type Stats struct {
	Landed  int64 // messages taken since start, and found at start
	Pending int64 // messages not settled
	Oldest  int64 // when the oldest of them was taken, unix ns; 0: none
	Slabs   int
	Locked  bool // all slabs are locked in memory
}

// Stats takes a snapshot. It walks the oldest slab's headers.
func (l *Landing) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := Stats{Landed: l.landed, Pending: l.pending, Slabs: l.files, Locked: l.unlocked == 0}
	for _, s := range l.live {
		if s.settled < s.published {
			st.Oldest = s.oldest()
			break
		}
	}
	return st
}
