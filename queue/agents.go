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
	}
	left := m.changeServices(a, cmd, services)
	switch {
	case fresh:
		a.IdleSince, a.NextPause, a.NextReason = m.now, false, ""
		m.become(a, AgentReady, "")
		m.emit(Event{Type: EventAgentSignedIn, Agent: a.ID, AgentState: a.State})
	default:
		m.emit(Event{Type: EventAgentQueuesChanged, Agent: a.ID, AgentState: a.State})
		if a.State == AgentNotReady && madeByEngine(a.Reason) {
			m.makeReady(a)
		}
	}
	m.releaseHeld(a, func(e *entry) bool { return a.serves(e.q) == nil })
	for _, q := range left {
		m.reconsider(q)
	}
	m.match(a)
	m.upgrade(a)
	return Result{Agent: &a.Agent}, nil
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

// changeServices gives an agent his queues, endpoint and wrap-up and returns
// the queues he has left.
func (m *Machine) changeServices(a *agent, cmd *SignIn, services []Service) (left []*queueState) {
	m.setIdle(a, false)
	working := a.State.Working()
	if working {
		a.countWorking(-1)
	}
	before := a.members
	a.Endpoint, a.RingBySwitch = cmd.Endpoint, cmd.RingBySwitch
	a.WrapUp = -1
	if cmd.WrapUp >= 0 {
		a.WrapUp = cmd.WrapUp.Milliseconds()
	}
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
		if a.serves(mb.q) == nil {
			left = append(left, mb.q)
		}
	}
	return left
}

// makeReady ends a pause.
func (m *Machine) makeReady(a *agent) {
	a.IdleSince = m.now
	m.become(a, AgentReady, "")
	m.emit(Event{Type: EventAgentStateChanged, Agent: a.ID, AgentState: a.State})
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
	a.Agent.Call, a.Agent.Callback, a.NextPause, a.NextReason = "", "", false, ""
	m.setPresence(a, Absent, 0)
	a.Owner, a.Token = "", ""
	m.become(a, AgentSignedOut, "")
	if o != nil {
		m.emitReturned(o)
	}
	m.emit(Event{Type: EventAgentSignedOut, Agent: a.ID, AgentState: a.State})
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
			m.emit(Event{Type: EventAgentStateChanged, Agent: a.ID, AgentState: a.State})
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
		m.emit(e)
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
	m.emit(e)
	m.settle(a)
	if o != nil {
		m.place(o.e)
	}
}

func (m *Machine) attach(cmd *Attach) (Result, error) {
	a, err := m.signedIn(cmd.Agent)
	if err != nil {
		return Result{}, err
	}
	if cmd.Owner == "" || cmd.Token == "" {
		return Result{}, refuse(ErrInvalid, "token", "owner and token must be given")
	}
	lease := m.now.Add(cmd.Wait + m.site.PollGrace)
	switch cmd.Presence {
	case PresentPoll:
	case PresentStream:
		m.renew(cmd.Owner)
		lease = 0
	default:
		return Result{}, refuse(ErrInvalid, "presence", "must be a poll or a stream")
	}
	a.Owner, a.Token = cmd.Owner, cmd.Token
	switch {
	case a.Presence == PresentRing: // the phone stays the way in; the client only watches
	case a.offer != nil && cmd.Presence == PresentPoll:
		// The answer carries the live offer, which uses the poll up.
	default:
		m.setPresence(a, cmd.Presence, lease)
	}
	if a.State == AgentNotReady && a.Reason == ReasonLost {
		m.makeReady(a)
	}
	m.touchAgent(a)
	m.match(a)
	return Result{Agent: &a.Agent, Offer: a.liveOffer()}, nil
}

// liveOffer returns the offer an agent holds, nil when there is none.
func (a *agent) liveOffer() *Offer {
	o := a.offer
	if o == nil {
		return nil
	}
	out := &Offer{Epoch: o.Epoch, Agent: a.ID, OfferedAt: o.OfferedAt, ExpiresAt: o.ExpiresAt, Acknowledged: o.Acked, Why: o.Why}
	if o.e.call != nil {
		out.Call = &o.e.call.Call
	} else {
		out.Callback = &o.e.cb.Callback
	}
	return out
}

func (m *Machine) detach(cmd *Detach) (Result, error) {
	a, err := m.agent(cmd.Agent)
	if err != nil {
		return Result{}, err
	}
	if a.Token != cmd.Token || cmd.Token == "" {
		return Result{Agent: &a.Agent, Duplicate: true}, nil
	}
	a.Owner, a.Token = "", ""
	m.touchAgent(a)
	if a.Presence != PresentRing && a.Presence != Absent {
		lease := a.LeaseUntil
		if lease = 0; a.State == AgentReady {
			lease = m.now.Add(m.site.SignInGrace)
		}
		m.setPresence(a, Absent, lease)
	}
	if o := a.offer; o != nil && cmd.Undelivered && a.Presence != PresentRing {
		m.giveBack(o, EndedUndelivered, "")
	}
	return Result{Agent: &a.Agent, Offer: a.liveOffer()}, nil
}

