package top

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"greenlane/internal/tui"
	pb "greenlane/proto/greenlane/v1"
)

// key carries out a key.
func (m *model) key(msg tea.KeyPressMsg) tea.Cmd {
	k := tui.Stroke(msg)
	if m.writing {
		return m.write(msg, k)
	}
	if m.help {
		m.help = false
		if k == "ctrl+c" {
			return tea.Quit
		}
		return nil
	}
	switch k {
	case "q", "ctrl+c":
		return tea.Quit
	case "?":
		m.help = true
	case "esc", "backspace", "left":
		if len(m.pages) == 1 && k == "esc" {
			m.filter = ""
		}
		m.back()
	case "tab", "shift+tab":
		step := 1
		if k == "shift+tab" {
			step = len(panes) - 1
		}
		m.show(panes[(slices.Index(panes, m.pages[0].kind)+step)%len(panes)])
	case "1", "2", "3":
		m.show(panes[k[0]-'1'])
	case "p", "space":
		m.pause()
	case "s":
		m.sort()
	case "t":
		m.tiers = (m.tiers + 1) % tierChoices
	case "/":
		m.writing = true
		m.input.SetValue(m.filter)
		m.input.CursorEnd()
		return m.input.Focus()
	case "enter", "right":
		m.down()
	default:
		m.move(k)
	}
	return nil
}

// write takes a key of the filter, which works while it is written.
func (m *model) write(msg tea.KeyPressMsg, k string) tea.Cmd {
	switch k {
	case "enter":
		m.writing = false
	case "esc", "ctrl+c":
		m.writing, m.filter = false, ""
		m.input.Reset()
	default:
		var cmd tea.Cmd
		m.input, cmd = m.input.Update(msg)
		m.filter = strings.TrimSpace(m.input.Value())
		return cmd
	}
	return nil
}

// pause lets the screen stand still, or go on with the newest there is.
func (m *model) pause() {
	if !m.paused {
		m.pausedAt = m.now()
		m.paused = true
		return
	}
	m.paused, m.snap = false, m.newest
}

func (m *model) sort() {
	switch m.page().kind {
	case queuesPane:
		m.order = Orders[(slices.Index(Orders, m.order)+1)%len(Orders)]
	case agentsPane:
		m.agentsBy = (m.agentsBy + 1) % len(agentOrders)
	}
}

// move moves the cursor, or the text of a page that has none.
func (m *model) move(k string) {
	page := max(m.room()-2, 1)
	steps := map[string]int{
		"down": 1, "j": 1, "up": -1, "k": -1, "pgdown": page, "ctrl+f": page, "pgup": -page, "ctrl+b": -page,
		"home": -1 << 20, "g": -1 << 20, "end": 1 << 20, "G": 1 << 20,
	}
	step, ok := steps[k]
	if !ok {
		return
	}
	if t := m.tables[m.page().kind]; t != nil {
		t.Move(step)
		return
	}
	m.scroll = max(m.scroll+step, 0) // drawing keeps it from running off
}

// down goes from a line to what is behind it.
func (m *model) down() {
	p := m.page()
	chosen := ""
	if t := m.tables[p.kind]; t != nil {
		chosen = t.Chosen()
	}
	switch {
	case p.kind == agentPage:
		if a := m.agent(p.id); a.GetCallId() != "" {
			m.open(page{kind: callPage, id: a.GetCallId()})
		}
	case p.kind == callPage:
		if c := m.got.explained.GetCall(); c.GetAgentId() != "" && m.agent(c.GetAgentId()) != nil {
			m.open(page{kind: agentPage, id: c.GetAgentId()})
		}
	case p.kind == callbackPage:
		if cb := m.callback(p.id); cb.GetCallId() != "" {
			m.open(page{kind: callPage, id: cb.GetCallId()})
		}
	case chosen == "":
	case p.kind == queuesPane:
		m.open(pageOfQueue(chosen))
	case p.kind == agentsPane:
		m.open(page{kind: agentPage, id: chosen})
	case p.kind == callbacksPane:
		m.list = m.got.callbacks
		m.open(page{kind: callbackPage, id: chosen})
	case p.kind == queuePage:
		m.open(page{kind: callPage, id: chosen})
	}
}

// hints are the keys that do something now.
func (m *model) hints() []tui.Hint {
	if m.writing {
		return []tui.Hint{tui.Key("enter", "keep"), tui.Key("esc", "no filter")}
	}
	if m.help {
		return []tui.Hint{tui.Key("any key", "back")}
	}
	var out []tui.Hint
	switch p := m.page(); p.kind {
	case queuesPane:
		out = append(out, tui.Key("enter", "calls"), tui.Key("s", "order"), tui.Key("/", "filter"), tui.Key("t", "tiers"))
	case agentsPane:
		out = append(out, tui.Key("enter", "agent"), tui.Key("s", "order"), tui.Key("/", "filter"))
	case callbacksPane:
		out = append(out, tui.Key("enter", "callback"), tui.Key("/", "filter"))
	case queuePage:
		out = append(out, tui.Key("enter", "why?"), tui.Key("/", "filter"))
	case callPage:
		if m.got.explained.GetCall().GetAgentId() != "" {
			out = append(out, tui.Key("enter", "its agent"))
		}
	case agentPage:
		if m.agent(p.id).GetCallId() != "" {
			out = append(out, tui.Key("enter", "the call"))
		}
	case callbackPage:
		if m.callback(p.id).GetCallId() != "" {
			out = append(out, tui.Key("enter", "the call it was earned by"))
		}
	}
	if len(m.pages) > 1 {
		out = append(out, tui.Key("esc", "back"))
	} else {
		out = append(out, tui.Key("tab", "pane"))
	}
	pause := "pause"
	if m.paused {
		pause = "go on"
	}
	return append(out, tui.Key("p", pause), tui.Key("?", "help"), tui.Key("q", "leave"))
}

// agent is an agent of the snapshot; nil when there is none of this name.
func (m *model) agent(id string) *pb.Agent {
	for _, a := range m.snap.GetAgents() {
		if a.GetAgentId() == id {
			return a
		}
	}
	return nil
}

// callback is a callback of the list that was open last.
func (m *model) callback(id string) *pb.Callback {
	for _, cb := range m.list {
		if cb.GetCallbackId() == id {
			return cb
		}
	}
	return nil
}
