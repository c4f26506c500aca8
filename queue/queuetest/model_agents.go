package queuetest

import (
	"slices"
	"strings"

	"greenlane/internal/instant"
	"greenlane/queue"
)

// become changes what an agent is doing.
func (m *Model) become(a *queue.Agent, s queue.AgentState, reason string) {
	a.State, a.Reason, a.Since = s, reason, m.now
	if s != queue.AgentWrapUp {
		a.WrapUntil = 0
	}
	if s == queue.AgentReady && a.Presence == queue.Absent {
		// Whoever is ready and cannot be reached has so long to come back.
		a.LeaseUntil = max(a.LeaseUntil, m.now.Add(m.site.SignInGrace))
	}
	if a.Presence == queue.Absent && (s == queue.AgentOffered || s == queue.AgentTalking) {
		a.LeaseUntil = 0 // the end of the offer, or of the call, is watched instead
	}
}

// changed writes the event of an agent's new state.
func (m *Model) changed(a *queue.Agent) {
	m.write(queue.Event{Type: queue.EventAgentStateChanged, Agent: a.ID, AgentState: a.State, Reason: a.Reason})
}

// consequences follow an agent's new state: a free one gets the next caller;
// one who no longer works frees the calls that were held for him, and those
// that everyone else has declined.
func (m *Model) consequences(a *queue.Agent) {
	if a.State.Working() {
		m.tryAgent(a)
		return
	}
	m.releaseHolds(a)
	for _, s := range a.Services {
		m.retryDeclined(s.Queue)
	}
}

// settleAgent is consequences for an agent whose offer, if he had one, is over.
func (m *Model) settleAgent(a *queue.Agent, o *queue.OfferRecord) {
	if o == nil {
		m.consequences(a)
		return
	}
	m.cameBack(m.offered(o), a)
}

// retryDeclined looks again for an agent for what somebody declined.
func (m *Model) retryDeclined(queueName string) {
	for _, e := range m.line() {
		if e.queue() == queueName && len(e.declinedBy()) > 0 && e.waits() {
			m.tryEntry(e)
		}
	}
}

func (m *Model) signIn(c *queue.SignIn) (queue.Result, error) {
	if c.Agent == "" || len(c.Services) == 0 || c.RingBySwitch && c.Endpoint == "" {
		return queue.Result{}, refuse(queue.ErrInvalid, "agent_id")
	}
	for i, s := range c.Services {
		if m.queueOf(s.Queue) == nil {
			return queue.Result{}, refuse(queue.ErrQueueNotFound, "queue")
		}
		if s.Level < 1 || slices.ContainsFunc(c.Services[:i], func(x queue.Service) bool { return x.Queue == s.Queue }) {
			return queue.Result{}, refuse(queue.ErrInvalid, "queues")
		}
	}
	services := slices.Clone(c.Services)
	slices.SortFunc(services, func(x, y queue.Service) int {
		if x.Level != y.Level {
			return x.Level - y.Level
		}
		return strings.Compare(x.Queue, y.Queue)
	})
	a := m.agent(c.Agent)
	if a == nil {
		m.ord++
		a = &queue.Agent{ID: c.Agent, Ord: m.ord, State: queue.AgentSignedOut}
		m.agents = append(m.agents, a)
	}
	was := *a
	affected := m.changeServices(a, c, services)
	switch a.State {
	case queue.AgentSignedOut:
		a.IdleSince, a.NextPause, a.NextReason = m.now, false, ""
		if c := m.talksOn(a); c != nil {
			a.Call = c.ID
			m.become(a, queue.AgentTalking, "")
		} else {
			m.become(a, queue.AgentReady, "")
		}
		m.write(queue.Event{Type: queue.EventAgentSignedIn, Agent: a.ID, AgentState: a.State})
	default:
		if a.Endpoint != was.Endpoint || a.RingBySwitch != was.RingBySwitch || a.WrapUp != was.WrapUp || !slices.Equal(a.Services, was.Services) {
			m.write(queue.Event{Type: queue.EventAgentQueuesChanged, Agent: a.ID, AgentState: a.State})
		}
		if a.State == queue.AgentNotReady && madeByEngine(a.Reason) {
			m.makeReady(a)
		}
	}
	m.tryAgent(a)
	m.upgrade(a)
	m.releaseHolds(a)
	for _, name := range affected {
		m.retryDeclined(name)
	}
	return queue.Result{Agent: a}, nil
}

