package cli

import (
	"bytes"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// IsTerminal reports whether v is an open terminal: a file that answers TCGETS
// (ioctl_tty(2)). Anything but an *os.File, or one in an [Output], is not.
func IsTerminal(v any) bool {
	if o, ok := v.(output); ok {
		v = o.w
	}
	f, ok := v.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// Colour is an SGR attribute of ECMA-48.
type Colour string

// The colours in use. Plain leaves the text as it is.
const (
	Plain  Colour = ""
	Red    Colour = "31"
	Green  Colour = "32"
	Yellow Colour = "33"
)

// UseColour reports whether output to w may be coloured: w is a terminal that knows
// colour, and NO_COLOR is not set.
func UseColour(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && IsTerminal(w)
}

// Table lays out rows in columns for eyes: two spaces between columns, numbers to
// the right, nothing after the last column. The zero value is an empty table.
// Every cell is escaped.
type Table struct {
	Colour bool // colour what asks for it
	rows   []row
}

type row struct {
	cells []Cell
	note  string // a line of its own below the row; no cells then
}

// Cell is one field of a row.
type Cell struct {
	Text   string
	Right  bool   // align to the right, as numbers are
	Colour Colour // used when the table has colour
}

// Row adds a row of plain cells.
func (t *Table) Row(texts ...string) {
	cells := make([]Cell, len(texts))
	for i, text := range texts {
		cells[i].Text = text
	}
	t.Cells(cells...)
}

// Cells adds a row.
func (t *Table) Cells(cells ...Cell) {
	for i := range cells {
		cells[i].Text = Escape(cells[i].Text)
	}
	t.rows = append(t.rows, row{cells: cells})
}

// Note adds an indented line that belongs to the row above and takes no part in
// the columns.
func (t *Table) Note(text string) {
	t.rows = append(t.rows, row{note: Escape(text)})
}

// WriteTo writes the table to w in one piece.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	var widths []int
	for _, r := range t.rows {
		for i, c := range r.cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.Text))
		}
	}
	var out bytes.Buffer
	for _, r := range t.rows {
		if r.cells == nil {
			out.WriteString("    " + r.note + "\n")
			continue
		}
		for i, c := range r.cells {
			t.writeCell(&out, c, widths[i], i == len(r.cells)-1)
		}
		out.WriteByte('\n')
	}
	n, err := w.Write(out.Bytes())
	return int64(n), err
}

func (t *Table) writeCell(out *bytes.Buffer, c Cell, width int, last bool) {
	pad := strings.Repeat(" ", width-utf8.RuneCountInString(c.Text))
	if c.Right {
		out.WriteString(pad)
	}
	if t.Colour && c.Colour != Plain {
		out.WriteString("\x1b[" + string(c.Colour) + "m" + c.Text + "\x1b[0m")
	} else {
		out.WriteString(c.Text)
	}
	if last {
		return
	}
	if !c.Right {
		out.WriteString(pad)
	}
	out.WriteString("  ")
}
