package softphone

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"greenlane/internal/tui"
	pb "greenlane/proto/greenlane/v1"
)

// card is the one thing that lies on the desk.
func (m *model) card(c *tui.Canvas) {
	p := m.phone
	c.Blank()
	switch {
	case m.mode == choosePause:
		m.reasons(c, "Why are you not ready?", pauseReasons)
		return
	case m.mode == writeReason:
		c.Put(tui.Bold, "Why?")
		c.Blank()
		c.Row(new(tui.Row).Put(tui.Plain, "  "+m.input.View()))
		return
	case m.mode == confirmQuit:
		m.confirm(c)
		return
	case p.link == Taken:
		c.Put(tui.Bold, "This agent is open in another softphone")
		c.Wrap(tui.Plain, "Only one at a time gets the calls.", 3)
		return
	case p.link == Out:
		c.Put(tui.Bold, "You are signed out")
		if p.why != nil {
			c.Wrap(tui.Dim, message(p.why), 4)
		}
		return
	case p.talking() && p.agent.GetCallbackId() != "":
		m.callbackCard(c)
	case p.talking():
		m.talkCard(c)
	case p.link != Open:
		m.away(c)
		return
	case p.offer != nil:
		m.offerCard(c)
	case p.agent.GetState() == pb.AgentState_AGENT_STATE_WRAP_UP:
		c.Put(tui.Bold, "Wrap-up")
		c.Put(tui.Plain, "Finish up. You are ready again in")
		c.Blank()
		c.Put(tui.Bold, "%s", tui.Left(p.agent.GetWrapUpUntil().AsTime().Sub(c.Now)))
		return
	default:
		m.rest(c)
		return
	}
	m.callerBefore(c)
}

// rest is a desk with nothing on it.
func (m *model) rest(c *tui.Canvas) {
	a := m.phone.agent
	if a.GetState() == pb.AgentState_AGENT_STATE_READY {
		since := a.GetIdleSince()
		if since == nil {
			since = a.GetSince()
		}
		c.Put(tui.Good, "Waiting for the next call")
		c.Put(tui.Dim, "free for %s", tui.Span(c.Now.Sub(since.AsTime())))
		return
	}
	title := "Not ready"
	if why := pauseWord(a.GetReason()); why != "" {
		title += ": " + why
	}
	c.Wrap(tui.Soon, title, 3)
	c.Wrap(tui.Dim, "for "+tui.Span(c.Now.Sub(a.GetSince().AsTime()))+"; you get no calls until you press r", 2)
}

// away is a desk without a session.
func (m *model) away(c *tui.Canvas) {
	p := m.phone
	if p.link == Opening {
		c.Put(tui.Plain, "Connecting to the daemon…")
		return
	}
	c.Put(tui.Bad, "No connection")
	c.Wrap(tui.Plain, "You get no calls until it is back, which this softphone tries by itself.", 3)
	if p.doubted != nil {
		c.Wrap(tui.Plain, "The offer that you had goes back to its place, unless the connection is back in time.", 3)
	}
	if in := p.retryAt.Sub(c.Now); in > 0 {
		c.Put(tui.Dim, "next try in %s", tui.Left(in))
	}
	c.Wrap(tui.Dim, message(p.why), 2)
}

// badge is a tier that stands out, also without colours.
func badge(t pb.Tier) (string, tui.Ink) {
	ink := tui.Ink("1;7")
	switch t {
	case pb.Tier_TIER_VIP:
		ink = "1;30;42"
	case pb.Tier_TIER_MID:
		ink = "1;30;46"
	case pb.Tier_TIER_BLACKLIST:
		ink = "1;37;45"
	}
	return "[" + tui.TierName(t) + "]", ink
}

func heading(c *tui.Canvas, text string, t pb.Tier, more ...string) {
	r := new(tui.Row).Put(tui.Plain, "  ").Put(tui.Bold, text)
	if t != pb.Tier_TIER_UNSPECIFIED {
		b, ink := badge(t)
		r.Put(tui.Plain, "  ").Put(ink, b)
	}
	for _, s := range more {
		r.Put(tui.Dim, "  "+s)
	}
	c.Row(r)
}

