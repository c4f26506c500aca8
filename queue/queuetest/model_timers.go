package queuetest

import (
	"cmp"
	"time"

	"greenlane/internal/instant"
	"greenlane/queue"
)

// due is one record that time alone changes, and when.
type due struct {
	at    instant.Instant
	class int // of equal instants: calls, then agents, callbacks, owners
	ord   uint64
	fire  func()
}

func (d due) before(o due) bool {
	return cmp.Or(cmp.Compare(d.at, o.at), cmp.Compare(d.class, o.class), cmp.Compare(d.ord, o.ord)) < 0
}

// fireTimers fires what is due, the earliest first, one record at a time.
func (m *Model) fireTimers() {
	for {
		next, ok := m.nextDue()
		if !ok || next.at > m.now {
			return
		}
		next.fire()
	}
}

// NextTimer returns the next instant at which time alone changes something.
func (m *Model) NextTimer() (instant.Instant, bool) {
	d, ok := m.nextDue()
	return d.at, ok
}

// nextDue asks every record when it is due.
func (m *Model) nextDue() (first due, ok bool) {
	add := func(d due) {
		if !d.at.IsZero() && (!ok || d.before(first)) {
			first, ok = d, true
		}
	}
	for _, c := range m.calls {
		add(due{at: m.callDue(c), class: 1, ord: c.Seq, fire: func() { m.fireCall(c) }})
	}
	for _, a := range m.agents {
		at := a.LeaseUntil
		if a.State == queue.AgentWrapUp {
			at = earlier(at, a.WrapUntil)
		}
		add(due{at: at, class: 2, ord: a.Ord, fire: func() { m.fireAgent(a) }})
	}
	for _, cb := range m.callbacks {
		add(due{at: m.callbackDue(cb), class: 3, ord: cb.Seq, fire: func() { m.fireCallback(cb) }})
	}
	for _, o := range m.owners {
		add(due{at: o.Until, class: 4, ord: o.Ord, fire: func() { m.lapse(o) }})
	}
	return first, ok
}

// earlier returns the earlier of two instants that are set.
func earlier(a, b instant.Instant) instant.Instant {
	if a.IsZero() || !b.IsZero() && b < a {
		return b
	}
	return a
}

// callDue returns when time changes the call next, zero for never.
func (m *Model) callDue(c *queue.Call) instant.Instant {
	if c.State == queue.CallAnswered && m.site.MaxTalk > 0 {
		return c.AnsweredAt.Add(m.site.MaxTalk)
	}
	if c.State != queue.CallWaiting && c.State != queue.CallOffered {
		return 0
	}
	q := m.queueOf(c.Queue)
	at := instant.Instant(0)
	if !c.Late {
		at = earlier(at, c.JoinedAt.Add(q.Threshold)+1)
	}
	if q.MaxWait > 0 {
		at = earlier(at, c.JoinedAt.Add(q.MaxWait))
	}
	if o := m.offer(c.Offer); c.State == queue.CallOffered {
		return earlier(at, earlier(o.ExpiresAt, o.AckBy))
	}
	if q.Overflow.After > 0 {
		at = earlier(at, overflowAt(c, q))
	}
	return earlier(at, c.HeldUntil)
}

// fireCall does everything that is due for a call.
func (m *Model) fireCall(c *queue.Call) {
	if c.State == queue.CallAnswered {
		m.free(m.completeCall(c, queue.ReasonMaxTalk))
		return
	}
	q := m.queueOf(c.Queue)
	if !c.Late && m.now > c.JoinedAt.Add(q.Threshold) {
		m.markLate(c)
	}
	if q.MaxWait > 0 && m.now >= c.JoinedAt.Add(q.MaxWait) {
		_, freed := m.endWaiting(c, queue.CallTimedOut, queue.EventCallTimedOut, queue.ReasonMaxWait, queue.EndedMaxWait)
		m.free(freed)
		return
	}
	if c.State == queue.CallOffered {
		m.offerDue(m.offer(c.Offer))
	}
	if c.State == queue.CallWaiting && !c.HeldUntil.IsZero() && m.now >= c.HeldUntil {
		m.release(c)
	}
	if c.State == queue.CallWaiting && q.Overflow.After > 0 && m.now >= overflowAt(c, q) {
		m.overflow(c, q)
	}
}

// markLate is the moment at which the answer can no longer be in time.
func (m *Model) markLate(c *queue.Call) {
	c.Late = true
	m.total(c.Queue, c.Tier).Late++
	m.count(c, func(n *queue.Counts) { n.LateWaiting++ })
	m.callEvent(c, queue.Event{Type: queue.EventCallLate, Wait: c.Wait(m.now)})
}

// offerDue ends an offer that was not answered, or not acknowledged, in time.
func (m *Model) offerDue(o *queue.OfferRecord) {
	switch {
	case m.now >= o.ExpiresAt:
		m.turnedDown(o)
		m.giveBack(o, queue.EndedExpired, queue.ReasonNoAnswer)
	case !o.AckBy.IsZero() && m.now >= o.AckBy:
		m.giveBack(o, queue.EndedNotAcknowledged, queue.ReasonNotAcknowledged)
	}
}

// overflowAt is when a call has waited in a queue for long enough.
func overflowAt(c *queue.Call, q *queue.Queue) instant.Instant {
	if !c.OverflowAt.IsZero() {
		return c.OverflowAt
	}
	return c.QueuedAt.Add(q.Overflow.After)
}

// overflow moves a call that waited too long, or hands it to a place outside. A queue
// that is closed gets nobody; the call tries again, each second at the most.
func (m *Model) overflow(c *queue.Call, q *queue.Queue) {
	if to := q.Overflow.To; to != "" {
		if !m.queueOf(to).Hours.Open(m.now.Time()) {
			c.OverflowAt = m.now.Add(max(q.Overflow.After, time.Second))
			return
		}
		m.move(c, q.Overflow.To, queue.ReasonOverflow, "")
		m.tryEntry(entry{call: c})
		return
	}
	_, freed := m.endWaiting(c, queue.CallOverflowed, queue.EventCallOverflowed, queue.ReasonOverflow, queue.EndedMoved)
	m.free(freed)
}

// fireAgent does everything that is due for an agent.
func (m *Model) fireAgent(a *queue.Agent) {
	if a.State == queue.AgentWrapUp && a.WrapUntil <= m.now {
		m.afterWrapUp(a)
		m.changed(a)
		m.consequences(a)
	}
	if !a.LeaseUntil.IsZero() && a.LeaseUntil <= m.now {
		m.lose(a)
	}
}

// callbackDue returns when time changes the callback next, zero for never.
func (m *Model) callbackDue(cb *promise) instant.Instant {
	at, ok := cb.NextTimer(m.site.Callback)
	if !ok {
		at = 0
	}
	if o := m.offerOf(cb); o != nil {
		at = earlier(at, earlier(o.ExpiresAt, o.AckBy))
	}
	return at
}
