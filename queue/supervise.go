package queue

import (
	"cmp"
	"slices"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// moveCall puts a waiting or offered call into another queue.
func (m *Machine) moveCall(cmd *MoveCall) (Result, error) {
	c, err := m.waitingCall(cmd.Call)
	if err != nil {
		return Result{}, err
	}
	to, err := m.queue(cmd.Queue)
	if err != nil {
		return Result{}, err
	}
	if to == c.q {
		return m.callResult(c), nil
	}
	o := c.offer
	if o != nil {
		m.endOffer(o, EndedMoved)
		m.become(o.a, AgentReady, "")
		m.emitReturned(o)
	}
	m.moveTo(c, to, ReasonMoved, cmd.By)
	if o != nil {
		m.match(o.a) // whoever is first for him, the moved call included
	}
	m.place(&c.entry)
	return m.callResult(c), nil
}

func (m *Machine) waitingCall(id string) (*call, error) {
	c := m.calls.get(id)
	if c == nil {
		return nil, refuse(ErrCallNotFound, "call_id", "%q is no call this site knows", id)
	}
	if c.State != CallWaiting && c.State != CallOffered {
		return nil, refuse(ErrWrongState, "call_id", "call %q is %s; only a waiting or offered call can be changed", id, c.State)
	}
	return c, nil
}

// rerank gives waiting calls their tier.
func (m *Machine) rerank(cmd *Rerank) (Result, error) {
	if !cmd.Tier.Valid() {
		return Result{}, refuse(ErrInvalid, "tier", "must be vip, mid, ordinary or blacklist")
	}
	if cmd.Call == "" {
		var list []*call
		for c := range m.callsOf(cmd.Caller) {
			list = append(list, c)
		}
		slices.SortFunc(list, func(a, b *call) int { return cmp.Compare(a.Seq, b.Seq) })
		n := 0
		for _, c := range list {
			if (c.State == CallWaiting || c.State == CallOffered) && m.setTier(c, cmd) {
				n++
			}
		}
		return Result{Reranked: n}, nil
	}
	if c := m.calls.get(cmd.Call); cmd.OnlyProvisional && (c == nil || !c.Provisional || c.State != CallWaiting && c.State != CallOffered) {
		return m.tierTooLate(c, cmd), nil
	}
	c, err := m.waitingCall(cmd.Call)
	if err != nil {
		return Result{}, err
	}
	n := 0
	if m.setTier(c, cmd) {
		n = 1
	}
	res := m.callResult(c)
	res.Reranked = n
	return res, nil
}

// tierTooLate settles what a late lookup still changes when the call waits no
// longer: a caller who hung up meanwhile gets the callback that the tier earns.
func (m *Machine) tierTooLate(c *call, cmd *Rerank) Result {
	if c == nil || !c.Provisional || c.State != CallAbandoned || c.few().Callback != "" {
		return Result{}
	}
	counted := c.Tier
	c.Tier, _ = cmd.servedTo(c.Attestation)
	c.Provisional = false
	cb := m.earnCallback(c)
	c.Tier = counted // the call was counted under the tier it was served by
	m.touchCall(c)
	return Result{Call: m.show(c), Callback: cb}
}

// servedTo returns the tier for a call whose number is so far vouched for.
func (cmd *Rerank) servedTo(a Attestation) (t tiering.Tier, unattested bool) {
	if cmd.AttestedVIP {
		return tiering.Served(cmd.Tier, a, true, tiering.AttestationFull)
	}
	return cmd.Tier, cmd.UnattestedVIP
}

// setTier changes a waiting call's tier and reports whether anything changed.
func (m *Machine) setTier(c *call, cmd *Rerank) bool {
	tier, unattested := cmd.servedTo(c.Attestation)
	if cmd.OnlyProvisional && !c.Provisional || !c.Provisional && c.Tier == tier && c.UnattestedVIP == unattested {
		return false
	}
	from := c.Tier
	e := &c.entry
	lined, held := e.lined, e.held
	m.lineOut(e)
	m.recount(c, c.q, tier)
	c.Provisional, c.UnattestedVIP = false, unattested
	e.slot = slotOf(tier)
	switch {
	case lined:
		m.lineUp(e)
	case held != nil:
		m.hold(e, held)
	case e.offer != nil:
		m.live[e.offer.slot].remove(e.offer)
		e.offer.slot = e.slot
		m.live[e.slot].add(e.offer)
	}
	m.emitCall(c, &Event{Type: EventCallReranked, FromTier: from})
	m.place(e)
	if e.offer != nil {
		m.upgrade(e.offer.a)
	}
	return true
}

// reconcile brings the site in line with the calls a switch still holds.
func (m *Machine) reconcile(cmd *Reconcile) (Result, error) {
	asOf := cmd.AsOf
	if asOf.IsZero() || asOf > m.now {
		asOf = m.now
	}
	res := Result{Items: make([]Item, len(cmd.Calls))}
	listed := make(map[string]bool, len(cmd.Calls))
	order := make([]int, len(cmd.Calls))
	for i := range cmd.Calls {
		order[i] = i
		listed[cmd.Calls[i].Call] = true
	}
	// Oldest first: the engine's own sequence then follows the original arrivals.
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(cmd.Calls[a].ArrivedAt, cmd.Calls[b].ArrivedAt) })
	for _, i := range order {
		res.Items[i] = m.reconcileOne(cmd, &cmd.Calls[i])
		switch res.Items[i].Outcome {
		case OutcomeAdded:
			res.Added++
		case OutcomeKept:
			res.Kept++
		}
	}
	var gone []*call
	for c := range m.calls.all() {
		if c.from.Switch == cmd.Switch && !c.State.Terminal() && !listed[c.ID] && c.JoinedAt < asOf {
			gone = append(gone, c)
		}
	}
	slices.SortFunc(gone, func(a, b *call) int { return cmp.Compare(a.Seq, b.Seq) })
	res.Closed = len(gone)
	freed := make([]*agent, len(gone))
	for i, c := range gone {
		if c.State == CallAnswered {
			freed[i] = m.finish(c, m.agents[c.Agent], ReasonReconciled)
		} else {
			_, freed[i] = m.end(c, CallAbandoned, EventCallAbandoned, ReasonReconciled, EndedCallerHungUp)
		}
	}
	for _, a := range freed { // none of them is to be offered a call that is closed next
		m.free(a)
	}
	return res, nil
}