func (m *model) offerCard(c *tui.Canvas) {
	o := m.phone.offer
	if m.mode == chooseReason { // on a small screen the choice has to fit, too
		m.declining(c, o)
		return
	}
	if cb := o.GetCallback(); cb != nil {
		heading(c, "CALLBACK TO MAKE", cb.GetTier())
		c.Blank()
		c.Put(tui.Bold, "%s", tui.Number(cb.GetCaller()))
		c.Wrap(tui.Plain, promise(cb, c.Now)+" · "+whyWord(o.GetWhy()), 3)
	} else {
		call := o.GetCall()
		var doubt []string
		if call.GetProvisional() {
			doubt = append(doubt, "tier not confirmed yet")
		}
		if call.GetUnattestedVip() {
			doubt = append(doubt, "a VIP's number that the switch did not vouch for")
		}
		heading(c, "INCOMING CALL", call.GetTier(), doubt...)
		c.Blank()
		c.Put(tui.Bold, "%s", tui.Number(call.GetCaller()))
		parts := []string{"queue " + call.GetQueue()}
		if call.GetDialed() != "" {
			parts = append(parts, "dialled "+tui.Clean(call.GetDialed()))
		}
		c.Wrap(tui.Plain, strings.Join(append(parts, whyWord(o.GetWhy())), " · "), 3)
		c.Blank()
		m.waited(c, call)
	}
	m.answerWithin(c, o)
	attributes(c, o.GetCall())
}

func (m *model) declining(c *tui.Canvas, o *pb.Offer) {
	tier := o.GetCall().GetTier()
	if cb := o.GetCallback(); cb != nil {
		tier = cb.GetTier()
	}
	heading(c, tui.Number(m.caller()), tier)
	m.answerWithin(c, o)
	c.Blank()
	m.reasons(c, "Decline, because", declineReasons)
}

// waited is how long the caller has waited, against what was promised.
func (m *model) waited(c *tui.Canvas, call *pb.Call) {
	wait := c.Now.Sub(call.GetJoinedAt().AsTime())
	limit, known := m.limits[call.GetQueue()]
	r := new(tui.Row).Put(tui.Plain, "  has waited  ")
	if !known {
		// The daemon said whether it was late when the offer was made.
		if call.GetLate() {
			c.Row(r.Put(tui.Bad, tui.Span(wait)+"  ▲ LATE"))
			return
		}
		c.Row(r.Put(tui.Bold, tui.Span(wait)))
		return
	}
	late := wait > limit
	ink := tui.Bold
	switch {
	case late:
		ink = tui.Bad
	case wait >= limit*3/4:
		ink = tui.Soon
	}
	r.Put(ink, tui.Span(wait)).Put(tui.Plain, " of "+tui.Seconds(limit)+"  ")
	cells := min(c.Width-r.Columns()-9, 30)
	full := cells
	if limit > 0 {
		full = min(int(int64(cells)*int64(wait)/int64(limit)), cells)
	}
	if cells > 4 {
		r.Put(ink, strings.Repeat("█", max(full, 0))).Put(tui.Dim, strings.Repeat("░", cells-max(full, 0)))
	}
	if late {
		r.Put(tui.Bad, " ▲ LATE")
	}
	c.Row(r)
}

// answerWithin is the time left to answer an offer.
func (m *model) answerWithin(c *tui.Canvas, o *pb.Offer) {
	left := o.GetExpiresAt().AsTime().Sub(c.Now)
	ink := tui.Bold
	if left <= 5*time.Second {
		ink = tui.Bad
	}
	r := new(tui.Row).Put(tui.Plain, "  answer within  ").Put(ink, tui.Left(left))
	if b := m.phone.busy; b != nil && b.offer == o.GetOfferId() {
		r.Put(tui.Soon, map[kind]string{accept: "  accepting…", decline: "  declining…"}[b.kind])
	}
	c.Row(r)
}

// promise is what was promised to the caller of a callback.
func promise(cb *pb.Callback, now time.Time) string {
	parts := []string{
		"queue " + cb.GetQueue(), fmt.Sprintf("attempt %d", cb.GetAttempts()+1),
		"promised until " + clockTime(cb.GetDeadline().AsTime(), now),
	}
	if w := resultWords[cb.GetLastResult()]; w != "" {
		parts = append(parts, "last time: "+w)
	}
	if cb.GetNote() != "" {
		parts = append(parts, "“"+tui.Clean(cb.GetNote())+"”")
	}
	return strings.Join(parts, " · ")
}

// attributes are what the switch wants the agent to see.
func attributes(c *tui.Canvas, call *pb.Call) {
	all := call.GetAttributes()
	if len(all) == 0 {
		return
	}
	c.Blank()
	for _, k := range slices.Sorted(maps.Keys(all)) {
		c.Wrap(tui.Plain, tui.Clean(k)+": "+tui.Clean(all[k]), 2)
	}
}

func (m *model) talkCard(c *tui.Canvas) {
	p := m.phone
	call := p.call
	heading(c, "TALKING", call.GetTier())
	c.Blank()
	since := p.agent.GetSince()
	if call == nil {
		c.Put(tui.Bold, "call %s", tui.Clean(p.agent.GetCallId()))
	} else {
		c.Put(tui.Bold, "%s", tui.Number(call.GetCaller()))
		text := "queue " + call.GetQueue() + " · waited " + tui.Span(call.GetWait().AsDuration())
		if call.GetLate() {
			text += " ▲ late"
		}
		c.Wrap(tui.Plain, text, 2)
		since = call.GetAnsweredAt()
	}
	c.Blank()
	m.talk(c, since.AsTime())
	attributes(c, call)
}

