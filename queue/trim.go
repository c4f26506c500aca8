package queue

import "greenlane/internal/instant"

// sparesKept is how many forgotten offers are kept for their room.
const sparesKept = 4096

// trimStep bounds how many records of a kind one command forgets.
const trimStep = 16

// keepEnded remembers an ended call, in order of (EndedAt, Seq). It drops the
// links that only a live call needs, which the collector would follow.
func (m *Machine) keepEnded(c *call) {
	if c.few().EraseAtEnd {
		m.overdue.calls = append(m.overdue.calls, c)
	}
	if c.q != nil {
		c.q.open--
	}
	c.entry, c.timer.owner = entry{q: c.q, dirty: c.dirty}, nil
	m.ended.add(c)
}

// warmEnded does for the calls that are forgotten next what warmUp does for those
// that are served next.
func (m *Machine) warmEnded() {
	list := m.ended.all()
	list = list[min(warmStep, len(list)):min(2*warmStep, len(list))]
	for _, c := range list {
		m.warmed += c.warm()
	}
	for _, c := range list {
		m.warmed += m.calls.warm(c.idHash) + m.byCaller.warm(c.callerHash)
	}
}

func endedBefore(a, b *call) bool {
	return a.EndedAt < b.EndedAt || a.EndedAt == b.EndedAt && a.Seq < b.Seq
}

func (m *Machine) keepEndedCallback(cb *cbRecord) {
	m.endedBacks.add(cb)
	m.endedStates[cb.State]++
}

func callbackEndedBefore(a, b *cbRecord) bool {
	return a.EndedAt < b.EndedAt || a.EndedAt == b.EndedAt && a.Seq < b.Seq
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
	for n := 0; n < trimStep && m.ended.len() > 0 && over(m.ended.len(), k.Calls, m.ended.first().EndedAt, oldest); n++ {
		c := m.ended.first()
		m.ended.dropFirst()
		m.forgetCall(c)
		m.changes.GoneCalls = append(m.changes.GoneCalls, c.Seq)
		m.rooms.give(c)
		if m.trimmed++; m.trimmed%warmStep == 0 {
			m.warmEnded()
		}
	}
	oldest = m.now.Add(-k.CallbacksAge)
	for n := 0; n < trimStep && m.endedBacks.len() > 0 && over(m.endedBacks.len(), k.Callbacks, m.endedBacks.first().EndedAt, oldest); n++ {
		cb := m.endedBacks.first()
		m.endedBacks.dropFirst()
		m.endedStates[cb.State]--
		delete(m.callbacks, cb.ID)
		m.changes.GoneCallbacks = append(m.changes.GoneCallbacks, cb.Seq)
	}
	oldest = m.now.Add(-k.RequestsAge)
	for n := 0; n < trimStep && m.requestList.len() > 0 && over(m.requestList.len(), k.Requests, m.requestList.first().At, oldest); n++ {
		r := m.requestList.first()
		m.requestList.dropFirst()
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

// freshOffer returns an empty offer. Most are made in the room of one that was
// forgotten: the collector then has next to nothing to do. One that was touched in
// this batch stays on the list of those touched.
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
