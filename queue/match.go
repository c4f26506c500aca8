package queue

import "slices"

// eligible reports whether e may be offered to a, who serves its queue: the
// offer must reach him, and a call that he declined goes to others while
// another can serve it.
func (m *Machine) eligible(e *entry, a *agent) bool {
	if a.RingBySwitch && !m.ringable(e) {
		return false
	}
	return !slices.Contains(e.declinedBy(), a.ID) || !m.othersCanServe(e)
}

// ringable reports whether the switch that holds e can ring an agent's phone.
func (m *Machine) ringable(e *entry) bool {
	return e.call != nil && m.switches[e.call.from.Switch] != nil
}

// othersCanServe reports whether an agent who did not decline e works.
func (m *Machine) othersCanServe(e *entry) bool {
	ringable := m.ringable(e)
	n := e.q.working
	if !ringable {
		n -= e.q.workingRing
	}
	for _, id := range e.declinedBy() {
		a := m.agents[id]
		if a != nil && a.State.Working() && a.serves(e.q) != nil && (ringable || !a.RingBySwitch) {
			n--
		}
	}
	return n > 0
}

// place tries to serve a waiting entry now: by its preferred agent, by the
// agent who is idle longest at the best level, or, for a VIP, by taking back an
// offer of a lower tier that nobody has accepted yet.
//
// When several calls can be served at once that could not before (their wait
// for one agent is over, or who declined them matters no more), the agent picked
// for one may have another who ranks before it: that one is served first.
func (m *Machine) place(e *entry) {
	for e.lined || e.held != nil {
		a, why := m.pickAgent(e)
		if a == nil {
			break
		}
		if first := m.next(a, slots); first != e {
			m.offerTo(first, a, whyNext(first, a))
			continue
		}
		m.offerTo(e, a, why)
	}
	if e.slot != slotVIP || e.call == nil || !m.site.Preemption {
		return
	}
	for e.lined || e.held != nil {
		victim := m.pickVictim(e)
		if victim == nil {
			return
		}
		m.preempt(victim, m.next(victim.a, slotMid)) // the first VIP for that agent, most often e
	}
}

// pickAgent returns the idle agent who is to have e.
func (m *Machine) pickAgent(e *entry) (best *agent, why string) {
	if e.call != nil {
		if a := m.preferred(e.call); a != nil && a.idle && a.serves(e.q) != nil && m.eligible(e, a) {
			return a, WhyPreferredAgent
		}
	}
	if e.held != nil {
		return nil, ""
	}
	for _, level := range e.q.levels {
		level.t.Scan(func(i idler) bool {
			if m.eligible(e, i.a) {
				best = i.a
			}
			return best == nil
		})
		if best != nil {
			return best, WhyLongestIdle
		}
	}
	return nil, ""
}

// pickVictim returns the live offer that a VIP may displace: the lowest tier,
// then the youngest.
func (m *Machine) pickVictim(vip *entry) *offer {
	for s := slots - 1; s > slotVIP; s-- {
		if o := m.live[s].youngest(func(o *offer) bool { return m.mayDisplace(vip, o) }); o != nil {
			return o
		}
	}
	return nil
}

func (m *Machine) mayDisplace(vip *entry, o *offer) bool {
	if vip.held != nil && vip.held != o.a {
		return false
	}
	return o.a.serves(vip.q) != nil && m.eligible(vip, o.a)
}

// preempt rescinds an offer for a VIP; the displaced one goes back to its place.
func (m *Machine) preempt(victim *offer, vip *entry) {
	a := victim.a
	m.endOffer(victim, EndedPreempted)
	m.become(a, AgentReady, "")
	m.emitReturned(victim)
	m.offerTo(vip, a, WhyPreemption)
	m.place(victim.e)
}

// match gives a ready agent the first of those who wait for him, or puts him
// among the idle.
func (m *Machine) match(a *agent) {
	if a.State != AgentReady || a.Presence == Absent {
		return
	}
	e := m.next(a, slots)
	if e == nil {
		m.setIdle(a, true)
		return
	}
	m.offerTo(e, a, whyNext(e, a))
}

func whyNext(e *entry, a *agent) string {
	if e.call != nil && e.call.few().PreferredAgent == a.ID {
		return WhyPreferredAgent
	}
	return WhyNextInLine
}

