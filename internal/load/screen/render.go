package screen

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"greenlane/internal/load"
	pb "greenlane/proto/greenlane/v1"
)

// Style says what a terminal can show.
type Style struct {
	Color bool // ANSI colours
	ASCII bool // no other characters than ASCII
}

// The colours, by what they mean.
const (
	plain  = ""
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	blue   = "36"
	purple = "35"
)

// text is a line under construction: what it says, and how many columns that is.
type text struct {
	style Style
	b     strings.Builder
	cols  int
}

// put appends s in a colour.
func (t *text) put(color, format string, args ...any) *text {
	s := fmt.Sprintf(format, args...)
	t.cols += utf8.RuneCountInString(s)
	if t.style.Color && color != plain {
		s = "\x1b[" + color + "m" + s + "\x1b[0m"
	}
	t.b.WriteString(s)
	return t
}

// to fills up with blanks to a column.
func (t *text) to(col int) *text {
	if col > t.cols {
		t.b.WriteString(strings.Repeat(" ", col-t.cols))
		t.cols = col
	}
	return t
}

// right appends s so that it ends at a column.
func (t *text) right(col int, color, format string, args ...any) *text {
	s := fmt.Sprintf(format, args...)
	return t.to(col-utf8.RuneCountInString(s)).put(color, "%s", s)
}

// page is a screen under construction.
type page struct {
	style Style
	width int
	lines []string
}

func (p *page) text() *text { return &text{style: p.style} }

func (p *page) add(t *text) { p.lines = append(p.lines, t.b.String()) }

func (p *page) blank() { p.lines = append(p.lines, "") }

// The smallest terminal that shows everything.
const (
	MinWidth  = 80
	MinHeight = 24
)

// Render draws the model for a terminal of the given size. No line is wider
// than MinWidth or the width, whichever is more, and there are at most height.
func Render(m *Model, width, height int, style Style) []string {
	p := &page{style: style, width: min(max(width, MinWidth), 120)}
	p.head(m)
	p.tiers(m)
	p.queues(m)
	p.people(m)
	p.news(m, height)
	return p.lines[:min(len(p.lines), max(height, 1))]
}

func (p *page) head(m *Model) {
	t := p.text().put(bold, " GREENLANE").put(plain, "  %s", m.Title)
	p.add(t.right(p.width-1, bold, "%s", Clock(m.Now)))
	full, empty := "█", "░"
	if p.style.ASCII {
		full, empty = "#", "."
	}
	cells := p.width - 16
	done := 0
	if m.To > m.From {
		done = min(max(int(int64(cells)*int64(m.Now-m.From)/int64(m.To-m.From)), 0), cells)
	}
	p.add(p.text().put(dim, " %s ", Clock(m.From)).put(green, "%s", strings.Repeat(full, done)).
		put(dim, "%s %s", strings.Repeat(empty, cells-done), Clock(m.To)))
}

// Clock writes a time of the day as hours and minutes.
func Clock(d time.Duration) string {
	m := int(d.Minutes())
	return fmt.Sprintf("%02d:%02d", m/60, m%60)
}

// The columns in which the table of tiers ends its figures.
var tierCols = [...]int{23, 33, 43, 53, 65, 75}

func (p *page) tiers(m *Model) {
	p.blank()
	t := p.text().put(dim, " callers")
	inTime := "in time"
	if m.Threshold > 0 {
		inTime = "in " + load.Limit(m.Threshold)
	}
	for i, h := range []string{"waiting", "longest", "answered", "gave up", inTime, "target"} {
		t.right(tierCols[i], dim, "%s", h)
	}
	p.add(t)
	var all load.TierFigures
	var waiting int
	var oldest time.Duration
	for _, row := range m.Tiers {
		p.tier(load.TierName(row.Tier), tierColor(row.Tier), row)
		all.Answered += row.Answered
		all.Abandoned += row.Abandoned
		all.InTime += row.InTime
		waiting += row.Waiting
		oldest = max(oldest, row.Oldest)
	}
	all.Rates()
	p.tier("all", dim, Tier{TierFigures: all, Waiting: waiting, Oldest: oldest})
}

func tierColor(t pb.Tier) string {
	switch t {
	case pb.Tier_TIER_VIP:
		return green
	case pb.Tier_TIER_MID:
		return blue
	case pb.Tier_TIER_BLACKLIST:
		return purple
	}
	return plain
}

func (p *page) tier(name, color string, row Tier) {
	t := p.text().put(color, " %s", name)
	t.right(tierCols[0], weight(row.Waiting), "%d", row.Waiting)
	t.right(tierCols[1], plain, "%s", spanOrDash(row.Oldest))
	t.right(tierCols[2], plain, "%d", row.Answered)
	t.right(tierCols[3], plain, "%d", row.Abandoned)
	level, mark := p.level(row.TierFigures)
	t.right(tierCols[4], level, "%s", percent(row.ServiceLevel))
	if row.Target > 0 {
		t.right(tierCols[5], plain, "%.0f %%", 100*row.Target).put(level, " %s", mark)
	}
	p.add(t)
}

