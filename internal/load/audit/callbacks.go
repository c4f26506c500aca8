package audit

import (
	"slices"

	pb "greenlane/proto/greenlane/v1"
)

// promise is one callback as the log tells it.
type promise struct {
	id        string
	key       promiseKey
	state     pb.CallbackState
	agent     string
	refusedBy []string
	escalated bool
	answered  bool // the caller rang again and was answered: nobody may be offered it
	// maybeEnded is set when a report may have ended it; see callbackReported.
	maybeEnded bool
}

type promiseKey struct{ caller, queue string }

// earned checks that an abandoned call earned a callback exactly when it should.
func (r *Replay) earned(e *pb.Event, c *call) {
	caller, _, ok := r.world.Call(c.id)
	if !ok {
		return
	}
	should := slices.Contains(r.world.CallbackTiers, c.tier) && caller != "" && c.wait >= r.world.ShortAbandon
	already := r.open[promiseKey{caller, c.queue}] != nil
	switch {
	case should && c.callback == "" && !already:
		r.bad(RuleCallback, e, "a %v caller who waited %v earned none", c.tier, c.wait)
	case !should && c.callback != "":
		r.bad(RuleCallback, e, "a %v caller (%q) who waited %v earned %s", c.tier, caller, c.wait, c.callback)
	}
}

// callbackEvent follows one event of a callback.
func (r *Replay) callbackEvent(e *pb.Event) {
	id := e.GetCallbackId()
	if e.GetType() == pb.EventType_EVENT_TYPE_CALLBACK_CREATED {
		r.promised(e)
		return
	}
	p := r.callbacks[id]
	if p == nil {
		return // Older than the replay.
	}
	switch e.GetType() {
	case pb.EventType_EVENT_TYPE_CALLBACK_DUE:
		p.maybeEnded = false
		p.state = pb.CallbackState_CALLBACK_STATE_DUE
	case pb.EventType_EVENT_TYPE_CALLBACK_OFFERED:
		r.callbackOffered(e, p)
	case pb.EventType_EVENT_TYPE_CALLBACK_RETURNED:
		r.callbackReturned(e, p)
	case pb.EventType_EVENT_TYPE_CALLBACK_CLAIMED:
		r.callbackClaimed(e, p)
	case pb.EventType_EVENT_TYPE_CALLBACK_REPORTED:
		r.callbackReported(e, p)
	case pb.EventType_EVENT_TYPE_CALLBACK_RESCHEDULED:
		p.state = pb.CallbackState_CALLBACK_STATE_PENDING
	case pb.EventType_EVENT_TYPE_CALLBACK_CANCELLED:
		r.Callbacks.Cancelled++
		r.callbackEnds(e, p, pb.CallbackState_CALLBACK_STATE_CANCELLED)
	case pb.EventType_EVENT_TYPE_CALLBACK_MISSED:
		r.Callbacks.Missed++
		r.callbackEnds(e, p, pb.CallbackState_CALLBACK_STATE_MISSED)
	case pb.EventType_EVENT_TYPE_CALLBACK_ESCALATED:
		p.escalated = true
	}
}

func (r *Replay) promised(e *pb.Event) {
	r.Callbacks.Created++
	if r.callbacks[e.GetCallbackId()] != nil {
		r.bad(RuleCallback, e, "%s is created twice", e.GetCallbackId())
		return
	}
	p := &promise{id: e.GetCallbackId(), state: pb.CallbackState_CALLBACK_STATE_PENDING}
	r.callbacks[p.id] = p
	if caller, _, ok := r.world.Call(e.GetCallId()); ok {
		p.key = promiseKey{caller, e.GetQueue()}
		if o := r.open[p.key]; o != nil && !o.maybeEnded {
			r.bad(RuleCallback, e, "%s is created while %s is open for the same caller and queue", p.id, o.id)
		}
		r.open[p.key] = p
	}
}

