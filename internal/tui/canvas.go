package tui

import (
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// Canvas is the lines of a screen, or of a part of it, under construction.
type Canvas struct {
	Width int
	Now   time.Time // the daemon's instant that is drawn
	Lines []string
}

// Row adds a row; what does not fit the width is cut off.
func (c *Canvas) Row(r *Row) { c.Lines = append(c.Lines, Cut(r.String(), c.Width)) }

// Blank adds an empty line.
func (c *Canvas) Blank() { c.Lines = append(c.Lines, "") }

// Put adds a line, indented by two columns.
func (c *Canvas) Put(ink Ink, format string, args ...any) {
	c.Row(new(Row).Put(Plain, "  ").Putf(ink, format, args...))
}

// Wrap adds a text on as many lines as it needs, at most so many.
func (c *Canvas) Wrap(ink Ink, text string, most int) {
	lines := strings.Split(ansi.Wrap(text, max(c.Width-3, 1), ""), "\n")
	for _, line := range lines[:min(len(lines), most)] {
		c.Put(ink, "%s", line)
	}
}

// Rule adds a line across, with a title in it.
func (c *Canvas) Rule(title string) {
	title = Cut(title, c.Width)
	c.Row(new(Row).Put(Dim, title+strings.Repeat("─", c.Width-Width(title))))
}

// Hint is a key and what it does now.
type Hint struct{ Key, Does string }

// Key is a hint.
func Key(key, does string) Hint { return Hint{Key: key, Does: does} }

// Hints adds the keys that do something now, on two lines at most.
func (c *Canvas) Hints(all []Hint) {
	r, lines := new(Row), 1
	for _, h := range all {
		if r.columns > 0 && r.columns+3+Width(h.Key)+1+Width(h.Does) > c.Width {
			if lines == 2 {
				break
			}
			c.Row(r)
			r, lines = new(Row), lines+1
		}
		r.Put(Plain, strings.Repeat(" ", 1+min(r.columns, 1))).Put(Bold, h.Key).Put(Dim, " "+h.Does)
	}
	c.Row(r)
}

// Screen puts a head, a body that is cut to the room there is, and a foot onto a
// screen of a height.
func Screen(height int, head, body, foot []string) []string {
	room := max(height-len(head)-len(foot), 0)
	lines := append(make([]string, 0, height), head...)
	lines = append(lines, body[:min(len(body), room)]...)
	for len(lines) < height-len(foot) {
		lines = append(lines, "")
	}
	return append(lines, foot...)
}
