package bulk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// The columns of a CSV file, and the keys of a JSON line.
const (
	Number = "number" // as tiering.Normalizer reads it
	Tier   = "tier"   // vip, mid, ordinary or blacklist
	Ends   = "ends"   // when the tier ends: RFC 3339, or a day, which means its beginning; empty for never
	Flags  = "flags"  // 0 to 255; empty for 0
	Note   = "note"   // at most tiering.MaxNoteBytes
)

// Columns lists them all; number and tier must be there. With Options.Grading the
// figures' names stand in the tier's place.
var Columns = []string{Number, Tier, Ends, Flags, Note}

// MaxLine is how long a line may be.
const MaxLine = 64 << 10

// ErrHeader says that the first line of a CSV file does not name the columns.
// Nothing was read after it.
var ErrHeader = errors.New("wrong header")

// Options of a Reader.
type Options struct {
	JSON       bool // JSON lines; else CSV
	Normalizer *tiering.Normalizer
	At         instant.Instant   // of the changes
	Zone       *time.Location    // of days; nil for UTC
	Delimiter  byte              // of CSV; 0 for a comma
	Names      map[string]string // what the file calls a column, by our name, when it differs
	Ignore     bool              // pass over columns that are not ours; else they are a wrong header
	Workers    int               // goroutines that parse; 0 for one per processor

	// Grading, when it is not nil, has the tier made of the customer's figures,
	// which then are columns that must be there.
	Grading *tiering.Grading
	// Ends is when a tier ends of which the line does not say so; zero for never.
	Ends instant.Instant
}

// Known lists the columns that a file may have.
func (o *Options) Known() []string {
	all, _ := o.columns()
	return all
}

// columns lists the columns that a file may have, those that must be there first.
func (o *Options) columns() (all []string, required int) {
	if o.Grading == nil {
		return Columns, 2
	}
	all = []string{Number}
	for _, f := range o.Grading.Factors {
		all = append(all, f.Name)
	}
	return append(all, Ends, Flags, Note), len(all)
}

// Position is a place between two lines.
type Position struct {
	Offset int64 // bytes from the file's start
	Line   int64 // lines before it
}

// Fault is a line that could not be read.
type Fault struct {
	Line   int64  // from 1
	Column int    // byte of the line, from 1; 0 when the whole line is meant
	Field  string // which column or key; empty when the whole line is meant
	Err    error  // never quotes a number unmasked
}

// Error says where and what.
func (f Fault) Error() string {
	where := fmt.Sprintf("line %d", f.Line)
	if f.Column > 0 {
		where += fmt.Sprintf(", column %d", f.Column)
	}
	if f.Field != "" {
		where += ": " + f.Field
	}
	return where + ": " + f.Err.Error()
}

func (f Fault) Unwrap() error { return f.Err }

// Batch is what some lines, one after the other, came to.
type Batch struct {
	Changes []tiering.Change // OpGrade
	Lines   []int64          // the line of each change, from 1
	Faults  []Fault
	End     Position // after the last of the lines
	// CutOff says that the last line has no end: the file may have been cut off.
	CutOff bool
}

// Reader reads one file.
type Reader struct {
	o      Options
	src    io.Reader
	layout layout
	start  Position // after the header
	begun  []byte   // read beyond the header already
}

// NewReader reads the header, if there is one. The error is ErrHeader, or the
// source's.
func NewReader(src io.Reader, o Options) (*Reader, error) {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Delimiter == 0 {
		o.Delimiter = ','
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	r := &Reader{o: o, src: src}
	if err := r.header(); err != nil {
		return nil, err
	}
	return r, nil
}

// byteOrderMark stands at the start of files that some spreadsheets write.
const byteOrderMark = "\uFEFF"

func (r *Reader) header() error {
	first := make([]byte, MaxLine)
	n, err := io.ReadFull(r.src, first)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return err
	}
	text := first[:n]
	if rest, ok := bytes.CutPrefix(text, []byte(byteOrderMark)); ok {
		r.start.Offset, text = int64(len(byteOrderMark)), rest
	}
	if r.o.JSON {
		r.begun = text
		return nil
	}
	line, rest, ended := bytes.Cut(text, []byte("\n"))
	if !ended && n == len(first) {
		return fmt.Errorf("%w: the first line is longer than %d bytes", ErrHeader, MaxLine)
	}
	r.begun = rest
	r.start.Offset += int64(len(text) - len(rest))
	r.start.Line = 1
	r.layout, err = newLayout(trimEnd(line), r.o)
	return err
}

// trimEnd cuts the carriage return of a line's end off.
func trimEnd(line []byte) []byte { return bytes.TrimSuffix(line, []byte("\r")) }

// Start is where the first line after the header begins.
func (r *Reader) Start() Position { return r.start }
