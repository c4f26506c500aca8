package queue

import (
	"slices"

	"github.com/tidwall/btree"

	"greenlane/internal/instant"
)

// agent is an agent at work.
type agent struct {
	Agent
	members []*member // sorted by level, then queue
	offer   *offer
	talk    *call                 // the call he accepted last, until it ends
	held    *btree.BTreeG[*entry] // calls that wait for this agent only
	timer   timer
	idle    bool // stands among the idlers of its queues
	dirty   bool
}

// member is one queue an agent serves.
type member struct {
	q     *queueState
	level int
	idle  *idlers
}

// serves returns the agent's membership of q, nil when there is none.
func (a *agent) serves(q *queueState) *member {
	for _, mb := range a.members {
		if mb.q == q {
			return mb
		}
	}
	return nil
}

// agentCounts are numbers of agents by state.
type agentCounts [AgentSignedOut + 1]int

// byState returns the counts of the states that somebody is in.
func (n *agentCounts) byState() map[AgentState]int {
	out := make(map[AgentState]int, len(n))
	for s, count := range n {
		if count != 0 {
			out[AgentState(s)] = count
		}
	}
	return out
}

// countAgent adds n to the agents in a's state, in the site and in every queue a
// serves.
func (m *Machine) countAgent(a *agent, n int) {
	m.agentStates[a.State] += n
	for _, mb := range a.members {
		mb.q.agents[a.State] += n
	}
}

// setServices replaces the queues an agent serves: of those he names, the ones that
// there are. The agent must not be idle.
func (m *Machine) setServices(a *agent, services []Service) {
	m.countAgent(a, -1)
	defer m.countAgent(a, 1)
	a.Services = services
	a.members = a.members[:0:0]
	for _, s := range services {
		if q := m.queues[s.Queue]; q != nil {
			a.members = append(a.members, &member{q: q, level: s.Level, idle: q.idleAt(s.Level)})
		}
	}
}

// countWorking adds n to the working agents of every queue a serves.
func (a *agent) countWorking(n int) {
	for _, mb := range a.members {
		mb.q.working += n
		if a.RingBySwitch {
			mb.q.workingRing += n
		}
	}
}

// become puts an agent into a state and keeps the counts of working agents
// true. A ready agent is not among the idle yet: the caller goes on to match or
// settle, which gives him the next caller or puts him there.
func (m *Machine) become(a *agent, s AgentState, reason string) {
	m.setIdle(a, false)
	if was, is := a.State.Working(), s.Working(); was != is {
		if is {
			a.countWorking(1)
		} else {
			a.countWorking(-1)
		}
	}
	m.countAgent(a, -1)
	a.State, a.Reason, a.Since = s, reason, m.now
	m.countAgent(a, 1)
	if s == AgentReady && a.Presence == Absent && a.LeaseUntil < m.now.Add(m.site.SignInGrace) {
		a.LeaseUntil = m.now.Add(m.site.SignInGrace)
	}
	if a.Presence == Absent && (s == AgentOffered || s == AgentTalking) {
		a.LeaseUntil = 0 // the offer's or the call's own end is watched instead
	}
	if s != AgentWrapUp {
		a.WrapUntil = 0
	}
	m.touchAgent(a)
	m.armAgent(a)
}

// setPresence says how offers reach the agent from now on. As after become, the
// caller goes on to match.
func (m *Machine) setPresence(a *agent, p Presence, lease instant.Instant) {
	m.setIdle(a, false)
	a.Presence, a.LeaseUntil = p, lease
	m.touchAgent(a)
	m.armAgent(a)
}

func (m *Machine) setIdle(a *agent, idle bool) {
	if a.idle == idle {
		return
	}
	a.idle = idle
	key := idler{a.IdleSince, a.Ord, a}
	for _, mb := range a.members {
		if idle {
			mb.idle.t.Set(key)
		} else {
			mb.idle.t.Delete(key)
		}
	}
}

func (m *Machine) armAgent(a *agent) {
	at := a.LeaseUntil
	if a.State == AgentWrapUp && (at == 0 || a.WrapUntil < at) {
		at = a.WrapUntil
	}
	if at == 0 && a.gone() {
		at = a.Since.Add(m.site.Keep.AgentsAge)
	}
	m.timers.arm(&a.timer, at, nil)
}

