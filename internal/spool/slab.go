package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A slab is a file on tmpfs, mapped shared, pre-faulted and, where allowed,
// locked: the kernel copies messages into it, so what lies there outlives the
// daemon. Its first page is the slab's own:
//
//	  0  magic "mqdslab1"
//	  8  u32 version, u32 CRC-32C over bytes 0-11, 16-79
//	 16  16 bytes spool uuid
//	 32  u64 generation (0: the slab is free)
//	 40  u64 epoch
//	 48  u64 sequence number of its first message
//	 56  u64 log segment, u64 log offset when it was opened (0, 0: there is no log)
//	 72  u8 canary, 7 zero bytes
//	256  settled messages, as up to 480 pairs u32 from, u32 to (to excluded)
//	4096 records
//
// A pair is one aligned word and is stored at once. Pairs are only ever widened
// or, once a wider one covers them, cleared: whatever instruction a kill hits,
// every message is noted as settled or will be sent again.
const (
	slabMagic   = "mqdslab1"
	slabVersion = 1

	offSlabVersion = 8
	offSlabCRC     = 12
	offSlabUUID    = 16
	offSlabGen     = 32
	offSlabEpoch   = 40
	offSlabSeq     = 48
	offSlabSegment = 56
	offSlabLogOff  = 64
	offSlabCanary  = 72
	slabFields     = 80
	offSettled     = 256
	slabPage       = 4096
	maxPairs       = (slabPage - offSettled) / 8
)

// slab is one mapped slab. The intake owns end, used and the memory behind them
// while the slab is the current one; the landing's lock guards the rest.
type slab struct {
	mem    []byte
	path   string
	locked bool

	gen, epoch, base uint64
	canary           byte

	end  int    // offset behind the last record
	used uint32 // messages landed

	published uint32 // messages handed over, so that others may read them
	settled   uint32
	pairs     []pair // in ascending order; pairs[i].word is where it stands in the page
	closed    bool   // the intake has left it

	bad []pair // found by a scan: records whose payload is damaged
}

// pair is one run of settled messages and its word in the slab's page.
type pair struct {
	from, to uint32
	word     int
}

// mapSlab maps the file at path, made or grown to size. Size 0 takes the file
// as it is.
func mapSlab(path string, size int) (*slab, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer func() { _ = unix.Close(fd) }() // the mapping keeps the file
	if size == 0 {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return nil, &os.PathError{Op: "fstat", Path: path, Err: err}
		}
		if size = int(st.Size); size == 0 {
			return nil, fmt.Errorf("slab %s: %w", path, errEmpty)
		}
		if size < slabPage || size%slabPage != 0 {
			return nil, fmt.Errorf("slab %s: its size %d is no multiple of %d", path, size, slabPage)
		}
	} else if err := fallocate(fd, int64(size)); err != nil {
		// Without the pages reserved, a full tmpfs would be a SIGBUS, or an
		// EFAULT in msgrcv(2) that destroys the message.
		return nil, &os.PathError{Op: "fallocate", Path: path, Err: err}
	}
	mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, &os.PathError{Op: "mmap", Path: path, Err: err}
	}
	return &slab{mem: mem, path: path, locked: unix.Mlock(mem) == nil}, nil
}

// errEmpty is a slab's file that never had its pages.
var errEmpty = errors.New("empty file")

