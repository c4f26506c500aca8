package queue

import (
	"greenlane/callback"
	"greenlane/tiering"
)

func (m *Machine) callback(id string) (*cbRecord, error) {
	cb := m.callbacks[id]
	if cb == nil {
		return nil, refuse(ErrCallbackNotFound, "callback_id", "%q is no callback this site knows", id)
	}
	return cb, nil
}

func (m *Machine) createCallback(cmd *CreateCallback) (Result, error) {
	if cmd.Caller == "" {
		return Result{}, refuse(ErrInvalid, "caller", "must be a number that can be rung")
	}
	name := cmd.Queue
	if name == "" {
		name = m.site.DefaultQueue
	}
	if _, err := m.queue(name); err != nil {
		return Result{}, err
	}
	if open := m.openCallbacks[callbackKey{cmd.Caller, name}]; open != nil {
		return Result{}, refuse(ErrCallbackExists, "caller", "callback %s of this number in queue %q is open", open.ID, name)
	}
	if !cmd.DueAt.IsZero() {
		if err := m.site.Callback.CheckDue(m.now, cmd.DueAt, m.now.Add(m.site.Callback.Deadline)); err != nil {
			return Result{}, err
		}
	}
	tier := cmd.Tier
	if !tier.Valid() {
		tier = tiering.Ordinary
	}
	m.meta.CallSeq++
	seq := m.meta.CallSeq
	record := callback.New(m.site.Callback, CallbackID(seq), seq, m.now, m.now, cmd.Caller, name, tier, "", ReasonManual, cmd.DueAt)
	record.Note = cmd.Note
	cb := m.addCallback(record)
	m.emitCallback(cb, &Event{Type: EventCallbackCreated, Reason: cb.Reason})
	return Result{Callback: &cb.Callback}, nil
}

// claimCallback takes a callback by hand, also one that is not due or is being
// offered to somebody else.
func (m *Machine) claimCallback(cmd *ClaimCallback) (Result, error) {
	cb, err := m.callback(cmd.Callback)
	if err != nil {
		return Result{}, err
	}
	o := cb.offer
	a := m.agents[cmd.Claimant]
	if a != nil && a.State == AgentSignedOut {
		a = nil
	}
	if cmd.OnDuty && cb.State.Open() && cb.State != callback.StateClaimed {
		switch {
		case a == nil:
			return Result{}, refuse(ErrWrongState, "claimant", "agent %q is not signed in", cmd.Claimant)
		case a.serves(cb.q) == nil:
			return Result{}, refuse(ErrWrongState, "claimant", "agent %q does not serve queue %q", a.ID, cb.Queue)
		}
	}
	if a != nil && a.Agent.Callback != cb.ID && (a.State == AgentTalking || a.State == AgentOffered && (o == nil || o.a != a)) {
		return Result{}, refuse(ErrWrongState, "claimant", "agent %q is %s", a.ID, a.State)
	}
	if o != nil && o.a == a {
		return m.acceptCallback(o)
	}
	renewal := cb.State == callback.StateClaimed
	m.lineOut(&cb.entry)
	before := cb.Callback
	if err := cb.Claim(m.now, cmd.Claimant, m.site.Callback.ClaimLease); err != nil {
		if before.State == callback.StateDue {
			m.lineUp(&cb.entry)
		}
		return Result{}, err
	}
	if renewal {
		m.armCallback(cb)
		m.touchCallback(cb)
		return Result{Callback: &cb.Callback, Duplicate: true}, nil
	}
	if o != nil {
		m.closeOffer(o, EndedCancelled)
		m.become(o.a, AgentReady, "")
		m.emitReturned(o)
	}
	if a != nil && a.State == AgentNotReady {
		a.NextPause, a.NextReason = true, a.Reason
	}
	m.claimed(cb, a, 0)
	if o != nil {
		m.match(o.a)
	}
	return Result{Callback: &cb.Callback}, nil
}

func (m *Machine) reportCallback(cmd *ReportCallback) (Result, error) {
	cb, err := m.callback(cmd.Callback)
	if err != nil {
		return Result{}, err
	}
	if err := cb.Report(m.site.Callback, m.now, cmd.Claimant, cmd.Result); err != nil {
		return Result{}, err
	}
	if cmd.Note != "" {
		cb.Note = cmd.Note
	}
	m.meta.Callbacks.Attempts++
	e := Event{Type: EventCallbackReported, Agent: cmd.Claimant, Reason: cmd.Result.String()}
	a := m.claimingAgent(cb, cmd.Claimant)
	if a != nil {
		a.Agent.Callback = ""
		m.endWork(a, cb.q)
		e.AgentState = a.State
	}
	m.emitCallback(cb, &e)
	m.noteEnd(cb)
	if cb.State.Open() {
		m.armCallback(cb)
	}
	if a != nil {
		m.settle(a)
	}
	return Result{Callback: &cb.Callback}, nil
}

func (m *Machine) rescheduleCallback(cmd *RescheduleCallback) (Result, error) {
	cb, err := m.callback(cmd.Callback)
	if err != nil {
		return Result{}, err
	}
	lined := cb.lined
	m.lineOut(&cb.entry)
	if err := cb.Reschedule(m.site.Callback, m.now, cmd.DueAt); err != nil {
		if lined {
			m.lineUp(&cb.entry)
		}
		return Result{}, err
	}
	m.forgiveAll(cb)
	m.armCallback(cb)
	m.emitCallback(cb, &Event{Type: EventCallbackRescheduled})
	return Result{Callback: &cb.Callback}, nil
}

func (m *Machine) cancelCallback(cmd *CancelCallback) (Result, error) {
	cb, err := m.callback(cmd.Callback)
	if err != nil {
		return Result{}, err
	}
	if !cb.State.Open() {
		return Result{}, cb.Cancel(m.now, cmd.Reason)
	}
	o := cb.offer
	if o != nil {
		m.endOffer(o, EndedCancelled)
		m.become(o.a, AgentReady, "")
		m.emitReturned(o)
	}
	m.lineOut(&cb.entry)
	e := Event{Type: EventCallbackCancelled, Reason: cmd.Reason}
	a := m.claimingAgent(cb, cb.ClaimedBy)
	m.mustCallback(cb.Cancel(m.now, cmd.Reason))
	if a != nil {
		a.Agent.Callback = ""
		m.afterWork(a)
		e.Agent, e.AgentState = a.ID, a.State
	}
	m.emitCallback(cb, &e)
	m.noteEnd(cb)
	if a != nil {
		m.settle(a)
	}
	if o != nil {
		m.match(o.a)
	}
	return Result{Callback: &cb.Callback}, nil
}