// gone reports whether an agent has left, by signing out or without a word.
func (a *agent) gone() bool {
	return a.State == AgentSignedOut || a.State == AgentNotReady && a.Presence == Absent
}

// fire implements timed: the end of a wrap-up, the end of a lease, the end of
// an agent's being remembered.
func (a *agent) fire(m *Machine, now instant.Instant) {
	if a.State == AgentWrapUp && a.WrapUntil <= now {
		m.wrapUpOver(a)
	}
	if a.LeaseUntil != 0 && a.LeaseUntil <= now {
		m.lose(a)
	}
	if a.LeaseUntil == 0 && a.gone() && now >= a.Since.Add(m.site.Keep.AgentsAge) {
		if a.State != AgentSignedOut {
			m.become(a, AgentSignedOut, ReasonLost)
			m.emit(&Event{Type: EventAgentSignedOut, Agent: a.ID, AgentState: a.State, Reason: a.Reason})
		}
		m.forgetAgent(a)
		return
	}
	m.armAgent(a)
}

func (m *Machine) wrapUpOver(a *agent) {
	m.afterWork(a)
	m.emit(&Event{Type: EventAgentStateChanged, Agent: a.ID, AgentState: a.State, Reason: a.Reason})
	m.settle(a)
}

// afterWork makes an agent who has done with a call ready, or not ready when
// that was asked for meanwhile.
func (m *Machine) afterWork(a *agent) {
	if a.NextPause {
		reason := a.NextReason
		a.NextPause, a.NextReason = false, ""
		m.become(a, AgentNotReady, reason)
		return
	}
	a.IdleSince = m.now
	m.become(a, AgentReady, "")
}

// lose is for an agent whose softphone went away: what was offered goes back.
// A call at hand is left alone; the switch says when it ends.
func (m *Machine) lose(a *agent) {
	m.setPresence(a, Absent, 0)
	a.Owner, a.Token = "", ""
	if a.State != AgentOffered && a.State != AgentReady {
		return
	}
	o := a.offer
	if o != nil {
		m.endOffer(o, EndedAgentLost)
	}
	m.become(a, AgentNotReady, ReasonLost)
	a.LeaseUntil = 0
	m.armAgent(a)
	if o != nil {
		m.emitReturned(o)
	}
	m.emit(&Event{Type: EventAgentStateChanged, Agent: a.ID, AgentState: a.State, Reason: a.Reason})
	m.settle(a)
	if o != nil {
		m.place(o.e)
	}
}

// settle draws the consequences of an agent's new state: an idle one is given
// the next caller; one who no longer works frees the calls held for him and
// those that only he had not declined.
func (m *Machine) settle(a *agent) {
	if a.State.Working() {
		m.match(a)
		return
	}
	m.releaseHeld(a, func(*entry) bool { return true })
	for _, mb := range a.members {
		m.reconsider(mb.q)
	}
}

// releaseHeld gives the calls held for an agent to everyone.
func (m *Machine) releaseHeld(a *agent, which func(*entry) bool) {
	if a.held == nil {
		return
	}
	var freed []*entry
	a.held.Scan(func(e *entry) bool {
		if which(e) {
			freed = append(freed, e)
		}
		return true
	})
	for _, e := range freed {
		m.release(e)
	}
}

// release ends the wait of a held call for its preferred agent.
func (m *Machine) release(e *entry) {
	m.lineOut(e)
	e.call.holdUntil(0)
	m.lineUp(e)
	m.armCall(e.call)
	m.emitCall(e.call, &Event{Type: EventCallReleasedToAll, Agent: e.call.few().PreferredAgent})
	m.place(e)
}

// reconsider tries the waiting calls that somebody declined again: who else
// can serve them has changed.
func (m *Machine) reconsider(q *queueState) {
	if len(q.declined) == 0 {
		return
	}
	list := make([]*entry, 0, len(q.declined))
	for e := range q.declined {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *entry) int {
		if before(a, 0, b, 0) {
			return -1
		}
		return 1
	})
	for _, e := range list {
		m.place(e)
	}
}
