package softphone

import (
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"greenlane/internal/tui"
	pb "greenlane/proto/greenlane/v1"
)

// key carries out a key.
func (m *model) key(msg tea.KeyPressMsg) tea.Cmd {
	if m.clock.Now().Before(m.deafUntil) {
		return nil
	}
	k := tui.Stroke(msg)
	switch m.mode {
	case writeReason, writeNote:
		return m.writing(msg, k)
	case choosePause, chooseReason:
		m.choose(k)
		return nil
	case confirmQuit:
		switch k {
		case "y", "Y", "ctrl+c":
			m.mode = atDesk
			return m.quit(true)
		case "n", "N", "esc", "q":
			m.mode = atDesk
		}
		return nil
	case showHelp, showPast:
		switch k {
		case "esc", "q", "?", "h", "enter":
			m.mode = atDesk
		case "down", "j":
			m.scroll++
		case "up", "k":
			m.scroll = max(m.scroll-1, 0)
		case "ctrl+c":
			return m.wantQuit()
		}
		return nil
	}
	switch k {
	case "q", "ctrl+c":
		return m.wantQuit()
	case "?":
		m.mode = showHelp
		return nil
	case "h":
		m.mode, m.scroll = showPast, 0
		return nil
	}
	return m.deskKey(k)
}

func (m *model) wantQuit() tea.Cmd {
	if m.engaged() && m.phone.link != Out && m.phone.link != Taken {
		m.mode = confirmQuit
		return nil
	}
	return m.quit(false)
}

// deskKey carries out a key that depends on what lies on the desk.
func (m *model) deskKey(k string) tea.Cmd {
	p := m.phone
	switch p.link {
	case Taken, Out:
		if k == "s" {
			p.link, p.why = Opening, nil
			m.line.open()
		}
		return nil
	case Opening, Lost:
		return nil // what a key did now would be done to something nobody can see
	}
	switch {
	case p.offer != nil:
		switch k {
		case "a", "enter":
			m.submit(&command{kind: accept, offer: p.offer.GetOfferId()})
		case "d":
			m.mode = chooseReason
		}
		return nil
	case p.talking() && p.agent.GetCallbackId() != "":
		if len(k) == 1 && k[0] >= '1' && int(k[0]-'1') < len(results) {
			m.submit(&command{kind: report, callback: p.agent.GetCallbackId(), result: results[k[0]-'1'], note: strings.TrimSpace(m.note)})
			return nil
		}
		if k == "t" {
			return m.ask(writeNote, m.note)
		}
	case p.talking() && k == "c":
		m.submit(&command{kind: complete, call: p.agent.GetCallId()})
		return nil
	}
	switch k {
	case "r":
		if p.agent.GetState() != pb.AgentState_AGENT_STATE_READY && (!p.talking() || p.agent.GetNotReadyAfter()) {
			m.submit(&command{kind: setReady})
		}
	case "n":
		if !p.agent.GetNotReadyAfter() {
			m.mode = choosePause
		}
	}
	return nil
}

// choose carries out a key of a list of reasons.
func (m *model) choose(k string) {
	reasons := pauseReasons
	if m.mode == chooseReason {
		reasons = declineReasons
	}
	switch {
	case k == "esc" || k == "q":
		m.mode = atDesk
	case k == "0":
		m.ask(writeReason, "")
	case k == "a" && m.mode == chooseReason: // thought better of it
		m.mode = atDesk
		m.deskKey("a")
	case k == "enter" || k == "d" && m.mode == chooseReason || k == "n" && m.mode == choosePause:
		m.give("")
	case len(k) == 1 && k[0] >= '1' && int(k[0]-'1') < len(reasons):
		m.give(reasons[k[0]-'1'])
	}
}

// give gives a reason: of declining while there is an offer, else of a pause.
func (m *model) give(reason string) {
	m.mode = atDesk
	if o := m.phone.offer; o != nil {
		m.submit(&command{kind: decline, offer: o.GetOfferId(), reason: reason})
		return
	}
	m.submit(&command{kind: pause, reason: reason})
}

// ask lets the agent write.
func (m *model) ask(what mode, text string) tea.Cmd {
	m.mode = what
	m.input.CharLimit = 60 // of the 64 bytes that the API takes of a reason
	if what == writeNote {
		m.input.CharLimit = 480 // of 500
	}
	m.input.SetValue(text)
	m.input.CursorEnd()
	return m.input.Focus()
}

func (m *model) writing(msg tea.KeyPressMsg, k string) tea.Cmd {
	switch k {
	case "esc", "ctrl+c":
		m.mode = atDesk
	case "enter":
		text := cutBytes(strings.TrimSpace(m.input.Value()), map[mode]int{writeReason: 64, writeNote: 500}[m.mode])
		if m.mode == writeNote {
			m.mode, m.note = atDesk, text
			return nil
		}
		m.give(text)
	default:
		return m.write(msg)
	}
	return nil
}

// write passes a message on to the line that is being written.
func (m *model) write(msg tea.Msg) tea.Cmd {
	if m.mode != writeReason && m.mode != writeNote {
		return nil
	}
	var cmd tea.Cmd
	m.input, cmd = m.input.Update(msg)
	return cmd
}

// cutBytes cuts a text to a number of bytes, between two characters.
func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// hints are the keys that do something now.
func (m *model) hints() []tui.Hint {
	p := m.phone
	leave := []tui.Hint{tui.Key("h", "history"), tui.Key("?", "help"), tui.Key("q", "sign out")}
	switch m.mode {
	case writeReason, writeNote:
		return []tui.Hint{tui.Key("enter", "done"), tui.Key("esc", "back")}
	case choosePause, chooseReason:
		return []tui.Hint{tui.Key("1-9", "choose"), tui.Key("0", "your own words"), tui.Key("enter", "no reason"), tui.Key("esc", "back")}
	case confirmQuit:
		return []tui.Hint{tui.Key("y", "sign out"), tui.Key("n", "stay")}
	case showHelp, showPast:
		return []tui.Hint{tui.Key("esc", "back"), tui.Key("↑↓", "scroll")}
	}
	switch {
	case m.quitting:
		return nil
	case p.link == Taken:
		return []tui.Hint{tui.Key("s", "use this softphone"), tui.Key("q", "leave")}
	case p.link == Out:
		return []tui.Hint{tui.Key("s", "sign in"), tui.Key("q", "leave")}
	case p.link != Open:
		return leave
	case p.offer != nil:
		return append([]tui.Hint{tui.Key("a", "accept"), tui.Key("d", "decline")}, leave...)
	}
	var out []tui.Hint
	if p.talking() {
		if p.agent.GetCallbackId() != "" {
			out = append(out, tui.Key("1-4", "result"), tui.Key("t", "note"))
		} else {
			out = append(out, tui.Key("c", "end the call"))
		}
		if p.agent.GetNotReadyAfter() {
			return append(append(out, tui.Key("r", "stay ready")), leave...)
		}
		return append(append(out, tui.Key("n", "not ready after")), leave...)
	}
	switch p.agent.GetState() {
	case pb.AgentState_AGENT_STATE_READY:
		out = append(out, tui.Key("n", "not ready"))
	case pb.AgentState_AGENT_STATE_NOT_READY:
		out = append(out, tui.Key("r", "ready"), tui.Key("n", "other reason"))
	case pb.AgentState_AGENT_STATE_WRAP_UP:
		out = append(out, tui.Key("r", "ready now"), tui.Key("n", "not ready"))
	}
	return append(out, leave...)
}
