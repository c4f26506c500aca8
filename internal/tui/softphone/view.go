package softphone

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"greenlane/internal/tui"
	pb "greenlane/proto/greenlane/v1"
)

// The smallest screen that a call fits on, and the width from which rows are
// written in columns.
const (
	leastWidth  = 30
	leastHeight = 10
	wide        = 72
)

// View implements tea.Model.
func (m *model) View() tea.View {
	v := tea.NewView(tui.Spell(strings.Join(m.screen(), "\n"), os.Getenv))
	v.AltScreen = true
	v.WindowTitle = m.title()
	return v
}

// title is what a terminal's tab says: an agent may look at another window.
func (m *model) title() string {
	p := m.phone
	what := ""
	switch {
	case p.link != Open:
	case p.offer != nil:
		what = "INCOMING " + tui.Number(m.caller()) + " - "
	case p.talking():
		what = "talking - "
	}
	return what + tui.Clean(p.id) + " - Greenlane"
}

func (m *model) caller() string {
	_, caller := m.atHand()
	return caller
}

// screen is the lines of the whole screen, no wider and no more than it has.
func (m *model) screen() []string {
	if m.width == 0 {
		return nil // the terminal has not told its size yet
	}
	if m.width < leastWidth || m.height < leastHeight {
		return []string{tui.Cut(fmt.Sprintf("at least %dx%d", leastWidth, leastHeight), m.width)}
	}
	c := &tui.Canvas{Width: m.width, Now: m.clock.Now()}
	m.head(c)
	foot := &tui.Canvas{Width: m.width, Now: c.Now}
	m.foot(foot)
	room := m.height - len(c.Lines) - len(foot.Lines)
	body := &tui.Canvas{Width: m.width, Now: c.Now}
	switch m.mode {
	case showHelp:
		m.help(body)
	case showPast:
		m.wholePast(body, room)
	default:
		m.card(body)
		for i := len(body.Lines) - 1; i >= 0 && len(body.Lines) > room; i-- {
			if body.Lines[i] == "" { // what counts is more than air
				body.Lines = slices.Delete(body.Lines, i, i+1)
			}
		}
		if left := room - len(body.Lines) - 2; left > 0 {
			m.latestPast(body, left)
		}
	}
	return tui.Screen(m.height, c.Lines, body.Lines, foot.Lines)
}

// head is who is signed in, in which state, and for what.
func (m *model) head(c *tui.Canvas) {
	p := m.phone
	sign, ink := m.state(c.Now)
	r := new(tui.Row).Put(tui.Plain, " ")
	if c.Width >= wide {
		r.Put(tui.Bold, "GREENLANE").Put(tui.Plain, "  ")
	}
	room := c.Width - r.Columns() - tui.Width(sign) - 3
	r.Put(tui.Bold, tui.Cut(tui.Clean(p.id), room))
	c.Row(r.Right(c.Width-1, ink, sign))
	var queues []string
	for _, q := range p.agent.GetQueues() {
		queues = append(queues, fmt.Sprintf("%s:%d", q.GetQueue(), max(q.GetLevel(), 1)))
	}
	r = new(tui.Row).Put(tui.Plain, " ")
	where := p.site + "  " + c.Now.Local().Format(time.TimeOnly)
	if c.Width < wide {
		where = c.Now.Local().Format("15:04")
	}
	r.Put(tui.Dim, tui.Cut(tui.Clean(strings.Join(queues, " ")), c.Width-4-tui.Width(where)))
	c.Row(r.Right(c.Width-1, tui.Dim, tui.Clean(where)))
	c.Rule("")
}

