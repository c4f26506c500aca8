package queuetest

import (
	"slices"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// entry is something that waits for an agent: a call, or a due callback.
type entry struct {
	call *queue.Call
	cb   *promise
}

// Slots of the one order, served from the lowest up.
const (
	slotVIP = iota + 1
	slotMid
	slotOrdinary
	slotCallback
	slotBlacklist
)

func (e entry) slot() int {
	if e.cb != nil {
		if !e.cb.EscalatedAt.IsZero() {
			return slotMid
		}
		return slotCallback
	}
	switch e.call.Tier {
	case tiering.VIP:
		return slotVIP
	case tiering.Mid:
		return slotMid
	case tiering.Ordinary:
		return slotOrdinary
	default:
		return slotBlacklist
	}
}

// age is what entries of one slot and level are ranked by: oldest first, then
// the engine's sequence.
func (e entry) age() (instant.Instant, uint64) {
	switch {
	case e.call != nil:
		return e.call.JoinedAt, e.call.Seq
	case !e.cb.EscalatedAt.IsZero():
		return e.cb.ArrivedAt, e.cb.Seq
	default:
		return e.cb.DueAt, e.cb.Seq
	}
}

// declinedBy lists who declined the entry or let its offer pass.
func (e entry) declinedBy() []string {
	if e.call != nil {
		return e.call.DeclinedBy
	}
	return e.cb.DeclinedBy
}

// waits reports whether the entry is in line, not offered and not over.
func (e entry) waits() bool {
	if e.call != nil {
		return e.call.State == queue.CallWaiting
	}
	return e.cb.State == callback.StateDue
}

func (e entry) queue() string {
	if e.call != nil {
		return e.call.Queue
	}
	return e.cb.Queue
}

// before says which of two entries an agent serves first.
func before(x, y entry, levelX, levelY int) bool {
	if x.slot() != y.slot() {
		return x.slot() < y.slot()
	}
	if levelX != levelY {
		return levelX < levelY
	}
	atX, seqX := x.age()
	atY, seqY := y.age()
	if atX != atY {
		return atX < atY
	}
	return seqX < seqY
}

// waiting returns every entry that waits, in no particular order.
func (m *Model) waiting() []entry {
	var out []entry
	for _, c := range m.calls {
		if c.State == queue.CallWaiting {
			out = append(out, entry{call: c})
		}
	}
	for _, cb := range m.callbacks {
		if cb.State == callback.StateDue {
			out = append(out, entry{cb: cb})
		}
	}
	return out
}

// level returns the agent's level for a queue; ok is false when the agent does
// not serve it.
func level(a *queue.Agent, queueName string) (n int, ok bool) {
	for _, s := range a.Services {
		if s.Queue == queueName {
			return s.Level, true
		}
	}
	return 0, false
}

// idle reports whether an offer may be made to the agent now.
func idle(a *queue.Agent) bool { return a.State == queue.AgentReady && a.Presence != queue.Absent }

// reachable reports whether an offer of the entry can reach the agent: a phone
// that the switch rings can only be rung for a call whose switch is attached.
func (m *Model) reachable(a *queue.Agent, e entry) bool {
	return !a.RingBySwitch || e.call != nil && m.isAttached(e.call.Switch)
}

// mayServe reports whether the entry may go to the agent, were the agent idle.
func (m *Model) mayServe(a *queue.Agent, e entry) bool {
	_, serves := level(a, e.queue())
	switch {
	case !serves || !m.reachable(a, e):
		return false
	case e.call != nil && !e.call.HeldUntil.IsZero() && e.call.PreferredAgent != a.ID:
		return false
	}
	return !slices.Contains(e.declinedBy(), a.ID) || !m.anotherCanServe(e)
}

// anotherCanServe reports whether somebody works, serves the entry's queue, can
// be reached for it, and has not turned it down.
func (m *Model) anotherCanServe(e entry) bool {
	for _, a := range m.agents {
		_, serves := level(a, e.queue())
		if serves && a.State.Working() && m.reachable(a, e) && !slices.Contains(e.declinedBy(), a.ID) {
			return true
		}
	}
	return false
}

// bestAgent returns the agent the entry goes to now, nil when nobody is idle
// for it: the preferred one, else of the best level the longest idle.
func (m *Model) bestAgent(e entry) *queue.Agent {
	var best *queue.Agent
	for _, a := range m.agents {
		if !idle(a) || !m.mayServe(a, e) {
			continue
		}
		if best == nil || m.agentBefore(a, best, e) {
			best = a
		}
	}
	return best
}

func (m *Model) agentBefore(x, y *queue.Agent, e entry) bool {
	if e.call != nil && (e.call.PreferredAgent == x.ID) != (e.call.PreferredAgent == y.ID) {
		return e.call.PreferredAgent == x.ID
	}
	levelX, _ := level(x, e.queue())
	levelY, _ := level(y, e.queue())
	if levelX != levelY {
		return levelX < levelY
	}
	if x.IdleSince != y.IdleSince {
		return x.IdleSince < y.IdleSince
	}
	return x.Ord < y.Ord
}

// bestEntry returns what the agent is offered next; ok is false when nothing
// that the agent may serve waits.
func (m *Model) bestEntry(a *queue.Agent) (best entry, ok bool) {
	for _, e := range m.waiting() {
		if !m.mayServe(a, e) {
			continue
		}
		levelE, _ := level(a, e.queue())
		levelB := 0
		if ok {
			levelB, _ = level(a, best.queue())
		}
		if !ok || before(e, best, levelE, levelB) {
			best, ok = e, true
		}
	}
	return best, ok
}

// tryEntry looks for an agent for an entry that has just come, or come back.
func (m *Model) tryEntry(e entry) {
	for e.waits() {
		a := m.bestAgent(e)
		if a == nil {
			break
		}
		// Somebody else may have come to wait for this agent in the same step, and
		// stand before e.
		if first, _ := m.bestEntry(a); first != e {
			m.makeOffer(first, a, m.why(first, a, queue.WhyNextInLine))
			continue
		}
		m.makeOffer(e, a, m.why(e, a, queue.WhyLongestIdle))
	}
	// As above: the first VIP for the victim's agent may be another, who came to
	// wait for him in the same step.
	for again := e.slot() == slotVIP && m.site.Preemption; again && e.waits(); {
		again = m.preempt(e)
	}
}

// tryAgent looks for work for an agent who has just come free.
func (m *Model) tryAgent(a *queue.Agent) {
	if !idle(a) {
		return
	}
	if e, ok := m.bestEntry(a); ok {
		m.makeOffer(e, a, m.why(e, a, queue.WhyNextInLine))
	}
}

// why names the reason of an offer: the caller's own wish before any other.
func (m *Model) why(e entry, a *queue.Agent, otherwise string) string {
	if e.call != nil && e.call.PreferredAgent == a.ID {
		return queue.WhyPreferredAgent
	}
	return otherwise
}

// line returns what waits in the one order, levels aside.
func (m *Model) line() []entry {
	line := m.waiting()
	slices.SortFunc(line, func(x, y entry) int {
		if before(x, y, 0, 0) {
			return -1
		}
		return 1
	})
	return line
}

// settle asks the whole question anew: is there anyone idle for whom something
// waits, or an offer that a waiting VIP may take? After each command nothing
// should be left to do.
func (m *Model) settle() {
	for again := true; again; {
		again = false
		for _, e := range m.line() {
			a := m.bestAgent(e)
			if a != nil {
				m.tryAgent(a)
				again = true
				break
			}
			if e.slot() == slotVIP && m.site.Preemption && m.preempt(e) {
				again = true
				break
			}
		}
	}
}

// preempt gives a VIP the place of a lower entry that was offered to an agent
// and not yet accepted: the lowest slot first, then the youngest.
func (m *Model) preempt(vip entry) bool {
	var victim *queue.OfferRecord
	for _, o := range m.offers {
		if o.Ended != "" || m.offered(o).slot() == slotVIP || !m.mayServe(m.agent(o.Agent), vip) {
			continue
		}
		if victim == nil || displacedBefore(m.offered(o), m.offered(victim)) {
			victim = o
		}
	}
	if victim == nil {
		return false
	}
	first, _ := m.bestEntry(m.agent(victim.Agent))
	m.displace(victim, first)
	return true
}

// displace rescinds an offer for a VIP. The displaced entry is back in its
// place, and is tried on the agents who are idle.
func (m *Model) displace(victim *queue.OfferRecord, vip entry) {
	e, a := m.dropOffer(victim, queue.EndedPreempted)
	a.State, a.Since = queue.AgentReady, m.now // only to be offered the VIP at once
	m.offerReturned(victim)
	m.makeOffer(vip, a, queue.WhyPreemption)
	m.tryEntry(e)
}

// upgrade takes an agent's unaccepted offer back when a VIP waits whom the
// agent may serve: because his queues, or the tier of what he was offered, have
// changed.
func (m *Model) upgrade(a *queue.Agent) {
	o := m.liveOffer(a)
	if o == nil || m.offered(o).slot() == slotVIP || !m.site.Preemption {
		return
	}
	if e, ok := m.bestEntry(a); ok && e.slot() == slotVIP {
		m.displace(o, e)
	}
}

// displacedBefore says which of two offered entries gives way first.
func displacedBefore(x, y entry) bool {
	if x.slot() != y.slot() {
		return x.slot() > y.slot()
	}
	atX, seqX := x.age()
	atY, seqY := y.age()
	if atX != atY {
		return atX > atY
	}
	return seqX > seqY
}

// offered returns what an offer is about.
func (m *Model) offered(o *queue.OfferRecord) entry {
	if o.Call != "" {
		return entry{call: m.call(o.Call)}
	}
	return entry{cb: m.callbackByID(o.Callback)}
}
