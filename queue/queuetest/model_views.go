package queuetest

import (
	"slices"
	"strings"

	"greenlane/callback"
	"greenlane/queue"
	"greenlane/tiering"
)

// position returns a waiting call's place in its queue: 1 plus what is served
// before it there, due callbacks included, calls on offer or held for their
// preferred agent not. 0 when the call does not wait.
func (m *Model) position(c *queue.Call) int {
	if c.State != queue.CallWaiting {
		return 0
	}
	n := 1
	for _, e := range m.line() {
		if e.call == c {
			continue
		}
		held := e.call != nil && !e.call.HeldUntil.IsZero()
		if e.queue() == c.Queue && !held && before(e, entry{call: c}, 0, 0) {
			n++
		}
	}
	return n
}

// State returns the model's records, each kind in the order of its key, as
// queue.Machine.State does. What only the store needs is missing: requests,
// handle times.
func (m *Model) State() *queue.State {
	st := &queue.State{Meta: queue.Meta{
		LastEvent: uint64(len(m.events)), CallSeq: m.callSeq, Epoch: m.epoch, Ord: m.ord, Now: m.now,
		Callbacks: m.callbackTotals, Violations: m.violations,
	}}
	for _, c := range m.bySeq() {
		st.Calls = append(st.Calls, c.Clone())
	}
	for _, a := range m.agents {
		st.Agents = append(st.Agents, a.Clone())
	}
	slices.SortFunc(st.Agents, func(a, b *queue.Agent) int { return strings.Compare(a.ID, b.ID) })
	for _, o := range m.offers {
		copied := *o
		st.Offers = append(st.Offers, &copied)
	}
	for _, cb := range m.callbacks {
		copied := cb.Callback
		st.Callbacks = append(st.Callbacks, &copied)
	}
	for _, o := range m.owners {
		copied := *o
		st.Owners = append(st.Owners, &copied)
	}
	slices.SortFunc(st.Owners, func(a, b *queue.OwnerRecord) int { return strings.Compare(a.Owner, b.Owner) })
	for _, s := range m.switchesByName() {
		copied := *s
		st.Switches = append(st.Switches, &copied)
	}
	for _, c := range m.cohorts {
		copied := *c
		st.Cohorts = append(st.Cohorts, &copied)
	}
	for _, t := range m.totals {
		copied := *t
		st.Totals = append(st.Totals, &copied)
	}
	return st
}

// glance is State without copies and without counters: for the generator,
// which looks and does not touch.
func (m *Model) glance() *queue.State {
	st := &queue.State{
		Meta: queue.Meta{Now: m.now}, Calls: m.calls, Agents: m.agents, Offers: m.offers,
		Owners: m.owners, Switches: m.switches, Callbacks: make([]*callback.Callback, 0, len(m.callbacks)),
	}
	for _, cb := range m.callbacks {
		st.Callbacks = append(st.Callbacks, &cb.Callback)
	}
	return st
}

// Events returns the whole log.
func (m *Model) Events() []queue.Event { return m.events }

// Snapshot returns the figures of the site as queue.Machine.Snapshot does, but
// for the counts of today and of the last half hour.
func (m *Model) Snapshot() *queue.Snapshot {
	s := &queue.Snapshot{
		Site: m.site.Name, At: m.now, Seq: uint64(len(m.events)), GreenChannelViolations: m.violations,
		AgentStates: map[queue.AgentState]int{},
	}
	st := m.State()
	for _, a := range st.Agents {
		s.Agents = append(s.Agents, *a)
		s.AgentStates[a.State]++
	}
	for i := range m.site.Queues {
		s.Queues = append(s.Queues, m.queueSnapshot(&m.site.Queues[i]))
	}
	s.Callbacks = queue.CallbackSnapshot{ByState: map[callback.State]int{}, Totals: m.callbackTotals}
	for _, cb := range m.callbacks {
		s.Callbacks.ByState[cb.State]++
		if cb.State.Open() {
			s.Callbacks.NextDue = earlier(s.Callbacks.NextDue, cb.DueAt)
			s.Callbacks.NextDeadline = earlier(s.Callbacks.NextDeadline, cb.Deadline)
		}
	}
	return s
}

func (m *Model) queueSnapshot(q *queue.Queue) queue.QueueSnapshot {
	qs := queue.QueueSnapshot{
		Name: q.Name, Open: q.Hours.Open(m.now.Time()), Threshold: q.Threshold, Capacity: q.Capacity,
		Agents: map[queue.AgentState]int{},
	}
	for _, a := range m.agents {
		if _, serves := level(a, q.Name); !serves {
			continue
		}
		qs.Agents[a.State]++
		if idle(a) {
			qs.Idle++
		}
		if a.State.Working() {
			qs.Working++
		}
	}
	for _, cb := range m.callbacks {
		if cb.Queue == q.Name && cb.State == callback.StateDue {
			qs.CallbacksWaiting++
		}
	}
	for _, t := range tiering.Tiers {
		ts := queue.TierSnapshot{Tier: t, Target: q.Targets[t]}
		for _, c := range m.calls {
			if c.Queue != q.Name || c.Tier != t || !waits(c) {
				continue
			}
			ts.Waiting++
			if c.Late {
				ts.LateWaiting++
			}
			ts.OldestWait = max(ts.OldestWait, m.now.Sub(c.JoinedAt))
		}
		for _, x := range m.totals {
			if x.Queue == q.Name && x.Tier == t {
				ts.Totals = *x
			}
		}
		qs.Tiers = append(qs.Tiers, ts)
	}
	return qs
}
