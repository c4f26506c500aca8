package top

import (
	"fmt"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"google.golang.org/grpc/status"

	"greenlane/internal/tui"
)

// The smallest screen that shows anything useful, and the height from which the
// head says more.
const (
	leastWidth  = 30
	leastHeight = 10
	tall        = 18
	wide        = 72
)

// View implements tea.Model.
func (m *model) View() tea.View {
	v := tea.NewView(tui.Spell(strings.Join(m.screen(), "\n"), os.Getenv))
	v.AltScreen = true
	v.WindowTitle = "greenlane top " + m.opt.Site
	return v
}

func (m *model) screen() []string {
	if m.width == 0 {
		return nil // the terminal has not told its size yet
	}
	if m.width < leastWidth || m.height < leastHeight {
		return []string{tui.Cut(fmt.Sprintf("at least %dx%d", leastWidth, leastHeight), m.width)}
	}
	head, foot := m.canvas(), m.canvas()
	m.head(head)
	m.foot(foot)
	body := m.canvas()
	room := m.height - len(head.Lines) - len(foot.Lines)
	switch {
	case m.help:
		m.helpText(body)
	case m.snap == nil:
		m.waiting(body)
	default:
		m.body(body, room)
	}
	return tui.Screen(m.height, head.Lines, body.Lines, foot.Lines)
}

func (m *model) canvas() *tui.Canvas { return &tui.Canvas{Width: m.width, Now: m.now()} }

// room is how many lines the body has.
func (m *model) room() int {
	head, foot := m.canvas(), m.canvas()
	m.head(head)
	m.foot(foot)
	return m.height - len(head.Lines) - len(foot.Lines)
}

// head is how the whole site stands, and which page is open.
func (m *model) head(c *tui.Canvas) {
	r := new(tui.Row).Put(tui.Plain, " ")
	if c.Width >= wide {
		r.Put(tui.Bold, "GREENLANE top").Put(tui.Plain, "  ")
	}
	r.Put(tui.Bold, tui.Clean(m.opt.Site))
	sign, ink := m.state(c)
	c.Row(r.Right(c.Width-1, ink, sign))
	if m.snap != nil {
		m.summary(c)
	}
	m.tabs(c)
}

// state says how old what is shown is.
func (m *model) state(c *tui.Canvas) (string, tui.Ink) {
	clock := m.local(c.Now).Format(time.TimeOnly)
	switch {
	case m.paused:
		return "‖ paused at " + clock, tui.Soon
	case m.link == live:
		return "● live " + clock, tui.Good
	case m.link == broken && m.snap != nil:
		return fmt.Sprintf("▲ as of %s, %s old", clock, tui.Span(m.clock.Now().Sub(m.brokenAt))), tui.Bad
	}
	return "◌ connecting", tui.Soon
}

// local is an instant in the site's own zone.
func (m *model) local(t time.Time) time.Time {
	return t.In(m.zone)
}

func (m *model) summary(c *tui.Canvas) {
	all := All(m.queues())
	r := new(tui.Row).Put(tui.Plain, " ").Putf(tui.Bold, "%d", all.GetWaiting()).Put(tui.Plain, " waiting")
	if all.GetWaiting() > 0 {
		oldest := m.oldest(all.GetWaiting(), all.GetOldestWait(), all.GetThreshold(), true)
		r.Put(tui.Plain, ", longest ").Put(oldest.Ink, oldest.Text)
	}
	if n := Late(all); n > 0 {
		r.Put(tui.Plain, ", ").Putf(tui.Bad, "%d beyond the threshold", n)
	}
	c.Row(r)
	if n := m.snap.GetGreenChannelViolations(); n > 0 {
		c.Row(new(tui.Row).Putf(tui.Bad, " ▲ the green channel was violated %d times", n))
	}
	if m.height < tall {
		return
	}
	counts := map[string]int{}
	for _, a := range m.agents() {
		counts[stateOf(a)]++
	}
	r = new(tui.Row).Put(tui.Dim, " agents     ")
	for i, s := range []struct {
		name string
		ink  tui.Ink
	}{{"free", tui.Good}, {"ringing", tui.Bold}, {"talking", tui.Plain}, {"wrap-up", tui.Plain}, {"not ready", tui.Soon}, {"unreachable", tui.Bad}} {
		ink := s.ink
		if counts[s.name] == 0 {
			ink = tui.Dim
		}
		if i > 0 {
			r.Put(tui.Plain, "  ")
		}
		r.Putf(ink, "%d %s", counts[s.name], s.name)
	}
	c.Row(r)
	m.callbackSummary(c)
}

func (m *model) callbackSummary(c *tui.Canvas) {
	cb := m.snap.GetCallbacks()
	due := tui.Dim
	if cb.GetDue() > 0 {
		due = tui.Soon
	}
	r := new(tui.Row).Put(tui.Dim, " callbacks  ").Putf(due, "%d due", cb.GetDue()).
		Putf(tui.Plain, "  %d later  %d in hand", cb.GetPending(), cb.GetOffered()+cb.GetClaimed())
	if cb.GetNextDeadline() != nil {
		r.Putf(tui.Plain, "  next deadline in %s", tui.Left(cb.GetNextDeadline().AsTime().Sub(c.Now)))
	}
	if n := cb.GetTotals().GetMissed(); n > 0 {
		r.Putf(tui.Bad, "  %d missed in all", n)
	}
	c.Row(r)
}

