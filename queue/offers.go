package queue

import "greenlane/internal/instant"

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
		m.setPresence(a, Absent, 0) // the answer carries the live offer, which uses the poll up
	default:
		m.setPresence(a, cmd.Presence, lease)
	}
	if a.State == AgentNotReady && a.Reason == ReasonLost {
		m.makeReady(a)
	}
	m.touchAgent(a)
	m.match(a)
	return Result{Agent: &a.Agent, Offer: m.liveOffer(a)}, nil
}

// liveOffer returns the offer an agent holds, nil when there is none.
func (m *Machine) liveOffer(a *agent) *Offer { return a.liveOffer(&m.shown) }

// liveOffer is Machine.liveOffer with the call's record in r.
func (a *agent) liveOffer(r *room) *Offer {
	o := a.offer
	if o == nil {
		return nil
	}
	out := &Offer{Epoch: o.Epoch, Agent: a.ID, OfferedAt: o.OfferedAt, ExpiresAt: o.ExpiresAt, Acknowledged: o.Acked, Why: o.Why}
	if o.e.call != nil {
		out.Call = o.e.call.record(r)
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
		grace := m.site.PollGrace
		if a.Presence == PresentStream {
			grace = m.site.OwnerLease
		}
		var lease instant.Instant
		if a.State == AgentReady {
			lease = m.now.Add(grace)
		}
		m.setPresence(a, Absent, lease)
	}
	if o := a.offer; o != nil && cmd.Undelivered && a.Presence != PresentRing {
		m.giveBack(o, EndedUndelivered, "")
	}
	return Result{Agent: &a.Agent, Offer: m.liveOffer(a)}, nil
}

// liveFor finds a live offer for whoever answers it: its agent, or the switch
// on behalf of an agent whose phone it rings (empty agent).
func (m *Machine) liveFor(agentID string, epoch uint64) (*offer, error) {
	o := m.offers.get(epoch)
	if o != nil && o.Ended == "" && o.Agent == agentID {
		return o, nil
	}
	if agentID != "" {
		if _, err := m.agent(agentID); err != nil {
			return nil, err
		}
	}
	if o == nil || agentID != "" && o.Agent != agentID {
		if o == nil && epoch > 0 && epoch <= m.meta.Epoch {
			return nil, refuse(ErrOfferEnded, "offer_id", "offer %s ended long ago", OfferID(epoch))
		}
		if agentID == "" {
			return nil, refuse(ErrOfferNotFound, "offer_id", "%s is no offer", OfferID(epoch))
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
		return Result{Offer: m.liveOffer(o.a), Duplicate: true}, nil
	}
	o.Acked, o.AckBy = true, 0
	m.touchOffer(o)
	e := Event{Type: EventOfferAcknowledged, Agent: o.Agent, AgentState: o.a.State, Offer: o.Epoch}
	if c := o.e.call; c != nil {
		m.armCall(c)
		m.emitCall(c, &e)
	} else {
		m.armCallback(o.e.cb)
		m.emitCallback(o.e.cb, &e)
	}
	return Result{Offer: m.liveOffer(o.a)}, nil
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
	epoch := c.Offer
	m.leave(c, EndedAccepted)
	c.State, c.AnsweredAt, c.Agent, c.Offer = CallAnswered, m.now, agentID, epoch
	a.Agent.Call, a.talk = c.ID, c
	m.become(a, AgentTalking, "")
	m.armCall(c)
	m.countEnd(c, CallAnswered)
	m.emitCall(c, &Event{Type: EventCallAnswered, Agent: a.ID, AgentState: a.State, Offer: epoch, Wait: c.wait(m.now)})
	m.cancelAnswered(c)
	return Result{Call: m.show(c), Agent: &a.Agent}, nil
}

// repeated answers a repeated accept or decline with what is still on record.
func (m *Machine) repeated(o *offer) Result {
	res := Result{Duplicate: true}
	if a := m.agents[o.Agent]; a != nil {
		res.Agent = &a.Agent
	}
	if c := m.calls.get(o.OfferRecord.Call); c != nil {
		res.Call = m.show(c)
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
	c := a.talk // most often
	if c == nil || c.ID != cmd.Call {
		c = m.calls.get(cmd.Call)
	}
	if c == nil || c.Agent != a.ID {
		return Result{}, refuse(ErrCallNotFound, "call_id", "%q is no call of agent %q", cmd.Call, a.ID)
	}
	switch c.State {
	case CallAnswered:
		m.free(m.finish(c, a, ReasonAgentCompleted))
	case CallCompleted:
		return Result{Call: m.show(c), Agent: &a.Agent, Duplicate: true}, nil
	default:
		return Result{}, refuse(ErrWrongState, "call_id", "call %q is %s; only an answered call can be completed", c.ID, c.State)
	}
	return Result{Call: m.show(c), Agent: &a.Agent}, nil
}
