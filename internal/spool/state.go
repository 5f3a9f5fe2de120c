package spool

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
)

// Start is what one start of a route's spool has of its own. It is on disk
// before anything made with it can be seen.
type Start struct {
	UUID   UUID   `json:"uuid"`
	Starts uint64 `json:"starts"` // how many starts there were; generations begin at Starts<<32
	Epoch  uint64 `json:"epoch"`  // 34 random bits of every id given from now on

	// damaged: the file could not be read. The landing still knows the uuid.
	damaged bool
}

const startFile = "spool.json"

// readStart reads the last start's file. A file that is there and makes no sense
// is put aside, never deleted and never a reason not to start.
func readStart(dir string, log *slog.Logger) (Start, error) {
	path := filepath.Join(dir, startFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Start{}, nil
	}
	if err != nil {
		return Start{}, fmt.Errorf("read the spool's state: %w", err)
	}
	var s Start
	if err := json.Unmarshal(data, &s); err == nil && s.UUID != (UUID{}) {
		return s, nil
	}
	// A copy, and not the file itself: until the new one is there, a kill must
	// leave what tells the next start that the landing is its own.
	aside := path + ".damaged"
	log.Error("the spool's state file is damaged; a copy is kept", "file", path, "copy", aside)
	if err := os.WriteFile(aside, data, 0o600); err != nil {
		log.Error("no copy of the damaged state file", "error", err)
	}
	return Start{damaged: true}, nil
}

// advance draws what the coming start needs, given the highest generation that
// was seen, and makes it durable.
func (s Start) advance(dir string, highest uint64) (Start, error) {
	if s.UUID == (UUID{}) {
		rand.Read(s.UUID[:])
		s.UUID[6] = s.UUID[6]&0x0F | 4<<4
		s.UUID[8] = s.UUID[8]&0x3F | 2<<6
	}
	var b [8]byte
	rand.Read(b[:])
	s.Epoch = binary.LittleEndian.Uint64(b[:]) >> (64 - epochBits)
	s.Starts = max(s.Starts, highest>>32) + 1
	data, err := json.Marshal(s)
	if err != nil {
		return s, err
	}
	return s, writeAtomic(filepath.Join(dir, startFile), append(data, '\n'))
}

// writeAtomic replaces the file at path. After a power cut it is the old one or
// the new one, whole: the data is synced before the name shows it, and the name
// before writeAtomic returns.
func writeAtomic(path string, data []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_SYNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