// next returns the first waiting entry, of a slot above the given one, that a
// may be offered.
func (m *Machine) next(a *agent, above slot) *entry {
	var best *entry
	var bestLevel int
	ok := func(e *entry) bool { return m.eligible(e, a) }
	if a.held != nil {
		a.held.Scan(func(e *entry) bool {
			mb := a.serves(e.q)
			if e.slot < above && mb != nil && ok(e) && (best == nil || before(e, mb.level, best, bestLevel)) {
				best, bestLevel = e, mb.level
			}
			return best == nil || e.slot <= best.slot
		})
	}
	for s := slotVIP; s < above && (best == nil || s <= best.slot); s++ {
		for _, mb := range a.members {
			if best != nil && best.slot == s && bestLevel < mb.level {
				break // members are sorted by level
			}
			if e := mb.q.lines[s].first(ok); e != nil && (best == nil || before(e, mb.level, best, bestLevel)) {
				best, bestLevel = e, mb.level
			}
		}
	}
	return best
}

// upgrade takes an unaccepted offer back when a VIP waits that its agent may
// serve: his queues have changed.
func (m *Machine) upgrade(a *agent) {
	o := a.offer
	if o == nil || o.slot == slotVIP || !m.site.Preemption {
		return
	}
	if vip := m.next(a, slotMid); vip != nil {
		m.preempt(o, vip)
	}
}

// offerTo leases e to a. An offer uses up a long poll: its answer carries it.
func (m *Machine) offerTo(e *entry, a *agent, why string) {
	if e.slot > slotVIP && m.next(a, slotMid) != nil {
		m.meta.Violations++
	}
	m.lineOut(e)
	m.meta.Epoch++
	o := m.freshOffer()
	o.e, o.a, o.rank, o.slot = e, a, e.rank(), e.slot
	o.OfferRecord = OfferRecord{
		Epoch: m.meta.Epoch, Agent: a.ID, OfferedAt: m.now, ExpiresAt: m.now.Add(e.q.cfg.OfferTimeout), Why: why,
	}
	if a.Presence == PresentStream && m.site.AckTimeout > 0 {
		o.AckBy = m.now.Add(m.site.AckTimeout)
	}
	if gone := m.offers.add(o); gone != nil {
		m.pushOut(gone)
	}
	m.live[o.slot].add(o)
	m.touchOffer(o)
	e.offer, a.offer, a.Offer = o, o, o.Epoch
	if a.Presence == PresentPoll {
		m.setPresence(a, Absent, 0)
	}
	m.become(a, AgentOffered, "")
	if c := e.call; c != nil {
		o.OfferRecord.Call, a.Agent.Call = c.ID, c.ID
		c.State, c.Agent, c.Offer, c.OfferedAt = CallOffered, a.ID, o.Epoch, m.now
		c.holdUntil(0)
		c.Offers++
		m.armCall(c)
		m.totals(c.q, c.Tier).Offers++
		m.emitCall(c, &Event{Type: EventCallOffered, Agent: a.ID, AgentState: a.State, Offer: o.Epoch, Why: why})
		return
	}
	o.OfferRecord.Callback, a.Agent.Callback = e.cb.ID, e.cb.ID
	m.offers.addCallback(o)
	m.mustCallback(e.cb.Offer())
	m.armCallback(e.cb)
	m.emitCallback(e.cb, &Event{Type: EventCallbackOffered, Agent: a.ID, AgentState: a.State, Offer: o.Epoch, Why: why})
}

// endOffer ends a live offer that nobody accepted. The call is back in its
// place, the agent still in state offered: the caller says what becomes of him,
// then of the call.
func (m *Machine) endOffer(o *offer, how string) {
	m.closeOffer(o, how)
	e := o.e
	if c := e.call; c != nil {
		c.State, c.Agent, c.Offer = CallWaiting, "", 0
		m.armCall(c)
		m.touchCall(c)
	} else {
		m.mustCallback(e.cb.Return())
		m.armCallback(e.cb)
		m.touchCallback(e.cb)
	}
	m.lineUp(e)
}

// closeOffer makes a live offer a past one.
func (m *Machine) closeOffer(o *offer, how string) {
	o.Ended = how
	m.live[o.slot].remove(o)
	m.touchOffer(o)
	o.e.offer, o.a.offer, o.a.Offer = nil, nil, 0
	o.a.Agent.Call, o.a.Agent.Callback = "", ""
	m.touchAgent(o.a)
	if m.offers.ended(o) {
		m.pushOut(o)
	}
}

// emitReturned tells how an offer ended, with the agent's state after it.
func (m *Machine) emitReturned(o *offer) {
	e := Event{Agent: o.a.ID, AgentState: o.a.State, Offer: o.Epoch, Reason: o.Ended}
	if o.e.call != nil {
		e.Type = EventOfferReturned
		m.emitCall(o.e.call, &e)
		return
	}
	e.Type = EventCallbackReturned
	m.emitCallback(o.e.cb, &e)
	m.pass(o.e.cb) // the window may have closed meanwhile
}
