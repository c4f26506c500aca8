package queuetest

import (
	"slices"

	"greenlane/callback"
	"greenlane/queue"
	"greenlane/tiering"
)

// promise is a callback, and who has turned it down since it became due.
type promise struct {
	callback.Callback
	DeclinedBy []string
}

// openPromise returns the open callback of a number in a queue.
func (m *Model) openPromise(caller tiering.Number, queueName string) *promise {
	for _, cb := range m.callbacks {
		if cb.Caller == caller && cb.Queue == queueName && cb.State.Open() {
			return cb
		}
	}
	return nil
}

// earn promises a callback to a caller who hung up, when the policy says so. A
// promise already given stands.
func (m *Model) earn(c *queue.Call) *promise {
	if ok, _ := m.site.Callback.Earns(c.Tier, c.Caller, c.Wait(m.now)); !ok || c.EraseAtEnd {
		return nil
	}
	if open := m.openPromise(c.Caller, c.Queue); open != nil {
		return open
	}
	m.callSeq++
	cb := &promise{Callback: callback.New(m.site.Callback, queue.CallbackID(m.callSeq), m.callSeq, c.EndedAt, c.JoinedAt,
		c.Caller, c.Queue, c.Tier, c.ID, callback.ReasonAbandoned, 0)}
	c.Callback = cb.ID
	m.created(cb)
	return cb
}

// promised returns what a call that is over has earned, or else what its caller is
// promised in the queue already.
func (m *Model) promised(c *queue.Call) *promise {
	for _, cb := range m.callbacks {
		if cb.ID == c.Callback {
			return cb
		}
	}
	if ok, _ := m.site.Callback.Earns(c.Tier, c.Caller, c.Wait(m.now)); ok && c.State == queue.CallAbandoned && !c.Tombstone {
		return m.openPromise(c.Caller, c.Queue)
	}
	return nil
}

func (m *Model) created(cb *promise) {
	m.callbacks = append(m.callbacks, cb)
	m.callbackTotals.Created++
	m.callbackEvent(cb, queue.Event{Type: queue.EventCallbackCreated, Call: cb.CallID, Reason: cb.Reason})
}

// callerServed ends what was promised to a caller who rang again and was
// answered, in the queue that answered or the one the call came from.
func (m *Model) callerServed(c *queue.Call) {
	if c.Caller == tiering.Withheld {
		return
	}
	for _, q := range []string{c.Queue, c.OverflowedFrom} {
		cb := m.openPromise(c.Caller, q)
		if cb == nil || q == "" {
			continue
		}
		a := m.withdrawCallback(cb)
		if cb.Answered(m.now) {
			m.callbackEvent(cb, queue.Event{Type: queue.EventCallbackCancelled, Call: c.ID, Reason: callback.EndAnswered})
			m.countCallbackEnd(cb)
		}
		m.free(a)
	}
}

// withdrawCallback ends the offer of a callback, if there is one, and returns
// its agent, ready again.
func (m *Model) withdrawCallback(cb *promise) *queue.Agent {
	o := m.offerOf(cb)
	if o == nil {
		return nil
	}
	_, a := m.dropOffer(o, queue.EndedCancelled)
	m.become(a, queue.AgentReady, "")
	m.offerReturned(o)
	return a
}

func (m *Model) countCallbackEnd(cb *promise) {
	t := &m.callbackTotals
	switch cb.State {
	case callback.StateFailed:
		t.Failed++
	case callback.StateMissed:
		t.Missed++
	case callback.StateCancelled:
		t.Cancelled++
	case callback.StateDone:
		if cb.EndReason == callback.EndRefused {
			t.Refused++
		} else {
			t.Reached++
		}
	}
}

// fireCallback does everything that is due for a callback.
func (m *Model) fireCallback(cb *promise) {
	if o := m.offerOf(cb); o != nil && m.now < cb.Deadline {
		m.offerDue(o)
	}
	var rescinded *queue.Agent
	if m.now >= cb.Deadline {
		rescinded = m.withdrawCallback(cb)
	}
	claimant := m.advance(cb)
	m.tryEntry(entry{cb: cb})
	m.free(claimant)
	m.free(rescinded)
}

