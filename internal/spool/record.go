package spool

import (
	"encoding/binary"
	"hash/crc32"
	"sync/atomic"
	"unsafe"

	"github.com/mqdaemon/mqd/internal/envelope"
)

// A record is what one kernel message becomes. It lies in the slab exactly as it
// will lie in the log: a header of 96 bytes whose last word is the mtype that
// msgrcv(2) writes, the payload, and zeros up to the next multiple of 8.
//
//	    0       4       8      12  13  14  15  16      20      24
//	    +-------+-------+-------+---+---+---+---+-------+-------+
//	 0  | hcrc  | pcrc  |  len  |sta|flg|dor|frm| count | uid   |
//	    +-------+-------+-------+---+---+---+---+-------+-------+
//	24  | index | p a ext       |  generation   |      seq      |
//	    +-------+---------------+---------------+---------------+
//	48  |    synced_upto        |     time      |  not_before   |
//	    +-----------------------+---------------+---------------+
//	72  |    expires_at         |   key_hash    |     mtype     |
//	    +-----------------------+---------------+---------------+
//	96  | payload ... zeros to a multiple of 8                  |
//
// In a record of several messages, priority, not_before, expires_at and key_hash
// are those of the first; the envelope has the others'.
//
// All integers are little-endian but for mtype, which the kernel writes as a
// native long; the supported machines are little-endian, too.
const (
	offHeaderCRC = 0  // u32 CRC-32C over the header from byte 4, seeded with the spool's uuid
	offBodyCRC   = 4  // u32 CRC-32C over payload and padding
	offCommit    = 8  // u64 len, state, flags, door, frame: stored at once, so a kill never tears it
	offCount     = 16 // u32 messages in this record: an envelope carries many
	offUID       = 20 // u32 the sender's uid, or noUID: a System V queue does not tell
	offIndex     = 24 // u32 number of this record's first message within its slab
	offPriority  = 28 // u8  0 to 9
	offAttempts  = 29 // u8  tries so far when the record was written
	offExt       = 30 // u16 bytes of extension behind the payload (drop file's name)
	offGen       = 32 // u64 the slab's generation; with index, the name of this record for ever
	offSeq       = 40 // u64 sequence number of the first message
	offSynced    = 48 // u64 highest sequence number known to be on disk when this was written
	offTime      = 56 // i64 when it was taken, unix ns
	offNotBefore = 64 // i64 unix ns, 0: at once
	offExpires   = 72 // i64 unix ns, 0: never
	offKeyHash   = 80 // u64 0: no key
	offMType     = 88 // i64 written by the kernel
	headerSize   = 96

	align = 8
)

// States of a record. Zero is what memory never written holds.
const (
	stateLanded = 1 // the length is noted
	stateSealed = 2 // the whole header is valid, with both checksums
)

// Flags of a record.
const (
	flagUncertain = 1 << iota // the length was guessed after a kill
	flagKeyed                 // a message of this record has a key
)

// Doors a record came through.
const (
	doorQueue = 1
)

const (
	noUID           = ^uint32(0)
	defaultPriority = 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is the memory of one record, from its header to the end of the slab.
type record []byte

// commit is the word at offCommit, in parts.
type commit struct {
	length uint32
	state  uint8
	flags  uint8
	door   uint8
	frame  envelope.Kind
}

func (r record) u32(off int) uint32       { return binary.LittleEndian.Uint32(r[off:]) }
func (r record) u64(off int) uint64       { return binary.LittleEndian.Uint64(r[off:]) }
func (r record) putU32(off int, v uint32) { binary.LittleEndian.PutUint32(r[off:], v) }
func (r record) putU64(off int, v uint64) { binary.LittleEndian.PutUint64(r[off:], v) }

// word gives the address of an aligned word of the slab's shared memory.
func (r record) word(off int) *uint64 { return (*uint64)(unsafe.Pointer(&r[off])) }

func (r record) commit() commit {
	w := atomic.LoadUint64(r.word(offCommit))
	return commit{uint32(w), uint8(w >> 32), uint8(w >> 40), uint8(w >> 48), envelope.Kind(w >> 56)}
}

// word is the commit as it is stored.
func (c commit) word() uint64 {
	return uint64(c.length) | uint64(c.state)<<32 | uint64(c.flags)<<40 | uint64(c.door)<<48 | uint64(c.frame)<<56
}

func (r record) setCommit(c commit) { atomic.StoreUint64(r.word(offCommit), c.word()) }

// untouched reports whether nobody stored a commit: it is the slab's canary yet.
func (r record) untouched(canary byte) bool {
	return tail(r[offCommit:offCommit+8], canary) == 0
}

func (r record) mtype() int64     { return int64(binary.NativeEndian.Uint64(r[offMType:])) }
func (r record) setMType(t int64) { binary.NativeEndian.PutUint64(r[offMType:], uint64(t)) }

// recordSize gives the bytes that a record with a payload of n bytes takes.
func recordSize(n int) int { return (headerSize + n + align - 1) &^ (align - 1) }

func (r record) payload(n uint32) []byte { return r[headerSize : headerSize+n : headerSize+n] }

// valid reports whether a sealed record's checksums hold. The length is inside
// the header's checksum, so it is proved before it is used.
func (r record) valid(seed uint32) (header, body bool) {
	size := recordSize(int(r.commit().length))
	if size > len(r) || crc32.Update(seed, castagnoli, r[4:headerSize]) != r.u32(offHeaderCRC) {
		return false, false
	}
	return true, crc32.Update(0, castagnoli, r[headerSize:size]) == r.u32(offBodyCRC)
}

// posixUnwritten is what the mtype word of a POSIX record holds before
// mq_timedreceive(2), which writes the 32-bit priority over its low half.
const posixUnwritten = int64(-1)

// posixPrioMax is MQ_PRIO_MAX of Linux, see mq_overview(7).
const posixPrioMax = 32768

// kernelWrote reports whether the kernel has written a message behind this
// word. Untouched memory holds 0 (System V), -1 (POSIX) or the canary, and the
// canary's bytes have the top bit set, so it is negative and its low half is
// no priority.
func kernelWrote(mtype int64) bool {
	return mtype > 0 || (mtype>>32 == -1 && uint32(mtype) < posixPrioMax)
}