// state is the agent's state as the head says it: a sign, so that it is seen
// without colours too, and for how long.
func (m *model) state(now time.Time) (string, tui.Ink) {
	p := m.phone
	lasting := " " + tui.Span(now.Sub(p.agent.GetSince().AsTime()))
	if p.agent.GetSince() == nil {
		lasting = ""
	}
	switch p.link {
	case Opening:
		return "◌ connecting", tui.Soon
	case Lost:
		return "▲ reconnecting " + tui.Span(now.Sub(p.since)), tui.Bad
	case Taken:
		return "▲ elsewhere", tui.Bad
	case Out:
		return "▲ signed out", tui.Bad
	}
	switch p.agent.GetState() {
	case pb.AgentState_AGENT_STATE_READY:
		return "● ready" + lasting, tui.Good
	case pb.AgentState_AGENT_STATE_NOT_READY:
		return "■ not ready" + lasting, tui.Soon
	case pb.AgentState_AGENT_STATE_OFFERED:
		return "◆ ringing", tui.Bold
	}
	return "◆ " + tui.AgentState(p.agent.GetState()) + lasting, tui.Bold
}

// foot is what just happened, and the keys.
func (m *model) foot(c *tui.Canvas) {
	p := m.phone
	switch {
	case m.quitting:
		c.Put(tui.Soon, "Signing out…")
	case p.busy != nil && p.link != Open:
		c.Put(tui.Soon, "Not confirmed yet: it is sent again as soon as the daemon is back")
	case c.Now.Before(p.notice.until):
		c.Wrap(p.notice.ink, p.notice.text, 2)
	case m.pilot != nil:
		c.Put(tui.Dim, "answers by itself")
	default:
		c.Blank()
	}
	c.Hints(m.hints())
}

// latestPast is the agent's latest calls, newest first, and how many there were.
func (m *model) latestPast(c *tui.Canvas, room int) {
	p := m.phone
	if len(p.past) == 0 {
		return
	}
	c.Blank()
	title := fmt.Sprintf("─ since sign-in: %d answered, %d declined, %d not answered ", p.answered, p.declined, p.missed)
	if c.Width < wide {
		title = fmt.Sprintf("─ %d answered, %d declined ", p.answered, p.declined)
	}
	c.Rule(title)
	for i := range min(room, len(p.past)) {
		c.Row(pastRow(p.past[len(p.past)-1-i], c))
	}
}

func (m *model) wholePast(c *tui.Canvas, room int) {
	p := m.phone
	c.Put(tui.Bold, "Since sign-in")
	c.Put(tui.Dim, "%d answered, %d declined, %d not answered", p.answered, p.declined, p.missed)
	c.Blank()
	if len(p.past) == 0 {
		c.Put(tui.Plain, "Nothing yet.")
		return
	}
	m.scroll = min(m.scroll, max(len(p.past)-(room-3), 0))
	for i := len(p.past) - 1 - m.scroll; i >= 0; i-- {
		c.Row(pastRow(p.past[i], c))
	}
}

func pastRow(e past, c *tui.Canvas) *tui.Row {
	r := new(tui.Row).Put(tui.Dim, " "+clockTime(e.at, c.Now)+" ")
	what := e.what
	if what == "" {
		what = "now"
	}
	if c.Width < wide {
		r.Put(tui.TierInk(e.tier), tui.TierName(e.tier)+" ")
		return r.Put(tui.Plain, lastDigits(e.caller)+" ").Put(tui.Dim, what)
	}
	r.To(14).Put(tui.TierInk(e.tier), tui.TierName(e.tier)).To(25).Put(tui.Plain, tui.Number(e.caller)+" ").
		To(44).Put(tui.Plain, tui.Cut(e.queue, 11)+" ").To(56)
	switch {
	case e.callback && e.talked == 0:
		what = "callback: " + what
	case e.callback:
		what = fmt.Sprintf("callback %s: %s", tui.Span(e.talked), what)
	case e.talked > 0:
		what = fmt.Sprintf("%s, %s", tui.Span(e.talked), what)
	}
	return r.Put(tui.Dim, what)
}

// lastDigits is enough of a number to know it by, where there is little room.
func lastDigits(number string) string {
	if number == "" {
		return "withheld"
	}
	return "…" + tui.Clean(number[max(0, len(number)-4):])
}
