package queue

import (
	"cmp"
	"slices"
)

func (m *Machine) agent(id string) (*agent, error) {
	a := m.agents[id]
	if a == nil {
		return nil, refuse(ErrAgentNotFound, "agent_id", "%q has not signed in", id)
	}
	return a, nil
}

// signedIn returns an agent who is at work.
func (m *Machine) signedIn(id string) (*agent, error) {
	a, err := m.agent(id)
	if err == nil && a.State == AgentSignedOut {
		return nil, refuse(ErrWrongState, "agent_id", "agent %q is signed out; sign in first", id)
	}
	return a, err
}

// signIn makes an agent known, or changes the queues of one who is at work.
func (m *Machine) signIn(cmd *SignIn) (Result, error) {
	services, err := m.checkServices(cmd)
	if err != nil {
		return Result{}, err
	}
	a := m.agents[cmd.Agent]
	fresh := a == nil || a.State == AgentSignedOut
	if a == nil {
		m.meta.Ord++
		a = &agent{Agent: Agent{ID: cmd.Agent, Ord: m.meta.Ord, State: AgentSignedOut}}
		a.timer = newTimer(a, classAgent, a.Ord)
		m.agents[a.ID] = a
		m.agentList.Set(a.ID, a)
		m.countAgent(a, 1)
		m.changes.GoneAgents = notGone(m.changes.GoneAgents, a.ID)
	}
	changed := a.Endpoint != cmd.Endpoint || a.RingBySwitch != cmd.RingBySwitch || a.WrapUp != wrapUpOf(cmd) || !slices.Equal(a.Services, services)
	affected := m.changeServices(a, cmd, services)
	switch {
	case fresh:
		a.IdleSince, a.NextPause, a.NextReason = m.now, false, ""
		if c := m.talksOn(a); c != nil {
			a.Agent.Call = c.ID
			m.become(a, AgentTalking, "")
		} else {
			m.become(a, AgentReady, "")
		}
		m.emit(&Event{Type: EventAgentSignedIn, Agent: a.ID, AgentState: a.State})
	default:
		if changed {
			m.emit(&Event{Type: EventAgentQueuesChanged, Agent: a.ID, AgentState: a.State})
		}
		if a.State == AgentNotReady && madeByEngine(a.Reason) {
			m.makeReady(a)
		}
	}
	m.match(a)
	m.upgrade(a)
	m.releaseHeld(a, func(e *entry) bool { return a.serves(e.q) == nil })
	for _, q := range affected {
		m.reconsider(q)
	}
	return Result{Agent: &a.Agent}, nil
}

// talksOn returns the oldest answered call that names an agent who signs in: a switch
// told of it before him, or he was signed out while he talked. Nobody rings him for
// another one.
func (m *Machine) talksOn(a *agent) (on *call) {
	if !m.apart {
		return nil
	}
	m.apart = false
	for c := range m.calls.all() {
		if c.State != CallAnswered {
			continue
		}
		if b := m.agents[c.Agent]; b != a {
			m.apart = m.apart || b == nil || b.Agent.Call != c.ID
			continue
		}
		if on != nil {
			m.apart = true // he can be on one of them only
		}
		if on == nil || c.Seq < on.Seq {
			on = c
		}
	}
	return on
}

// madeByEngine reports whether a not-ready reason is one the engine gives: a
// softphone that comes back takes it away.
func madeByEngine(reason string) bool {
	switch reason {
	case ReasonLost, ReasonNoAnswer, ReasonNotAcknowledged, ReasonBusy, ReasonUnreachable:
		return true
	}
	return false
}

// checkServices returns the queues of a sign-in in the order in which they are
// kept: by level, then as the machine knows them.
func (m *Machine) checkServices(cmd *SignIn) ([]Service, error) {
	if cmd.Agent == "" {
		return nil, refuse(ErrInvalid, "agent_id", "must not be empty")
	}
	if len(cmd.Services) == 0 {
		return nil, refuse(ErrInvalid, "queues", "at least one queue is needed")
	}
	if cmd.RingBySwitch && cmd.Endpoint == "" {
		return nil, refuse(ErrInvalid, "endpoint", "must be given when the switch rings the agent's phone")
	}
	services := slices.Clone(cmd.Services)
	seen := make(map[string]bool, len(services))
	for i := range services {
		s := &services[i]
		if s.Level < 1 {
			return nil, refuse(ErrInvalid, "queues.level", "%d must be at least 1", s.Level)
		}
		if _, err := m.queue(s.Queue); err != nil {
			return nil, err
		}
		if seen[s.Queue] {
			return nil, refuse(ErrInvalid, "queues.queue", "%q stands there twice", s.Queue)
		}
		seen[s.Queue] = true
	}
	slices.SortFunc(services, func(a, b Service) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Queue, b.Queue))
	})
	return services, nil
}

