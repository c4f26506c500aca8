package queuetest

import (
	"math"
	"time"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// arrive lets a call in, or says why not.
func (m *Model) arrive(c *queue.Arrive) (queue.Result, error) {
	if c.Call == "" {
		return queue.Result{}, refuse(queue.ErrInvalid, "call_id")
	}
	known := m.call(c.Call)
	if known != nil && !sameSwitch(known, c.Switch) {
		return queue.Result{}, refuse(queue.ErrCallExists, "call_id")
	}
	if known != nil && !known.Tombstone {
		return queue.Result{Call: known, Duplicate: true}, nil
	}
	q, err := m.route(c)
	if err != nil {
		return queue.Result{}, err
	}
	call := m.newCall(c, q)
	if known != nil {
		return m.arriveAfterHangUp(known, call), nil
	}
	m.enter(call, m.now)
	reason := m.admission(call, q)
	if reason == "" {
		reason = c.Refuse
	}
	if reason != "" {
		call.State, call.Reason, call.EndedAt = queue.CallRefused, reason, m.now
		m.count(call, func(n *queue.Counts) { n.Refused++ })
		m.callEvent(call, queue.Event{Type: queue.EventCallRefused, Reason: reason})
		return queue.Result{Call: call}, nil
	}
	m.join(call)
	return queue.Result{Call: call}, nil
}

// sameSwitch: who names no switch is not contradicted.
func sameSwitch(c *queue.Call, name string) bool {
	return name == "" || c.Switch == "" || c.Switch == name
}

// route finds the queue an arrival goes to.
func (m *Model) route(c *queue.Arrive) (*queue.Queue, error) {
	name := c.Queue
	if name == "" {
		name = m.site.Routes[c.Dialed]
	}
	if name == "" {
		name = m.site.DefaultQueue
	}
	q := m.queueOf(name)
	switch {
	case name == "":
		return nil, refuse(queue.ErrInvalid, "queue")
	case q == nil:
		return nil, refuse(queue.ErrQueueNotFound, "queue")
	}
	return q, nil
}

// newCall is the record of an arrival, without a place yet.
func (m *Model) newCall(c *queue.Arrive, q *queue.Queue) *queue.Call {
	t := c.Tier
	if !t.Valid() {
		t = tiering.Ordinary
	}
	return &queue.Call{
		ID: c.Call, Switch: c.Switch, Caller: c.Caller, Dialed: c.Dialed, Queue: q.Name, Tier: t,
		Provisional: c.Provisional, Attestation: c.Attestation, UnattestedVIP: c.UnattestedVIP,
		PreferredAgent: c.PreferredAgent, Attributes: c.Attributes, ArrivedAt: c.ArrivedAt,
	}
}

// enter gives a call its place in the order of arrival.
func (m *Model) enter(c *queue.Call, joined instant.Instant) {
	m.callSeq++
	c.Seq, c.JoinedAt, c.QueuedAt, c.State = m.callSeq, joined, m.now, queue.CallWaiting
	m.calls = append(m.calls, c)
}

// admission says why a call is not let in; "" lets it in.
func (m *Model) admission(c *queue.Call, q *queue.Queue) string {
	inQueue, inSite := 0, 0
	for _, x := range m.calls {
		if x == c || x.State != queue.CallWaiting && x.State != queue.CallOffered {
			continue
		}
		inSite++
		if x.Queue == q.Name {
			inQueue++
		}
	}
	share, given := q.Shares[c.Tier]
	if !given {
		share = 1
	}
	// 0.29 of 100 is 29, whatever a binary fraction makes of it.
	room := int(math.Floor(float64(q.Capacity)*share + 1e-9))
	if share > 0 {
		room = max(room, 1) // a share is at least one place
	}
	switch {
	case !q.Hours.Open(m.now.Time()):
		return queue.ReasonQueueClosed
	case m.site.RejectBlacklist && c.Tier == tiering.Blacklist:
		return queue.ReasonBlacklisted
	case m.site.MaxWaiting > 0 && inSite >= m.site.MaxWaiting:
		return queue.ReasonProcessFull
	case q.Capacity > 0 && c.Tier != tiering.VIP && inQueue >= room:
		return queue.ReasonQueueFull
	}
	return ""
}

// join puts an admitted call into its queue and looks for an agent.
func (m *Model) join(c *queue.Call) {
	m.total(c.Queue, c.Tier).Joined++
	m.callEvent(c, queue.Event{Type: queue.EventCallJoined})
	m.holdForPreferred(c)
	m.tryEntry(entry{call: c})
}

// holdForPreferred lets a call wait for its preferred agent alone when he
// works. (If he is free, the hold ends with the offer that follows.)
func (m *Model) holdForPreferred(c *queue.Call) {
	a, wait := m.agent(c.PreferredAgent), m.queueOf(c.Queue).PreferredWait
	if a == nil || wait <= 0 || !a.State.Working() || !m.reachable(a, entry{call: c}) {
		return
	}
	if _, serves := level(a, c.Queue); serves {
		c.HeldUntil = m.now.Add(wait)
	}
}

// releaseHolds frees the calls that wait for an agent who can no longer be
// waited for: he works no longer, or serves their queue no longer.
func (m *Model) releaseHolds(a *queue.Agent) {
	for _, e := range m.line() {
		c := e.call
		if c == nil || c.State != queue.CallWaiting || c.HeldUntil.IsZero() || c.PreferredAgent != a.ID {
			continue
		}
		if _, serves := level(a, c.Queue); !serves || !a.State.Working() {
			m.release(c)
		}
	}
}

// release ends a call's wait for its preferred agent: it goes to everyone.
func (m *Model) release(c *queue.Call) {
	c.HeldUntil = 0
	m.callEvent(c, queue.Event{Type: queue.EventCallReleasedToAll, Agent: c.PreferredAgent})
	m.tryEntry(entry{call: c})
}

// hangUp ends a call because the switch says so. Before the arrival it leaves a
// mark.
func (m *Model) hangUp(id, sw string, at instant.Instant, reason string) (queue.Result, error) {
	if id == "" {
		return queue.Result{}, refuse(queue.ErrInvalid, "call_id")
	}
	c := m.call(id)
	switch {
	case c == nil:
		m.callSeq++
		c = &queue.Call{
			ID: id, Switch: sw, Seq: m.callSeq, State: queue.CallAbandoned, Reason: reason,
			ArrivedAt: at, EndedAt: m.now, Tombstone: true,
		}
		m.calls = append(m.calls, c)
		return queue.Result{Call: c}, nil
	case !sameSwitch(c, sw):
		return queue.Result{}, refuse(queue.ErrCallNotFound, "call_id")
	case c.State.Terminal():
		return queue.Result{Call: c, Callback: record(m.promised(c)), Duplicate: true}, nil
	case c.State == queue.CallAnswered:
		m.free(m.completeCall(c, reason))
		return queue.Result{Call: c}, nil
	}
	cb, freed := m.abandon(c, reason)
	m.free(freed)
	return queue.Result{Call: c, Callback: record(cb)}, nil
}

// arriveAfterHangUp ends a call whose hang-up overtook it, as it would have
// ended in the right order: the two times that the switch gave say how long the
// caller waited.
func (m *Model) arriveAfterHangUp(mark, c *queue.Call) queue.Result {
	wait := time.Duration(0)
	if !mark.ArrivedAt.IsZero() && !c.ArrivedAt.IsZero() {
		wait = min(max(0, mark.ArrivedAt.Sub(c.ArrivedAt)), time.Hour)
	}
	c.Seq, c.EndedAt, c.JoinedAt = mark.Seq, mark.EndedAt, mark.EndedAt.Add(-wait)
	c.QueuedAt = c.JoinedAt
	for i := range m.calls {
		if m.calls[i] == mark {
			m.calls[i] = c
		}
	}
	m.total(c.Queue, c.Tier).Joined++
	c.State, c.Reason = queue.CallAbandoned, mark.Reason
	m.callEvent(c, queue.Event{Type: queue.EventCallJoined})
	if wait > m.queueOf(c.Queue).Threshold {
		m.markLate(c)
	}
	m.countAbandon(c)
	cb := m.earn(c)
	m.callEvent(c, queue.Event{Type: queue.EventCallAbandoned, Wait: wait, Reason: c.Reason, Callback: c.Callback})
	return queue.Result{Call: c, Callback: record(cb)}
}

// endWaiting brings a waiting or offered call to a terminal state. It returns
// the callback that stands for it, and the agent it was offered to: free him.
func (m *Model) endWaiting(c *queue.Call, s queue.CallState, event queue.EventType, reason, offerEnded string) (cb *promise, freed *queue.Agent) {
	freed = m.withdrawCall(c, offerEnded)
	c.State, c.Reason, c.EndedAt, c.HeldUntil = s, reason, m.now, 0
	switch s {
	case queue.CallAbandoned:
		m.countAbandon(c)
		cb = m.earn(c)
	case queue.CallTimedOut:
		m.countEnd(c, func(n *queue.Counts) { n.TimedOut++ })
	case queue.CallOverflowed:
		m.countEnd(c, func(n *queue.Counts) { n.Overflowed++ })
	}
	m.callEvent(c, queue.Event{Type: event, Wait: c.Wait(m.now), Reason: reason, Callback: c.Callback})
	return cb, freed
}

func (m *Model) abandon(c *queue.Call, reason string) (*promise, *queue.Agent) {
	return m.endWaiting(c, queue.CallAbandoned, queue.EventCallAbandoned, reason, queue.EndedCallerHungUp)
}

// withdrawCall ends the offer of a call, if there is one, and returns its
// agent, ready again.
func (m *Model) withdrawCall(c *queue.Call, ended string) *queue.Agent {
	if c.State != queue.CallOffered {
		return nil
	}
	o := m.offer(c.Offer)
	_, a := m.dropOffer(o, ended)
	m.become(a, queue.AgentReady, "")
	m.offerReturned(o)
	return a
}

// free lets an agent whose work has ended have the next; nil is nobody.
func (m *Model) free(a *queue.Agent) {
	if a != nil {
		m.consequences(a)
	}
}