// advance writes down what time has brought to a callback. It returns the
// agent who held a claim that lapsed.
func (m *Model) advance(cb *promise) (claimant *queue.Agent) {
	for {
		a := m.claimingAgent(cb)
		var e queue.Event
		switch cb.Advance(m.site.Callback, m.now) {
		case callback.ChangeDue:
			e = queue.Event{Type: queue.EventCallbackDue}
		case callback.ChangeDeferred:
			e = queue.Event{Type: queue.EventCallbackRescheduled, Reason: queue.ReasonWindowClosed}
			cb.DeclinedBy = nil
		case callback.ChangeEscalated:
			e = queue.Event{Type: queue.EventCallbackEscalated}
		case callback.ChangeLapsed:
			e = queue.Event{Type: queue.EventCallbackReturned, Reason: queue.ReasonClaimLapsed}
		case callback.ChangeCancelled:
			e = queue.Event{Type: queue.EventCallbackCancelled, Reason: cb.EndReason}
		case callback.ChangeMissed:
			e = queue.Event{Type: queue.EventCallbackMissed, Reason: callback.EndDeadline}
		default:
			return claimant
		}
		if a != nil && cb.State != callback.StateClaimed {
			a.Callback = ""
			m.become(a, queue.AgentNotReady, queue.ReasonClaimLapsed)
			e.Agent, e.AgentState = a.ID, a.State
			claimant = a
		}
		m.callbackEvent(cb, e)
		m.countCallbackEnd(cb)
	}
}

// claimingAgent returns the agent who is busy with a claimed callback, nil when
// the claimant is none.
func (m *Model) claimingAgent(cb *promise) *queue.Agent {
	if cb.State != callback.StateClaimed {
		return nil
	}
	if a := m.agent(cb.ClaimedBy); a != nil && a.Callback == cb.ID {
		return a
	}
	return nil
}

func (m *Model) createCallback(c *queue.CreateCallback) (queue.Result, error) {
	name := c.Queue
	if name == "" {
		name = m.site.DefaultQueue
	}
	t := c.Tier
	if !t.Valid() {
		t = tiering.Ordinary
	}
	switch {
	case c.Caller == tiering.Withheld:
		return queue.Result{}, refuse(queue.ErrInvalid, "caller")
	case m.queueOf(name) == nil:
		return queue.Result{}, refuse(queue.ErrQueueNotFound, "queue")
	case m.openPromise(c.Caller, name) != nil:
		return queue.Result{}, refuse(queue.ErrCallbackExists, "caller")
	}
	p := m.site.Callback
	if !c.DueAt.IsZero() {
		if err := p.CheckDue(m.now, c.DueAt, m.now.Add(p.Deadline)); err != nil {
			return queue.Result{}, err
		}
	}
	m.callSeq++
	cb := &promise{Callback: callback.New(p, queue.CallbackID(m.callSeq), m.callSeq, m.now, m.now, c.Caller, name, t, "", queue.ReasonManual, c.DueAt)}
	cb.Note = c.Note
	m.created(cb)
	return queue.Result{Callback: &cb.Callback}, nil
}

