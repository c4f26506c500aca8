package queue

import (
	"time"

	"greenlane/internal/instant"
)

// armCall sets the call's timer to the next thing that time alone brings.
func (m *Machine) armCall(c *call) {
	q := c.q
	var at instant.Instant
	var in *lane
	soonest := func(t instant.Instant, l *lane) {
		if at == 0 || t < at {
			at, in = t, l
		}
	}
	switch c.State {
	case CallAnswered:
		if m.site.MaxTalk > 0 {
			soonest(c.AnsweredAt.Add(m.site.MaxTalk), m.talkLane)
		}
	case CallWaiting, CallOffered:
		if !c.Late {
			soonest(c.JoinedAt.Add(q.cfg.Threshold)+1, q.lanes.late)
		}
		if q.cfg.MaxWait > 0 {
			soonest(c.JoinedAt.Add(q.cfg.MaxWait), q.lanes.maxWait)
		}
		if o := c.offer; o != nil {
			soonest(o.ExpiresAt, q.lanes.offer)
			if o.AckBy != 0 {
				soonest(o.AckBy, m.ackLane)
			}
		} else {
			if held := c.few().HeldUntil; held != 0 {
				soonest(held, q.lanes.hold)
			}
			if q.cfg.Overflow.After > 0 {
				soonest(c.overflowAt(), q.lanes.overflow)
			}
		}
	}
	m.timers.arm(&c.timer, at, in)
}

// fire implements timed.
func (c *call) fire(m *Machine, now instant.Instant) {
	if c.State == CallAnswered {
		m.free(m.finish(c, m.agents[c.Agent], ReasonMaxTalk))
		return
	}
	q := c.q
	if !c.Late && now > c.JoinedAt.Add(q.cfg.Threshold) {
		m.markLate(c)
	}
	if q.cfg.MaxWait > 0 && now >= c.JoinedAt.Add(q.cfg.MaxWait) {
		_, freed := m.end(c, CallTimedOut, EventCallTimedOut, ReasonMaxWait, EndedMaxWait)
		m.free(freed)
		return
	}
	if o := c.offer; o != nil {
		m.offerDue(o)
	}
	if held := c.few().HeldUntil; c.State == CallWaiting && held != 0 && now >= held {
		m.release(&c.entry)
	}
	if c.State == CallWaiting && q.cfg.Overflow.After > 0 && now >= c.overflowAt() {
		m.overflow(c)
	}
	if !c.State.Terminal() {
		m.armCall(c)
	}
}

// markLate counts a waiting call as missed at the moment its threshold passes.
func (m *Machine) markLate(c *call) {
	c.q.tiers[c.Tier].late++
	m.noteLate(c)
}

// noteLate records that a call, waiting or told of afterwards, passed the
// threshold before an answer.
func (m *Machine) noteLate(c *call) {
	c.Late = true
	m.totals(c.q, c.Tier).Late++
	m.cohort(c.q, c.Tier, c.JoinedAt).LateWaiting++
	m.totals(c.q, c.Tier).Counts.LateWaiting++
	m.emitCall(c, &Event{Type: EventCallLate, Wait: c.wait(m.now)})
}

// offerDue ends an offer that was not acknowledged or not answered in time:
// the agent is not ready, the call back in its place.
func (m *Machine) offerDue(o *offer) {
	switch {
	case m.now >= o.ExpiresAt:
		o.e.addDeclined(o.a.ID)
		m.giveBack(o, EndedExpired, ReasonNoAnswer)
	case o.AckBy != 0 && m.now >= o.AckBy:
		m.giveBack(o, EndedNotAcknowledged, ReasonNotAcknowledged)
	}
}

// giveBack ends an offer and makes its agent not ready for a reason, or leaves
// him ready when there is none.
func (m *Machine) giveBack(o *offer, how, notReady string) {
	a := o.a
	m.endOffer(o, how)
	if notReady != "" {
		m.become(a, AgentNotReady, notReady)
	} else {
		m.become(a, AgentReady, "")
	}
	m.emitReturned(o)
	if notReady != "" {
		m.emit(&Event{Type: EventAgentStateChanged, Agent: a.ID, AgentState: a.State, Reason: a.Reason})
	}
	m.settle(a)
	m.place(o.e)
}

func (m *Machine) overflow(c *call) {
	o := c.q.cfg.Overflow
	if o.To == "" {
		_, freed := m.end(c, CallOverflowed, EventCallOverflowed, ReasonOverflow, EndedMoved)
		m.free(freed)
		return
	}
	to := m.queues[o.To]
	if !to.cfg.Hours.Open(m.now.Time()) {
		c.own().OverflowAt = m.now.Add(max(o.After, overflowRetry))
		m.touchCall(c)
		return
	}
	m.moveTo(c, to, ReasonOverflow, "")
	m.place(&c.entry)
}

// overflowRetry is how soon, at the least, an overflow is tried again whose target is
// closed: until then the call waits on where it is. A target that is full takes it all
// the same, since it was admitted once.
const overflowRetry = time.Second

// overflowAt is when a waiting call overflows.
func (c *call) overflowAt() instant.Instant {
	if at := c.few().OverflowAt; at != 0 {
		return at
	}
	return c.QueuedAt.Add(c.q.cfg.Overflow.After)
}

// moveTo puts a call that waits in line into another queue, with its place and
// clock. The caller tries to serve it there.
func (m *Machine) moveTo(c *call, to *queueState, reason, by string) {
	from := c.q
	m.lineOut(&c.entry)
	m.recount(c, to, c.Tier)
	few := c.own()
	few.OverflowedFrom, few.HeldUntil, few.OverflowAt, c.QueuedAt = from.cfg.Name, 0, 0, m.now
	m.lineUp(&c.entry)
	m.armCall(c)
	m.emitCall(c, &Event{Type: EventCallMoved, FromQueue: from.cfg.Name, Reason: reason, Why: by})
}
