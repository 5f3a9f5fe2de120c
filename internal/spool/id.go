package spool

import (
	"encoding/hex"
	"fmt"
)

// UUID names a spool.
type UUID [16]byte

// String gives the usual form, RFC 9562.
func (u UUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// MarshalText gives the form that String gives.
func (u UUID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText reads the form that String gives.
func (u *UUID) UnmarshalText(text []byte) error {
	var digits [32]byte
	n := 0
	for i, c := range text {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return fmt.Errorf("uuid %q: no dash at %d", text, i)
			}
		case n == len(digits):
			return fmt.Errorf("uuid %q: too long", text)
		default:
			digits[n] = c
			n++
		}
	}
	if n != len(digits) {
		return fmt.Errorf("uuid %q: too short", text)
	}
	if _, err := hex.Decode(u[:], digits[:]); err != nil {
		return fmt.Errorf("uuid %q: %w", text, err)
	}
	return nil
}

// Bits of the parts of a message's id.
const (
	epochBits = 34
	seqBits   = 40
)

// messageID is the id of a message that its sender gave none, high and low half.
// It has the layout of a UUIDv7 (RFC 9562): 48 bits of Unix milliseconds when it
// was taken, then 40 bits of sequence number, so that ids sort by age, then 34
// bits of the epoch. An epoch is drawn at every start and is on disk before its first use:
// the same number is never given twice, whatever was lost.
func messageID(taken int64, epoch, seq uint64) [2]uint64 {
	ms := uint64(taken / 1e6)
	seq &= 1<<seqBits - 1
	// The 74 bits behind the time: rand_a has the 12 highest of the sequence,
	// rand_b its 28 lowest and the epoch.
	a := seq >> 28
	b := (seq&(1<<28-1))<<epochBits | epoch&(1<<epochBits-1)
	return [2]uint64{ms<<16 | 7<<12 | a, 2<<62 | b}
}