// talksOn returns the oldest answered call that names an agent.
func (m *Model) talksOn(a *queue.Agent) *queue.Call {
	for _, c := range m.bySeq() {
		if c.State == queue.CallAnswered && c.Agent == a.ID {
			return c
		}
	}
	return nil
}

// madeByEngine: a pause that nobody asked for ends when the agent comes back.
func madeByEngine(reason string) bool {
	return slices.Contains([]string{
		queue.ReasonLost, queue.ReasonNoAnswer, queue.ReasonNotAcknowledged, queue.ReasonBusy, queue.ReasonUnreachable,
	}, reason)
}

// changeServices gives an agent queues, endpoint and wrap-up, and returns the
// queues in which fewer can serve a call now.
func (m *Model) changeServices(a *queue.Agent, c *queue.SignIn, services []queue.Service) (affected []string) {
	for _, s := range a.Services {
		if c.RingBySwitch && !a.RingBySwitch || !slices.ContainsFunc(services, func(x queue.Service) bool { return x.Queue == s.Queue }) {
			affected = append(affected, s.Queue)
		}
	}
	a.Services, a.Endpoint, a.RingBySwitch, a.WrapUp = services, c.Endpoint, c.RingBySwitch, -1
	if c.WrapUp >= 0 {
		a.WrapUp = c.WrapUp.Milliseconds()
	}
	switch {
	case a.RingBySwitch:
		a.Presence, a.LeaseUntil = queue.PresentRing, 0
	case a.Presence == queue.PresentRing:
		a.Presence = queue.Absent
		if a.State == queue.AgentReady {
			a.LeaseUntil = m.now.Add(m.site.SignInGrace)
		}
	}
	return affected
}

// makeReady ends a pause.
func (m *Model) makeReady(a *queue.Agent) {
	a.IdleSince = m.now
	m.become(a, queue.AgentReady, "")
	m.changed(a)
}

func (m *Model) signOut(c *queue.SignOut) (queue.Result, error) {
	a := m.agent(c.Agent)
	switch {
	case a == nil:
		return queue.Result{}, refuse(queue.ErrAgentNotFound, "agent_id")
	case a.State == queue.AgentSignedOut:
		return queue.Result{Agent: a, Duplicate: true}, nil
	case a.State == queue.AgentTalking && !c.Force:
		return queue.Result{}, refuse(queue.ErrWrongState, "agent_id")
	}
	o := m.liveOffer(a)
	if o != nil {
		m.dropOffer(o, queue.EndedSignedOut)
	}
	a.Presence, a.LeaseUntil, a.Owner, a.Token = queue.Absent, 0, "", ""
	a.Call, a.Callback, a.NextPause, a.NextReason = "", "", false, ""
	m.become(a, queue.AgentSignedOut, "")
	if o != nil {
		m.offerReturned(o)
	}
	m.write(queue.Event{Type: queue.EventAgentSignedOut, Agent: a.ID, AgentState: a.State})
	m.settleAgent(a, o)
	return queue.Result{Agent: a}, nil
}

func (m *Model) setState(c *queue.SetState) (queue.Result, error) {
	a := m.agent(c.Agent)
	switch {
	case c.State != queue.AgentReady && c.State != queue.AgentNotReady:
		return queue.Result{}, refuse(queue.ErrInvalid, "state")
	case a == nil:
		return queue.Result{}, refuse(queue.ErrAgentNotFound, "agent_id")
	case a.State == queue.AgentSignedOut:
		return queue.Result{}, refuse(queue.ErrWrongState, "agent_id")
	}
	if c.State == queue.AgentReady {
		m.setReady(a)
	} else {
		m.setNotReady(a, c.Reason)
	}
	return queue.Result{Agent: a}, nil
}

