package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/mqdaemon/mqd/internal/envelope"
)

// Sizes of the landing.
const (
	// SlabSize is the least size of a slab: an idle route keeps one.
	SlabSize = 256 << 10
	// LandingSize bounds a landing. A landing whose msgmax needs slabs of more
	// than half of it keeps two slabs.
	LandingSize = 4 << 20
)

// ErrFull is returned by [Landing.Room] when every slab holds messages that are
// not settled. Wait for [Landing.Freed], then ask again.
var ErrFull = errors.New("landing is full")

// errNotLocked is why a landing does not grow on a host that swaps.
var errNotLocked = errors.New("memory cannot be locked (RLIMIT_MEMLOCK, see ulimit -l)")

// Config says where a landing lies and whose it is.
type Config struct {
	Route  string
	Dir    string          // directory of the slabs, on tmpfs; made with mode 0700
	State  string          // directory on disk, of what makes this spool itself; made with mode 0700
	Accept envelope.Accept // the frames that are unwrapped
	MsgMax int             // largest message in bytes, msgmax or mq_msgsize
	Size   int             // bound in bytes; 0: LandingSize
	// MustLock says that memory that is not locked may be swapped out: the
	// landing then grows only by slabs that are locked.
	MustLock bool
	Log      *slog.Logger

	keep func(path string, data []byte) error // writes a copy; tests make it fail
}

// Landing is one route's slabs. [Landing.Room], [Landing.Commit] and
// [Landing.Take] belong to one goroutine, the intake; everything else may be
// called from anywhere.
type Landing struct {
	cfg    Config
	start  Start
	seed   uint32
	canary byte
	freed  chan struct{}
	dir    *os.File // locked while the landing is open

	// Of the intake.
	cur   *slab
	from  mark // where the messages begin that Take has not handed over
	room  int  // msgmax, as it was when the slab was opened
	ready []Span

	header [headerSize]byte // of seal; here, so that sealing allocates nothing

	mu       sync.Mutex // guards what follows and the lower part of each slab
	live     []*slab    // in order of generation; the last is cur, if that is open
	free     []*slab
	files    int // slab files made, live and free
	gen      uint64
	seq      uint64 // of the next message
	landed   int64
	pending  int64
	unlocked int
	stuck    bool // the last try to grow failed, and the log says so
}

// mark is a place in the current slab.
type mark struct {
	off, index uint32
	bytes      int
	keyed      bool
}

