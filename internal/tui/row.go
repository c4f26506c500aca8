package tui

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Ink is how a text looks: the parameters of an SGR sequence. The sixteen colours
// that every terminal has are used, so that a screen looks as its owner set the
// terminal up. What a terminal cannot show, or NO_COLOR forbids, is taken out on
// the way to it; so nothing is said by colour alone.
type Ink string

// The inks, by what they mean.
const (
	Plain Ink = ""
	Bold  Ink = "1"
	Dim   Ink = "2"
	Good  Ink = "32"
	Soon  Ink = "33"
	Bad   Ink = "1;31"
	Calm  Ink = "36"
	Muted Ink = "35"
)

// Paint puts a text in an ink.
func Paint(ink Ink, text string) string {
	if ink == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(ink) + "m" + text + "\x1b[0m"
}

// Clean takes out what could move the cursor or change the terminal: names, notes
// and attributes come from outside.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// Width is how many columns a text takes, colours not counted: two for each
// Chinese character.
func Width(s string) int {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' {
			return ansi.StringWidth(s)
		}
	}
	return len(s)
}

// Cut shortens a text to a number of columns, colours not counted.
func Cut(s string, columns int) string {
	if columns <= 0 {
		return ""
	}
	if Width(s) <= columns {
		return s
	}
	return ansi.Truncate(s, columns, "…")
}

// Row is a line of a screen under construction.
type Row struct {
	b       strings.Builder
	columns int
}

// Put appends a text in an ink. The text has been cleaned if it came from outside.
func (r *Row) Put(ink Ink, text string) *Row {
	r.columns += Width(text)
	r.b.WriteString(Paint(ink, text))
	return r
}

// Putf is Put with a format.
func (r *Row) Putf(ink Ink, format string, args ...any) *Row {
	return r.Put(ink, fmt.Sprintf(format, args...))
}

// To fills up with blanks to a column.
func (r *Row) To(column int) *Row {
	if column > r.columns {
		r.b.WriteString(strings.Repeat(" ", column-r.columns))
		r.columns = column
	}
	return r
}

// Right appends a text so that it ends at a column; without room for it there, one
// blank after what stands.
func (r *Row) Right(column int, ink Ink, text string) *Row {
	start := column - Width(text)
	if r.columns > 0 {
		start = max(start, r.columns+1)
	}
	return r.To(start).Put(ink, text)
}

// Columns is how wide the row is so far.
func (r *Row) Columns() int { return r.columns }

// String is the row, with its colours.
func (r *Row) String() string { return r.b.String() }