func (m *Model) claimCallback(c *queue.ClaimCallback) (queue.Result, error) {
	cb := m.callbackByID(c.Callback)
	if cb == nil {
		return queue.Result{}, refuse(queue.ErrCallbackNotFound, "callback_id")
	}
	o, a := m.offerOf(cb), m.agent(c.Claimant)
	if a != nil && a.State == queue.AgentSignedOut {
		a = nil
	}
	serves := a != nil && slices.ContainsFunc(a.Services, func(s queue.Service) bool { return s.Queue == cb.Queue })
	if c.OnDuty && !serves && cb.State.Open() && cb.State != callback.StateClaimed {
		return queue.Result{}, refuse(queue.ErrWrongState, "claimant")
	}
	mine := o != nil && o.Agent == c.Claimant
	busy := a != nil && (a.State == queue.AgentTalking && a.Callback != cb.ID || a.State == queue.AgentOffered && !mine)
	if busy {
		return queue.Result{}, refuse(queue.ErrWrongState, "claimant")
	}
	if mine {
		return m.accept(&queue.Accept{Agent: c.Claimant, Offer: o.Epoch})
	}
	renewal := cb.State == callback.StateClaimed
	if err := cb.Claim(m.now, c.Claimant, m.site.Callback.ClaimLease); err != nil {
		return queue.Result{}, err
	}
	if renewal {
		return queue.Result{Callback: &cb.Callback, Duplicate: true}, nil
	}
	var freed *queue.Agent
	if o != nil {
		loser := m.agent(o.Agent)
		o.Ended, loser.Offer, loser.Callback = queue.EndedCancelled, 0, ""
		m.become(loser, queue.AgentReady, "")
		m.offerReturned(o)
		freed = loser
	}
	cb.DeclinedBy = nil
	e := queue.Event{Type: queue.EventCallbackClaimed, Agent: c.Claimant}
	if a != nil {
		if a.State == queue.AgentNotReady {
			a.NextPause, a.NextReason = true, a.Reason
		}
		m.become(a, queue.AgentTalking, "")
		a.Callback, e.AgentState = cb.ID, a.State
	}
	m.callbackEvent(cb, e)
	m.free(freed)
	return queue.Result{Callback: &cb.Callback}, nil
}

func (m *Model) reportCallback(c *queue.ReportCallback) (queue.Result, error) {
	cb := m.callbackByID(c.Callback)
	if cb == nil {
		return queue.Result{}, refuse(queue.ErrCallbackNotFound, "callback_id")
	}
	a := m.claimingAgent(cb)
	if err := cb.Report(m.site.Callback, m.now, c.Claimant, c.Result); err != nil {
		return queue.Result{}, err
	}
	if c.Note != "" {
		cb.Note = c.Note
	}
	m.callbackTotals.Attempts++
	e := queue.Event{Type: queue.EventCallbackReported, Agent: c.Claimant, Reason: c.Result.String()}
	if a != nil {
		a.Callback = ""
		m.afterWork(a, cb.Queue)
		e.AgentState = a.State
	}
	m.callbackEvent(cb, e)
	m.countCallbackEnd(cb)
	m.free(a)
	return queue.Result{Callback: &cb.Callback}, nil
}

func (m *Model) rescheduleCallback(c *queue.RescheduleCallback) (queue.Result, error) {
	cb := m.callbackByID(c.Callback)
	if cb == nil {
		return queue.Result{}, refuse(queue.ErrCallbackNotFound, "callback_id")
	}
	if err := cb.Reschedule(m.site.Callback, m.now, c.DueAt); err != nil {
		return queue.Result{}, err
	}
	cb.DeclinedBy = nil
	m.callbackEvent(cb, queue.Event{Type: queue.EventCallbackRescheduled})
	return queue.Result{Callback: &cb.Callback}, nil
}

func (m *Model) cancelCallback(c *queue.CancelCallback) (queue.Result, error) {
	cb := m.callbackByID(c.Callback)
	if cb == nil {
		return queue.Result{}, refuse(queue.ErrCallbackNotFound, "callback_id")
	}
	a := m.claimingAgent(cb)
	freed := m.withdrawCallback(cb)
	if err := cb.Cancel(m.now, c.Reason); err != nil {
		return queue.Result{}, err
	}
	e := queue.Event{Type: queue.EventCallbackCancelled, Reason: c.Reason}
	if a != nil {
		a.Callback = ""
		m.afterWrapUp(a)
		e.Agent, e.AgentState = a.ID, a.State
	}
	m.callbackEvent(cb, e)
	m.countCallbackEnd(cb)
	m.free(a)
	m.free(freed)
	return queue.Result{Callback: &cb.Callback}, nil
}