func (m *Model) setReady(a *queue.Agent) {
	switch a.State {
	case queue.AgentTalking:
		if a.NextPause {
			a.NextPause, a.NextReason = false, ""
			m.changed(a)
		}
	case queue.AgentNotReady, queue.AgentWrapUp:
		a.NextPause, a.NextReason = false, ""
		m.makeReady(a)
		m.tryAgent(a)
	}
}

func (m *Model) setNotReady(a *queue.Agent, reason string) {
	if a.State == queue.AgentTalking {
		if a.NextPause && a.NextReason == reason {
			return
		}
		a.NextPause, a.NextReason = true, reason
		m.write(queue.Event{Type: queue.EventAgentStateChanged, Agent: a.ID, AgentState: a.State, Reason: reason})
		return
	}
	if a.State == queue.AgentNotReady && a.Reason == reason {
		return
	}
	o := m.liveOffer(a)
	if o != nil {
		m.dropOffer(o, queue.EndedNotReady)
	}
	a.NextPause, a.NextReason = false, ""
	m.become(a, queue.AgentNotReady, reason)
	if o != nil {
		m.offerReturned(o)
	}
	m.changed(a)
	m.settleAgent(a, o)
}

func (m *Model) complete(c *queue.Complete) (queue.Result, error) {
	a, call := m.agent(c.Agent), m.call(c.Call)
	switch {
	case a == nil:
		return queue.Result{}, refuse(queue.ErrAgentNotFound, "agent_id")
	case call == nil || call.Agent != a.ID:
		return queue.Result{}, refuse(queue.ErrCallNotFound, "call_id")
	case call.State == queue.CallCompleted:
		return queue.Result{Call: call, Agent: a, Duplicate: true}, nil
	case call.State != queue.CallAnswered:
		return queue.Result{}, refuse(queue.ErrWrongState, "call_id")
	}
	m.free(m.completeCall(call, queue.ReasonAgentCompleted))
	return queue.Result{Call: call, Agent: a}, nil
}

// completeCall ends an answered call. It returns its agent: free him.
func (m *Model) completeCall(c *queue.Call, reason string) *queue.Agent {
	c.State, c.Reason, c.EndedAt = queue.CallCompleted, reason, m.now
	talk := c.EndedAt.Sub(c.AnsweredAt)
	t := m.total(c.Queue, c.Tier)
	t.Completed++
	t.Talk += talk.Milliseconds()
	e := queue.Event{Type: queue.EventCallCompleted, Agent: c.Agent, Reason: reason, Wait: c.Wait(m.now), Talk: talk}
	a := m.agent(c.Agent)
	if a == nil || a.Call != c.ID {
		m.callEvent(c, e)
		return nil
	}
	a.Call = ""
	m.afterWork(a, c.Queue)
	e.AgentState = a.State
	m.callEvent(c, e)
	return a
}

// afterWork puts an agent who has done with a call or callback into wrap-up,
// or past it.
func (m *Model) afterWork(a *queue.Agent, queueName string) {
	if a.State == queue.AgentSignedOut {
		return
	}
	wrap := a.WrapUp
	if wrap < 0 {
		wrap = m.queueOf(queueName).WrapUp.Milliseconds()
	}
	if wrap > 0 {
		m.become(a, queue.AgentWrapUp, "")
		a.WrapUntil = m.now + instant.Instant(wrap)
		return
	}
	m.afterWrapUp(a)
}

// afterWrapUp makes an agent ready, or not ready when he asked for it.
func (m *Model) afterWrapUp(a *queue.Agent) {
	if a.NextPause {
		reason := a.NextReason
		a.NextPause, a.NextReason = false, ""
		m.become(a, queue.AgentNotReady, reason)
		return
	}
	a.IdleSince = m.now
	m.become(a, queue.AgentReady, "")
}
