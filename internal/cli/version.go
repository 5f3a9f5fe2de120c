package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// Build says what a binary was built from. The names in JSON are part of the
// contract.
type Build struct {
	Program  string `json:"program"`
	Version  string `json:"version"` // of the module, or "devel"
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Revision string `json:"revision,omitempty"` // of the version control system
	Time     string `json:"time,omitempty"`     // of that revision, RFC 3339
	Modified bool   `json:"modified,omitempty"` // the tree had changes
}

// Version gives the module's version as the go command recorded it in the binary,
// or "devel" when it recorded none.
func Version() string { return ReadBuild("").Version }

// ReadBuild gives what the go command recorded in the binary.
func ReadBuild(program string) Build {
	b := Build{Program: program, Version: "devel", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// WriteVersion writes "program version" and a newline, or the whole [Build] as one
// JSON object.
func WriteVersion(w io.Writer, program string, asJSON bool) error {
	b := ReadBuild(program)
	if asJSON {
		return WriteJSON(w, b)
	}
	_, err := fmt.Fprintln(w, b.Program, b.Version)
	return err
}