// talk counts the call or callback on.
func (m *model) talk(c *tui.Canvas, since time.Time) {
	p := m.phone
	r := new(tui.Row).Put(tui.Plain, "  for ").Put(tui.Bold, tui.Span(c.Now.Sub(since)))
	if p.agent.GetNotReadyAfter() {
		r.Put(tui.Soon, "   not ready after it")
	}
	if b := p.busy; b != nil && (b.kind == complete || b.kind == report) {
		r.Put(tui.Soon, "   ending…")
	}
	c.Row(r)
	if p.link != Open {
		c.Wrap(tui.Bad, "The connection is lost. Your call goes on; this softphone catches up by itself.", 3)
	}
}

func (m *model) callbackCard(c *tui.Canvas) {
	p := m.phone
	cb := p.callback
	heading(c, "CALL THIS NUMBER NOW", cb.GetTier())
	c.Blank()
	if cb == nil {
		c.Put(tui.Bold, "callback %s", tui.Clean(p.agent.GetCallbackId()))
	} else {
		c.Put(tui.Bold, "%s", tui.Number(cb.GetCaller()))
		c.Wrap(tui.Plain, promise(cb, c.Now), 3)
	}
	c.Blank()
	m.talk(c, p.agent.GetSince().AsTime())
	c.Blank()
	switch {
	case m.mode == writeNote:
		c.Row(new(tui.Row).Put(tui.Plain, "  note: "+m.input.View()))
	case m.note != "":
		c.Wrap(tui.Plain, "note: "+tui.Clean(m.note), 3)
	}
	c.Put(tui.Plain, "What came of it?")
	for i, res := range results {
		c.Row(new(tui.Row).Put(tui.Plain, "    ").Putf(tui.Bold, "%d", i+1).Put(tui.Plain, " "+resultWords[res]))
	}
}

// reasons is a list to choose from.
func (m *model) reasons(c *tui.Canvas, title string, all []string) {
	c.Put(tui.Bold, "%s", title)
	for i, s := range all {
		c.Row(new(tui.Row).Put(tui.Plain, "    ").Putf(tui.Bold, "%d", i+1).Put(tui.Plain, " "+s))
	}
	c.Row(new(tui.Row).Put(tui.Plain, "    ").Put(tui.Bold, "0").Put(tui.Plain, " in your own words"))
}

func (m *model) confirm(c *tui.Canvas) {
	if m.phone.offer != nil {
		c.Put(tui.Bold, "Sign out with an offer on the screen?")
		c.Wrap(tui.Plain, "The caller keeps the place in the queue and goes to somebody else.", 3)
		return
	}
	c.Put(tui.Bold, "Sign out in the middle of a call?")
	if m.phone.agent.GetCallbackId() != "" {
		c.Wrap(tui.Plain, "The callback stays yours until it is reported or its claim ends.", 3)
		return
	}
	c.Wrap(tui.Plain, "The call goes on, and ends when the switch says so.", 3)
}

// callerBefore is what happened with this caller before.
func (m *model) callerBefore(c *tui.Canvas) {
	id, _ := m.atHand()
	h := m.before
	if id == "" || h.of != id || !h.known || m.mode == chooseReason {
		return
	}
	c.Blank()
	if len(h.lines) == 0 {
		c.Put(tui.Dim, "No earlier calls are known")
		return
	}
	c.Put(tui.Dim, "This caller before")
	for _, l := range h.lines {
		c.Row(new(tui.Row).Put(tui.Dim, "  "+clockTime(l.at, c.Now)+"  ").Put(tui.Plain, l.text))
	}
}

func (m *model) help(c *tui.Canvas) {
	c.Put(tui.Bold, "Keys")
	for _, h := range []tui.Hint{
		tui.Key("a, enter", "accept the offer"), tui.Key("d", "decline it, with a reason"), tui.Key("c", "end the call"),
		tui.Key("1-4", "what came of a callback"), tui.Key("t", "write a note on it"), tui.Key("r", "be ready; ends a wrap-up"),
		tui.Key("n", "be not ready, with a reason; in a call: after it"), tui.Key("h", "your calls since sign-in"), tui.Key("q, ctrl+c", "sign out and leave"),
	} {
		c.Row(new(tui.Row).Put(tui.Plain, "  ").Put(tui.Bold, h.Key).To(13).Put(tui.Plain, " "+h.Does))
	}
	c.Blank()
	c.Wrap(tui.Dim, "An offer is on the screen only while it is yours. A VIP may take its place; a caller who is not answered goes back to the old place. "+
		"Waits are counted by the daemon's clock.", 5)
}
