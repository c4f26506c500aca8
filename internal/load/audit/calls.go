package audit

import (
	pb "greenlane/proto/greenlane/v1"
)

// callEvent follows one event of a call, and holds it against the call's life.
func (r *Replay) callEvent(e *pb.Event) {
	switch e.GetType() {
	case pb.EventType_EVENT_TYPE_CALL_JOINED:
		r.joined(e)
		return
	case pb.EventType_EVENT_TYPE_CALL_REFUSED:
		r.refused(e)
		return
	}
	if e.GetCallId() == "" && r.callbacks[e.GetCallbackId()] != nil {
		return // An offer of a callback was acknowledged.
	}
	c := r.calls[e.GetCallId()]
	if c == nil {
		r.bad(RuleLog, e, "%v of a call that never joined", e.GetType())
		return
	}
	switch e.GetType() {
	case pb.EventType_EVENT_TYPE_CALL_OFFERED:
		r.offered(e, c)
	case pb.EventType_EVENT_TYPE_OFFER_ACKNOWLEDGED:
		r.holds(e, c, pb.CallState_CALL_STATE_OFFERED)
	case pb.EventType_EVENT_TYPE_OFFER_RETURNED:
		r.returned(e, c)
	case pb.EventType_EVENT_TYPE_CALL_ANSWERED:
		r.answered(e, c)
	case pb.EventType_EVENT_TYPE_CALL_COMPLETED:
		r.holds(e, c, pb.CallState_CALL_STATE_ANSWERED)
		r.end(c, pb.CallState_CALL_STATE_COMPLETED)
	case pb.EventType_EVENT_TYPE_CALL_ABANDONED:
		r.abandoned(e, c)
	case pb.EventType_EVENT_TYPE_CALL_TIMED_OUT:
		r.unanswered(e, c, pb.CallState_CALL_STATE_TIMED_OUT)
	case pb.EventType_EVENT_TYPE_CALL_OVERFLOWED:
		r.unanswered(e, c, pb.CallState_CALL_STATE_OVERFLOWED)
	default:
		r.shifted(e, c)
	}
}

func (r *Replay) joined(e *pb.Event) {
	id := e.GetCallId()
	if r.calls[id] != nil {
		r.bad(RuleOneEnd, e, "joined twice")
		return
	}
	c := &call{
		id: id, switchID: e.GetSwitchId(), queue: e.GetQueue(), tier: e.GetTier(), state: pb.CallState_CALL_STATE_WAITING,
		joinedAt: e.GetJoinedAt().AsTime(), joinedBy: e.GetSequence(),
	}
	if _, preferred, ok := r.world.Call(id); ok {
		c.heldFor = preferred
	}
	r.calls[id] = c
	r.joins[lineKey{c.queue, c.tier}]++
	r.join(c)
}

func (r *Replay) refused(e *pb.Event) {
	if r.calls[e.GetCallId()] != nil {
		r.bad(RuleOneEnd, e, "refused after it joined")
		return
	}
	r.calls[e.GetCallId()] = &call{
		id: e.GetCallId(), queue: e.GetQueue(), tier: e.GetTier(), state: pb.CallState_CALL_STATE_REFUSED,
	}
}

func (r *Replay) offered(e *pb.Event, c *call) {
	r.Offers++
	a := r.agentOf(e.GetAgentId())
	if c.state != pb.CallState_CALL_STATE_WAITING {
		r.bad(RuleOneOffer, e, "offered to %s while %s (agent %s, offer %s)", e.GetAgentId(), stateName(c.state), c.agent, c.offer)
		return
	}
	if a.call != "" || a.callback != "" {
		r.bad(RuleOneOffer, e, "offered to %s, who has call %q and callback %q", e.GetAgentId(), a.call, a.callback)
	}
	r.leave(c)
	r.inOrder(e, c)
	if e.GetWhy() == "preemption" {
		r.Preempted++
	}
	c.state, c.agent, c.offer = pb.CallState_CALL_STATE_OFFERED, e.GetAgentId(), e.GetOfferId()
	r.offerings[c.offer] = offering{c.id, c.agent}
	c.offers++
	a.call = c.id
}

// holds checks that an event of an offered or answered call names its agent and
// offer.
func (r *Replay) holds(e *pb.Event, c *call, want pb.CallState) bool {
	if c.state != want {
		r.bad(RuleOneEnd, e, "%v while the call is %s", e.GetType(), stateName(c.state))
		return false
	}
	if e.GetAgentId() != c.agent || (e.GetOfferId() != "" && e.GetOfferId() != c.offer) {
		r.bad(RuleOneOffer, e, "names agent %s and offer %s; %s has the call by offer %s", e.GetAgentId(), e.GetOfferId(), c.agent, c.offer)
		return false
	}
	return true
}

// blames says for which reasons of a returned offer the agent is not asked for
// the same call again.
var blames = map[string]bool{
	"declined": true, "expired": true,
}

