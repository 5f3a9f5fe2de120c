package batcher

import "time"

// pending is the queue of spans that are not in a batch yet: a ring that grows
// by doubling and never shrinks, so that the steady state allocates nothing.
type pending[S any] struct {
	ring  []entry[S] // the length is 0 or a power of two
	first int        // index of the oldest
	n     int        // spans in the ring
}

type entry[S any] struct {
	span  S
	added time.Duration // on the Batcher's clock; 0 if nothing asks for it
}

func (p *pending[S]) push(span S, added time.Duration) {
	if p.n == len(p.ring) {
		p.grow()
	}
	p.ring[(p.first+p.n)&(len(p.ring)-1)] = entry[S]{span, added}
	p.n++
}

// oldest returns the entry at the front. There must be one.
func (p *pending[S]) oldest() *entry[S] { return &p.ring[p.first] }

// pop removes the oldest entry and forgets what its span points to.
func (p *pending[S]) pop() {
	p.ring[p.first] = entry[S]{}
	p.first = (p.first + 1) & (len(p.ring) - 1)
	p.n--
}

func (p *pending[S]) grow() {
	ring := make([]entry[S], max(16, 2*len(p.ring)))
	k := copy(ring, p.ring[p.first:])
	copy(ring[k:], p.ring[:p.first])
	p.ring, p.first = ring, 0
}
