package client

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/mq"
)

// RoutesName is the name of the file in which a daemon says where its routes
// are. It lies in its runtime and in its state directory.
const RoutesName = "routes.json"

// RoutesVersion is the version of the form of [RoutesFile]. Members are added
// without changing it.
const RoutesVersion = 1

// maxRoutes bounds the size of a routes file that is read, in bytes.
const maxRoutes = 1 << 20

// RoutesFile is the content of routes.json: where producers find the queues of a
// daemon. It holds no secrets, as everybody may read it.
type RoutesFile struct {
	Version int          `json:"version"`
	Routes  []RouteEntry `json:"routes"`
}

// RouteEntry says where the queue of one route is.
type RouteEntry struct {
	Name  string  `json:"name"`
	Queue mq.Addr `json:"queue,omitzero"`
}

// Queue gives the queue of the named route.
func (r RoutesFile) Queue(route string) (addr mq.Addr, ok bool) {
	for _, entry := range r.Routes {
		if entry.Name == route {
			return entry.Queue, true
		}
	}
	return mq.Addr{}, false
}

func (r RoutesFile) names() []string {
	names := make([]string, 0, len(r.Routes))
	for _, entry := range r.Routes {
		names = append(names, entry.Name)
	}
	return names
}

// ReadRoutes reads the routes file in a directory, if it can be trusted: both
// belong to root, to the calling user or to user mqd, and nobody else may write
// to them. Otherwise any user could draw the messages of others to a queue of
// his own. The error says which rule was broken; [fs.ErrNotExist] is found in
// it if there is no such file.
func ReadRoutes(dir string) (RoutesFile, error) {
	return systemFinder().readRoutes(dir)
}

func (f *finder) readRoutes(dir string) (RoutesFile, error) {
	path := filepath.Join(dir, RoutesName)
	data, err := f.readTrusted(dir, RoutesName, maxRoutes)
	if err != nil {
		return RoutesFile{}, err
	}
	var r RoutesFile
	if err := json.Unmarshal(data, &r); err != nil {
		return RoutesFile{}, fmt.Errorf("%s: %w", path, err)
	}
	if r.Version != RoutesVersion {
		return RoutesFile{}, fmt.Errorf("%s: version %d, this program reads version %d", path, r.Version, RoutesVersion)
	}
	return r, nil
}

// readTrusted reads a file of at most limit bytes in dir, if both can be
// trusted. The file is opened through the directory that was checked, so that
// neither can be swapped in between, and a symbolic link, a FIFO or a device in
// its place is refused without being followed or waited for.
func (f *finder) readTrusted(dir, name string, limit int64) ([]byte, error) {
	path := filepath.Join(dir, name)
	at, err := f.openDir(dir)
	if err != nil {
		return nil, err
	}
	defer unix.Close(at)
	fd, err := openat(at, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	if err := f.trust(fd, path, unix.S_IFREG); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s: over %d bytes", path, limit)
	}
	return data, err
}

// openDir opens a directory that can be trusted. The path may hold symbolic links.
func (f *finder) openDir(dir string) (fd int, err error) {
	fd, err = openat(unix.AT_FDCWD, dir, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	if err := f.trust(fd, dir, unix.S_IFDIR); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// trustDir reports why a directory is not to be trusted.
func (f *finder) trustDir(dir string) error {
	fd, err := f.openDir(dir)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// openat is openat(2) with O_CLOEXEC. A signal may interrupt it on some file
// systems.
func openat(at int, path string, flags int) (fd int, err error) {
	for {
		fd, err = unix.Openat(at, path, flags|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// trust reports why an open file of the wanted type is not to be trusted.
func (f *finder) trust(fd int, path string, fileType uint32) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	switch {
	case st.Mode&unix.S_IFMT != fileType:
		return fmt.Errorf("%s: not trusted: not a %s", path, typeName(fileType))
	case !f.trustsUID(int(st.Uid)):
		return fmt.Errorf("%s: not trusted: owned by uid %d, want root, uid %d or user mqd", path, st.Uid, f.euid)
	case st.Mode&0o022 != 0:
		return fmt.Errorf("%s: not trusted: mode %#o lets others write", path, st.Mode&0o7777)
	}
	return nil
}

func typeName(fileType uint32) string {
	if fileType == unix.S_IFDIR {
		return "directory"
	}
	return "regular file"
}

// WriteFile writes r to path with mode 0644. A reader, and a machine that loses
// power, see the old file or the new one, never a part of it.
func (r RoutesFile) WriteFile(path string) (err error) {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".routes-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	// The content must be on disk before the name points to it: after a power
	// loss a file system may keep the rename and lose the bytes.
	_, err = tmp.Write(append(data, '\n'))
	for _, step := range []func() error{func() error { return tmp.Chmod(0o644) }, tmp.Sync} {
		if err == nil {
			err = step()
		}
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return err
	}
	return syncDir(dir) // or the rename may be lost
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
