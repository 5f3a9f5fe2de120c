package batcher

// keys knows which key hashes are in flight, and by which batch. A hash belongs
// to one batch at a time, so an owner is enough and no count is needed. The map
// is bounded by the messages in flight.
type keys[S any] struct {
	of    func(span S, yield func(hash uint64) bool)
	owner map[uint64]uint64 // key hash to number of the batch

	// One walk at a time, under the Batcher's lock. visit is the method value
	// of next, made once, because making one allocates.
	visit   func(hash uint64) bool
	batch   uint64   // number of the batch that is being filled
	held    []uint64 // the hashes it holds, each once
	passed  int      // messages of this span that may go
	blocked bool     // the one after them may not
}

func (k *keys[S]) init(of func(span S, yield func(hash uint64) bool)) {
	k.of, k.owner, k.visit = of, make(map[uint64]uint64), k.next
}

// claim gives the keys of span to the batch being filled, up to the first one
// that another batch holds. It returns the number of messages before that one;
// ok means there is none.
func (k *keys[S]) claim(span S) (passed int, ok bool) {
	k.passed, k.blocked = 0, false
	k.of(span, k.visit)
	return k.passed, !k.blocked
}

func (k *keys[S]) next(hash uint64) bool {
	if k.blocked {
		return false // of did not stop when told to
	}
	if hash != 0 {
		owner, inFlight := k.owner[hash]
		if inFlight && owner != k.batch {
			k.blocked = true
			return false
		}
		if !inFlight {
			k.owner[hash] = k.batch
			k.held = append(k.held, hash)
		}
	}
	k.passed++
	return true
}

func (k *keys[S]) release(held []uint64) {
	for _, hash := range held {
		delete(k.owner, hash)
	}
}