// liveFor finds a live offer for whoever answers it: its agent, or the switch
// on behalf of an agent whose phone it rings (empty agent).
func (m *Machine) liveFor(agentID string, epoch uint64) (*offer, error) {
	if agentID != "" {
		if _, err := m.agent(agentID); err != nil {
			return nil, err
		}
	}
	o := m.offers[epoch]
	if o == nil || agentID != "" && o.Agent != agentID {
		if o == nil && epoch > 0 && epoch <= m.meta.Epoch {
			return nil, refuse(ErrOfferEnded, "offer_id", "offer %s ended long ago", OfferID(epoch))
		}
		return nil, refuse(ErrOfferNotFound, "offer_id", "%s is no offer of agent %q", OfferID(epoch), agentID)
	}
	if o.Ended != "" {
		return o, refuse(ErrOfferEnded, "offer_id", "offer %s is over: %s", OfferID(epoch), o.Ended)
	}
	return o, nil
}

func (m *Machine) acknowledge(cmd *Acknowledge) (Result, error) {
	o, err := m.liveFor(cmd.Agent, cmd.Offer)
	if err != nil {
		if o != nil && o.Ended == EndedAccepted {
			return Result{Duplicate: true}, nil
		}
		return Result{}, err
	}
	if o.Acked {
		return Result{Offer: o.a.liveOffer(), Duplicate: true}, nil
	}
	o.Acked, o.AckBy = true, 0
	m.touchOffer(o)
	e := Event{Type: EventOfferAcknowledged, Agent: o.Agent, AgentState: o.a.State, Offer: o.Epoch}
	if c := o.e.call; c != nil {
		m.armCall(c)
		m.emitCall(c, e)
	} else {
		m.armCallback(o.e.cb)
		m.emitCallback(o.e.cb, e)
	}
	return Result{Offer: o.a.liveOffer()}, nil
}

func (m *Machine) accept(cmd *Accept) (Result, error) {
	o, err := m.liveFor(cmd.Agent, cmd.Offer)
	if err != nil {
		if o != nil && o.Ended == EndedAccepted {
			return m.repeated(o), nil
		}
		return Result{}, err
	}
	if o.e.cb != nil {
		return m.acceptCallback(o)
	}
	c, a := o.e.call, o.a
	agentID := a.ID
	epoch := c.Call.Offer
	m.leave(c, EndedAccepted)
	c.State, c.AnsweredAt, c.Agent, c.Call.Offer = CallAnswered, m.now, agentID, epoch
	a.Agent.Call = c.ID
	m.become(a, AgentTalking, "")
	m.armCall(c)
	m.countEnd(c, CallAnswered)
	m.emitCall(c, Event{Type: EventCallAnswered, Agent: a.ID, AgentState: a.State, Offer: epoch, Wait: c.Wait(m.now)})
	m.cancelAnswered(c)
	return Result{Call: &c.Call, Agent: &a.Agent}, nil
}

// repeated answers a repeated accept or decline with what is still on record.
func (m *Machine) repeated(o *offer) Result {
	res := Result{Duplicate: true}
	if a := m.agents[o.Agent]; a != nil {
		res.Agent = &a.Agent
	}
	if c := m.calls[o.OfferRecord.Call]; c != nil {
		res.Call = &c.Call
	}
	if cb := m.callbacks[o.OfferRecord.Callback]; cb != nil {
		res.Callback = &cb.Callback
	}
	return res
}

func (m *Machine) decline(cmd *Decline) (Result, error) {
	o, err := m.liveFor(cmd.Agent, cmd.Offer)
	if err != nil {
		if o != nil && o.Ended == EndedDeclined {
			return m.repeated(o), nil
		}
		return Result{}, err
	}
	a := o.a
	o.e.addDeclined(a.ID)
	notReady := ""
	if cmd.NotReady {
		notReady = cmd.Reason
	} else {
		a.IdleSince = m.now // offered agents are not among the idle
	}
	m.giveBack(o, EndedDeclined, notReady)
	return Result{Agent: &a.Agent}, nil
}

func (m *Machine) complete(cmd *Complete) (Result, error) {
	a, err := m.agent(cmd.Agent)
	if err != nil {
		return Result{}, err
	}
	c := m.calls[cmd.Call]
	if c == nil || c.Agent != a.ID {
		return Result{}, refuse(ErrCallNotFound, "call_id", "%q is no call of agent %q", cmd.Call, a.ID)
	}
	switch {
	case c.State == CallAnswered:
		m.finish(c, ReasonAgentCompleted)
	case c.State == CallCompleted:
		return Result{Call: &c.Call, Agent: &a.Agent, Duplicate: true}, nil
	default:
		return Result{}, refuse(ErrWrongState, "call_id", "call %q is %s; only an answered call can be completed", c.ID, c.State)
	}
	return Result{Call: &c.Call, Agent: &a.Agent}, nil
}
