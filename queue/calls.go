package queue

import (
	"slices"
	"time"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/tiering"
)

// arrive admits a call, or says why not.
func (m *Machine) arrive(cmd *Arrive) (Result, error) {
	if cmd.Call == "" {
		return Result{}, refuse(ErrInvalid, "call_id", "must not be empty")
	}
	if known := m.calls[cmd.Call]; known != nil {
		if !sameSwitch(known, cmd.Switch) {
			return Result{}, refuse(ErrCallExists, "call_id", "%q is a call of switch %q", cmd.Call, known.Switch)
		}
		if !known.Tombstone {
			res := m.callResult(known)
			res.Duplicate = true
			return res, nil
		}
	}
	q, err := m.routeTo(cmd)
	if err != nil {
		return Result{}, err
	}
	if grave := m.calls[cmd.Call]; grave != nil {
		return m.arriveTooLate(grave, q, cmd), nil
	}
	c := m.newCall(cmd, q, m.now)
	if reason := m.refusal(c); reason != "" {
		c.State, c.Reason, c.EndedAt = CallRefused, reason, m.now
		m.countEnd(c, CallRefused)
		m.emitCall(c, Event{Type: EventCallRefused, Reason: reason})
		m.keepEnded(c)
		return m.callResult(c), nil
	}
	m.join(c)
	return m.callResult(c), nil
}

func sameSwitch(c *call, id string) bool { return id == "" || c.Switch == "" || c.Switch == id }

// routeTo finds the queue a call goes to.
func (m *Machine) routeTo(cmd *Arrive) (*queueState, error) {
	name := cmd.Queue
	if name == "" {
		name = m.site.Routes[cmd.Dialed]
	}
	if name == "" {
		name = m.site.DefaultQueue
	}
	if name == "" {
		return nil, refuse(ErrInvalid, "queue", "must be given: the site has no default queue and no route for this number")
	}
	return m.queue(name)
}

func (m *Machine) queue(name string) (*queueState, error) {
	q := m.queues[name]
	if q == nil {
		return nil, refuse(ErrQueueNotFound, "queue", "%q is no queue of site %s", name, m.site.Name)
	}
	return q, nil
}

// newCall records a call that has joined at the given instant.
func (m *Machine) newCall(cmd *Arrive, q *queueState, joined instant.Instant) *call {
	m.meta.CallSeq++
	c := &call{}
	c.Call = Call{
		ID: cmd.Call, Switch: m.intern(cmd.Switch), Caller: cmd.Caller, Dialed: m.intern(cmd.Dialed), Queue: q.cfg.Name,
		Tier: cmd.Tier, Provisional: cmd.Provisional, Attestation: cmd.Attestation, UnattestedVIP: cmd.UnattestedVIP,
		PreferredAgent: cmd.PreferredAgent, Attributes: cmd.Attributes, ArrivedAt: cmd.ArrivedAt,
		State: CallWaiting, Seq: m.meta.CallSeq, JoinedAt: joined, QueuedAt: m.now,
		Events: make([]uint64, 0, 4), // joined, offered, answered, completed
	}
	if !c.Tier.Valid() {
		c.Tier = tiering.Ordinary
	}
	m.linkCall(c, q)
	return c
}

// intern returns one copy of a string that many calls carry.
func (m *Machine) intern(s string) string {
	if known, ok := m.names[s]; ok {
		return known
	}
	if len(m.names) < internedNames {
		m.names[s] = s
	}
	return s
}

// linkCall makes a call known.
func (m *Machine) linkCall(c *call, q *queueState) {
	c.entry = entry{q: q, call: c, slot: slotOf(c.Tier)}
	c.timer = newTimer(c, classCall, c.Seq)
	m.calls[c.ID] = c
	m.touchCall(c)
}

// refusal says why a call cannot be admitted, "" when it can: opening hours,
// the policy for the blacklist, and capacity, of which the lowest tiers may use
// the smallest share.
func (m *Machine) refusal(c *call) string {
	q := c.q
	switch {
	case !q.cfg.Hours.Open(m.now.Time()):
		return ReasonQueueClosed
	case c.Tier == tiering.Blacklist && m.site.RejectBlacklist:
		return ReasonBlacklisted
	case m.site.MaxWaiting > 0 && m.waiting >= m.site.MaxWaiting:
		return ReasonProcessFull
	case q.cfg.Capacity > 0 && c.Tier != tiering.VIP && q.waiting >= q.cfg.room(c.Tier):
		return ReasonQueueFull
	}
	return ""
}

// room returns up to how many waiting calls a tier is admitted.
func (q *Queue) room(t tiering.Tier) int {
	share, ok := q.Shares[t]
	if !ok {
		share = 1
	}
	// A share is meant as written in decimals: 0.9 of 10 is 9.
	return int(float64(q.Capacity)*share + 1e-9)
}

