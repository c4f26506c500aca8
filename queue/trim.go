package queue

import (
	"slices"

	"greenlane/internal/instant"
)

// sparesKept is how many forgotten records of a kind are kept for their room.
const sparesKept = 4096

// trimStep bounds how many records of a kind one command forgets.
const trimStep = 16

// keepEnded remembers an ended call, in order of (EndedAt, Seq). It drops the
// links that only a live call needs, which the collector would follow.
func (m *Machine) keepEnded(c *call) {
	if c.few().EraseAtEnd {
		m.overdue.calls = append(m.overdue.calls, c)
	}
	c.entry, c.timer.owner = entry{q: c.q, dirty: c.dirty, idHash: c.idHash}, nil
	i := len(m.ended)
	for i > 0 && (m.ended[i-1].EndedAt > c.EndedAt || m.ended[i-1].EndedAt == c.EndedAt && m.ended[i-1].Seq > c.Seq) {
		i--
	}
	m.ended = slices.Insert(m.ended, i, c)
}

func (m *Machine) keepEndedCallback(cb *cbRecord) {
	i := len(m.endedBacks)
	for i > 0 && (m.endedBacks[i-1].EndedAt > cb.EndedAt || m.endedBacks[i-1].EndedAt == cb.EndedAt && m.endedBacks[i-1].Seq > cb.Seq) {
		i--
	}
	m.endedBacks = slices.Insert(m.endedBacks, i, cb)
	m.endedStates[cb.State]++
}

// over reports whether the oldest of n kept records, from the given instant, is
// to be forgotten.
func over(n, most int, from, oldest instant.Instant) bool { return n > most || from < oldest }

// trim forgets ended things by age and by number, a few at a time. It runs
// before the command is decided: nothing points to what it forgets any more,
// so that the room of calls and offers can be used again.
func (m *Machine) trim() {
	for _, o := range m.goneOffers {
		if len(m.spareOffers) < sparesKept {
			m.spareOffers = append(m.spareOffers, o)
		}
	}
	m.goneOffers = reset(m.goneOffers)
	k := &m.site.Keep
	oldest := m.now.Add(-k.CallsAge)
	for n := 0; n < trimStep && len(m.ended) > 0 && over(len(m.ended), k.Calls, m.ended[0].EndedAt, oldest); n++ {
		c := m.ended[0]
		m.ended[0] = nil
		m.ended = m.ended[1:]
		m.calls.replace(c, nil)
		m.unlinkCaller(c)
		m.changes.GoneCalls = append(m.changes.GoneCalls, c.Seq)
		if len(m.spareCalls) < sparesKept {
			m.spareCalls = append(m.spareCalls, c)
		}
	}
	oldest = m.now.Add(-k.CallbacksAge)
	for n := 0; n < trimStep && len(m.endedBacks) > 0 && over(len(m.endedBacks), k.Callbacks, m.endedBacks[0].EndedAt, oldest); n++ {
		cb := m.endedBacks[0]
		m.endedBacks[0] = nil
		m.endedBacks = m.endedBacks[1:]
		m.endedStates[cb.State]--
		delete(m.callbacks, cb.ID)
		m.changes.GoneCallbacks = append(m.changes.GoneCallbacks, cb.Seq)
	}
	oldest = m.now.Add(-k.RequestsAge)
	for n := 0; n < trimStep && len(m.requestList) > 0 && over(len(m.requestList), k.Requests, m.requestList[0].At, oldest); n++ {
		r := m.requestList[0]
		m.requestList[0] = nil
		m.requestList = m.requestList[1:]
		delete(m.requests, requestKey{r.Kind, r.ID})
		m.changes.GoneRequests = append(m.changes.GoneRequests, r.Seq)
	}
}

// forgetAgent drops an agent who signed out long ago.
func (m *Machine) forgetAgent(a *agent) {
	m.timers.disarm(&a.timer)
	delete(m.agents, a.ID)
	m.agentList.Delete(a.ID)
	m.countAgent(a, -1)
	m.changes.GoneAgents = append(m.changes.GoneAgents, a.ID)
}

// freshCall returns an empty call. Most are made in the room of one that was
// forgotten: the collector then has next to nothing to do. One that was touched
// in this batch stays on the list of those touched.
func (m *Machine) freshCall() *call {
	n := len(m.spareCalls)
	if n == 0 {
		return &call{}
	}
	c := m.spareCalls[n-1]
	m.spareCalls = m.spareCalls[:n-1]
	more := c.moreEvents
	if more != nil {
		*more = (*more)[:0]
	}
	*c = call{entry: entry{dirty: c.dirty}, moreEvents: more}
	return c
}

// freshOffer returns an empty offer, as freshCall does a call.
func (m *Machine) freshOffer() *offer {
	n := len(m.spareOffers)
	if n == 0 {
		return &offer{}
	}
	o := m.spareOffers[n-1]
	m.spareOffers = m.spareOffers[:n-1]
	*o = offer{dirty: o.dirty}
	return o
}
