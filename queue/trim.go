package queue

import (
	"slices"

	"greenlane/internal/instant"
)

// sparesKept is how many forgotten offers are kept for their room.
const sparesKept = 4096

// trimStep bounds how many records of a kind one command forgets.
const trimStep = 16

// keepEnded remembers an ended call, in order of (EndedAt, Seq). It drops the
// links that only a live call needs, which the collector would follow.
func (m *Machine) keepEnded(c *call) {
	c.entry, c.timer.owner = entry{q: c.q, dirty: c.dirty}, nil
	i := len(m.ended)
	for i > 0 && (m.ended[i-1].EndedAt > c.EndedAt || m.ended[i-1].EndedAt == c.EndedAt && m.ended[i-1].Seq > c.Seq) {
		i--
	}
	if i < len(m.ended) {
		m.ended = slices.Insert(m.ended, i, c)
		return
	}
	m.addEnded(c)
}

// addEnded appends to the list of ended calls. It moves the list to the beginning
// of its room when enough has been forgotten there: a list that only grows at one
// end and shrinks at the other would be made anew again and again.
func (m *Machine) addEnded(c *call) {
	if len(m.ended) < cap(m.ended) {
		m.ended = append(m.ended, c)
		return
	}
	if forgotten := cap(m.endedRoom) - cap(m.ended); forgotten > len(m.ended)/4 {
		all := m.endedRoom[:cap(m.endedRoom)]
		n := copy(all, m.ended)
		clear(all[n:])
		m.ended = append(all[:n], c)
		return
	}
	m.ended = append(m.ended, c)
	m.endedRoom = m.ended
}

// warmEnded does for the calls that are forgotten next what warmUp does for those
// that are served next.
func (m *Machine) warmEnded() {
	list := m.ended[min(warmStep, len(m.ended)):min(2*warmStep, len(m.ended))]
	for _, c := range list {
		m.warmed += c.warm()
	}
	for _, c := range list {
		m.warmed += m.calls.warm(c.idHash) + m.byCaller.warm(c.callerHash)
	}
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
		m.rooms.give(c)
		if m.trimmed++; m.trimmed%warmStep == 0 {
			m.warmEnded()
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
