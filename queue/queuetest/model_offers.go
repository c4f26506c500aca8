package queuetest

import (
	"slices"

	"greenlane/queue"
)

// makeOffer leases an entry to an agent. The answer of a long poll carries the
// offer, so the poll is over.
func (m *Model) makeOffer(e entry, a *queue.Agent, why string) {
	m.checkGreenChannel(e, a)
	m.epoch++
	o := &queue.OfferRecord{
		Epoch: m.epoch, Agent: a.ID, OfferedAt: m.now, ExpiresAt: m.now.Add(m.queueOf(e.queue()).OfferTimeout), Why: why,
	}
	if a.Presence == queue.PresentStream && m.site.AckTimeout > 0 {
		o.AckBy = m.now.Add(m.site.AckTimeout)
	}
	if a.Presence == queue.PresentPoll {
		a.Presence, a.LeaseUntil = queue.Absent, 0
	}
	m.offers = append(m.offers, o)
	m.become(a, queue.AgentOffered, "")
	a.Offer = o.Epoch
	event := queue.Event{Agent: a.ID, AgentState: a.State, Offer: o.Epoch, Why: why}
	if c := e.call; c != nil {
		o.Call, a.Call = c.ID, c.ID
		c.State, c.Agent, c.Offer, c.OfferedAt, c.HeldUntil = queue.CallOffered, a.ID, o.Epoch, m.now, 0
		c.Offers++
		m.total(c.Queue, c.Tier).Offers++
		event.Type = queue.EventCallOffered
		m.callEvent(c, event)
		return
	}
	o.Callback, a.Callback = e.cb.ID, e.cb.ID
	must(e.cb.Offer())
	event.Type = queue.EventCallbackOffered
	m.callbackEvent(e.cb, event)
}

// checkGreenChannel counts an offer of a lower tier to an agent who may serve
// a VIP that waits.
func (m *Model) checkGreenChannel(e entry, a *queue.Agent) {
	if e.slot() == slotVIP {
		return
	}
	for _, w := range m.waiting() {
		if w.slot() == slotVIP && m.mayServe(a, w) {
			m.violations++
			return
		}
	}
}

// dropOffer ends a live offer without an answer: what was offered is back in
// its place. What becomes of the agent is the caller's to say, and so is
// offerReturned, which tells of it.
func (m *Model) dropOffer(o *queue.OfferRecord, ended string) (entry, *queue.Agent) {
	e, a := m.offered(o), m.agent(o.Agent)
	o.Ended = ended
	a.Offer, a.Call, a.Callback = 0, "", ""
	if e.call != nil {
		e.call.State, e.call.Agent, e.call.Offer = queue.CallWaiting, "", 0
	} else {
		must(e.cb.Return())
	}
	return e, a
}

// offerReturned tells how an offer ended, and the agent's state after it.
func (m *Model) offerReturned(o *queue.OfferRecord) {
	a := m.agent(o.Agent)
	event := queue.Event{Agent: a.ID, AgentState: a.State, Offer: o.Epoch, Reason: o.Ended}
	if e := m.offered(o); e.call != nil {
		event.Type = queue.EventOfferReturned
		m.callEvent(e.call, event)
	} else {
		event.Type = queue.EventCallbackReturned
		m.callbackEvent(e.cb, event)
		m.advance(e.cb) // its window may have closed meanwhile: then nobody is offered it now
	}
}

// giveBack returns an offer to its place, leaves its agent ready or makes him
// not ready for a reason, and looks for work for the agent and then for another
// agent for what came back.
func (m *Model) giveBack(o *queue.OfferRecord, ended, notReady string) {
	e, a := m.dropOffer(o, ended)
	if notReady == "" {
		m.become(a, queue.AgentReady, "")
	} else {
		m.become(a, queue.AgentNotReady, notReady)
	}
	m.offerReturned(o)
	if notReady != "" {
		m.changed(a)
	}
	m.cameBack(e, a)
}

// cameBack looks for work for an agent whose offer is over, and then for
// another agent for what came back.
func (m *Model) cameBack(e entry, a *queue.Agent) {
	m.consequences(a)
	m.tryEntry(e)
}

// turnedDown remembers that an agent declined, or let the offer pass.
func (m *Model) turnedDown(o *queue.OfferRecord) {
	e := m.offered(o)
	switch {
	case slices.Contains(e.declinedBy(), o.Agent):
	case e.call != nil:
		e.call.DeclinedBy = append(e.call.DeclinedBy, o.Agent)
	default:
		e.cb.DeclinedBy = append(e.cb.DeclinedBy, o.Agent)
	}
}