// Room gives the memory for the next kernel message: 8 bytes for its mtype, then
// the room for its payload, which is never less than the msgmax of the time the
// slab was opened. It returns [ErrFull] when no slab is free.
func (l *Landing) Room() ([]byte, error) {
	if l.cur == nil || len(l.cur.mem)-l.cur.end < recordSize(l.room) {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	r := record(l.cur.mem[l.cur.end:])
	r.setMType(0)
	return r[offMType:], nil
}

// next leaves the current slab and opens another.
func (l *Landing) next() error {
	l.hand()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leave()
	size := slabSize(l.room)
	s, err := l.take(size)
	if err != nil {
		return err
	}
	l.gen++
	s.open(l.start.UUID, l.gen, l.start.Epoch, l.seq, l.canary)
	l.live = append(l.live, s)
	l.cur, l.from = s, mark{off: slabPage}
	return nil
}

// leave closes the current slab. The caller holds mu.
func (l *Landing) leave() {
	if l.cur == nil {
		return
	}
	l.cur.closed = true
	if l.cur.settled == l.cur.published {
		l.retire(l.cur)
	}
	l.cur = nil
}

// take finds a free slab of at least size bytes or makes one. The caller holds mu.
func (l *Landing) take(size int) (*slab, error) {
	// The slab freed last is still in the processor's cache.
	for i, s := range slices.Backward(l.free) {
		if len(s.mem) >= size {
			l.free = slices.Delete(l.free, i, i+1)
			return s, nil
		}
	}
	// Free slabs that are too small make way: msgmax was raised.
	for _, s := range l.free {
		l.drop(s)
	}
	l.free = l.free[:0]
	if l.files >= max(2, l.cfg.Size/size) {
		return nil, ErrFull
	}
	for n := 0; ; n++ {
		path := filepath.Join(l.cfg.Dir, fmt.Sprintf("%03d.slab", n))
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		s, err := mapSlab(path, size)
		if err == nil && !s.locked && l.cfg.MustLock && len(l.live) > 0 {
			err = errors.Join(errNotLocked, s.unmap())
		}
		if err != nil {
			_ = os.Remove(path) // without its pages it must not be taken for a slab; err says what is wrong
			if len(l.live) > 0 {
				if !l.stuck {
					l.cfg.Log.Warn("landing cannot grow", "slabs", len(l.live), "error", err)
				}
				l.stuck = true
				return nil, ErrFull
			}
			return nil, fmt.Errorf("open landing of route %s: %w", l.cfg.Route, err)
		}
		l.adopt(s)
		l.stuck = false
		return s, nil
	}
}

// adopt counts a slab that has been mapped. The caller holds mu.
func (l *Landing) adopt(s *slab) {
	l.files++
	if !s.locked {
		l.unlocked++
	}
}

// drop gives a free slab's memory back. The caller holds mu.
func (l *Landing) drop(s *slab) {
	l.files--
	if !s.locked {
		l.unlocked--
	}
	if err := errors.Join(os.Remove(s.path), s.unmap()); err != nil {
		l.cfg.Log.Warn("landing: slab not given back", "error", err)
	}
}

// retire moves a slab whose messages are all settled to the free ones. The
// caller holds mu.
func (l *Landing) retire(s *slab) {
	for i, o := range l.live {
		if o == s {
			l.live = append(l.live[:i], l.live[i+1:]...)
			break
		}
	}
	s.release()
	l.free = append(l.free, s)
	select {
	case l.freed <- struct{}{}:
	default:
	}
}

// Commit notes that the kernel wrote a message of n bytes into the memory that
// Room gave, taken at now (unix ns), and seals it. The first store is the
// length: a kill before it costs at most the exact length of a foreign payload.
func (l *Landing) Commit(n int, now int64) {
	s := l.cur
	r := record(s.mem[s.end:])
	r.setCommit(commit{length: uint32(n), state: stateLanded, door: doorQueue})
	l.seal(s, r, uint32(n), now, 0)
}

// seal fills in the header of the record at the end of s.
func (l *Landing) seal(s *slab, r record, n uint32, now int64, flags uint8) {
	var first envelope.Message
	frame, count, bodies, keyed := envelope.Scan(r.payload(n), l.cfg.Accept, &first)
	size := recordSize(int(n))
	clear(r[headerSize+n : size])
	if keyed {
		flags |= flagKeyed
	}
	priority := uint32(defaultPriority)
	if first.Priority >= 0 {
		priority = uint32(first.Priority)
	}
	c := commit{n, stateSealed, flags, doorQueue, frame}
	h := record(l.header[:])
	h.putU32(offBodyCRC, crc32.Update(0, castagnoli, r[headerSize:size]))
	h.putU64(offCommit, c.word())
	h.putU32(offCount, uint32(count))
	h.putU32(offUID, noUID)
	h.putU32(offIndex, s.used)
	h.putU32(offPriority, priority) // no attempts, no extension
	h.putU64(offGen, s.gen)
	h.putU64(offSeq, s.base+uint64(s.used))
	h.putU64(offSynced, 0)
	h.putU64(offTime, uint64(now))
	h.putU64(offNotBefore, uint64(after(now, first.Delay)))
	h.putU64(offExpires, uint64(after(now, first.TTL)))
	h.putU64(offKeyHash, hashKey(first.Key))
	h.setMType(r.mtype())
	h.putU32(offHeaderCRC, crc32.Update(l.seed, castagnoli, h[offBodyCRC:]))
	// All but the commit goes first: a kill in between leaves a record whose length
	// is noted, and not one that claims to be whole and is not.
	r.putU64(offHeaderCRC, h.u64(offHeaderCRC)) // both checksums
	copy(r[offCount:offMType], h[offCount:offMType])
	r.setCommit(c)

	s.end += size
	s.used += uint32(count)
	l.from.bytes += bodies
	l.from.keyed = l.from.keyed || keyed
}

// after is now + d, or 0 if there is no d. A sender may ask for more time than
// there is: that is the end of time, not a moment long past.
func after(now, d int64) int64 {
	switch {
	case d <= 0:
		return 0
	case d > math.MaxInt64-now:
		return math.MaxInt64
	}
	return now + d
}

// hand turns what was committed since the last time into a span.
func (l *Landing) hand() {
	if l.cur == nil || l.cur.used == l.from.index {
		return
	}
	span := Span{
		slab: l.cur, off: l.from.off, first: l.from.index,
		n: int(l.cur.used - l.from.index), size: l.from.bytes, keyed: l.from.keyed,
	}
	l.ready = append(l.ready, span)
	l.from = mark{off: uint32(l.cur.end), index: l.cur.used}
	l.mu.Lock()
	l.account(span)
	l.mu.Unlock()
}

// account counts a span that others may read from now on. The caller holds mu.
func (l *Landing) account(s Span) {
	s.slab.published += uint32(s.n)
	l.landed += int64(s.n)
	l.pending += int64(s.n)
	l.seq = max(l.seq, s.slab.base+uint64(s.slab.published))
}

// Take gives the messages committed since the last call, in order; at first
// those that a former daemon left. The slice is valid until the next call of
// Room or Take.
func (l *Landing) Take() []Span {
	l.hand()
	spans := l.ready
	l.ready = l.ready[:0]
	return spans
}

// SetMsgMax says that messages may have up to n bytes from now on. The next slab
// will hold them, and if n does not fit what is offered now that is the next Room.
func (l *Landing) SetMsgMax(n int) { l.room = max(n, l.room) }

// Freed receives a value after a slab became free.
func (l *Landing) Freed() <-chan struct{} { return l.freed }

// Settle notes that the messages of spans need nothing more. A kill after it
// sends none of them again.
func (l *Landing) Settle(spans []Span) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range spans {
		done, err := s.slab.settle(s.first, s.first+uint32(s.n))
		if err != nil {
			return fmt.Errorf("settle %d messages of route %s: %w", s.n, l.cfg.Route, err)
		}
		l.pending -= int64(s.n)
		if done {
			l.retire(s.slab)
		}
	}
	return nil
}

