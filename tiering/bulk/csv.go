package bulk

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// layout says which field of a CSV line is which; -1 for one that is not there.
type layout struct {
	fields                          int
	number, tier, ends, flags, note int
	figures                         []int // by the grading's factors
}

// theirs is what the file calls one of our columns.
func (o *Options) theirs(name string) string {
	if n, ok := o.Names[name]; ok {
		return n
	}
	return name
}

// newLayout reads a header.
func newLayout(line []byte, o Options) (layout, error) {
	reader := csv.NewReader(bytes.NewReader(line))
	reader.Comma = rune(o.Delimiter)
	names, err := reader.Read()
	if err != nil {
		return layout{}, fmt.Errorf("%w: the first line must name the columns: %w", ErrHeader, err)
	}
	l := layout{fields: len(names), number: -1, tier: -1, ends: -1, flags: -1, note: -1}
	at := map[string]*int{Number: &l.number, Ends: &l.ends, Flags: &l.flags, Note: &l.note}
	if o.Grading == nil {
		at[Tier] = &l.tier
	} else {
		l.figures = make([]int, len(o.Grading.Factors))
		for i, f := range o.Grading.Factors {
			l.figures[i] = -1
			at[f.Name] = &l.figures[i]
		}
	}
	ours := map[string]string{}
	columns, required := o.columns()
	for _, name := range columns {
		ours[strings.ToLower(o.theirs(name))] = name
	}
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	for i, theirs := range names {
		theirs = strings.TrimSpace(theirs)
		slot := at[ours[strings.ToLower(theirs)]]
		switch {
		case slot != nil && *slot >= 0:
			bad("column %.40q stands there twice", theirs)
		case slot != nil:
			*slot = i
		case !o.Ignore:
			bad("column %.40q is unknown: %s are known", theirs, strings.Join(columns, ", "))
		}
	}
	for _, name := range columns[:required] {
		if *at[name] < 0 {
			bad("no column is named %q", o.theirs(name))
		}
	}
	if len(faults) > 0 {
		return layout{}, fmt.Errorf("%w: %w", ErrHeader, errors.Join(faults...))
	}
	return l, nil
}

// record reads a CSV line.
func (p *parser) record(line []byte) (c tiering.Change, f Fault, ok bool) {
	if f, ok = p.split(line); !ok {
		return c, f, false
	}
	l := &p.r.layout
	if len(p.fields) != l.fields {
		return c, Fault{Err: fmt.Errorf("it has %d fields, and the header %d", len(p.fields), l.fields)}, false
	}
	fault := func(field int, name string, err error) (tiering.Change, Fault, bool) {
		return tiering.Change{}, Fault{Column: p.starts[field], Field: name, Err: err}, false
	}
	var err error
	if c.Number, err = p.r.o.number(string(p.fields[l.number])); err != nil {
		return fault(l.number, Number, err)
	}
	if l.figures != nil {
		for i, f := range p.r.o.Grading.Factors {
			if p.values[i], err = figureOf(string(p.fields[l.figures[i]])); err != nil {
				return fault(l.figures[i], f.Name, err)
			}
		}
		if _, c.Tier, err = p.r.o.Grading.Grade(p.values); err != nil {
			return c, Fault{Err: err}, false
		}
	} else if c.Tier, err = tierOf(p.fields[l.tier]); err != nil {
		return fault(l.tier, Tier, err)
	}
	if l.ends >= 0 && len(p.fields[l.ends]) > 0 {
		if c.Ends, err = p.r.o.end(string(p.fields[l.ends])); err != nil {
			return fault(l.ends, Ends, err)
		}
	}
	if l.flags >= 0 && len(p.fields[l.flags]) > 0 {
		n, err := strconv.ParseUint(string(p.fields[l.flags]), 10, 8)
		if err != nil {
			return fault(l.flags, Flags, errors.New("a whole number from 0 to 255 is allowed"))
		}
		c.Flags = tiering.Flags(n)
	}
	if l.note >= 0 {
		c.Note = string(p.fields[l.note])
	}
	return c, Fault{}, true
}

// split takes a line apart. Lines without quotes, which most are, need no copy.
func (p *parser) split(line []byte) (Fault, bool) {
	p.fields, p.starts = p.fields[:0], p.starts[:0]
	if bytes.IndexByte(line, '"') < 0 {
		for start := 0; ; {
			size := bytes.IndexByte(line[start:], p.r.o.Delimiter)
			p.starts = append(p.starts, start+1)
			if size < 0 {
				p.fields = append(p.fields, line[start:])
				return Fault{}, true
			}
			p.fields = append(p.fields, line[start:start+size])
			start += size + 1
		}
	}
	reader := csv.NewReader(bytes.NewReader(line))
	reader.Comma, reader.FieldsPerRecord = rune(p.r.o.Delimiter), -1
	record, err := reader.Read()
	var wrong *csv.ParseError
	switch {
	case errors.As(err, &wrong):
		return Fault{Column: wrong.Column, Err: wrong.Err}, false
	case err != nil:
		return Fault{Err: err}, false
	}
	for i, field := range record {
		_, column := reader.FieldPos(i)
		p.fields, p.starts = append(p.fields, []byte(field)), append(p.starts, column)
	}
	return Fault{}, true
}

var errWithheld = fmt.Errorf("%w: it says that the caller gave none", tiering.ErrNumber)

func (o *Options) number(raw string) (tiering.Number, error) {
	n, err := o.Normalizer.Normalize(raw)
	if err == nil && n == tiering.Withheld {
		err = errWithheld
	}
	return n, err
}

// tierOf reads a tier; the usual spelling takes no search.
func tierOf(text []byte) (tiering.Tier, error) {
	switch string(text) {
	case "vip":
		return tiering.VIP, nil
	case "mid":
		return tiering.Mid, nil
	case "ordinary":
		return tiering.Ordinary, nil
	case "blacklist":
		return tiering.Blacklist, nil
	}
	return tiering.ParseTier(strings.TrimSpace(string(text)))
}

var errFigure = errors.New("a number from 0 to 100 is allowed")

// figureOf reads one figure of a customer.
func figureOf(text string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(v >= 0 && v <= 100) { // also when it is no number
		return 0, errFigure
	}
	return v, nil
}

var errEnd = errors.New("an instant like 2027-01-01T08:00:00+08:00 or a day like 2027-01-01 is allowed")

// end reads when a tier ends.
func (o *Options) end(text string) (instant.Instant, error) { return End(text, o.Zone) }

// End reads when a tier ends: an instant (RFC 3339), or a day, which means its
// beginning in the zone.
func End(text string, zone *time.Location) (instant.Instant, error) {
	text = strings.TrimSpace(text)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		at, err = time.ParseInLocation(time.DateOnly, text, zone)
	}
	if err != nil || at.UnixMilli() <= 0 {
		return 0, errEnd
	}
	return instant.Of(at), nil
}
