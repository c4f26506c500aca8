package queue

import (
	"strconv"

	"greenlane/callback"
	"greenlane/internal/instant"
)

// Reasons that only callbacks have.
const (
	ReasonManual       = "manual"        // somebody made it by hand
	ReasonWindowClosed = "window_closed" // put off to the next opening of the window
	ReasonClaimLapsed  = "claim_lapsed"  // nobody reported in time
	ReasonAnswered     = "answered"      // the caller rang again and was answered
)

// CallbackID returns the name of the callback with this sequence number.
func CallbackID(seq uint64) string { return "cb-" + strconv.FormatUint(seq, 10) }

// OfferID returns the name of the offer with this epoch.
func OfferID(epoch uint64) string { return "o-" + strconv.FormatUint(epoch, 10) }

// ParseOfferID reads what OfferID writes; ok is false for anything else.
func ParseOfferID(id string) (epoch uint64, ok bool) {
	if len(id) < 3 || id[:2] != "o-" || id[2] == '0' || id[2] == '+' {
		return 0, false
	}
	epoch, err := strconv.ParseUint(id[2:], 10, 64)
	return epoch, err == nil
}

// earnCallback promises a callback to a caller who hung up, when the policy
// says so. There is at most one open callback for a number and queue: the
// promise already given stands.
func (m *Machine) earnCallback(c *call) *callback.Callback {
	if ok, _ := m.site.Callback.Earns(c.Tier, c.Caller, c.wait(m.now)); !ok || c.few().EraseAtEnd {
		return nil
	}
	if open := m.openCallbacks[callbackKey{c.Caller, c.queueName()}]; open != nil {
		return &open.Callback
	}
	m.meta.CallSeq++
	seq := m.meta.CallSeq
	cb := m.addCallback(callback.New(m.site.Callback, CallbackID(seq), seq, c.EndedAt, c.JoinedAt, c.Caller, c.queueName(), c.Tier, c.ID, callback.ReasonAbandoned, 0))
	c.own().Callback = cb.ID
	m.emitCallback(cb, &Event{Type: EventCallbackCreated, Call: c.ID, Reason: cb.Reason})
	return &cb.Callback
}

// addCallback makes a new callback known.
func (m *Machine) addCallback(record callback.Callback) *cbRecord {
	cb := &cbRecord{Callback: record}
	m.linkCallback(cb)
	m.meta.Callbacks.Created++
	m.armCallback(cb)
	return cb
}

func (m *Machine) linkCallback(cb *cbRecord) {
	cb.entry = entry{cb: cb, slot: slotCallback}
	if !cb.EscalatedAt.IsZero() {
		cb.slot = slotMid
	}
	cb.timer = newTimer(cb, classCallback, cb.Seq)
	m.callbacks[cb.ID] = cb
	if cb.State.Open() {
		cb.q = m.queueToCallBack(cb.Queue)
		cb.q.open++
		m.openCallbacks[callbackKey{cb.Caller, cb.Queue}] = cb
	}
	m.touchCallback(cb)
}

// emitCallback writes one event of a callback, with what every such event says.
func (m *Machine) emitCallback(cb *cbRecord, e *Event) {
	e.Callback, e.Queue, e.Tier = cb.ID, cb.Queue, cb.Tier
	m.touchCallback(cb)
	m.emit(e)
}

func (m *Machine) armCallback(cb *cbRecord) {
	at, ok := cb.NextTimer(m.site.Callback)
	if !ok {
		at = 0
	}
	if o := cb.offer; o != nil {
		if at == 0 || o.ExpiresAt < at {
			at = o.ExpiresAt
		}
		if o.AckBy != 0 && o.AckBy < at {
			at = o.AckBy
		}
	}
	m.timers.arm(&cb.timer, at, nil)
}

// mustCallback is for a transition that the machine's own state allows. An
// error would mean that the two disagree, and going on would lose a promise:
// the engine stops on the panic.
func (m *Machine) mustCallback(err error) {
	if err != nil {
		panic("queue: a callback and its offer disagree: " + err.Error())
	}
}

// fire implements timed.
func (cb *cbRecord) fire(m *Machine, now instant.Instant) {
	if o := cb.offer; o != nil {
		if now >= cb.Deadline {
			m.endOffer(o, EndedCancelled)
			m.become(o.a, AgentReady, "")
			m.emitReturned(o)
			m.advance(cb)
			m.match(o.a)
			return
		}
		m.offerDue(o)
	}
	m.advance(cb)
}

var changeEvents = map[callback.Change]Event{
	callback.ChangeDue:       {Type: EventCallbackDue},
	callback.ChangeDeferred:  {Type: EventCallbackRescheduled, Reason: ReasonWindowClosed},
	callback.ChangeEscalated: {Type: EventCallbackEscalated},
	callback.ChangeLapsed:    {Type: EventCallbackReturned, Reason: ReasonClaimLapsed},
	callback.ChangeCancelled: {Type: EventCallbackCancelled},
	callback.ChangeMissed:    {Type: EventCallbackMissed, Reason: callback.EndDeadline},
}

