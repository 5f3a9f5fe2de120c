package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/internal/envelope"
)

// Recovered tells what a start found.
type Recovered struct {
	Messages  int      // landed by a former daemon and not settled
	Uncertain int      // of these: records whose length was guessed
	Aside     []string // files that could not be used, where they are now
}

// ErrInUse is returned by [Open] when the landing is open already, here or in
// another process.
var ErrInUse = errors.New("landing is in use")

// Open opens the landing of a route, made if missing, and takes over what a
// former daemon left there: [Landing.Take] gives it first. It fails only if the
// directories cannot be used, or with [ErrInUse].
func Open(cfg Config) (*Landing, Recovered, error) {
	var rec Recovered
	if cfg.Size == 0 {
		cfg.Size = LandingSize
	}
	if cfg.keep == nil {
		cfg.keep = func(path string, data []byte) error { return os.WriteFile(path, data, 0o600) }
	}
	for _, dir := range []string{cfg.State, cfg.Dir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, rec, fmt.Errorf("open the spool of route %s: %w", cfg.Route, err)
		}
	}
	l := &Landing{cfg: cfg, canary: newCanary(), freed: make(chan struct{}, 1), room: cfg.MsgMax, seq: 1}
	var err error
	if l.dir, err = lockDir(cfg.Dir); err != nil {
		return nil, rec, err
	}
	start, err := readStart(cfg.State, cfg.Log)
	if err != nil {
		return nil, rec, errors.Join(err, l.abandon())
	}
	highest, err := l.recover(&start, &rec)
	if err != nil {
		return nil, rec, errors.Join(err, l.abandon())
	}
	if l.start, err = start.advance(cfg.State, highest); err != nil {
		return nil, rec, errors.Join(fmt.Errorf("open the spool of route %s: %w", cfg.Route, err), l.abandon())
	}
	l.gen, l.seed = l.start.Starts<<32, seedOf(l.start.UUID)
	if err := l.next(); err != nil && !errors.Is(err, ErrFull) {
		return nil, rec, errors.Join(err, l.abandon())
	}
	return l, rec, nil
}

// abandon ends a landing that could not be opened. What was found stays as it is,
// settled or not: it was not looked at to the end.
func (l *Landing) abandon() error {
	var errs []error
	for _, s := range append(l.live, l.free...) {
		errs = append(errs, s.unmap())
	}
	return errors.Join(append(errs, l.dir.Close())...)
}

// lockDir opens a directory and locks it: two landings on the same slabs would
// each take the other's for its own.
func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, ErrInUse), f.Close())
	} else if err != nil {
		return nil, errors.Join(&os.PathError{Op: "flock", Path: dir, Err: err}, f.Close())
	}
	return f, nil
}

