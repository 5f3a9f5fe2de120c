package cli

import "io"

// Output is w with errors that exit with [CodeIO]: whoever wrote a command's data
// to a full disk must see that it is not there.
func Output(w io.Writer) io.Writer { return output{w} }

type output struct{ w io.Writer }

func (o output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err != nil {
		err = &ExitError{Code: CodeIO, Err: err}
	}
	return n, err
}
