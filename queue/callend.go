package queue

import (
	"time"

	"greenlane/callback"
	"greenlane/internal/instant"
)

// hangUp ends a call: one that waits is abandoned, one that is answered is
// complete, one that has not arrived yet leaves a tombstone.
func (m *Machine) hangUp(id, switchID string, at instant.Instant, reason string) (Result, error) {
	if id == "" {
		return Result{}, refuse(ErrInvalid, "call_id", "must not be empty")
	}
	c := m.calls.get(id)
	switch {
	case c == nil:
		return m.callResult(m.bury(id, switchID, at, reason)), nil
	case !sameSwitch(c, switchID):
		return Result{}, refuse(ErrCallNotFound, "call_id", "%q is no call of switch %q", id, switchID)
	case c.State == CallWaiting || c.State == CallOffered:
		cb, freed := m.end(c, CallAbandoned, EventCallAbandoned, reason, EndedCallerHungUp)
		m.free(freed)
		res := m.callResult(c)
		res.Callback = cb
		return res, nil
	case c.State == CallAnswered:
		m.free(m.finish(c, m.agents[c.Agent], reason))
		return m.callResult(c), nil
	default:
		res := m.callResult(c)
		res.Callback, res.Duplicate = m.promised(c), true
		return res, nil
	}
}

// promised returns the callback that a call has earned, or else the one that its caller
// has open for the queue, as earnCallback did; nil for none.
func (m *Machine) promised(c *call) *callback.Callback {
	cb := m.callbacks[c.few().Callback]
	if cb == nil && c.State == CallAbandoned && !c.Tombstone {
		if ok, _ := m.site.Callback.Earns(c.Tier, c.Caller, c.wait(m.now)); ok {
			cb = m.openCallbacks[callbackKey{c.Caller, c.queueName()}]
		}
	}
	if cb == nil {
		return nil
	}
	return &cb.Callback
}

// bury records that a call is over of which nobody has told that it began.
func (m *Machine) bury(id, switchID string, at instant.Instant, reason string) *call {
	m.meta.CallSeq++
	c := m.rooms.take()
	c.ID, c.from, c.Seq, c.Tombstone = id, m.sameOrigin(switchID, ""), m.meta.CallSeq, true
	c.State, c.Reason, c.ArrivedAt, c.EndedAt = CallAbandoned, reason, at, m.now
	c.timer = newTimer(c, classCall, c.Seq)
	m.keepCall(c)
	m.touchCall(c)
	m.keepEnded(c)
	return c
}

// arriveTooLate lets a call whose hang-up came first end as it would have in
// the right order. The switch's own times, where it gave both, say how long the
// caller waited.
func (m *Machine) arriveTooLate(grave *call, q *queueState, cmd *Arrive) Result {
	hungUp, ended, reason := grave.ArrivedAt, grave.EndedAt, grave.Reason
	wait := time.Duration(0)
	if !hungUp.IsZero() && !cmd.ArrivedAt.IsZero() {
		wait = min(max(0, hungUp.Sub(cmd.ArrivedAt)), time.Hour)
	}
	m.ended.remove(grave)
	seq := grave.Seq
	c := m.rooms.take()
	m.newCall(c, cmd, q, ended.Add(-wait))
	m.meta.CallSeq--
	m.renumber(c, seq)
	c.QueuedAt = c.JoinedAt
	m.totals(q, c.Tier).Joined++
	c.State, c.Reason, c.EndedAt = CallAbandoned, reason, ended
	m.emitCall(c, &Event{Type: EventCallJoined})
	if wait > q.cfg.Threshold {
		m.noteLate(c)
	}
	m.countEnd(c, CallAbandoned)
	cb := m.earnCallback(c)
	m.emitCall(c, &Event{Type: EventCallAbandoned, Wait: wait, Reason: reason, Callback: c.few().Callback})
	m.keepEnded(c)
	m.rooms.give(grave)
	res := m.callResult(c)
	res.Callback = cb
	return res
}

// leave takes a call out of its line, its offer and the waiting counts.
// It returns the offer it was in, which is over.
func (m *Machine) leave(c *call, how string) *offer {
	o := c.offer
	if o != nil {
		m.closeOffer(o, how)
		c.Agent, c.Offer = "", 0
	} else {
		m.lineOut(&c.entry)
	}
	countWaiting(c, -1)
	m.waiting--
	c.holdUntil(0)
	return o
}

// end brings a waiting or offered call to a terminal state. It returns the
// callback that stands for it, and the agent it was offered to: give him to free.
func (m *Machine) end(c *call, state CallState, event EventType, reason, offerEnded string) (cb *callback.Callback, freed *agent) {
	o := m.leave(c, offerEnded)
	if o != nil {
		freed = o.a
		m.become(o.a, AgentReady, "")
		m.emitReturned(o)
	}
	c.State, c.Reason, c.EndedAt = state, reason, m.now
	m.timers.disarm(&c.timer)
	m.countEnd(c, state)
	if state == CallAbandoned {
		cb = m.earnCallback(c)
	}
	e := Event{Type: event, Wait: c.wait(m.now), Reason: reason, Callback: c.few().Callback}
	m.emitCall(c, &e)
	m.keepEnded(c)
	return cb, freed
}

// free lets an agent whose call has ended have the next one; nil is nobody.
func (m *Machine) free(a *agent) {
	if a != nil {
		m.settle(a)
	}
}

// finish completes an answered call of agent a, nil for one who is not known. It
// returns him if the call was his work: give him to free.
func (m *Machine) finish(c *call, a *agent, reason string) (freed *agent) {
	c.State, c.Reason, c.EndedAt = CallCompleted, reason, m.now
	m.timers.disarm(&c.timer)
	talk := c.EndedAt.Sub(c.AnsweredAt)
	t := m.totals(c.q, c.Tier)
	t.Completed++
	t.Talk += talk.Milliseconds()
	e := Event{Type: EventCallCompleted, Agent: c.Agent, Reason: reason, Wait: c.wait(m.now), Talk: talk}
	if a != nil && a.talk == c {
		a.talk = nil
	}
	if a == nil || a.Agent.Call != c.ID {
		m.emitCall(c, &e)
		m.keepEnded(c)
		return nil
	}
	a.Agent.Call = ""
	wrap := m.endWork(a, c.q)
	m.learnHandleTime(c.q, talk+wrap)
	e.AgentState = a.State
	m.emitCall(c, &e)
	m.keepEnded(c)
	return a
}

// endWork puts an agent who has done with a call or callback into wrap-up, or
// past it, and returns how long the wrap-up is.
func (m *Machine) endWork(a *agent, q *queueState) time.Duration {
	if a.State == AgentSignedOut {
		return 0
	}
	wrap := time.Duration(a.WrapUp) * time.Millisecond
	if a.WrapUp < 0 {
		wrap = q.cfg.WrapUp
	}
	if wrap > 0 {
		a.WrapUntil = m.now.Add(wrap)
		m.become(a, AgentWrapUp, "")
	} else {
		m.afterWork(a)
	}
	return wrap
}

// learnHandleTime moves the queue's mean of the time a call keeps an agent.
func (m *Machine) learnHandleTime(q *queueState, d time.Duration) {
	q.rec.HandleTime = (15*q.rec.HandleTime + d.Milliseconds()) / 16
	m.touchQueue(q)
}