func (r *Replay) callbackOffered(e *pb.Event, p *promise) {
	a := r.agentOf(e.GetAgentId())
	if p.state != pb.CallbackState_CALLBACK_STATE_DUE {
		r.bad(RuleOneOffer, e, "callback %s is offered to %s while %v (agent %s)", p.id, e.GetAgentId(), p.state, p.agent)
	}
	if p.answered {
		r.bad(RuleCallback, e, "%s is offered to %s after the caller rang again and was answered", p.id, e.GetAgentId())
	}
	if a.call != "" || a.callback != "" {
		r.bad(RuleOneOffer, e, "callback %s is offered to %s, who has call %q and callback %q", p.id, e.GetAgentId(), a.call, a.callback)
	}
	last := pb.Tier_TIER_ORDINARY
	if p.escalated {
		last = pb.Tier_TIER_VIP // It ranks as a mid-tier call, by its arrival.
	}
	for _, s := range r.world.Serves(e.GetAgentId()) {
		for tier := pb.Tier_TIER_VIP; tier <= last; tier++ {
			if w := r.first(s.Queue, tier, e.GetAgentId()); w != nil {
				rule := RuleOrder
				if tier == pb.Tier_TIER_VIP {
					rule = RuleGreenChannel
				}
				r.bad(rule, e, "%s is offered callback %s while %s, %v, waits in %s", e.GetAgentId(), p.id, w.id, tier, s.Queue)
			}
		}
	}
	p.state, p.agent = pb.CallbackState_CALLBACK_STATE_OFFERED, e.GetAgentId()
	r.offerings[e.GetOfferId()] = offering{p.id, p.agent}
	a.callback = p.id
}

func (r *Replay) callbackReturned(e *pb.Event, p *promise) {
	if blames[e.GetReason()] {
		p.refusedBy = append(p.refusedBy, e.GetAgentId())
	}
	r.callbackFree(p)
	p.state = pb.CallbackState_CALLBACK_STATE_DUE
}

func (r *Replay) callbackClaimed(e *pb.Event, p *promise) {
	switch {
	case p.state >= pb.CallbackState_CALLBACK_STATE_DONE:
		r.bad(RuleCallback, e, "%s is claimed by %s after it ended as %v", p.id, e.GetAgentId(), p.state)
	case p.state == pb.CallbackState_CALLBACK_STATE_CLAIMED && p.agent != e.GetAgentId():
		r.bad(RuleCallback, e, "%s is claimed by %s while %s has it", p.id, e.GetAgentId(), p.agent)
	case p.state == pb.CallbackState_CALLBACK_STATE_OFFERED && p.agent != e.GetAgentId():
		r.bad(RuleCallback, e, "%s is claimed by %s while it is offered to %s", p.id, e.GetAgentId(), p.agent)
	}
	p.state, p.agent = pb.CallbackState_CALLBACK_STATE_CLAIMED, e.GetAgentId()
}

func (r *Replay) callbackReported(e *pb.Event, p *promise) {
	r.Callbacks.Attempts++
	if p.state != pb.CallbackState_CALLBACK_STATE_CLAIMED {
		r.bad(RuleCallback, e, "%s is reported while %v", p.id, p.state)
	}
	switch e.GetReason() {
	case "reached", "refused":
		r.Callbacks.Done++
		r.callbackEnds(e, p, pb.CallbackState_CALLBACK_STATE_DONE)
	default:
		// Due again, or ended because the attempts are used up or the caller was
		// answered meanwhile; the log does not say which.
		r.callbackFree(p)
		p.state, p.maybeEnded = pb.CallbackState_CALLBACK_STATE_PENDING, true
	}
}

func (r *Replay) callbackFree(p *promise) {
	if a := r.agents[p.agent]; a != nil && a.callback == p.id {
		a.callback = ""
	}
	p.agent = ""
}

func (r *Replay) callbackEnds(e *pb.Event, p *promise, state pb.CallbackState) {
	if p.state >= pb.CallbackState_CALLBACK_STATE_DONE {
		r.bad(RuleCallback, e, "%s ends as %v after it ended as %v", p.id, state, p.state)
	}
	r.callbackFree(p)
	p.state = state
	if r.open[p.key] == p {
		delete(r.open, p.key)
	}
}

// noCallbackBefore checks that no due callback waits for an agent who is offered
// a blacklisted caller.
func (r *Replay) noCallbackBefore(e *pb.Event, services []Service) {
	for _, p := range r.open {
		due := p.state == pb.CallbackState_CALLBACK_STATE_DUE && !slices.Contains(p.refusedBy, e.GetAgentId())
		if due && slices.ContainsFunc(services, func(s Service) bool { return s.Queue == p.key.queue }) {
			r.bad(RuleOrder, e, "%s is offered a blacklisted caller while callback %s is due in %s", e.GetAgentId(), p.id, p.key.queue)
			return
		}
	}
}

// Know tells the replay of a callback that is older than it.
func (r *Replay) Know(cb *pb.Callback) {
	p := &promise{
		id: cb.GetCallbackId(), key: promiseKey{cb.GetCaller(), cb.GetQueue()}, state: cb.GetState(),
		agent: cb.GetClaimedBy(), escalated: cb.GetEscalatedAt() != nil,
	}
	r.callbacks[p.id] = p
	if p.state < pb.CallbackState_CALLBACK_STATE_DONE {
		r.open[p.key] = p
	}
}