// advance does what time has brought to a callback and tries to serve it.
func (m *Machine) advance(cb *cbRecord) {
	freed := m.pass(cb)
	m.place(&cb.entry)
	if freed != nil {
		m.settle(freed)
	}
}

// pass does what time has brought to a callback and lines it up anew. It
// returns the agent whose claim has lapsed.
func (m *Machine) pass(cb *cbRecord) (freed *agent) {
	for {
		m.lineOut(&cb.entry)
		claimant := cb.ClaimedBy
		change := cb.Advance(m.site.Callback, m.now)
		if change == callback.ChangeNone {
			break
		}
		e := changeEvents[change]
		if change == callback.ChangeDeferred {
			m.forgiveAll(cb)
		}
		if change == callback.ChangeCancelled {
			e.Reason = cb.EndReason
		}
		if change == callback.ChangeLapsed || change == callback.ChangeCancelled {
			if a := m.claimingAgent(cb, claimant); a != nil {
				a.Agent.Callback = ""
				m.become(a, AgentNotReady, ReasonClaimLapsed)
				e.Agent, e.AgentState = a.ID, a.State
				freed = a
			}
		}
		m.emitCallback(cb, &e)
		m.noteEnd(cb)
	}
	if cb.State.Open() {
		m.lineUpCallback(cb)
		m.armCallback(cb)
	}
	return freed
}

// lineUpCallback puts a due callback into the line of its rank. One that is
// offered keeps its offer, at the rank it has now.
func (m *Machine) lineUpCallback(cb *cbRecord) {
	o := cb.offer
	if o != nil {
		m.live[o.slot].remove(o)
	}
	if !cb.EscalatedAt.IsZero() {
		cb.slot = slotMid
	}
	if o != nil {
		o.slot, o.rank = cb.slot, cb.rank()
		m.live[o.slot].add(o)
	}
	if cb.State == callback.StateDue {
		m.lineUp(&cb.entry)
	}
}

// claimingAgent returns the agent who is busy with a callback, nil when the
// claimant is none.
func (m *Machine) claimingAgent(cb *cbRecord, claimant string) *agent {
	if a := m.agents[claimant]; a != nil && a.Agent.Callback == cb.ID {
		return a
	}
	return nil
}

// noteEnd counts a callback that has ended and keeps it for a while.
func (m *Machine) noteEnd(cb *cbRecord) {
	if cb.State.Open() {
		return
	}
	m.timers.disarm(&cb.timer)
	m.forgiveAll(cb)
	cb.q.open--
	key := callbackKey{cb.Caller, cb.Queue}
	if m.openCallbacks[key] == cb {
		delete(m.openCallbacks, key)
	}
	t := &m.meta.Callbacks
	switch {
	case cb.State == callback.StateFailed:
		t.Failed++
	case cb.State == callback.StateMissed:
		t.Missed++
	case cb.State == callback.StateCancelled:
		t.Cancelled++
	case cb.EndReason == callback.EndRefused:
		t.Refused++
	default:
		t.Reached++
	}
	m.keepEndedCallback(cb)
	if cb.EraseAtEnd {
		m.overdue.callbacks = append(m.overdue.callbacks, cb)
	}
}

// acceptCallback: the agent claims the callback he was offered.
func (m *Machine) acceptCallback(o *offer) (Result, error) {
	cb, a := o.e.cb, o.a
	if err := cb.Claim(m.now, a.ID, m.site.Callback.ClaimLease); err != nil {
		return Result{}, err
	}
	m.closeOffer(o, EndedAccepted)
	m.claimed(cb, a, o.Epoch)
	return Result{Callback: &cb.Callback, Agent: &a.Agent}, nil
}

// claimed makes the claimant, if he is an agent at work, busy with the callback.
func (m *Machine) claimed(cb *cbRecord, a *agent, epoch uint64) {
	m.forgiveAll(cb)
	e := Event{Type: EventCallbackClaimed, Agent: cb.ClaimedBy, Offer: epoch}
	if a != nil {
		a.Agent.Callback = cb.ID
		m.become(a, AgentTalking, "")
		e.AgentState = a.State
	}
	m.armCallback(cb)
	m.emitCallback(cb, &e)
}

// cancelAnswered ends the promise to a caller who rang again and was answered,
// in the queue that answered or the one the call came from.
func (m *Machine) cancelAnswered(c *call) {
	if c.Caller == "" {
		return
	}
	for _, q := range []string{c.queueName(), c.few().OverflowedFrom} {
		cb := m.openCallbacks[callbackKey{c.Caller, q}]
		if cb == nil || q == "" {
			continue
		}
		o := cb.offer
		if o != nil {
			m.endOffer(o, EndedCancelled)
			m.become(o.a, AgentReady, "")
			m.emitReturned(o)
		}
		m.lineOut(&cb.entry)
		if cb.Answered(m.now) {
			m.emitCallback(cb, &Event{Type: EventCallbackCancelled, Call: c.ID, Reason: ReasonAnswered})
			m.noteEnd(cb)
		} else {
			m.touchCallback(cb)
		}
		if o != nil {
			m.match(o.a)
		}
	}
}
