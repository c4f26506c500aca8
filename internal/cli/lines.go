package cli

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxLine is the longest line of a file that is read, in bytes.
const maxLine = 64 << 10

// badLine is one line of a file that is wrong, and where.
type badLine struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"` // in bytes, from 1
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

// lineFile reads a CSV file line by line: a quote that is never closed spoils its
// own line and no other, and so a value cannot hold a line break.
type lineFile struct {
	name    string
	in      *bufio.Reader
	close   func() error
	columns []string
	line    int
}

// openLines opens a CSV file, "-" being the standard input, and reads its header.
// known says whether a column is one.
func openLines(name string, required []string, known func(string) bool) (*lineFile, error) {
	f := &lineFile{name: name, close: func() error { return nil }}
	if name == "-" {
		f.name, f.in = "standard input", bufio.NewReader(os.Stdin)
	} else {
		file, err := os.Open(name)
		if err != nil {
			return nil, UsageError{err}
		}
		f.in, f.close = bufio.NewReader(file), file.Close
	}
	if err := f.header(required, known); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *lineFile) header(required []string, known func(string) bool) error {
	text, err := f.text()
	if errors.Is(err, io.EOF) {
		return usagef("%s is empty: its first line must name the columns", f.name)
	}
	if err != nil {
		return err
	}
	names, columns, bad := split(strings.TrimPrefix(text, "\ufeff"))
	if bad != nil {
		return usagef("%s:1:%d: %s", f.name, bad.Column, bad.Message)
	}
	for i, name := range names {
		name = strings.TrimSpace(name)
		if !strings.HasPrefix(name, attrPrefix) { // an attribute's name is as the agent sees it
			name = strings.ToLower(name)
		}
		switch {
		case !known(name):
			return usagef("%s:1:%d: column %q is unknown; see --help for the columns", f.name, columns[i], name)
		case slices.Contains(f.columns, name):
			return usagef("%s:1:%d: column %q is there twice", f.name, columns[i], name)
		}
		f.columns = append(f.columns, name)
	}
	for _, name := range required {
		if !slices.Contains(f.columns, name) {
			return usagef("%s:1:1: column %q is missing; the first line must name the columns", f.name, name)
		}
	}
	return nil
}

// text reads one line without its end. A line that is too long is an error of the
// file: what follows it could be anything.
func (f *lineFile) text() (string, error) {
	var b strings.Builder
	for {
		part, err := f.in.ReadSlice('\n')
		b.Write(part)
		if b.Len() > maxLine {
			return "", fmt.Errorf("%s:%d:%d: the line is longer than %d bytes", f.name, f.line+1, maxLine, maxLine)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && (b.Len() == 0 || !errors.Is(err, io.EOF)) {
			return "", err
		}
		f.line++
		return strings.TrimRight(b.String(), "\r\n"), nil
	}
}

// record is one line by the names of its columns.
type record struct {
	line   int
	values map[string]string
	column map[string]int
}

func (r *record) bad(field, message string) *badLine {
	return &badLine{Line: r.line, Column: max(r.column[field], 1), Field: field, Message: message}
}

// next returns the next line that is not empty, or what is wrong with it; io.EOF
// at the end.
func (f *lineFile) next() (*record, *badLine, error) {
	for {
		text, err := f.text()
		if err != nil {
			return nil, nil, err
		}
		if strings.TrimSpace(text) == "" {
			continue
		}
		values, columns, bad := split(text)
		if bad == nil && len(values) != len(f.columns) {
			bad = &badLine{Column: len(text) + 1, Message: fmt.Sprintf("%d values, but the header names %d columns", len(values), len(f.columns))}
			if len(values) > len(f.columns) {
				bad.Column = columns[len(f.columns)]
			}
		}
		if bad != nil {
			bad.Line = f.line
			return nil, bad, nil
		}
		r := &record{line: f.line, values: map[string]string{}, column: map[string]int{}}
		for i, name := range f.columns {
			r.values[name], r.column[name] = strings.TrimSpace(values[i]), columns[i]
		}
		return r, nil, nil
	}
}

// split parses one line of CSV and says in which column each value begins.
func split(text string) (values []string, columns []int, bad *badLine) {
	if !utf8.ValidString(text) {
		good := strings.IndexFunc(text, func(r rune) bool { return r == utf8.RuneError })
		return nil, nil, &badLine{Column: good + 1, Message: "the line is no UTF-8; save the file in that encoding"}
	}
	r := csv.NewReader(strings.NewReader(text))
	values, err := r.Read()
	var fault *csv.ParseError
	if errors.As(err, &fault) {
		return nil, nil, &badLine{Column: fault.Column, Message: fault.Err.Error()}
	}
	if err != nil {
		return nil, nil, &badLine{Column: 1, Message: err.Error()}
	}
	for i := range values {
		_, column := r.FieldPos(i)
		columns = append(columns, column)
	}
	return values, columns, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
