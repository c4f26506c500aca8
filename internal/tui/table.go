package tui

import "strings"

// Column is a column of a table on a screen.
type Column struct {
	Head  string
	Width int
	Right bool
	// Flex makes the column wider or narrower than its width, by what is left over or
	// missing. One column is so.
	Flex bool
	// Drop says which columns go first when the screen is narrow: the highest number
	// first. Columns of 0 stay.
	Drop int
}

// Cell is a text in a table, and its ink.
type Cell struct {
	Text string
	Ink  Ink
}

// TableRow is a line of a table.
type TableRow struct {
	Key   string // tells the line from all others, also after it has moved
	Cells []Cell // as many as there are columns
}

// Table is lines of which one is chosen.
type Table struct {
	Columns []Column
	Rows    []TableRow
	chosen  string // the key of the chosen line
	at      int    // where it is, or was
	top     int    // the first line on the screen
}

// Set changes the lines; the chosen one stays chosen, wherever it is now.
func (t *Table) Set(rows []TableRow) {
	t.Rows = rows
	for i := range rows {
		if rows[i].Key == t.chosen {
			t.at = i
			return
		}
	}
	t.Move(0)
}

// Move chooses another line, so many further.
func (t *Table) Move(by int) {
	t.at = max(min(t.at+by, len(t.Rows)-1), 0)
	t.chosen = ""
	if t.at < len(t.Rows) {
		t.chosen = t.Rows[t.at].Key
	}
}

// Chosen is the key of the chosen line; empty when there is none.
func (t *Table) Chosen() string {
	if len(t.Rows) == 0 {
		return ""
	}
	return t.chosen
}

// shown returns the columns that fit a width, and how wide the flexible one is.
func (t *Table) shown(width int) (columns []int, flex int) {
	need, drop := 0, 0
	for i, c := range t.Columns {
		columns = append(columns, i)
		need += c.Width + 2
		drop = max(drop, c.Drop)
	}
	for ; need > width && drop > 0; drop-- {
		kept := columns[:0]
		for _, i := range columns {
			if t.Columns[i].Drop == drop {
				need -= t.Columns[i].Width + 2
				continue
			}
			kept = append(kept, i)
		}
		columns = kept
	}
	for _, c := range t.Columns {
		if c.Flex {
			flex = max(c.Width+width-need, 4)
		}
	}
	return columns, flex
}

// Draw draws the head and as many lines as there is room for, the chosen one among
// them.
func (t *Table) Draw(c *Canvas, room int) {
	columns, flex := t.shown(c.Width)
	head := new(Row)
	t.line(head, columns, flex, func(i int) Cell { return Cell{t.Columns[i].Head, Dim} })
	c.Row(head)
	room = max(room-1, 1)
	if t.at < t.top {
		t.top = t.at
	}
	if t.at >= t.top+room {
		t.top = t.at - room + 1
	}
	t.top = max(min(t.top, len(t.Rows)-room), 0)
	for i := t.top; i < min(t.top+room, len(t.Rows)); i++ {
		cells := t.Rows[i].Cells
		r := new(Row)
		if i == t.at {
			r.Put(Bold, ">")
		}
		t.line(r, columns, flex, func(i int) Cell { return cells[i] })
		if i == t.at {
			c.Lines = append(c.Lines, mark(r, c.Width))
			continue
		}
		c.Row(r)
	}
}

// mark shows a row as the chosen one: reversed where there are colours, and with
// its sign where there are none.
func mark(r *Row, width int) string {
	text := Cut(r.To(width).String(), width)
	// Every ink ends with a reset, which would end the reversal too.
	return "\x1b[7m" + strings.ReplaceAll(text, "\x1b[0m", "\x1b[0;7m") + "\x1b[0m"
}

func (t *Table) line(r *Row, columns []int, flex int, cell func(int) Cell) {
	at := 1
	for _, i := range columns {
		col := t.Columns[i]
		width := col.Width
		if col.Flex {
			width = flex
		}
		v := cell(i)
		text := Cut(v.Text, width)
		if col.Right {
			r.To(at+width-Width(text)).Put(v.Ink, text)
		} else {
			r.To(at).Put(v.Ink, text)
		}
		at += width + 2
	}
}
