package queue

import (
	"slices"
	"strings"
)

// A queue that the configuration has no longer is a ghost for as long as a call in
// it has not ended, or somebody is promised a callback from it: nobody must be lost.
// It goes on with the defaults, takes whoever comes, and agents serve it who have
// signed in for it. Then it is past: only what was counted in it stays, and what calls
// that have ended name. So the records alone say which queues are ghosts, and who
// serves them, and no record changes because a queue is configured no more: one that
// is configured again goes on as if it had always been.

// makeGhosts makes a ghost of each queue in which somebody is on record and that is
// none, and returns them.
func (m *Machine) makeGhosts(st *State) (made []*queueState) {
	want := func(name, what string) {
		if m.queues[name] == nil {
			made = append(made, m.makeGhost(name, what))
		}
	}
	for _, r := range st.Calls {
		if !r.State.Terminal() {
			want(r.Queue, "has calls")
		}
	}
	for _, r := range st.Callbacks {
		if r.State.Open() {
			want(r.Queue, "has callbacks")
		}
	}
	return made
}

func (m *Machine) makeGhost(name, what string) *queueState {
	m.warn("queue %q is not configured any more but %s: it goes on with the defaults", name, what)
	q := m.pastQueue(name)
	delete(m.pastQueues, name)
	m.addQueue(q)
	slices.SortFunc(m.ghosts(), func(a, b *queueState) int { return strings.Compare(a.cfg.Name, b.cfg.Name) })
	return q
}

// queueToCallBack returns the queue of an open callback.
func (m *Machine) queueToCallBack(name string) *queueState {
	q := m.queues[name]
	if q == nil {
		q = m.makeGhost(name, "has callbacks")
		m.serveAgain(q)
	}
	return q
}

// serveAgain lets agents serve a ghost who have signed in for it.
func (m *Machine) serveAgain(q *queueState) {
	m.agentList.Scan(func(_ string, a *agent) bool {
		if a.serves(q) == nil && slices.ContainsFunc(a.Services, func(s Service) bool { return s.Queue == q.cfg.Name }) {
			m.serveAnew(a)
		}
		return true
	})
}

// serveAnew gives an agent those of his queues that there are.
func (m *Machine) serveAnew(a *agent) {
	idle := a.idle
	m.setIdle(a, false)
	if a.State.Working() {
		a.countWorking(-1)
	}
	m.setServices(a, a.Services)
	if a.State.Working() {
		a.countWorking(1)
	}
	m.setIdle(a, idle)
}

// ghosts returns the queues behind those of the configuration.
func (m *Machine) ghosts() []*queueState { return m.queueList[len(m.site.Queues):] }

// knownQueue returns a queue of the configuration, a ghost or a past one.
func (m *Machine) knownQueue(name string) *queueState {
	if q := m.queues[name]; q != nil {
		return q
	}
	return m.pastQueue(name)
}

// pastQueue returns what is left of a queue in which nobody waits.
func (m *Machine) pastQueue(name string) *queueState {
	q := m.pastQueues[name]
	if q == nil {
		q = newQueue(DefaultQueue(name))
		m.pastQueues[name] = q
	}
	return q
}

// layGhosts makes those ghosts past in which nobody is left.
func (m *Machine) layGhosts() {
	if len(m.ghosts()) == 0 {
		return
	}
	for _, q := range slices.Clone(m.ghosts()) {
		if q.open > 0 {
			continue
		}
		m.queueList = slices.DeleteFunc(m.queueList, func(other *queueState) bool { return other == q })
		delete(m.queues, q.cfg.Name)
		m.agentList.Scan(func(_ string, a *agent) bool {
			if a.serves(q) != nil {
				m.serveAnew(a)
			}
			return true
		})
		if q.rec == newQueueRecord(&q.cfg) {
			q.rec = QueueRecord{} // it has learned nothing
		}
		m.pastQueues[q.cfg.Name] = q
	}
}