// tabs is the panes, or the way down to the page that is open.
func (m *model) tabs(c *tui.Canvas) {
	r := new(tui.Row)
	for i, k := range panes {
		ink := tui.Dim
		if m.pages[0].kind == k {
			ink = "1;4"
		}
		r.Put(tui.Plain, " ").Putf(tui.Dim, "%d ", i+1).Put(ink, paneName(k))
	}
	for _, p := range m.pages[1:] {
		r.Put(tui.Dim, " › ").Put(tui.Bold, pageName(p))
	}
	switch {
	case m.writing:
		r.Right(c.Width-1, tui.Plain, m.input.View())
	case m.filter != "":
		r.Right(c.Width-1, tui.Soon, "filter: "+tui.Clean(m.filter))
	case m.page().kind == queuesPane:
		r.Right(c.Width-1, tui.Dim, "order: "+string(m.order))
	case m.page().kind == agentsPane:
		r.Right(c.Width-1, tui.Dim, "order: "+agentOrders[m.agentsBy].name)
	}
	c.Row(r)
}

func paneName(k kind) string {
	return map[kind]string{queuesPane: "Queues", agentsPane: "Agents", callbacksPane: "Callbacks"}[k]
}

func pageName(p page) string {
	switch p.kind {
	case queuePage:
		name := p.id
		if name == "" {
			name = "all queues"
		}
		if p.tier != whole {
			name += ", " + tui.TierName(p.tier)
		}
		return name
	case callPage:
		return "call " + tui.Clean(p.id)
	case agentPage:
		return "agent " + tui.Clean(p.id)
	}
	return "callback " + tui.Clean(p.id)
}

// foot is what a level is, and the keys.
func (m *model) foot(c *tui.Canvas) {
	switch {
	case m.link == broken:
		text := "No connection"
		if in := m.retryAt.Sub(m.clock.Now()); in > 0 {
			text += ", next try in " + tui.Left(in)
		}
		c.Row(new(tui.Row).Put(tui.Bad, " "+text).Put(tui.Dim, ": "+message(m.why)))
	case m.page().kind == queuesPane && m.snap != nil:
		text := " level today: " + tui.Clean(m.snap.GetFormula())
		if t := All(m.queues()).GetThreshold(); t != nil {
			text += "; in time: within " + tui.Seconds(t.AsDuration())
		}
		c.Row(new(tui.Row).Put(tui.Dim, text))
	default:
		c.Blank()
	}
	c.Hints(m.hints())
}

func message(err error) string { return tui.Clean(tui.Unwrapped(status.Convert(err).Message())) }

func (m *model) waiting(c *tui.Canvas) {
	c.Blank()
	c.Put(tui.Plain, "Connecting to the daemon…")
}

func (m *model) body(c *tui.Canvas, room int) {
	p := m.page()
	if m.got.page == p && m.got.err != nil {
		c.Blank()
		c.Wrap(tui.Bad, message(m.got.err), 3)
		return
	}
	asked := p.kind != queuePage && p.kind != callPage && p.kind != callbacksPane || m.got.page == p && m.got.sequence > 0
	if !asked {
		c.Blank()
		c.Put(tui.Dim, "Asking…")
		return
	}
	if t := m.tables[p.kind]; t != nil {
		m.table(c, t, room)
		return
	}
	text := m.canvas()
	switch p.kind {
	case callPage:
		m.callText(text)
	case agentPage:
		m.agentText(text, m.agent(p.id))
	case callbackPage:
		m.callbackText(text, m.callback(p.id))
	}
	m.scroll = min(m.scroll, max(len(text.Lines)-room, 0))
	c.Lines = append(c.Lines, text.Lines[m.scroll:]...)
}

func (m *model) table(c *tui.Canvas, t *tui.Table, room int) {
	if m.page().kind == queuePage && m.got.more {
		c.Put(tui.Dim, "the first %d only", mostRows)
		room--
	}
	if len(t.Rows) > 0 {
		t.Draw(c, room)
		return
	}
	c.Blank()
	switch {
	case m.filter != "":
		c.Put(tui.Dim, "Nothing has “%s” in it.", tui.Clean(m.filter))
	case m.page().kind == queuePage:
		c.Put(tui.Dim, "Nobody waits here.")
	case m.page().kind == agentsPane:
		c.Put(tui.Dim, "No agent is signed in.")
	case m.page().kind == callbacksPane:
		c.Put(tui.Dim, "No callback is open.")
	default:
		c.Put(tui.Dim, "There is no such queue.")
	}
}

func (m *model) helpText(c *tui.Canvas) {
	c.Blank()
	for _, h := range []tui.Hint{
		tui.Key("tab, 1-3", "queues, agents, callbacks"), tui.Key("↑ ↓ pgup pgdn", "move"),
		tui.Key("enter", "down: a queue's calls, a call, an agent"), tui.Key("esc", "back up"), tui.Key("s", "another order"),
		tui.Key("/", "show only what has a text in it; esc ends it"), tui.Key("t", "all tiers, those in use, none"),
		tui.Key("p, space", "let the screen stand still"), tui.Key("q, ctrl+c", "leave"),
	} {
		c.Row(new(tui.Row).Put(tui.Plain, "  ").Put(tui.Bold, h.Key).To(17).Put(tui.Plain, h.Does))
	}
	c.Blank()
	c.Wrap(tui.Dim, "✓ on target, ▼ below it (a level is rounded down). ▲ beyond the threshold: red where an answer in time was promised. "+
		"LATE: calls that wait beyond it now. Waits are counted by the daemon's clock.", 5)
}