// join puts an admitted call into its queue and tries to serve it.
func (m *Machine) join(c *call) {
	m.waiting++
	countWaiting(c, 1)
	m.linkCaller(c)
	m.totals(c.q, c.Tier).Joined++
	m.emitCall(c, Event{Type: EventCallJoined})
	m.lineUpOrHold(&c.entry)
	m.armCall(c)
	m.place(&c.entry)
}

// lineUpOrHold lets a call wait for its preferred agent when he works but is
// not free, else lines it up for everyone.
func (m *Machine) lineUpOrHold(e *entry) {
	c, wait := e.call, e.q.cfg.PreferredWait
	if a := m.agents[c.PreferredAgent]; a != nil && wait > 0 && a.State.Working() && a.serves(e.q) != nil &&
		(!a.RingBySwitch || m.ringable(e)) {
		c.HeldUntil = m.now.Add(wait)
		m.hold(e, a)
		return
	}
	m.lineUp(e)
}

func (m *Machine) linkCaller(c *call) {
	if c.Caller != "" {
		c.sameCaller = m.byCaller[c.Caller]
		m.byCaller[c.Caller] = c
	}
}

func (m *Machine) unlinkCaller(c *call) {
	if c.Caller == "" {
		return
	}
	first := m.byCaller[c.Caller]
	if first == c {
		if c.sameCaller == nil {
			delete(m.byCaller, c.Caller)
		} else {
			m.byCaller[c.Caller] = c.sameCaller
		}
	} else {
		for first.sameCaller != c {
			first = first.sameCaller
		}
		first.sameCaller = c.sameCaller
	}
	c.sameCaller = nil
}

// hangUp ends a call: one that waits is abandoned, one that is answered is
// complete, one that has not arrived yet leaves a tombstone.
func (m *Machine) hangUp(id, switchID string, at instant.Instant, reason string) (Result, error) {
	if id == "" {
		return Result{}, refuse(ErrInvalid, "call_id", "must not be empty")
	}
	c := m.calls[id]
	switch {
	case c == nil:
		return m.callResult(m.bury(id, switchID, at, reason)), nil
	case !sameSwitch(c, switchID):
		return Result{}, refuse(ErrCallNotFound, "call_id", "%q is no call of switch %q", id, switchID)
	case c.State == CallWaiting || c.State == CallOffered:
		return m.abandon(c, reason), nil
	case c.State == CallAnswered:
		m.finish(c, reason)
		return m.callResult(c), nil
	default:
		res := m.callResult(c)
		res.Duplicate = true
		return res, nil
	}
}

// bury records that a call is over of which nobody has told that it began.
func (m *Machine) bury(id, switchID string, at instant.Instant, reason string) *call {
	m.meta.CallSeq++
	c := &call{Call: Call{ID: id, Switch: switchID, State: CallAbandoned, Reason: reason, Seq: m.meta.CallSeq, ArrivedAt: at, EndedAt: m.now, Tombstone: true}}
	c.timer = newTimer(c, classCall, c.Seq)
	m.calls[id] = c
	m.touchCall(c)
	m.keepEnded(c)
	return c
}

// arriveTooLate lets a call whose hang-up came first end as it would have in
// the right order. The switch's own times, where it gave both, say how long the
// caller waited.
func (m *Machine) arriveTooLate(grave *call, q *queueState, cmd *Arrive) Result {
	hungUp, ended, reason := grave.ArrivedAt, grave.EndedAt, grave.Reason
	wait := time.Duration(0)
	if !hungUp.IsZero() && !cmd.ArrivedAt.IsZero() {
		wait = min(max(0, hungUp.Sub(cmd.ArrivedAt)), time.Hour)
	}
	m.ended = slices.DeleteFunc(m.ended, func(c *call) bool { return c == grave })
	seq := grave.Seq
	c := m.newCall(cmd, q, ended.Add(-wait))
	m.meta.CallSeq--
	c.Seq, c.QueuedAt = seq, c.JoinedAt
	c.timer = newTimer(c, classCall, seq)
	m.totals(q, c.Tier).Joined++
	c.State, c.Reason, c.EndedAt = CallAbandoned, reason, ended
	m.emitCall(c, Event{Type: EventCallJoined})
	if c.Late = wait > q.cfg.Threshold; c.Late {
		m.totals(q, c.Tier).Late++
		m.cohort(q, c.Tier, c.JoinedAt).LateWaiting++
		m.totals(q, c.Tier).Counts.LateWaiting++
		m.emitCall(c, Event{Type: EventCallLate})
	}
	m.countEnd(c, CallAbandoned)
	cb := m.earnCallback(c)
	m.emitCall(c, Event{Type: EventCallAbandoned, Wait: wait, Reason: reason, Callback: c.Callback})
	m.keepEnded(c)
	res := m.callResult(c)
	res.Callback = cb
	return res
}

