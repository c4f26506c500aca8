package queuetest

import (
	"cmp"
	"slices"

	"greenlane/callback"
	"greenlane/queue"
	"greenlane/tiering"
)

// waits reports whether a call waits, offered or not.
func waits(c *queue.Call) bool { return c.State == queue.CallWaiting || c.State == queue.CallOffered }

// moveCall puts a waiting or offered call into another queue.
func (m *Model) moveCall(c *queue.MoveCall) (queue.Result, error) {
	call := m.call(c.Call)
	switch {
	case call == nil:
		return queue.Result{}, refuse(queue.ErrCallNotFound, "call_id")
	case !waits(call):
		return queue.Result{}, refuse(queue.ErrWrongState, "call_id")
	case m.queueOf(c.Queue) == nil:
		return queue.Result{}, refuse(queue.ErrQueueNotFound, "queue")
	case call.Queue == c.Queue:
		return queue.Result{Call: call}, nil
	}
	freed := m.withdrawCall(call, queue.EndedMoved)
	m.move(call, c.Queue, queue.ReasonMoved, c.By)
	m.free(freed) // before the call looks for an agent: others may stand before it
	m.tryEntry(entry{call: call})
	return queue.Result{Call: call}, nil
}

// move changes a waiting call's queue; place, clock and who declined it stay.
func (m *Model) move(c *queue.Call, to, reason, by string) {
	from := c.Queue
	m.recount(c, to, c.Tier)
	c.OverflowedFrom, c.QueuedAt, c.HeldUntil, c.OverflowAt = from, m.now, 0, 0
	m.callEvent(c, queue.Event{Type: queue.EventCallMoved, FromQueue: from, Reason: reason, Why: by})
}

// rerank gives waiting calls another tier.
func (m *Model) rerank(c *queue.Rerank) (queue.Result, error) {
	if !c.Tier.Valid() {
		return queue.Result{}, refuse(queue.ErrInvalid, "tier")
	}
	if c.Call == "" {
		n := 0
		for _, call := range m.bySeq() {
			if c.Caller != tiering.Withheld && call.Caller == c.Caller && waits(call) && m.setTier(call, c) {
				n++
			}
		}
		return queue.Result{Reranked: n}, nil
	}
	call := m.call(c.Call)
	if c.OnlyProvisional && (call == nil || !call.Provisional || !waits(call)) {
		return m.lateLookup(call, c), nil
	}
	switch {
	case call == nil:
		return queue.Result{}, refuse(queue.ErrCallNotFound, "call_id")
	case !waits(call):
		return queue.Result{}, refuse(queue.ErrWrongState, "call_id")
	}
	res := queue.Result{Call: call}
	if m.setTier(call, c) {
		res.Reranked = 1
	}
	return res, nil
}

func (m *Model) setTier(c *queue.Call, cmd *queue.Rerank) bool {
	if cmd.OnlyProvisional && !c.Provisional {
		return false
	}
	t, forged := cmd.Tier, cmd.UnattestedVIP
	if cmd.AttestedVIP {
		t, forged = vouched(c, t)
	}
	if !c.Provisional && c.Tier == t && c.UnattestedVIP == forged {
		return false
	}
	from := c.Tier
	m.recount(c, c.Queue, t)
	c.Provisional, c.UnattestedVIP = false, forged
	m.callEvent(c, queue.Event{Type: queue.EventCallReranked, FromTier: from})
	m.tryEntry(entry{call: c})
	if c.State == queue.CallOffered {
		m.upgrade(m.agent(c.Agent))
	}
	return true
}

// vouched is the tier of a call that is a VIP's only if its switch says that the
// number is the caller's.
func vouched(c *queue.Call, t tiering.Tier) (tiering.Tier, bool) {
	if t == tiering.VIP && c.Attestation != tiering.AttestationFull {
		return tiering.Ordinary, true
	}
	return t, false
}

// lateLookup is the answer of the tier store after a provisional call is over:
// a caller who hung up meanwhile gets the callback that the tier earns.
func (m *Model) lateLookup(c *queue.Call, cmd *queue.Rerank) queue.Result {
	if c == nil || !c.Provisional || c.State != queue.CallAbandoned || c.Callback != "" {
		return queue.Result{}
	}
	counted := c.Tier
	c.Tier, c.Provisional = cmd.Tier, false
	if cmd.AttestedVIP {
		c.Tier, _ = vouched(c, cmd.Tier)
	}
	cb := m.earn(c)
	c.Tier = counted
	return queue.Result{Call: c, Callback: record(cb)}
}

// recount gives a waiting call another queue or tier, and moves what was
// counted of its lateness with it.
func (m *Model) recount(c *queue.Call, to string, t tiering.Tier) {
	if c.Late {
		m.count(c, func(n *queue.Counts) { n.LateWaiting-- })
	}
	c.Queue, c.Tier = to, t
	if c.Late {
		m.count(c, func(n *queue.Counts) { n.LateWaiting++ })
	}
}

// bySeq returns the calls in the order of arrival.
func (m *Model) bySeq() []*queue.Call {
	out := slices.Clone(m.calls)
	slices.SortFunc(out, func(a, b *queue.Call) int { return cmp.Compare(a.Seq, b.Seq) })
	return out
}

