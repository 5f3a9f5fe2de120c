package batcher

// Armed reports whether the timer runs.
func (b *Batcher[S]) Armed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.armed != never
}

// Workers is the number of goroutines that slots hold, busy or parked.
func (b *Batcher[S]) Workers() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.workers
}

// KeysInFlight is the number of key hashes that are held.
func (b *Batcher[S]) KeysInFlight() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.keys.owner)
}