// weight makes a number that is not zero stand out.
func weight(n int) string {
	if n > 0 {
		return bold
	}
	return dim
}

// level returns the colour and the mark of a service level against its target.
func (p *page) level(f load.TierFigures) (color, mark string) {
	good, bad := "✓", "✗"
	if p.style.ASCII {
		good, bad = "ok", "below"
	}
	switch {
	case f.ServiceLevel < 0 || f.Target == 0:
		return plain, ""
	case f.ServiceLevel >= f.Target:
		return green, good
	case f.ServiceLevel >= f.Target-0.05:
		return yellow, bad
	default:
		return red, bad
	}
}

func percent(v float64) string {
	if v < 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*v)
}

func spanOrDash(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return load.Span(d)
}

// The columns in which the table of queues ends its figures.
var queueCols = [...]int{23, 33, 43, 53, 65, 75}

func (p *page) queues(m *Model) {
	p.blank()
	t := p.text().put(dim, " waiting in")
	for i, h := range []string{"vip", "mid", "ordinary", "blacklist", "longest", "idle"} {
		t.right(queueCols[i], dim, "%s", h)
	}
	p.add(t)
	for _, q := range m.Queues {
		t := p.text().put(plain, " %.16s", q.Name)
		for i, n := range q.Waiting {
			t.right(queueCols[i], weight(n), "%d", n)
		}
		t.right(queueCols[4], plain, "%s", spanOrDash(q.Oldest))
		t.right(queueCols[5], plain, "%d", q.Free)
		p.add(t)
	}
}

func (p *page) people(m *Model) {
	p.blank()
	a := m.Agents
	t := p.text().put(dim, " agents").to(16)
	for i, part := range []struct {
		n     int
		color string
		what  string
	}{{a.Talking, green, "talk"}, {a.Offered, yellow, "have an offer"}, {a.WrapUp, blue, "wrap up"}, {a.Free, plain, "idle"}, {a.Away, dim, "away"}} {
		if i > 0 {
			t.put(plain, "   ")
		}
		t.put(part.color, "%d %s", part.n, part.what)
	}
	p.add(t)
	c := m.Promises
	t = p.text().put(dim, " callbacks").to(16).put(plain, "%d promised   %d open   ", c.Made, c.Open).
		put(yellow, "%d in hand", c.Working).put(green, "   %d reached", c.Reached)
	if c.Missed > 0 {
		t.put(red, "   %d missed", c.Missed)
	} else {
		t.put(plain, "   0 missed")
	}
	p.add(t)
	t = p.text().put(dim, " green channel").to(16).put(plain, "%d offers taken back for a VIP   ", m.Preempted)
	if m.Violations > 0 {
		t.put(red, "%d violations", m.Violations)
	} else {
		t.put(green, "0 violations")
	}
	p.add(t)
}

func (p *page) news(m *Model, height int) {
	p.blank()
	room := max(height-len(p.lines)-2, 0)
	p.add(p.text().put(dim, " just now").right(p.width-1, dim, "%d calls   %s   Ctrl-C ends the day", m.Calls, m.Phase))
	colors := [...]string{Green: green, Promise: blue, Trouble: yellow}
	shown := m.News[max(0, len(m.News)-room):]
	for i := len(shown) - 1; i >= 0; i-- {
		n := shown[i]
		p.add(p.text().put(dim, " %s  ", Clock(n.At)).put(colors[n.Kind], "%s", clip(n.Text, p.width-9)))
	}
}

// clip shortens a text to a number of columns.
func clip(s string, cols int) string {
	r := []rune(s)
	if len(r) <= cols {
		return s
	}
	return string(r[:max(cols, 0)])
}

// Line sums the model up in one line, for output that is not a terminal.
func Line(m *Model) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %d calls", Clock(m.Now), m.Calls)
	waiting := 0
	for _, t := range m.Tiers {
		waiting += t.Waiting
	}
	fmt.Fprintf(&b, ", %d waiting, %d of %d agents talk", waiting, m.Agents.Talking, m.Agents.Total())
	for _, t := range m.Tiers {
		if t.Target > 0 {
			fmt.Fprintf(&b, ", %s %s", load.TierName(t.Tier), percent(t.ServiceLevel))
		}
	}
	fmt.Fprintf(&b, " within %s; %d callbacks promised; %d offers taken back for a VIP", load.Limit(m.Threshold), m.Promises.Made, m.Preempted)
	return b.String()
}