// The outcomes of one item of Reconcile.
const (
	OutcomeAdded  = "added"
	OutcomeKept   = "kept"
	OutcomeEnded  = "ended" // it has ended here: the switch is to let it go
	OutcomeFailed = "failed"
)

func (m *Machine) reconcileOne(cmd *Reconcile, live *Live) Item {
	item := Item{Call: live.Call, Outcome: OutcomeFailed, Err: live.Err}
	if item.Err != nil {
		return item
	}
	if live.Call == "" {
		item.Err = refuse(ErrInvalid, "call_id", "must not be empty")
		return item
	}
	if c := m.calls.get(live.Call); c != nil && !c.Tombstone {
		if !sameSwitch(c, cmd.Switch) {
			item.Err = refuse(ErrCallExists, "call_id", "%q is a call of switch %q", live.Call, c.from.Switch)
			return item
		}
		switch {
		case c.State.Terminal():
			return itemEnded(c)
		case c.State != CallAnswered && !live.AnsweredAt.IsZero():
			m.answeredMeanwhile(c, live)
		}
		item.Outcome = OutcomeKept
		return item
	}
	live.Switch = cmd.Switch
	q, err := m.routeTo(&live.Arrive)
	if err != nil {
		item.Err = err
		return item
	}
	if grave := m.calls.get(live.Call); grave != nil {
		m.arriveTooLate(grave, q, &live.Arrive) // its hang-up is known: it is not live
		return itemEnded(m.calls.get(live.Call))
	}
	m.restoreCall(live, q)
	item.Outcome = OutcomeAdded
	return item
}

// restoreCall adds a call the engine had lost, with its original arrival. It was
// admitted once: opening hours and capacity are not asked again.
func (m *Machine) restoreCall(live *Live, q *queueState) {
	joined := m.now
	if !live.ArrivedAt.IsZero() && live.ArrivedAt < m.now {
		joined = live.ArrivedAt
	}
	c := m.rooms.take()
	m.newCall(c, &live.Arrive, q, joined)
	if live.AnsweredAt.IsZero() {
		m.join(c)
		return
	}
	m.totals(q, c.Tier).Joined++
	m.emitCall(c, &Event{Type: EventCallJoined})
	m.answeredAt(c, live, nil)
}

// answeredMeanwhile believes the switch that a call talks which waits or is offered
// here: somebody has it, and nobody else may be rung for it.
func (m *Machine) answeredMeanwhile(c *call, live *Live) {
	var freed *agent
	if o := c.offer; o != nil && o.Agent == live.Agent {
		epoch := c.Offer
		m.leave(c, EndedAccepted)
		c.Offer = epoch
	} else if m.leave(c, EndedReconciled); o != nil {
		freed = o.a
		m.become(freed, AgentReady, "")
		m.emitReturned(o)
	}
	m.answeredAt(c, live, freed)
}

// answeredAt makes a call one that an agent answered when the switch says, and frees
// who was offered it, if anybody. What the agent is offered goes back: he talks.
func (m *Machine) answeredAt(c *call, live *Live, freed *agent) {
	c.State, c.AnsweredAt, c.Agent = CallAnswered, max(c.JoinedAt, min(live.AnsweredAt, m.now)), live.Agent
	switch threshold := c.q.cfg.Threshold; {
	case c.Late: // that was told, and stays so
		c.AnsweredAt = max(c.AnsweredAt, c.JoinedAt.Add(threshold)+1)
	case c.wait(m.now) > threshold:
		m.noteLate(c)
	}
	m.countEnd(c, CallAnswered)
	e := Event{Type: EventCallAnswered, Agent: c.Agent, Offer: c.Offer, Reason: ReasonReconciled, Wait: c.wait(m.now)}
	var back *entry
	if a := m.agents[live.Agent]; a != nil && a.State != AgentTalking && a.State != AgentSignedOut {
		o := a.offer
		if o != nil {
			m.endOffer(o, EndedReconciled)
			back = o.e
		}
		a.Agent.Call = c.ID
		m.become(a, AgentTalking, "")
		e.AgentState = AgentTalking
		if o != nil {
			m.emitReturned(o)
		}
	} else {
		m.apart = true
	}
	m.armCall(c)
	m.emitCall(c, &e)
	m.cancelAnswered(c)
	m.free(freed)
	if back != nil {
		m.place(back)
	}
}