// findOffer resolves the offer that an agent, or the switch in the name of the
// agent, speaks of.
func (m *Model) findOffer(agent string, epoch uint64) (*queue.OfferRecord, error) {
	if agent != "" && m.agent(agent) == nil {
		return nil, refuse(queue.ErrAgentNotFound, "agent_id")
	}
	o := m.offer(epoch)
	if o == nil || agent != "" && o.Agent != agent {
		return nil, refuse(queue.ErrOfferNotFound, "offer_id")
	}
	return o, nil
}

func (m *Model) acknowledge(c *queue.Acknowledge) (queue.Result, error) {
	o, err := m.findOffer(c.Agent, c.Offer)
	switch {
	case err != nil:
		return queue.Result{}, err
	case o.Ended == queue.EndedAccepted:
		return queue.Result{Duplicate: true}, nil
	case o.Ended != "":
		return queue.Result{}, refuse(queue.ErrOfferEnded, "offer_id")
	case o.Acked:
		return queue.Result{Offer: m.offerView(o), Duplicate: true}, nil
	}
	o.Acked, o.AckBy = true, 0
	a := m.agent(o.Agent)
	event := queue.Event{Type: queue.EventOfferAcknowledged, Agent: a.ID, AgentState: a.State, Offer: o.Epoch}
	if e := m.offered(o); e.call != nil {
		m.callEvent(e.call, event)
	} else {
		m.callbackEvent(e.cb, event)
	}
	return queue.Result{Offer: m.offerView(o)}, nil
}

func (m *Model) accept(c *queue.Accept) (queue.Result, error) {
	o, err := m.findOffer(c.Agent, c.Offer)
	if err != nil {
		return queue.Result{}, err
	}
	e, a := m.offered(o), m.agent(o.Agent)
	switch o.Ended {
	case "":
	case queue.EndedAccepted:
		return queue.Result{Call: e.call, Callback: record(e.cb), Agent: a, Duplicate: true}, nil
	default:
		return queue.Result{}, refuse(queue.ErrOfferEnded, "offer_id")
	}
	o.Ended, a.Offer, a.Call, a.Callback = queue.EndedAccepted, 0, "", ""
	m.become(a, queue.AgentTalking, "")
	event := queue.Event{Agent: a.ID, AgentState: a.State, Offer: o.Epoch}
	if cb := e.cb; cb != nil {
		a.Callback = cb.ID
		must(cb.Claim(m.now, a.ID, m.site.Callback.ClaimLease))
		cb.DeclinedBy = nil
		event.Type = queue.EventCallbackClaimed
		m.callbackEvent(cb, event)
		return queue.Result{Callback: record(cb), Agent: a}, nil
	}
	e.call.State, e.call.AnsweredAt, a.Call = queue.CallAnswered, m.now, e.call.ID
	m.countAnswer(e.call)
	event.Type, event.Wait = queue.EventCallAnswered, e.call.Wait(m.now)
	m.callEvent(e.call, event)
	m.callerServed(e.call)
	return queue.Result{Call: e.call, Agent: a}, nil
}

func (m *Model) decline(c *queue.Decline) (queue.Result, error) {
	o, err := m.findOffer(c.Agent, c.Offer)
	if err != nil {
		return queue.Result{}, err
	}
	a := m.agent(o.Agent)
	switch o.Ended {
	case "":
	case queue.EndedDeclined:
		e := m.offered(o)
		return queue.Result{Agent: a, Call: e.call, Callback: record(e.cb), Duplicate: true}, nil
	default:
		return queue.Result{}, refuse(queue.ErrOfferEnded, "offer_id")
	}
	m.turnedDown(o)
	if c.NotReady {
		m.giveBack(o, queue.EndedDeclined, c.Reason)
	} else {
		a.IdleSince = m.now
		m.giveBack(o, queue.EndedDeclined, "")
	}
	return queue.Result{Agent: a}, nil
}

// offerView returns an offer as results and listings show it; nil stays nil.
func (m *Model) offerView(o *queue.OfferRecord) *queue.Offer {
	if o == nil {
		return nil
	}
	e := m.offered(o)
	return &queue.Offer{
		Epoch: o.Epoch, Agent: o.Agent, Call: e.call, Callback: record(e.cb),
		OfferedAt: o.OfferedAt, ExpiresAt: o.ExpiresAt, Acknowledged: o.Acked, Why: o.Why,
	}
}

// offerOf returns the live offer of a callback.
func (m *Model) offerOf(cb *promise) *queue.OfferRecord {
	for _, o := range m.offers {
		if o.Callback == cb.ID && o.Ended == "" {
			return o
		}
	}
	return nil
}

// must panics: the model has asked for a change that cannot be.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