// wrapUpOf returns a sign-in's wrap-up as records keep it.
func wrapUpOf(cmd *SignIn) int64 {
	if cmd.WrapUp < 0 {
		return -1
	}
	return cmd.WrapUp.Milliseconds()
}

// changeServices gives an agent his queues, endpoint and wrap-up and returns
// the queues in which fewer can serve a call now.
func (m *Machine) changeServices(a *agent, cmd *SignIn, services []Service) (affected []*queueState) {
	m.setIdle(a, false)
	working := a.State.Working()
	if working {
		a.countWorking(-1)
	}
	before := a.members
	ringing := a.RingBySwitch
	a.Endpoint, a.RingBySwitch, a.WrapUp = cmd.Endpoint, cmd.RingBySwitch, wrapUpOf(cmd)
	m.setServices(a, services)
	if working {
		a.countWorking(1)
	}
	switch {
	case a.RingBySwitch:
		a.Presence, a.LeaseUntil = PresentRing, 0
	case a.Presence == PresentRing:
		a.Presence = Absent
		if a.State == AgentReady {
			a.LeaseUntil = m.now.Add(m.site.SignInGrace)
		}
	}
	m.setPresence(a, a.Presence, a.LeaseUntil)
	for _, mb := range before {
		if a.serves(mb.q) == nil || a.RingBySwitch && !ringing {
			affected = append(affected, mb.q)
		}
	}
	return affected
}

// makeReady ends a pause.
func (m *Machine) makeReady(a *agent) {
	a.IdleSince = m.now
	m.become(a, AgentReady, "")
	m.emit(&Event{Type: EventAgentStateChanged, Agent: a.ID, AgentState: a.State})
}

func (m *Machine) signOut(cmd *SignOut) (Result, error) {
	a, err := m.agent(cmd.Agent)
	if err != nil {
		return Result{}, err
	}
	if a.State == AgentSignedOut {
		return Result{Agent: &a.Agent, Duplicate: true}, nil
	}
	if a.State == AgentTalking && !cmd.Force {
		return Result{}, refuse(ErrWrongState, "agent_id", "agent %q is talking; complete the call first, or force it", a.ID)
	}
	o := a.offer
	if o != nil {
		m.endOffer(o, EndedSignedOut)
	}
	m.apart = m.apart || a.State == AgentTalking
	a.Agent.Call, a.Agent.Callback, a.NextPause, a.NextReason = "", "", false, ""
	m.setPresence(a, Absent, 0)
	a.Owner, a.Token = "", ""
	m.become(a, AgentSignedOut, "")
	if o != nil {
		m.emitReturned(o)
	}
	m.emit(&Event{Type: EventAgentSignedOut, Agent: a.ID, AgentState: a.State})
	m.settle(a)
	if o != nil {
		m.place(o.e)
	}
	return Result{Agent: &a.Agent}, nil
}

func (m *Machine) setState(cmd *SetState) (Result, error) {
	a, err := m.signedIn(cmd.Agent)
	if err != nil {
		return Result{}, err
	}
	switch cmd.State {
	case AgentReady:
		m.wantReady(a)
	case AgentNotReady:
		m.wantPause(a, cmd.Reason)
	default:
		return Result{}, refuse(ErrInvalid, "state", "%s cannot be set; ready or not_ready is allowed", cmd.State)
	}
	return Result{Agent: &a.Agent}, nil
}

func (m *Machine) wantReady(a *agent) {
	switch a.State {
	case AgentTalking:
		if a.NextPause {
			a.NextPause, a.NextReason = false, ""
			m.touchAgent(a)
			m.emit(&Event{Type: EventAgentStateChanged, Agent: a.ID, AgentState: a.State})
		}
	case AgentWrapUp, AgentNotReady:
		a.NextPause, a.NextReason = false, ""
		m.makeReady(a)
		m.match(a)
	}
}

func (m *Machine) wantPause(a *agent, reason string) {
	e := Event{Type: EventAgentStateChanged, Agent: a.ID, Reason: reason}
	if a.State == AgentTalking {
		if a.NextPause && a.NextReason == reason {
			return
		}
		a.NextPause, a.NextReason = true, reason
		m.touchAgent(a)
		e.AgentState = a.State
		m.emit(&e)
		return
	}
	if a.State == AgentNotReady && a.Reason == reason {
		return
	}
	o := a.offer
	if o != nil {
		m.endOffer(o, EndedNotReady)
	}
	a.NextPause, a.NextReason = false, ""
	m.become(a, AgentNotReady, reason)
	if o != nil {
		m.emitReturned(o)
	}
	e.AgentState = a.State
	m.emit(&e)
	m.settle(a)
	if o != nil {
		m.place(o.e)
	}
}
