package tui

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	pb "greenlane/proto/greenlane/v1"
)

func TestTimesAndFigures(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Span(0), "0:00"}, {Span(-time.Second), "0:00"}, {Span(59*time.Second + 999*time.Millisecond), "0:59"}, {Span(61 * time.Second), "1:01"},
		{Span(3600 * time.Second), "1:00:00"}, {Span(25*time.Hour + 61*time.Second), "25:01:01"},
		{Left(0), "0:00"}, {Left(time.Millisecond), "0:01"}, {Left(time.Second), "0:01"}, {Left(-time.Minute), "0:00"},
		{Seconds(20 * time.Second), "20 s"}, {Seconds(2500 * time.Millisecond), "2.5 s"},
		// One below its target never looks as if it had reached it.
		{Percent(0.8999999), "89.9 %"}, {Percent(0.9), "90.0 %"}, {Percent(0.29), "29.0 %"}, {Percent(1), "100 %"}, {Percent(0), "0.0 %"}, {Percent(0.99999), "99.9 %"},
		{Goal(0.9), "90 %"}, {Goal(0.855), "85.5 %"},
		{Number(""), "number withheld"}, {Number("+8613800138000"), "+86 138 0013 8000"}, {Number("*********8000"), "*********8000"},
		{Number("+4930123456"), "+4930123456"}, {Number("\x1b[2J"), "?[2J"},
		{Plainly("no_such_word"), "no such word"}, {TierName(9), "tier 9"}, {AgentState(77), "state 77"}, {CallState(77), "state 77"},
		{CallState(pb.CallState_CALL_STATE_ABANDONED), "hung up"},
		{Unwrapped(`connection error: desc = "transport: Error while dialing: refused"`), "the daemon was not reached: refused"},
		{Unwrapped("as it is"), "as it is"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestRows(t *testing.T) {
	r := new(Row).Put(Plain, " a").To(4).Put(Bad, "王小明").Right(16, Good, "end")
	if got := ansi.Strip(r.String()); got != " a  王小明   end" || r.Columns() != 16 {
		t.Errorf("%q, %d columns", got, r.Columns())
	}
	if got := ansi.Strip(r.Right(3, Plain, "late").String()); !strings.HasSuffix(got, "end late") {
		t.Errorf("without room: %q", got)
	}
	for n, want := range map[int]string{0: "", 1: "…", 3: "王…", 4: "王…", 6: "王小明", 9: "王小明"} {
		if got := Cut("王小明", n); got != want {
			t.Errorf("cut to %d: %q, want %q", n, got, want)
		}
	}
	if got := Clean("a\x1b[31m\tb\u202e\xff王"); got != "a?[31m?b??王" {
		t.Errorf("cleaned: %q", got)
	}
}

func TestTables(t *testing.T) {
	table := &Table{Columns: []Column{{Head: "NAME", Width: 8, Flex: true}, {Head: "N", Width: 3, Right: true}, {Head: "MORE", Width: 10, Drop: 1}}}
	var rows []TableRow
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		rows = append(rows, TableRow{Key: name, Cells: []Cell{{Text: name}, {Text: "1"}, {Text: "more of " + name}}})
	}
	table.Set(rows)
	draw := func(width, room int) string {
		c := &Canvas{Width: width}
		table.Draw(c, room)
		for _, l := range c.Lines {
			if ansi.StringWidth(l) > width {
				t.Errorf("a line is wider than %d: %q", width, l)
			}
		}
		return ansi.Strip(strings.Join(c.Lines, "\n"))
	}
	if got := draw(30, 3); got != " NAME           N  MORE\n>a              1  more of a  \n b              1  more of b" {
		t.Errorf("%q", got)
	}
	if got := draw(16, 2); strings.Contains(got, "MORE") || !strings.Contains(got, ">a") {
		t.Errorf("narrow: %q", got)
	}
	table.Move(3)
	if got := draw(16, 3); !strings.Contains(got, ">d") || !strings.Contains(got, " c") || strings.Contains(got, " b") {
		t.Errorf("moved: %q", got)
	}
	// The chosen line stays chosen when lines come, go and change places.
	slices.Reverse(rows)
	table.Set(rows[:3])
	if table.Chosen() != "d" {
		t.Errorf("chosen is %q", table.Chosen())
	}
	table.Set(rows[2:])
	if table.Chosen() != "a" && table.Chosen() != "b" && table.Chosen() != "c" {
		t.Errorf("when it is gone, chosen is %q", table.Chosen())
	}
	table.Set(nil)
	table.Move(-5)
	if table.Chosen() != "" {
		t.Errorf("of nothing, chosen is %q", table.Chosen())
	}
}

func TestTheDaemonsClock(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	c := NewClock(func() time.Time { return at })
	if !c.Now().Equal(at) {
		t.Error("before the daemon told its clock, another is used")
	}
	c.Learn(at.Add(-time.Minute))
	if !c.Now().Equal(at.Add(-time.Minute)) {
		t.Errorf("learned %v", c.Now())
	}
	c.Learn(at.Add(-2 * time.Minute)) // came late
	if !c.Now().Equal(at.Add(-time.Minute)) {
		t.Errorf("learned from a late message: %v", c.Now())
	}
	c.Reset(at.Add(time.Hour))
	if !c.Now().Equal(at.Add(time.Hour)) {
		t.Errorf("reset to %v", c.Now())
	}
}

func TestDelaysGrow(t *testing.T) {
	var b Backoff
	for want := firstDelay; want < lastDelay; want = want * 9 / 5 {
		if d := b.Next(); d < want/2 || d > want {
			t.Errorf("%v, want %v to %v", d, want/2, want)
		}
	}
	for range 100 {
		if d := b.Next(); d < lastDelay/2 || d > lastDelay {
			t.Errorf("%v at last", d)
		}
	}
	b.Reset()
	if d := b.Next(); d > firstDelay {
		t.Errorf("%v after a reset", d)
	}
}

func TestHintsFitTwoLines(t *testing.T) {
	c := &Canvas{Width: 20}
	c.Hints([]Hint{Key("a", "accept"), Key("d", "decline"), Key("h", "history"), Key("q", "sign out")})
	if len(c.Lines) != 2 {
		t.Fatalf("%d lines", len(c.Lines))
	}
	if got := ansi.Strip(c.Lines[0] + "|" + c.Lines[1]); got != " a accept|  d decline" && got != " a accept| d decline" {
		t.Errorf("%q", got)
	}
}

func TestSignsInASCII(t *testing.T) {
	screen := "● ─█░■◆▲▼✓◌‖…›·“”↑↓ 王"
	env := map[string]string{"LANG": "zh_CN.UTF-8"}
	if got := Spell(screen, func(k string) string { return env[k] }); got != screen {
		t.Errorf("in UTF-8: %q", got)
	}
	env["LC_ALL"] = "C"
	got := Spell(screen, func(k string) string { return env[k] })
	if got != `* -#.#*!v+o=~>-""^v 王` || Width(got) != Width(screen) {
		t.Errorf("in ASCII: %q", got)
	}
}