// leave takes a call out of its line, its offer and the waiting counts.
// It returns the offer it was in, which is over.
func (m *Machine) leave(c *call, how string) *offer {
	o := c.offer
	if o != nil {
		m.closeOffer(o, how)
		c.Agent, c.Offer = "", 0
	} else {
		m.lineOut(&c.entry)
	}
	countWaiting(c, -1)
	m.waiting--
	m.unlinkCaller(c)
	c.HeldUntil = 0
	return o
}

// end brings a waiting or offered call to a terminal state.
func (m *Machine) end(c *call, state CallState, event EventType, reason, offerEnded string) *callback.Callback {
	o := m.leave(c, offerEnded)
	if o != nil {
		m.become(o.a, AgentReady, "")
		m.emitReturned(o)
	}
	c.State, c.Reason, c.EndedAt = state, reason, m.now
	m.timers.disarm(&c.timer)
	m.countEnd(c, state)
	var cb *callback.Callback
	if state == CallAbandoned {
		cb = m.earnCallback(c)
	}
	e := Event{Type: event, Wait: c.Wait(m.now), Reason: reason, Callback: c.Callback}
	m.emitCall(c, e)
	m.keepEnded(c)
	if o != nil {
		m.match(o.a)
	}
	return cb
}

func (m *Machine) abandon(c *call, reason string) Result {
	cb := m.end(c, CallAbandoned, EventCallAbandoned, reason, EndedCallerHungUp)
	res := m.callResult(c)
	res.Callback = cb
	return res
}

// finish completes an answered call and frees its agent.
func (m *Machine) finish(c *call, reason string) {
	c.State, c.Reason, c.EndedAt = CallCompleted, reason, m.now
	m.timers.disarm(&c.timer)
	talk := c.EndedAt.Sub(c.AnsweredAt)
	t := m.totals(c.q, c.Tier)
	t.Completed++
	t.Talk += talk.Milliseconds()
	e := Event{Type: EventCallCompleted, Agent: c.Agent, Reason: reason, Wait: c.Wait(m.now), Talk: talk}
	a := m.agents[c.Agent]
	if a == nil || a.Agent.Call != c.ID {
		m.emitCall(c, e)
		m.keepEnded(c)
		return
	}
	a.Agent.Call = ""
	wrap := m.endWork(a, c.q)
	m.learnHandleTime(c.q, talk+wrap)
	e.AgentState = a.State
	m.emitCall(c, e)
	m.keepEnded(c)
	m.settle(a)
}

// endWork puts an agent who has done with a call or callback into wrap-up, or
// past it, and returns how long the wrap-up is.
func (m *Machine) endWork(a *agent, q *queueState) time.Duration {
	if a.State == AgentSignedOut {
		return 0
	}
	wrap := time.Duration(a.WrapUp) * time.Millisecond
	if a.WrapUp < 0 {
		wrap = q.cfg.WrapUp
	}
	if wrap > 0 {
		a.WrapUntil = m.now.Add(wrap)
		m.become(a, AgentWrapUp, "")
	} else {
		m.afterWork(a)
	}
	return wrap
}

// learnHandleTime moves the queue's mean of the time a call keeps an agent.
func (m *Machine) learnHandleTime(q *queueState, d time.Duration) {
	q.rec.HandleTime = (15*q.rec.HandleTime + d.Milliseconds()) / 16
	m.touchQueue(q)
}

// estimate returns the expected wait at a position: the callers up to and with
// this one, shared among the agents who work, each keeping one for the mean
// handle time. -1 when nobody works.
func (q *queueState) estimate(position int) time.Duration {
	switch {
	case position == 0:
		return 0
	case q.working == 0:
		return -1
	default:
		return time.Duration(int64(position)*q.rec.HandleTime/int64(q.working)) * time.Millisecond
	}
}

// position returns a waiting call's place in its queue, 1 = next, 0 when it
// does not wait in line. A call held for its preferred agent counts where it
// would stand.
func (c *call) position() int {
	if !c.lined && c.held == nil {
		return 0
	}
	return c.q.ahead(&c.entry) + 1
}

func (m *Machine) callResult(c *call) Result {
	res := Result{Call: &c.Call}
	if c.State == CallWaiting {
		res.Position = c.position()
		res.EstimatedWait = c.q.estimate(res.Position)
	}
	return res
}