// fallocate reserves the pages of a file. It goes on after a signal.
func fallocate(fd int, size int64) error {
	for {
		if err := unix.Fallocate(fd, 0, 0, size); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (s *slab) unmap() error { return unix.Munmap(s.mem) }

func (s *slab) word(off int) *uint64 { return (*uint64)(unsafe.Pointer(&s.mem[off])) }

// open makes the slab the landing's current one. The generation is stored last:
// until then the slab counts as free.
func (s *slab) open(id UUID, gen, epoch, base uint64, canary byte) {
	atomic.StoreUint64(s.word(offSlabGen), 0)
	copy(s.mem, slabMagic) // with generation 0: free, and not a page that was lost
	for _, p := range s.pairs {
		atomic.StoreUint64(s.word(p.word), 0)
	}
	// Only what was written differs from the canary, if the canary is the same.
	dirty := s.mem[slabPage:]
	if s.canary == canary {
		dirty = s.mem[slabPage:min(s.end+headerSize, len(s.mem))]
	}
	fill(dirty, canary)

	h := s.mem[:slabFields]
	clear(h[len(slabMagic):offSlabGen])
	binary.LittleEndian.PutUint32(h[offSlabVersion:], slabVersion)
	copy(h[offSlabUUID:], id[:])
	binary.LittleEndian.PutUint64(h[offSlabEpoch:], epoch)
	binary.LittleEndian.PutUint64(h[offSlabSeq:], base)
	clear(h[offSlabSegment:])
	h[offSlabCanary] = canary
	binary.LittleEndian.PutUint32(h[offSlabCRC:], s.headerSum(gen))
	atomic.StoreUint64(s.word(offSlabGen), gen)

	s.gen, s.epoch, s.base, s.canary = gen, epoch, base, canary
	s.end, s.used, s.published, s.settled = slabPage, 0, 0, 0
	s.pairs, s.closed = s.pairs[:0], false
}

// release marks the slab free for a recovery that may come.
func (s *slab) release() { atomic.StoreUint64(s.word(offSlabGen), 0) }

// headerSum is the checksum of the header as it is with generation gen.
func (s *slab) headerSum(gen uint64) uint32 {
	var h [slabFields]byte
	copy(h[:], s.mem)
	clear(h[offSlabCRC:offSlabUUID])
	binary.LittleEndian.PutUint64(h[offSlabGen:], gen)
	return crc32.Checksum(h[:], castagnoli)
}

// settle notes messages from to to (excluded) as settled and reports whether
// none is left.
func (s *slab) settle(from, to uint32) (bool, error) {
	// i is the first pair that ends at or behind from.
	i := 0
	for i < len(s.pairs) && s.pairs[i].to < from {
		i++
	}
	switch {
	case i < len(s.pairs) && s.pairs[i].to == from:
		if j := i + 1; j < len(s.pairs) && s.pairs[j].from == to {
			// The first of the two takes both; the second is then without effect.
			s.store(i, s.pairs[i].from, s.pairs[j].to)
			atomic.StoreUint64(s.word(s.pairs[j].word), 0)
			s.pairs = append(s.pairs[:j], s.pairs[j+1:]...)
		} else {
			s.store(i, s.pairs[i].from, to)
		}
	case i < len(s.pairs) && s.pairs[i].from == to:
		s.store(i, from, s.pairs[i].to)
	default:
		word, err := s.freeWord()
		if err != nil {
			return false, err
		}
		s.pairs = append(s.pairs, pair{})
		copy(s.pairs[i+1:], s.pairs[i:])
		s.pairs[i].word = word
		s.store(i, from, to)
	}
	s.settled += to - from
	return s.settled == s.published && s.closed, nil
}

func (s *slab) store(i int, from, to uint32) {
	s.pairs[i].from, s.pairs[i].to = from, to
	atomic.StoreUint64(s.word(s.pairs[i].word), uint64(from)|uint64(to)<<32)
}

func (s *slab) freeWord() (int, error) {
	for off := offSettled; off < slabPage; off += 8 {
		if *s.word(off) == 0 {
			return off, nil
		}
	}
	return 0, fmt.Errorf("slab %s: more than %d runs of settled messages", s.path, maxPairs)
}

// fill sets all of b to c, by copies of what it has, up to a page that is in the cache.
func fill(b []byte, c byte) {
	if len(b) == 0 {
		return
	}
	b[0] = c
	for n := 1; n < len(b); {
		n += copy(b[n:], b[:min(n, slabPage)])
	}
}

// tail gives the length of b without the canary at its end.
func tail(b []byte, canary byte) int {
	n := len(b)
	for n > 0 && b[n-1] == canary {
		n--
	}
	return n
}
