package queue

import (
	"slices"

	"greenlane/internal/instant"
)

// trimStep bounds how many records of a kind one command forgets.
const trimStep = 16

// keepEnded remembers an ended call, in order of (EndedAt, Seq). It drops the
// links that only a live call needs, which the collector would follow.
func (m *Machine) keepEnded(c *call) {
	c.entry, c.timer.owner = entry{dirty: c.dirty}, nil
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

// trim forgets ended things by age and by number, a few at a time.
func (m *Machine) trim() {
	k := &m.site.Keep
	oldest := m.now.Add(-k.CallsAge)
	for n := 0; n < trimStep && len(m.ended) > 0 && over(len(m.ended), k.Calls, m.ended[0].EndedAt, oldest); n++ {
		c := m.ended[0]
		m.ended[0] = nil
		m.ended = m.ended[1:]
		delete(m.calls, c.ID)
		m.changes.GoneCalls = append(m.changes.GoneCalls, c.Seq)
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