// armCall sets the call's timer to the next thing that time alone brings.
func (m *Machine) armCall(c *call) {
	q := c.q
	var at instant.Instant
	var in *lane
	soonest := func(t instant.Instant, l *lane) {
		if at == 0 || t < at {
			at, in = t, l
		}
	}
	switch c.State {
	case CallAnswered:
		if m.site.MaxTalk > 0 {
			soonest(c.AnsweredAt.Add(m.site.MaxTalk), m.talkLane)
		}
	case CallWaiting, CallOffered:
		if !c.Late {
			soonest(c.JoinedAt.Add(q.cfg.Threshold)+1, q.lanes.late)
		}
		if q.cfg.MaxWait > 0 {
			soonest(c.JoinedAt.Add(q.cfg.MaxWait), q.lanes.maxWait)
		}
		if o := c.offer; o != nil {
			soonest(o.ExpiresAt, q.lanes.offer)
			if o.AckBy != 0 {
				soonest(o.AckBy, m.ackLane)
			}
		} else {
			if c.HeldUntil != 0 {
				soonest(c.HeldUntil, q.lanes.hold)
			}
			if q.cfg.Overflow.After > 0 {
				soonest(c.QueuedAt.Add(q.cfg.Overflow.After), q.lanes.overflow)
			}
		}
	}
	m.timers.arm(&c.timer, at, in)
}

// fire implements timed.
func (c *call) fire(m *Machine, now instant.Instant) {
	if c.State == CallAnswered {
		m.finish(c, ReasonMaxTalk)
		return
	}
	q := c.q
	if !c.Late && now > c.JoinedAt.Add(q.cfg.Threshold) {
		m.markLate(c)
	}
	if q.cfg.MaxWait > 0 && now >= c.JoinedAt.Add(q.cfg.MaxWait) {
		m.end(c, CallTimedOut, EventCallTimedOut, ReasonMaxWait, EndedMaxWait)
		return
	}
	if o := c.offer; o != nil {
		m.offerDue(o)
	}
	if c.State == CallWaiting && c.HeldUntil != 0 && now >= c.HeldUntil {
		m.release(&c.entry)
	}
	if o := q.cfg.Overflow; c.State == CallWaiting && o.After > 0 && now >= c.QueuedAt.Add(o.After) {
		m.overflow(c)
	}
	if !c.State.Terminal() {
		m.armCall(c)
	}
}

func (m *Machine) markLate(c *call) {
	c.Late = true
	m.totals(c.q, c.Tier).Late++
	c.q.tiers[c.Tier].late++
	m.cohort(c.q, c.Tier, c.JoinedAt).LateWaiting++
	m.totals(c.q, c.Tier).Counts.LateWaiting++
	m.emitCall(c, Event{Type: EventCallLate, Wait: c.Wait(m.now)})
}

// offerDue ends an offer that was not acknowledged or not answered in time:
// the agent is not ready, the call back in its place.
func (m *Machine) offerDue(o *offer) {
	switch {
	case m.now >= o.ExpiresAt:
		o.e.addDeclined(o.a.ID)
		m.giveBack(o, EndedExpired, ReasonNoAnswer)
	case o.AckBy != 0 && m.now >= o.AckBy:
		m.giveBack(o, EndedNotAcknowledged, ReasonNotAcknowledged)
	}
}

// giveBack ends an offer and makes its agent not ready for a reason, or leaves
// him ready when there is none.
func (m *Machine) giveBack(o *offer, how, notReady string) {
	a := o.a
	m.endOffer(o, how)
	if notReady != "" {
		m.become(a, AgentNotReady, notReady)
	} else {
		m.become(a, AgentReady, "")
	}
	m.emitReturned(o)
	if notReady != "" {
		m.emit(Event{Type: EventAgentStateChanged, Agent: a.ID, AgentState: a.State, Reason: a.Reason})
	}
	m.settle(a)
	m.place(o.e)
}

func (m *Machine) overflow(c *call) {
	o := c.q.cfg.Overflow
	if o.To == "" {
		m.end(c, CallOverflowed, EventCallOverflowed, ReasonOverflow, EndedMoved)
		return
	}
	m.moveTo(c, m.queues[o.To], ReasonOverflow)
}

// moveTo puts a call that waits in line into another queue, with its place and
// clock, and tries to serve it there.
func (m *Machine) moveTo(c *call, to *queueState, reason string) {
	from := c.q
	m.lineOut(&c.entry)
	m.recount(c, to, c.Tier)
	c.OverflowedFrom, c.QueuedAt, c.HeldUntil = from.cfg.Name, m.now, 0
	m.lineUp(&c.entry)
	m.armCall(c)
	m.emitCall(c, Event{Type: EventCallMoved, FromQueue: from.cfg.Name, Reason: reason})
	m.place(&c.entry)
}