func (r *Replay) returned(e *pb.Event, c *call) {
	if !r.holds(e, c, pb.CallState_CALL_STATE_OFFERED) {
		return
	}
	r.Returned++
	if blames[e.GetReason()] {
		c.refusedBy = append(c.refusedBy, c.agent)
	}
	r.letGo(c)
	c.state = pb.CallState_CALL_STATE_WAITING
	r.join(c)
}

func (r *Replay) answered(e *pb.Event, c *call) {
	if !r.holds(e, c, pb.CallState_CALL_STATE_OFFERED) {
		return
	}
	c.state, c.wait = pb.CallState_CALL_STATE_ANSWERED, e.GetWait().AsDuration()
	if caller, _, ok := r.world.Call(c.id); ok {
		if p := r.open[promiseKey{caller, c.queue}]; p != nil {
			p.answered = true
		}
	}
}

func (r *Replay) abandoned(e *pb.Event, c *call) {
	c.callback = e.GetCallbackId()
	if r.unanswered(e, c, pb.CallState_CALL_STATE_ABANDONED) {
		r.earned(e, c)
	}
}

// unanswered ends a call that still waits, in a terminal state.
func (r *Replay) unanswered(e *pb.Event, c *call, state pb.CallState) bool {
	if c.state != pb.CallState_CALL_STATE_WAITING && c.state != pb.CallState_CALL_STATE_OFFERED {
		r.bad(RuleOneEnd, e, "%v while the call is %s", e.GetType(), stateName(c.state))
		return false
	}
	c.wait = e.GetWait().AsDuration()
	r.end(c, state)
	return true
}

// shifted follows a move, a new tier, and the other changes of a waiting call.
func (r *Replay) shifted(e *pb.Event, c *call) {
	waits := c.state == pb.CallState_CALL_STATE_WAITING
	if waits {
		r.leave(c)
	}
	switch e.GetType() {
	case pb.EventType_EVENT_TYPE_CALL_MOVED:
		c.queue, c.heldFor = e.GetQueue(), ""
	case pb.EventType_EVENT_TYPE_CALL_RERANKED:
		c.tier = e.GetTier()
	case pb.EventType_EVENT_TYPE_CALL_LATE:
		c.late = true
		r.lates[lineKey{c.queue, c.tier}]++
	case pb.EventType_EVENT_TYPE_CALL_RELEASED_TO_ALL:
		c.heldFor = ""
	}
	if waits {
		r.join(c)
	}
}

// letGo frees the agent who had the call.
func (r *Replay) letGo(c *call) {
	if c.agent == "" {
		return
	}
	if a := r.agentOf(c.agent); a.call == c.id {
		a.call = ""
	}
	c.offer = ""
	if c.state == pb.CallState_CALL_STATE_OFFERED {
		c.agent = ""
	}
}

func (r *Replay) end(c *call, state pb.CallState) {
	if c.state == pb.CallState_CALL_STATE_WAITING {
		r.leave(c)
	}
	r.letGo(c)
	c.state = state
	c.refusedBy = nil
}

// inOrder checks that nobody who comes before the offered call waits for the
// same agent: tier, then level, then arrival.
func (r *Replay) inOrder(e *pb.Event, c *call) {
	services := r.world.Serves(e.GetAgentId())
	if services == nil {
		return // Another client's agent.
	}
	level := 0
	for _, s := range services {
		if s.Queue == c.queue {
			level = s.Level
		}
	}
	if level == 0 {
		r.bad(RuleOrder, e, "offered to %s, who does not serve %s", e.GetAgentId(), c.queue)
		return
	}
	for _, s := range services {
		for tier := pb.Tier_TIER_VIP; tier <= c.tier; tier++ {
			w := r.first(s.Queue, tier, e.GetAgentId())
			switch {
			case w == nil:
			case tier < c.tier && tier == pb.Tier_TIER_VIP:
				r.bad(RuleGreenChannel, e, "%s is offered %v while VIP %s waits in %s", e.GetAgentId(), c.tier, w.id, s.Queue)
			case tier < c.tier:
				r.bad(RuleOrder, e, "%s is offered %v while %s, %v, waits in %s", e.GetAgentId(), c.tier, w.id, w.tier, s.Queue)
			case s.Level < level:
				r.bad(RuleOrder, e, "%s is offered level %d while %s waits at level %d", e.GetAgentId(), level, w.id, s.Level)
			case s.Level == level && before(w, c):
				r.bad(RuleOrder, e, "%s is offered a younger call (%v, because %s) than %s (held for %q, given back by %v) of the same tier and level",
					e.GetAgentId(), c.tier, e.GetWhy(), w.id, w.heldFor, w.refusedBy)
			}
		}
	}
	// No switch rings a phone for a callback.
	if c.tier == pb.Tier_TIER_BLACKLIST && (r.world.Rung == nil || !r.world.Rung(e.GetAgentId())) {
		r.noCallbackBefore(e, services)
	}
}

// first returns the oldest waiting call of a queue and tier that an agent may
// have.
func (r *Replay) first(queue string, tier pb.Tier, agent string) *call {
	var found *call
	r.line(queue, tier).Scan(func(c *call) bool {
		if r.mayHave(c, agent) {
			found = c
		}
		return found == nil
	})
	return found
}
