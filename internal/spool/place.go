package spool

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// shm is where every Linux has a tmpfs that outlives its processes, see shm_overview(7).
const shm = "/dev/shm"

// landingFile, in the state directory, has the landing's place if it is not the usual one.
const landingFile = "landing"

// LandingDir finds and makes the directory of the landings of a daemon with
// these runtime and state directories: RUNTIME/landing if that is tmpfs, else
// /dev/shm/mqd-UID-HASH, where HASH comes from the real path of state. If
// somebody else owns that name it takes a random one and notes it in state.
func LandingDir(runtime, state string) (string, error) {
	tmpfs, err := isTmpfs(runtime)
	if err != nil {
		return "", err
	}
	if tmpfs {
		dir := filepath.Join(runtime, "landing")
		return dir, private(dir)
	}
	if tmpfs, err = isTmpfs(shm); err != nil || !tmpfs {
		return "", fmt.Errorf("landing: neither %s nor %s is a tmpfs: mount one there", runtime, shm)
	}
	noted := filepath.Join(state, landingFile)
	if data, err := os.ReadFile(noted); err == nil {
		dir := strings.TrimSpace(string(data))
		if filepath.Dir(dir) == shm && private(dir) == nil {
			return dir, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	resolved, err := filepath.EvalSymlinks(state)
	if err != nil {
		return "", err
	}
	if resolved, err = filepath.Abs(resolved); err != nil {
		return "", err
	}
	hash := sha256.Sum256([]byte(resolved))
	dir := filepath.Join(shm, fmt.Sprintf("mqd-%d-%s", os.Geteuid(), hex.EncodeToString(hash[:6])))
	if err := private(dir); err == nil {
		return dir, nil
	}
	var suffix [6]byte
	rand.Read(suffix[:])
	dir += "-" + hex.EncodeToString(suffix[:])
	if err := private(dir); err != nil {
		return "", err
	}
	return dir, writeAtomic(noted, []byte(dir+"\n"))
}

// private makes dir with mode 0700, or makes sure that it is one's own and so:
// everybody may make names in /dev/shm.
func private(dir string) error {
	if err := os.Mkdir(dir, 0o700); err == nil || !errors.Is(err, fs.ErrExist) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return &os.PathError{Op: "lstat", Path: dir, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s: not a directory of uid %d but of uid %d", dir, os.Geteuid(), st.Uid)
	}
	return os.Chmod(dir, 0o700)
}

func isTmpfs(dir string) (bool, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return false, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return st.Type == unix.TMPFS_MAGIC, nil
}
