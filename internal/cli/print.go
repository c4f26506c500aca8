package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// cell is a text in a table, and its colour.
type cell struct{ text, color string }

func plain(texts ...string) []cell {
	row := make([]cell, len(texts))
	for i, t := range texts {
		row[i].text = t
	}
	return row
}

// table is what a person reads: columns as wide as they have to be.
type table struct {
	head []string
	rows [][]cell
}

func (t *table) add(row ...cell) { t.rows = append(t.rows, row) }

// write writes the table; an empty one is its head alone.
func (t *table) write(w io.Writer, s style) error {
	var rows [][]cell
	if t.head != nil {
		row := plain(t.head...)
		for i := range row {
			row[i].color = bold
		}
		rows = append(rows, row)
	}
	rows = append(rows, t.rows...)
	var widths []int
	for _, row := range rows {
		for i := range row {
			row[i].text = printable(row[i].text)
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], columns(row[i].text))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		gap := 0
		for i, c := range row {
			if c.text != "" {
				b.WriteString(strings.Repeat(" ", gap))
				b.WriteString(s.paint(c.color, c.text))
				gap = 0
			}
			gap += widths[i] - columns(c.text) + 2
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// columns is how many columns a terminal needs for a text: two for each Chinese
// character.
func columns(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Mn, r):
		case width.LookupRune(r).Kind() == width.EastAsianWide, width.LookupRune(r).Kind() == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// printable takes out what could move the cursor or change the terminal: names
// and notes come from outside.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

var asJSON = protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}

// jsonOf is a message as the API's JSON with the names of its fields as the proto
// files have them. Protobuf's own printer varies its blanks on purpose; scripts
// and tests want them to stay.
func jsonOf(m proto.Message, options protojson.MarshalOptions) ([]byte, error) {
	text, err := options.Marshal(m)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// show prints a message: as JSON, or as the table that fill makes.
func (s *session) show(m proto.Message, fill func(*table)) error {
	if s.output == "json" {
		text, err := jsonOf(m, asJSON)
		if err != nil {
			return err
		}
		return s.showJSON(json.RawMessage(text))
	}
	var t table
	fill(&t)
	return t.write(s.out, s.style)
}

// showJSON prints a value as indented JSON.
func (s *session) showJSON(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = s.out.Write(append(text, '\n'))
	return err
}

// clock is an instant in the zone of whoever looks: the time alone on the same
// day.
func (s *session) clock(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	at, now := t.AsTime().In(s.now.Location()), s.now
	if at.Year() == now.Year() && at.YearDay() == now.YearDay() {
		return at.Format(time.TimeOnly)
	}
	return at.Format("2006-01-02 15:04")
}

func seconds(d *durationpb.Duration) string {
	if d == nil {
		return ""
	}
	return d.AsDuration().Round(100 * time.Millisecond).String()
}
