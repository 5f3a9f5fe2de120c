package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The kernel wrote the message, and the kill came before its length was noted.
func TestLengthNotNoted(t *testing.T) {
	frame := pack("x", "y")
	for _, tt := range []struct {
		name      string
		body      []byte
		want      []string
		uncertain int
	}{
		{"text", []byte("héllo"), []string{"héllo"}, 1},
		{"ends in NUL", []byte("a\x00\x00"), []string{"a\x00\x00"}, 1},
		{"zeros", make([]byte, 300), []string{string(make([]byte, 300))}, 1},
		{"ends in 0xFF", []byte("a\xff"), []string{"a\xff"}, 1},
		{"largest", bytes.Repeat([]byte("z"), 8192), []string{string(bytes.Repeat([]byte("z"), 8192))}, 1},
		{"frame", frame, []string{"x", "y"}, 0},
		{"doorbell", nil, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig(t)
			l, _ := open(t, cfg)
			land(t, l, 1, []byte("before"))
			room, err := l.Room()
			if err != nil {
				t.Fatal(err)
			}
			write(room, 5, tt.body)
			drop(l)
			l, rec := open(t, cfg)
			defer l.Close()
			var got []string
			for _, m := range read(l.Take()) {
				got = append(got, m.body)
			}
			if want := append([]string{"before"}, tt.want...); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("found %q, want %q", got, want)
			}
			if rec.Uncertain != tt.uncertain {
				t.Errorf("uncertain %d, want %d", rec.Uncertain, tt.uncertain)
			}
		})
	}
}

// A payload that ends in the canary is what cannot be told: it is shortened,
// delivered and counted.
func TestLengthGuessIsCounted(t *testing.T) {
	cfg := testConfig(t)
	l, _ := open(t, cfg)
	room, err := l.Room()
	if err != nil {
		t.Fatal(err)
	}
	write(room, 1, []byte{'a', l.canary, l.canary})
	drop(l)
	l, rec := open(t, cfg)
	defer l.Close()
	if got := read(l.Take()); rec.Uncertain != 1 || len(got) != 1 || got[0].body != "a" {
		t.Errorf("found %+v, uncertain %d", got, rec.Uncertain)
	}
}

// mq_timedreceive(2) writes the priority over the low half of a word of ones.
func TestPOSIXLengthNotNoted(t *testing.T) {
	cfg := testConfig(t)
	l, _ := open(t, cfg)
	room, err := l.Room()
	if err != nil {
		t.Fatal(err)
	}
	write(room, posixUnwritten, nil)
	drop(l)
	l, rec := open(t, cfg)
	if rec.Messages != 0 {
		t.Fatalf("took memory that was not written for %d messages", rec.Messages)
	}
	if room, err = l.Room(); err != nil {
		t.Fatal(err)
	}
	write(room, posixUnwritten, []byte("body"))
	binary.NativeEndian.PutUint32(room, 0)
	drop(l)
	l, _ = open(t, cfg)
	defer l.Close()
	if got := read(l.Take()); len(got) != 1 || got[0].body != "body" || got[0].mtype != 1 {
		t.Errorf("found %+v", got)
	}
}

func TestLandingOfAnotherSpoolIsSetAside(t *testing.T) {
	cfg := testConfig(t)
	l, _ := open(t, cfg)
	land(t, l, 1, []byte("theirs"))
	l.Take()
	drop(l)
	cfg.State = t.TempDir()
	l, rec := open(t, cfg)
	defer l.Close()
	if rec.Messages != 0 || len(rec.Aside) != 1 {
		t.Fatalf("recovered %+v", rec)
	}
	if _, err := os.Stat(rec.Aside[0]); err != nil {
		t.Error(err)
	}
}