// slabPaths lists the slabs in a directory.
func slabPaths(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".slab") {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

// recover maps the slabs that are there and lists what is not settled. It gives
// the highest generation seen.
func (l *Landing) recover(start *Start, rec *Recovered) (highest uint64, err error) {
	paths, err := slabPaths(l.cfg.Dir)
	if err != nil {
		return 0, err
	}
	for _, path := range paths {
		s, err := mapSlab(path, 0)
		if errors.Is(err, errEmpty) {
			err = os.Remove(path) // made, and killed before it had its pages
			if err == nil {
				continue
			}
		}
		if err != nil {
			l.cfg.Log.Error("slab cannot be used", "error", err)
			rec.Aside = append(rec.Aside, l.aside(path))
			continue
		}
		id, err := s.load()
		if err == nil && s.gen != 0 && start.damaged && start.UUID == (UUID{}) {
			start.UUID = id
		}
		switch {
		case err == nil && s.gen == 0:
			err = errors.Join(os.Remove(path), s.unmap())
		case err == nil && id == start.UUID:
			highest = max(highest, s.gen)
			l.live = append(l.live, s)
			l.adopt(s)
			continue
		case err == nil:
			err = fmt.Errorf("slab %s belongs to spool %s, not to %s", path, id, start.UUID)
			fallthrough
		default:
			rec.Aside = append(rec.Aside, l.aside(path))
			err = errors.Join(err, s.unmap())
		}
		if err != nil {
			l.cfg.Log.Error("slab cannot be used", "error", err)
		}
	}
	slices.SortFunc(l.live, func(a, b *slab) int { return int(min(max(int64(a.gen-b.gen), -1), 1)) })
	l.seed = seedOf(start.UUID)
	for _, s := range slices.Clone(l.live) {
		if err := l.scan(s, rec); err != nil {
			l.cfg.Log.Error("slab is damaged: what lies behind is kept in a copy", "error", err)
			// Without a copy nothing may be cleared, and no slab reused.
			if err := l.copyAside(s, rec); err != nil {
				return 0, err
			}
			fill(s.mem[s.end:], s.canary) // the copy has it; the next start shall not find it again
		}
		s.canary = 0 // a former daemon wrote behind end, too: open fills all of it
		if err := l.restore(s, rec); err != nil {
			return 0, err
		}
	}
	return highest, nil
}

// load reads the slab's page. A slab that is free has generation 0.
func (s *slab) load() (UUID, error) {
	var id UUID
	s.gen = *s.word(offSlabGen)
	if s.gen == 0 && (string(s.mem[:8]) == slabMagic || bytes.Count(s.mem, []byte{0}) == len(s.mem)) {
		return id, nil // released, or never used
	}
	if v := binary.LittleEndian.Uint32(s.mem[offSlabVersion:]); string(s.mem[:8]) != slabMagic || v != slabVersion {
		return id, fmt.Errorf("slab %s: magic %q, version %d: not %q, %d", s.path, s.mem[:8], v, slabMagic, slabVersion)
	}
	if sum := s.headerSum(s.gen); sum != binary.LittleEndian.Uint32(s.mem[offSlabCRC:]) {
		return id, fmt.Errorf("slab %s: checksum of its header is wrong", s.path)
	}
	copy(id[:], s.mem[offSlabUUID:])
	s.epoch = binary.LittleEndian.Uint64(s.mem[offSlabEpoch:])
	s.base = binary.LittleEndian.Uint64(s.mem[offSlabSeq:])
	s.canary = s.mem[offSlabCanary]
	s.end, s.closed = slabPage, true
	return id, nil
}

// scan walks the records of s up to the last one that the kernel wrote and
// seals those that a kill left open.
func (l *Landing) scan(s *slab, rec *Recovered) error {
	for s.end+headerSize <= len(s.mem) {
		r := record(s.mem[s.end:])
		c := r.commit()
		switch c.state {
		case stateSealed:
			if r.u64(offGen) != s.gen || r.u32(offIndex) != s.used {
				return fmt.Errorf("slab %s: the record at byte %d is not of this slab's generation and place", s.path, s.end)
			}
			header, body := r.valid(l.seed)
			if !header {
				return fmt.Errorf("slab %s: wrong checksum in the header of the record at byte %d", s.path, s.end)
			}
			if !body {
				// Its length holds, so it costs itself and not what lies behind.
				s.bad = append(s.bad, pair{from: s.used, to: s.used + r.u32(offCount)})
			}
			s.used += r.u32(offCount)
			s.end += recordSize(int(c.length))
		case stateLanded:
			if recordSize(int(c.length)) > len(r) {
				return fmt.Errorf("slab %s: the record at byte %d has %d bytes, with room for %d",
					s.path, s.end, c.length, len(r)-headerSize)
			}
			l.seal(s, r, c.length, time.Now().UnixNano(), c.flags)
		default:
			if !r.untouched(s.canary) {
				return fmt.Errorf("slab %s: state %d in the record at byte %d is none", s.path, c.state, s.end)
			}
			return l.salvage(s, r, rec)
		}
	}
	return nil
}

// salvage seals the last record of s if the kernel wrote it and the daemon was
// killed before it noted the length: at most one, since the next message is
// asked for behind it.
func (l *Landing) salvage(s *slab, r record, rec *Recovered) error {
	t := r.mtype()
	if !kernelWrote(t) {
		return nil
	}
	body := r[headerSize:]
	n, flags := tail(body, s.canary), uint8(flagUncertain)
	if size, ok := envelope.FrameLen(body); ok && size <= len(body) && n <= size {
		if kind, _ := envelope.Detect(body[:size], l.cfg.Accept); kind == envelope.Envelope {
			n, flags = size, 0
		}
	}
	if n == 0 {
		return nil // a doorbell
	}
	if t < 0 {
		r.setMType(1 + int64(uint32(t)))
	}
	if flags != 0 {
		rec.Uncertain++
	}
	// A payload that filled the slab to its last bytes leaves no room for the padding.
	n = min(n, (len(body))&^(align-1))
	r.setCommit(commit{length: uint32(n), state: stateLanded, flags: flags, door: doorQueue})
	l.seal(s, r, uint32(n), time.Now().UnixNano(), flags)
	return nil
}

// restore hands over the messages of s that are not settled.
func (l *Landing) restore(s *slab, rec *Recovered) error {
	for off := offSettled; off < slabPage; off += 8 {
		switch w := *s.word(off); {
		case w == 0:
		case uint32(w>>32) > s.used:
			// More than there is: what it was meant for is sent again.
			l.cfg.Log.Error("a note of settled messages is damaged", "slab", s.path, "byte", off)
			*s.word(off) = 0
		default:
			s.pairs = append(s.pairs, pair{uint32(w), uint32(w >> 32), off})
		}
	}
	s.normalise()
	if err := l.quarantine(s, rec); err != nil {
		return err
	}
	all := Span{slab: s, off: slabPage, n: int(s.used), keyed: true}
	var r Reader
	next := uint32(0)
	for i := 0; i <= len(s.pairs); i++ {
		from, to := s.used, s.used
		if i < len(s.pairs) {
			from, to = s.pairs[i].from, s.pairs[i].to
		}
		if next < from {
			span := all
			span.off, span.skip = all.place(int(next))
			span.first, span.n = next, int(from-next)
			for r.Reset(span); r.step(); {
				span.size += len(r.msg.Body)
			}
			l.ready = append(l.ready, span)
			rec.Messages += span.n
			l.landed += int64(span.n)
			l.pending += int64(span.n)
		}
		next = to
	}
	s.published = s.used
	l.seq = max(l.seq, s.base+uint64(s.used))
	if s.settled >= s.used {
		l.retire(s)
	}
	return nil
}

// quarantine keeps a copy of a slab in which a scan found damaged records, and
// counts those as settled. The next start finds them so.
func (l *Landing) quarantine(s *slab, rec *Recovered) error {
	news := slices.DeleteFunc(s.bad, func(p pair) bool { return s.isSettled(p.from) })
	s.bad = nil
	if len(news) == 0 {
		return nil
	}
	l.cfg.Log.Error("records with a wrong checksum are kept in a copy and not delivered", "slab", s.path, "records", len(news))
	if err := l.copyAside(s, rec); err != nil {
		return err
	}
	for _, p := range news {
		if _, err := s.settle(p.from, p.to); err != nil {
			return err
		}
	}
	return nil
}

// isSettled reports whether message i is in one of the pairs.
func (s *slab) isSettled(i uint32) bool {
	return slices.ContainsFunc(s.pairs, func(p pair) bool { return p.from <= i && i < p.to })
}

// normalise sorts the pairs read from the page and clears those that a wider
// one covers: a kill may have come between the two stores.
func (s *slab) normalise() {
	slices.SortFunc(s.pairs, func(a, b pair) int { return int(a.from) - int(b.from) })
	kept := s.pairs[:0]
	s.settled = 0
	for _, p := range s.pairs {
		if len(kept) > 0 {
			p.from = max(p.from, kept[len(kept)-1].to)
		}
		if p.from >= p.to {
			*s.word(p.word) = 0
			continue
		}
		kept = append(kept, p)
		s.settled += p.to - p.from
	}
	s.pairs = kept
}

// oldest is the time at which the first message that is not settled was taken.
// The caller holds the landing's lock.
func (s *slab) oldest() int64 {
	first := uint32(0)
	if len(s.pairs) > 0 && s.pairs[0].from == 0 {
		first = s.pairs[0].to
	}
	all := Span{slab: s, off: slabPage, n: int(s.published)}
	off, _ := all.place(int(first))
	return int64(record(s.mem[off:]).u64(offTime))
}

// aside moves a file of the landing where no start looks for it.
func (l *Landing) aside(path string) string {
	to := strings.TrimSuffix(path, ".slab") + "." + time.Now().UTC().Format("20060102T150405.000000000") + ".aside"
	if err := os.Rename(path, to); err != nil {
		l.cfg.Log.Error("slab not put aside", "error", err)
		return path
	}
	return to
}

// copyAside writes a copy of a damaged slab beside it.
func (l *Landing) copyAside(s *slab, rec *Recovered) error {
	to := strings.TrimSuffix(s.path, ".slab") + "." + time.Now().UTC().Format("20060102T150405.000000000") + ".aside"
	if err := l.cfg.keep(to, s.mem); err != nil {
		_ = os.Remove(to) // half a copy is none
		return fmt.Errorf("keep a copy of the damaged slab %s: %w", s.path, err)
	}
	rec.Aside = append(rec.Aside, to)
	return nil
}
