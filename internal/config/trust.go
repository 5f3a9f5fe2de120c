package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = mib

// readFile gives the content of a file that only root or this user can have
// written. Owner and mode are those of the open file.
func readFile(path string) ([]byte, error) {
	// Without O_NONBLOCK, the open of a FIFO would wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, unreadable(path, err)
	}
	if info.IsDir() {
		return nil, unreadable(path, &fs.PathError{Op: "read", Path: path, Err: syscall.EISDIR})
	}
	if !info.Mode().IsRegular() && !inherited(path) {
		return nil, wholeFile(path, problem{
			what: "not a regular file", value: info.Mode().String(), allowed: "a file, /dev/stdin or /dev/fd/N",
			todo: "name a configuration file",
		})
	}
	if p := distrust(path, info, os.Geteuid()); p != nil {
		return nil, wholeFile(path, *p)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, unreadable(path, err)
	}
	if len(data) > maxFile {
		return nil, wholeFile(path, problem{
			what: "too large", value: "over " + formatSize(maxFile), allowed: "up to " + formatSize(maxFile), todo: "name a configuration file",
		})
	}
	return data, nil
}

// inherited reports whether path names a descriptor that was open when the program
// began: what it leads to was meant to be read, and a pipe has its writer.
func inherited(path string) bool {
	path = filepath.Clean(path)
	dir := filepath.Dir(path)
	return path == "/dev/stdin" || dir == "/dev/fd" || dir == "/proc/self/fd"
}

// wholeFile is an error that stands on no line.
func wholeFile(path string, p problem) error {
	return Errors{{File: path, Text: p.String()}}
}

func unreadable(path string, err error) error {
	text := err.Error()
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		text = pathErr.Op + ": " + pathErr.Err.Error() // the path stands in front already
	}
	return Errors{{File: path, Text: "cannot be read: " + text, err: err}}
}

// distrust says why somebody other than root and the user euid could have written
// the file at path, or nil. A directory that others may write to counts unless
// its sticky bit keeps them from replacing what is in it.
func distrust(path string, info fs.FileInfo, euid int) *problem {
	stat := info.Sys().(*syscall.Stat_t)
	if owner := int(stat.Uid); owner != 0 && owner != euid {
		return &problem{
			what:    "belongs to another user, who could change it",
			value:   fmt.Sprintf("uid %d", owner),
			allowed: ownersAllowed(euid),
			todo:    "type as root: chown root " + shellQuote(path),
		}
	}
	if info.Mode()&0o002 != 0 {
		p := writableByAll(path, info)
		return &p
	}
	for _, dir := range parents(path) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode()&0o002 == 0 || info.Mode()&fs.ModeSticky != 0 {
			continue
		}
		return &problem{
			what: "lies in a directory that everybody may write to", value: dir, allowed: "no write bit for others",
			todo: "type: chmod o-w " + shellQuote(dir),
		}
	}
	return nil
}

func writableByAll(path string, info fs.FileInfo) problem {
	return problem{
		what: "may be written by everybody", value: fmt.Sprintf("mode %04o", info.Mode().Perm()), allowed: "no write bit for others",
		todo: "type: chmod o-w " + shellQuote(path),
	}
}

func ownersAllowed(euid int) string {
	if euid == 0 {
		return "root"
	}
	return fmt.Sprintf("root or uid %d", euid)
}

// parents gives every directory above path, as it is written and with symbolic
// links resolved.
func parents(path string) []string {
	var dirs []string
	seen := map[string]bool{}
	above := func(path string) {
		for dir := filepath.Dir(path); !seen[dir]; dir = filepath.Dir(dir) {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	if abs, err := filepath.Abs(path); err == nil {
		above(abs)
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		if abs, err := filepath.Abs(resolved); err == nil {
			above(abs)
		}
	}
	return dirs
}

// shellQuote makes path one word for a shell. Most need nothing.
func shellQuote(path string) string {
	plain := func(r rune) bool {
		return r < 0x80 && (bare(string(r)) || strings.ContainsRune("/.,:+@", r))
	}
	if path != "" && strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