// A damaged state file is put aside and the landing is taken over all the same.
func TestDamagedStateFile(t *testing.T) {
	cfg := testConfig(t)
	l, _ := open(t, cfg)
	land(t, l, 1, []byte("mine"))
	l.Take()
	drop(l)
	if err := os.WriteFile(filepath.Join(cfg.State, startFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, rec := open(t, cfg)
	defer l.Close()
	if got := read(l.Take()); rec.Messages != 1 || got[0].body != "mine" {
		t.Fatalf("recovered %+v", rec)
	}
}

// A flipped bit in a payload costs that record; one in a header, what lies behind.
// The memory as it was found is kept, once.
func TestDamagedRecords(t *testing.T) {
	for _, tt := range []struct {
		name string
		at   int // behind the start of the second record
		want []string
	}{
		{"payload", headerSize, []string{"good", "behind"}},
		{"header", offSeq, []string{"good"}},
		{"length", offCommit, []string{"good"}},
		{"state", offCommit + 4, []string{"good"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig(t)
			l, _ := open(t, cfg)
			land(t, l, 1, []byte("good"))
			off := l.cur.end
			land(t, l, 1, []byte("bad"))
			land(t, l, 1, []byte("behind"))
			l.Take()
			l.cur.mem[off+tt.at] ^= 1
			drop(l)
			for start, copies := range []int{1, 0} {
				l, rec := open(t, cfg)
				var got []string
				for _, m := range read(l.Take()) {
					got = append(got, m.body)
				}
				if fmt.Sprint(got) != fmt.Sprint(tt.want) || len(rec.Aside) != copies {
					t.Errorf("start %d: recovered %q, want %q, %d copies", start, got, tt.want, len(rec.Aside))
				}
				drop(l)
			}
		})
	}
}

// Where no copy can be kept, nothing is cleared and nothing given up.
func TestDamageWithoutRoomForACopy(t *testing.T) {
	for _, at := range []int{headerSize, offSeq} {
		cfg := testConfig(t)
		l, _ := open(t, cfg)
		off := l.cur.end
		land(t, l, 1, []byte("bad"))
		land(t, l, 1, []byte("behind"))
		l.Take()
		path := l.cur.path
		l.cur.mem[off+at] ^= 1
		if err := l.next(); err != nil { // a slab that a failing Open does not come to
			t.Fatal(err)
		}
		land(t, l, 1, []byte("later"))
		l.Take()
		drop(l)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		full := errors.New("no room")
		cfg.keep = func(string, []byte) error { return full }
		if _, _, err := Open(cfg); !errors.Is(err, full) {
			t.Fatalf("Open gives %v", err)
		}
		after, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("the slab was changed: %v", err)
		}
		cfg.keep = nil
		l, _ = open(t, cfg)
		if got := read(l.Take()); len(got) == 0 || got[len(got)-1].body != "later" {
			t.Errorf("recovered %+v when there was room again", got)
		}
		l.Close()
	}
}

// A note of more settled messages than there are says nothing.
func TestDamagedNoteOfSettled(t *testing.T) {
	cfg := testConfig(t)
	l, _ := open(t, cfg)
	land(t, l, 1, []byte("x"))
	l.Take()
	*l.cur.word(offSettled) = 7 << 32
	drop(l)
	l, rec := open(t, cfg)
	defer l.Close()
	if rec.Messages != 1 {
		t.Errorf("recovered %+v", rec)
	}
}

// Two landings on one directory would take each other's slabs.
func TestLandingIsOpenOnce(t *testing.T) {
	cfg := testConfig(t)
	l, _ := open(t, cfg)
	if _, _, err := Open(cfg); !errors.Is(err, ErrInUse) {
		t.Errorf("the second Open gives %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, _ = open(t, cfg)
	l.Close()
}

// A frame is not cut at its length when the kernel wrote more than that.
func TestFrameWithMoreBehindItIsNoFrame(t *testing.T) {
	cfg := testConfig(t)
	l, _ := open(t, cfg)
	room, err := l.Room()
	if err != nil {
		t.Fatal(err)
	}
	body := append(pack("x"), "more"...)
	write(room, 1, body)
	drop(l)
	l, rec := open(t, cfg)
	defer l.Close()
	if got := read(l.Take()); len(got) != 1 || got[0].body != string(body) || rec.Uncertain != 1 {
		t.Errorf("recovered %q, uncertain %d", got[0].body, rec.Uncertain)
	}
}

// The directory's name is a name, whatever is in it.
func TestDirectoryWithPattern(t *testing.T) {
	cfg := testConfig(t)
	cfg.Dir += "[1]*["
	l, _ := open(t, cfg)
	land(t, l, 1, []byte("x"))
	l.Take()
	drop(l)
	l, rec := open(t, cfg)
	defer l.Close()
	if rec.Messages != 1 {
		t.Errorf("recovered %+v", rec)
	}
}

// A page that was lost is kept; a slab that was released or never used is not.
func TestLostPageIsKept(t *testing.T) {
	cfg := testConfig(t)
	l, _ := open(t, cfg)
	land(t, l, 1, []byte("x"))
	path := l.cur.path
	clear(l.cur.mem[:slabPage])
	drop(l)
	for name, size := range map[string]int{"empty": 0, "fresh": SlabSize} {
		if err := os.WriteFile(filepath.Join(cfg.Dir, name+".slab"), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, rec := open(t, cfg)
	defer l.Close()
	if len(rec.Aside) != 1 || !strings.HasPrefix(rec.Aside[0], strings.TrimSuffix(path, ".slab")) {
		t.Errorf("set aside: %v, want only what was %s", rec.Aside, path)
	}
}

// What lies behind the last record of a slab that was found is not known: it must
// not be left there even if this start draws the same canary.
func TestFoundSlabIsFilledWhole(t *testing.T) {
	cfg := testConfig(t)
	l, _ := open(t, cfg)
	land(t, l, 1, []byte("x"))
	path, canary := l.cur.path, l.canary
	l.cur.mem[len(l.cur.mem)-1] = 'z'
	drop(l)
	l, _ = open(t, cfg)
	defer l.Close()
	l.canary = canary
	found := l.Take()
	land(t, l, 1, []byte("y")) // so that the slab it is in is not the one opened next
	if err := errors.Join(l.Settle(found), l.next()); err != nil {
		t.Fatal(err)
	}
	if n := tail(l.cur.mem[slabPage:], canary); l.cur.path != path || n != 0 {
		t.Errorf("%d bytes of %s are not the canary, want 0 of %s", n, l.cur.path, path)
	}
}

// A kill at any store of Commit leaves a record that is found: sealing goes over
// the stores one by one, on a copy of the memory as it was before.
func TestKillAtEveryStoreOfCommit(t *testing.T) {
	cfg := testConfig(t)
	l, _ := open(t, cfg)
	room, err := l.Room()
	if err != nil {
		t.Fatal(err)
	}
	write(room, 3, []byte("payload"))
	off := l.cur.end
	before := bytes.Clone(l.cur.mem[off : off+headerSize])
	canary := l.canary
	l.Commit(7, 42)
	after := bytes.Clone(l.cur.mem[off : off+headerSize])
	path := l.cur.path
	drop(l)
	// The order of stores: the length, then fields and checksums, of which any may
	// be there without the others, then the state.
	landed := bytes.Clone(before)
	binary.LittleEndian.PutUint64(landed[offCommit:], 7|stateLanded<<32|doorQueue<<48)
	states := [][]byte{before, landed}
	for n := 16; n <= headerSize; n += 8 {
		partly := bytes.Clone(landed)
		copy(partly[16:n], after[16:n])
		states = append(states, partly)
		summed := bytes.Clone(partly)
		copy(summed[:8], after[:8])
		states = append(states, summed)
	}
	states = append(states, after)
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, header := range states {
		copy(image[off:], header)
		image[off+headerSize+7] = 0 // padding, cleared by Commit
		if i == 0 {
			image[off+headerSize+7] = canary
		}
		if err := os.WriteFile(path, image, 0o600); err != nil {
			t.Fatal(err)
		}
		l, rec := open(t, cfg)
		if got := read(l.Take()); len(got) != 1 || got[0].body != "payload" || got[0].mtype != 3 || len(rec.Aside) != 0 {
			t.Errorf("state %d: recovered %+v, %+v", i, got, rec)
		}
		drop(l)
		if other, err := filepath.Glob(filepath.Join(cfg.Dir, "*.slab")); err == nil {
			for _, p := range other {
				if p != path {
					os.Remove(p)
				}
			}
		}
	}
}