// itemEnded says that a call which the switch has is over.
func itemEnded(c *call) Item {
	return Item{Call: c.ID, Outcome: OutcomeEnded, Err: refuse(ErrWrongState, "call_id", "call %q is over: %s", c.ID, cmp.Or(c.Reason, c.State.String()))}
}

// attachSwitch records that a switch can be told to ring phones.
func (m *Machine) attachSwitch(cmd *AttachSwitch) (Result, error) {
	if cmd.Switch == "" || cmd.Owner == "" || cmd.Token == "" {
		return Result{}, refuse(ErrInvalid, "switch_id", "switch, owner and token must be given")
	}
	m.renew(cmd.Owner)
	s := m.switches[cmd.Switch]
	fresh := s == nil
	if fresh {
		s = &switchState{}
		m.switches[cmd.Switch] = s
		m.changes.GoneSwitches = notGone(m.changes.GoneSwitches, cmd.Switch)
	}
	s.SwitchRecord = SwitchRecord{Switch: cmd.Switch, Owner: cmd.Owner, Token: cmd.Token}
	m.touchSwitch(s)
	if fresh {
		m.emit(&Event{Type: EventSwitchConnected, Switch: cmd.Switch})
	}
	for _, a := range m.ringAgents() {
		m.match(a)
		m.upgrade(a)
	}
	return Result{}, nil
}

func (m *Machine) detachSwitch(cmd *DetachSwitch) (Result, error) {
	if s := m.switches[cmd.Switch]; s != nil && s.Token == cmd.Token {
		m.dropSwitch(s)
	}
	return Result{}, nil
}

// dropSwitch takes back what its phones were ringing for.
func (m *Machine) dropSwitch(s *switchState) {
	delete(m.switches, s.Switch)
	m.changes.GoneSwitches = append(m.changes.GoneSwitches, s.Switch)
	m.emit(&Event{Type: EventSwitchDisconnected, Switch: s.Switch})
	for _, a := range m.ringAgents() {
		if o := a.offer; o != nil && o.e.call != nil && o.e.call.from.Switch == s.Switch {
			m.giveBack(o, EndedUndelivered, "")
		}
	}
	for _, q := range m.queueList {
		if q.workingRing > 0 { // who can serve a declined call has changed
			m.reconsider(q)
		}
	}
}

// ringAgents lists the agents whose phones switches ring, longest idle first.
func (m *Machine) ringAgents() []*agent {
	var list []*agent
	for _, a := range m.agents {
		if a.RingBySwitch && a.State != AgentSignedOut {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b *agent) int {
		return cmp.Or(cmp.Compare(a.IdleSince, b.IdleSince), cmp.Compare(a.Ord, b.Ord))
	})
	return list
}

// renew extends a daemon's lease.
func (m *Machine) renew(id string) {
	o := m.owners[id]
	if o == nil {
		m.meta.Ord++
		o = &owner{OwnerRecord: OwnerRecord{Owner: id, Ord: m.meta.Ord}}
		o.timer = newTimer(o, classOwner, o.Ord)
		m.owners[id] = o
		m.changes.GoneOwners = notGone(m.changes.GoneOwners, id)
	}
	o.Until = m.now.Add(m.site.OwnerLease)
	m.timers.arm(&o.timer, o.Until, nil)
	m.touchOwner(o)
}

func (m *Machine) renewOwner(cmd *RenewOwner) (Result, error) {
	if cmd.Owner == "" {
		return Result{}, refuse(ErrInvalid, "owner", "must not be empty")
	}
	m.renew(cmd.Owner)
	return Result{}, nil
}

// fire implements timed: a daemon that was silent too long has lost its agents
// and switches.
func (o *owner) fire(m *Machine, _ instant.Instant) {
	delete(m.owners, o.Owner)
	m.changes.GoneOwners = append(m.changes.GoneOwners, o.Owner)
	var lost []*agent
	for _, a := range m.agents {
		if a.Presence == PresentStream && a.Owner == o.Owner {
			lost = append(lost, a)
		}
	}
	slices.SortFunc(lost, func(a, b *agent) int { return cmp.Compare(a.Ord, b.Ord) })
	for _, a := range lost {
		m.lose(a)
	}
	var gone []*switchState
	for _, s := range m.switches {
		if s.Owner == o.Owner {
			gone = append(gone, s)
		}
	}
	slices.SortFunc(gone, func(a, b *switchState) int { return cmp.Compare(a.Switch, b.Switch) })
	for _, s := range gone {
		m.dropSwitch(s)
	}
}
