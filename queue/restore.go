package queue

import (
	"cmp"
	"fmt"
	"slices"

	"greenlane/callback"
)

// RestoreMachine returns the site as the records left it. It takes them over.
// A waiting call of a queue that the configuration has no longer keeps its
// place in a queue made from the defaults; Warnings tells of it.
func RestoreMachine(site Site, st *State) (*Machine, error) {
	if err := site.Validate(); err != nil {
		return nil, err
	}
	m := newMachine(site)
	m.meta = st.Meta
	m.now = st.Meta.Now
	for _, r := range st.Queues {
		if q := m.queues[r.Name]; q != nil {
			q.rec = *r
		}
	}
	m.restoreAgents(st.Agents)
	for _, r := range st.Owners {
		o := &owner{OwnerRecord: *r}
		o.timer = newTimer(o, classOwner, o.Ord)
		m.owners[o.Owner] = o
		m.timers.arm(&o.timer, o.Until, nil)
	}
	for _, r := range st.Switches {
		m.switches[r.Switch] = &switchState{SwitchRecord: *r}
	}
	if err := m.restoreCalls(st.Calls); err != nil {
		return nil, err
	}
	m.restoreCallbacks(st.Callbacks)
	if err := m.restoreOffers(st.Offers); err != nil {
		return nil, err
	}
	m.restoreLines()
	m.restoreCounts(st)
	slices.SortFunc(st.Requests, func(a, b *RequestRecord) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, r := range st.Requests {
		m.requests[requestKey{r.Kind, r.ID}] = r
		m.requestList = append(m.requestList, r)
	}
	m.TakeChanges() // what was linked is on record already
	return m, nil
}

func (m *Machine) warn(format string, args ...any) {
	m.warnings = append(m.warnings, fmt.Sprintf(format, args...))
}

// queueOrGhost returns a queue of the configuration or, for one that is gone,
// makes it anew from the defaults: whoever waits there must not be lost.
func (m *Machine) queueOrGhost(name, what string) *queueState {
	if q := m.queues[name]; q != nil {
		return q
	}
	m.warn("queue %q is not configured any more but %s: it goes on with the defaults", name, what)
	return m.addQueue(DefaultQueue(name))
}

func (m *Machine) restoreAgents(records []*Agent) {
	slices.SortFunc(records, func(a, b *Agent) int { return cmp.Compare(a.Ord, b.Ord) })
	for _, r := range records {
		a := &agent{Agent: *r}
		a.timer = newTimer(a, classAgent, a.Ord)
		m.agents[a.ID] = a
		m.agentList.Set(a.ID, a)
		m.countAgent(a, 1)
		services := slices.DeleteFunc(slices.Clone(a.Services), func(s Service) bool {
			gone := m.queues[s.Queue] == nil
			if gone {
				m.warn("agent %q serves queue %q, which is not configured any more", a.ID, s.Queue)
			}
			return gone
		})
		m.setServices(a, services)
		if a.State.Working() {
			a.countWorking(1)
		}
		m.setIdle(a, a.State == AgentReady && a.Presence != Absent)
		m.armAgent(a)
	}
}

func (m *Machine) restoreCalls(records []*Call) error {
	slices.SortFunc(records, func(a, b *Call) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, r := range records {
		if m.calls.get(r.ID) != nil {
			return fmt.Errorf("queue: call %q is on record twice", r.ID)
		}
		c := m.rooms.take()
		c.take(r, m.sameOrigin(r.Switch, r.Dialed))
		if r.Tombstone {
			c.timer = newTimer(c, classCall, c.Seq)
			m.calls.put(c)
			m.ended = append(m.ended, c)
			continue
		}
		if r.State.Terminal() && m.queues[r.Queue] == nil {
			m.linkCall(c, &queueState{cfg: DefaultQueue(r.Queue)})
		} else {
			m.linkCall(c, m.queueOrGhost(r.Queue, "has calls"))
		}
		switch c.State {
		case CallWaiting, CallOffered:
			m.waiting++
			countWaiting(c, 1)
		case CallAnswered:
		default:
			m.ended = append(m.ended, c)
		}
	}
	slices.SortFunc(m.ended, func(a, b *call) int { return cmp.Or(cmp.Compare(a.EndedAt, b.EndedAt), cmp.Compare(a.Seq, b.Seq)) })
	return nil
}

func (m *Machine) restoreCallbacks(records []*callback.Callback) {
	slices.SortFunc(records, func(a, b *callback.Callback) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, r := range records {
		cb := &cbRecord{Callback: *r}
		if r.State.Open() {
			m.queueOrGhost(r.Queue, "has callbacks")
		}
		m.linkCallback(cb)
		if !r.State.Open() {
			m.endedBacks = append(m.endedBacks, cb)
			m.endedStates[cb.State]++
		}
	}
	slices.SortFunc(m.endedBacks, func(a, b *cbRecord) int { return cmp.Or(cmp.Compare(a.EndedAt, b.EndedAt), cmp.Compare(a.Seq, b.Seq)) })
}

func (m *Machine) restoreOffers(records []*OfferRecord) error {
	slices.SortFunc(records, func(a, b *OfferRecord) int { return cmp.Compare(a.Epoch, b.Epoch) })
	for _, r := range records {
		o := &offer{OfferRecord: *r, a: m.agents[r.Agent]}
		if c := m.calls.get(r.Call); r.Call != "" && c != nil {
			o.e = &c.entry
		} else if cb := m.callbacks[r.Callback]; r.Callback != "" && cb != nil {
			o.e = &cb.entry
		}
		m.offers.add(o)
		if o.Ended != "" {
			continue
		}
		if o.a == nil || o.e == nil {
			return fmt.Errorf("queue: offer %s is live but its call or agent is not on record", OfferID(o.Epoch))
		}
		o.rank, o.slot = o.e.rank(), o.e.slot
		o.e.offer, o.a.offer = o, o
		m.live[o.slot].add(o)
	}
	return nil
}

// restoreLines lines up what waits and sets every timer, in the order of rank.
func (m *Machine) restoreLines() {
	var waiting []*call
	for c := range m.calls.all() {
		if c.State.Terminal() {
			continue
		}
		waiting = append(waiting, c)
	}
	slices.SortFunc(waiting, func(a, b *call) int { return cmp.Or(cmp.Compare(a.JoinedAt, b.JoinedAt), cmp.Compare(a.Seq, b.Seq)) })
	for _, c := range waiting {
		if c.State == CallWaiting {
			if a := m.preferred(c); c.few().HeldUntil != 0 && a != nil {
				m.hold(&c.entry, a)
			} else {
				m.lineUp(&c.entry)
			}
		}
		m.armCall(c)
	}
	offers := m.offers.all()
	for _, cb := range m.callbacks {
		if !cb.State.Open() {
			continue
		}
		if cb.State == callback.StateDue || cb.State == callback.StateOffered {
			m.declinedSince(cb, offers)
		}
		if cb.State == callback.StateDue {
			m.lineUp(&cb.entry)
		}
		m.armCallback(cb)
	}
}

func (m *Machine) restoreCounts(st *State) {
	slices.SortFunc(st.Cohorts, func(a, b *Cohort) int { return cmp.Compare(a.Start, b.Start) })
	for _, r := range st.Cohorts {
		if q := m.queues[r.Queue]; q != nil && r.Tier.Valid() {
			q.tiers[r.Tier].cohorts = append(q.tiers[r.Tier].cohorts, &cohort{Cohort: *r})
		}
	}
	for _, r := range st.Totals {
		if q := m.queues[r.Queue]; q != nil && r.Tier.Valid() {
			q.tiers[r.Tier].totals = &totals{Totals: *r}
		}
	}
}

// State returns every record, for a full copy, each kind in order of its key.
// The pointers are the machine's own.
func (m *Machine) State() *State {
	st := &State{Meta: m.meta, Requests: slices.Clone(m.requestList)}
	for c := range m.calls.all() {
		st.Calls = append(st.Calls, c.record(&room{}))
	}
	slices.SortFunc(st.Calls, func(a, b *Call) int { return cmp.Compare(a.Seq, b.Seq) })
	m.agentList.Scan(func(_ string, a *agent) bool {
		st.Agents = append(st.Agents, &a.Agent)
		return true
	})
	for _, o := range m.offers.all() {
		st.Offers = append(st.Offers, &o.OfferRecord)
	}
	for _, cb := range m.callbacks {
		st.Callbacks = append(st.Callbacks, &cb.Callback)
	}
	slices.SortFunc(st.Callbacks, func(a, b *callback.Callback) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, q := range m.queueList {
		st.Queues = append(st.Queues, &q.rec)
		for i := range q.tiers {
			for _, c := range q.tiers[i].cohorts {
				st.Cohorts = append(st.Cohorts, &c.Cohort)
			}
			if t := q.tiers[i].totals; t != nil {
				st.Totals = append(st.Totals, &t.Totals)
			}
		}
	}
	for _, o := range m.owners {
		st.Owners = append(st.Owners, &o.OwnerRecord)
	}
	slices.SortFunc(st.Owners, func(a, b *OwnerRecord) int { return cmp.Compare(a.Owner, b.Owner) })
	for _, s := range m.switches {
		st.Switches = append(st.Switches, &s.SwitchRecord)
	}
	slices.SortFunc(st.Switches, func(a, b *SwitchRecord) int { return cmp.Compare(a.Switch, b.Switch) })
	return st
}