// reconcile brings the site in line with the calls a switch still holds.
func (m *Model) reconcile(c *queue.Reconcile) (queue.Result, error) {
	asOf := c.AsOf
	if asOf.IsZero() || asOf > m.now {
		asOf = m.now
	}
	res := queue.Result{Items: make([]queue.Item, len(c.Calls))}
	var order []int
	for i := range c.Calls {
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(c.Calls[a].ArrivedAt, c.Calls[b].ArrivedAt) })
	for _, i := range order {
		res.Items[i] = m.reconcileOne(c.Switch, c.Calls[i])
		switch res.Items[i].Outcome {
		case queue.OutcomeAdded:
			res.Added++
		case queue.OutcomeKept:
			res.Kept++
		}
	}
	var freed []*queue.Agent
	for _, call := range m.bySeq() {
		listed := slices.ContainsFunc(c.Calls, func(l queue.Live) bool { return l.Call == call.ID })
		if call.Switch != c.Switch || call.State.Terminal() || listed || call.JoinedAt >= asOf {
			continue
		}
		res.Closed++
		var a *queue.Agent
		if call.State == queue.CallAnswered {
			a = m.completeCall(call, queue.ReasonReconciled)
		} else {
			_, a = m.abandon(call, queue.ReasonReconciled)
		}
		freed = append(freed, a)
	}
	for _, a := range freed { // now that nobody is offered a call that is gone
		m.free(a)
	}
	return res, nil
}

func (m *Model) reconcileOne(sw string, live queue.Live) queue.Item {
	live.Switch = sw
	failed := func(err error) queue.Item {
		return queue.Item{Call: live.Call, Outcome: queue.OutcomeFailed, Err: err}
	}
	ended := queue.Item{Call: live.Call, Outcome: queue.OutcomeEnded, Err: refuse(queue.ErrWrongState, "call_id")}
	if live.Err != nil {
		return failed(live.Err)
	}
	if live.Call == "" {
		return failed(refuse(queue.ErrInvalid, "call_id"))
	}
	known := m.call(live.Call)
	if known != nil && !known.Tombstone {
		if !sameSwitch(known, sw) {
			return failed(refuse(queue.ErrCallExists, "call_id"))
		}
		if known.State.Terminal() {
			return ended
		}
		if waits(known) && !live.AnsweredAt.IsZero() {
			m.answeredMeanwhile(known, live)
		}
		return queue.Item{Call: live.Call, Outcome: queue.OutcomeKept}
	}
	q, err := m.route(&live.Arrive)
	if err != nil {
		return failed(err)
	}
	c := m.newCall(&live.Arrive, q)
	if known != nil { // its hang-up is known: it is not live
		m.arriveAfterHangUp(known, c)
		return ended
	}
	joined := m.now
	if !live.ArrivedAt.IsZero() {
		joined = min(live.ArrivedAt, m.now)
	}
	m.enter(c, joined)
	if live.AnsweredAt.IsZero() {
		m.join(c)
	} else {
		m.restoreAnswered(c, live)
	}
	return queue.Item{Call: live.Call, Outcome: queue.OutcomeAdded}
}

// restoreAnswered adds a call that somebody talks on: it is never queued anew,
// nor offered.
func (m *Model) restoreAnswered(c *queue.Call, live queue.Live) {
	m.total(c.Queue, c.Tier).Joined++
	m.callEvent(c, queue.Event{Type: queue.EventCallJoined})
	m.talks(c, live, nil)
}

// answeredMeanwhile: the switch sees a call talking that waits here.
func (m *Model) answeredMeanwhile(c *queue.Call, live queue.Live) {
	var freed *queue.Agent
	if o := m.offer(c.Offer); c.State == queue.CallOffered && o.Agent == live.Agent {
		a := m.agent(o.Agent)
		o.Ended, a.Offer, a.Call = queue.EndedAccepted, 0, ""
	} else {
		freed = m.withdrawCall(c, queue.EndedReconciled)
	}
	c.HeldUntil = 0
	m.talks(c, live, freed)
}

// talks makes an agent talk with a caller since the instant that the switch gives,
// whatever else he was offered. Who was offered the call is free.
func (m *Model) talks(c *queue.Call, live queue.Live, freed *queue.Agent) {
	threshold := m.queueOf(c.Queue).Threshold
	c.State, c.Agent = queue.CallAnswered, live.Agent
	c.AnsweredAt = max(c.JoinedAt, min(live.AnsweredAt, m.now))
	if c.Late {
		c.AnsweredAt = max(c.AnsweredAt, c.JoinedAt.Add(threshold)+1)
	} else if c.Wait(m.now) > threshold {
		m.markLate(c)
	}
	m.countAnswer(c)
	answered := queue.Event{Type: queue.EventCallAnswered, Agent: c.Agent, Offer: c.Offer, Reason: queue.ReasonReconciled, Wait: c.Wait(m.now)}
	var back *entry
	if a := m.agent(live.Agent); a != nil && a.State != queue.AgentTalking && a.State != queue.AgentSignedOut {
		o := m.liveOffer(a)
		if o != nil {
			e, _ := m.dropOffer(o, queue.EndedReconciled)
			back = &e
		}
		a.Call = c.ID
		m.become(a, queue.AgentTalking, "")
		answered.AgentState = a.State
		if o != nil {
			m.offerReturned(o)
		}
	}
	m.callEvent(c, answered)
	m.callerServed(c)
	m.free(freed)
	if back != nil {
		m.tryEntry(*back)
	}
}

// record returns the callback of a promise; nil stays nil.
func record(cb *promise) *callback.Callback {
	if cb == nil {
		return nil
	}
	return &cb.Callback
}