// Spare reports whether there is memory that Trim would give back.
func (l *Landing) Spare() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.free) > l.keep()
}

// Trim gives back the memory of free slabs, but for what keeps one slab.
func (l *Landing) Trim() {
	l.mu.Lock()
	defer l.mu.Unlock()
	keep := min(l.keep(), len(l.free))
	for _, s := range l.free[keep:] {
		l.drop(s)
	}
	l.free = l.free[:keep]
}

// keep is how many free slabs an idle landing keeps. The caller holds mu.
func (l *Landing) keep() int {
	if len(l.live) == 0 {
		return 1
	}
	return 0
}

// Close unmaps the slabs. What is not settled stays in their files. No span may
// be used afterwards.
func (l *Landing) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, s := range l.free {
		errs = append(errs, os.Remove(s.path), s.unmap())
	}
	for _, s := range l.live {
		if s.settled == s.used {
			errs = append(errs, os.Remove(s.path))
		}
		errs = append(errs, s.unmap())
	}
	l.free, l.live, l.cur = nil, nil, nil
	_ = os.Remove(l.cfg.Dir) // if nothing is left in it
	return errors.Join(append(errs, l.dir.Close())...)
}

// slabSize is the size of a slab that can hold a message of msgmax bytes.
func slabSize(msgmax int) int {
	return max(SlabSize, (slabPage+recordSize(msgmax)+slabPage-1)&^(slabPage-1))
}

// canaries are bytes that never occur in UTF-8 text (RFC 3629).
var canaries = [...]byte{0xC0, 0xC1, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA, 0xFB, 0xFC, 0xFD}

func newCanary() byte { return canaries[rand.IntN(len(canaries))] }

// seedOf makes the checksums of two spools differ.
func seedOf(id UUID) uint32 { return binary.LittleEndian.Uint32(id[:]) }
