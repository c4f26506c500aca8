package queue

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

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
	if err := m.adopt(st, nil); err != nil {
		return nil, err
	}
	m.forgetTouched() // what was linked is on record already
	return m, nil
}

// affected is what a change of other records leaves to be linked anew.
type affected struct {
	offers    []*offer // live ones
	calls     []*call
	callbacks []*cbRecord
}

// adopt takes records over into a machine that has nothing under their keys, or
// has it unlinked, and links them and what was affected to everything else. First
// come those that others point to, then the lines and timers, which look at all.
func (m *Machine) adopt(st *State, more *affected) error {
	if more == nil {
		more = &affected{}
	}
	m.meta = st.Meta
	m.now = st.Meta.Now
	ghosts := m.makeGhosts(st)
	m.adoptQueues(st.Queues)
	m.adoptAgents(st.Agents)
	for _, q := range ghosts {
		m.serveAgain(q)
	}
	m.adoptOwners(st)
	if err := m.adoptCalls(st.Calls, more); err != nil {
		return err
	}
	m.adoptCallbacks(st.Callbacks, more)
	if err := m.adoptOffers(st.Offers, more); err != nil {
		return err
	}
	m.standCalls(more.calls)
	m.standCallbacks(more.callbacks)
	m.adoptCounts(st)
	m.adoptRequests(st.Requests)
	m.layGhosts()
	return nil
}

func (m *Machine) warn(format string, args ...any) {
	m.warnings = append(m.warnings, fmt.Sprintf(format, args...))
}

func (m *Machine) adoptQueues(records []*QueueRecord) {
	for _, r := range records {
		q := m.knownQueue(r.Name)
		if m.queues[r.Name] != nil || *r != newQueueRecord(&q.cfg) {
			q.rec = *r
		}
	}
}

func (m *Machine) adoptAgents(records []*Agent) {
	slices.SortFunc(records, func(a, b *Agent) int { return cmp.Compare(a.Ord, b.Ord) })
	for _, r := range records {
		a := m.agents[r.ID]
		if a == nil {
			a = &agent{}
			m.agents[r.ID] = a
			m.agentList.Set(r.ID, a)
		}
		m.apart = m.apart || a.Agent.Call != "" && r.Call != a.Agent.Call && r.State == AgentSignedOut
		*a = agent{Agent: *r, held: a.held}
		a.timer = newTimer(a, classAgent, a.Ord)
		m.countAgent(a, 1)
		for _, s := range a.Services {
			if m.queues[s.Queue] == nil {
				m.warn("agent %q serves queue %q, which is not configured any more", a.ID, s.Queue)
			}
		}
		m.setServices(a, a.Services)
		if a.State.Working() {
			a.countWorking(1)
		}
		m.setIdle(a, a.State == AgentReady && a.Presence != Absent)
		m.armAgent(a)
	}
}

func (m *Machine) adoptOwners(st *State) {
	for _, r := range st.Owners {
		o := &owner{OwnerRecord: *r}
		o.timer = newTimer(o, classOwner, o.Ord)
		m.owners[o.Owner] = o
		m.timers.arm(&o.timer, o.Until, nil)
	}
	for _, r := range st.Switches {
		m.switches[r.Switch] = &switchState{SwitchRecord: *r}
	}
}

func (m *Machine) adoptCalls(records []*Call, more *affected) error {
	slices.SortFunc(records, func(a, b *Call) int { return cmp.Compare(a.Seq, b.Seq) })
	var ended []*call
	for _, r := range records {
		c := m.bySeq[r.Seq]
		if c != nil { // it can be found already
			caller := c.Caller
			c.clear()
			m.adoptCall(c, r)
			if c.Caller != caller {
				m.linkCaller(c)
			}
		} else {
			if m.calls.get(r.ID) != nil {
				return fmt.Errorf("queue: call %q is on record twice", r.ID)
			}
			c = m.rooms.take()
			m.adoptCall(c, r)
			m.keepCall(c)
		}
		if c.State.Terminal() {
			ended = append(ended, c)
		} else {
			more.calls = append(more.calls, c)
		}
	}
	slices.SortFunc(ended, func(a, b *call) int { return cmp.Or(cmp.Compare(a.EndedAt, b.EndedAt), cmp.Compare(a.Seq, b.Seq)) })
	for _, c := range ended {
		m.ended.put(c)
	}
	return nil
}

// adoptCall fills an empty call, and counts it where it waits.
func (m *Machine) adoptCall(c *call, r *Call) {
	c.take(r, m.sameOrigin(r.Switch, r.Dialed))
	if c.State.Terminal() { // without the links that keepEnded drops
		c.timer = newTimer(nil, classCall, c.Seq)
		if !c.Tombstone {
			c.q = m.knownQueue(r.Queue)
		}
		return
	}
	c.entry = entry{q: m.queues[r.Queue], call: c, slot: slotOf(c.Tier)}
	c.timer = newTimer(c, classCall, c.Seq)
	c.q.open++
	if c.State != CallAnswered {
		m.waiting++
		countWaiting(c, 1)
	} else if a := m.agents[c.Agent]; a == nil || a.Agent.Call != c.ID {
		m.apart = true
	}
}

func (m *Machine) adoptCallbacks(records []*callback.Callback, more *affected) {
	slices.SortFunc(records, func(a, b *callback.Callback) int { return cmp.Compare(a.Seq, b.Seq) })
	var ended []*cbRecord
	for _, r := range records {
		cb := m.callbacks[r.ID]
		if cb == nil {
			cb = &cbRecord{}
		}
		*cb = cbRecord{Callback: *r}
		m.linkCallback(cb)
		if r.State.Open() {
			more.callbacks = append(more.callbacks, cb)
		} else {
			ended = append(ended, cb)
		}
	}
	slices.SortFunc(ended, func(a, b *cbRecord) int { return cmp.Or(cmp.Compare(a.EndedAt, b.EndedAt), cmp.Compare(a.Seq, b.Seq)) })
	for _, cb := range ended {
		m.keepEndedCallback(cb)
	}
}

func (m *Machine) adoptOffers(records []*OfferRecord, more *affected) error {
	slices.SortFunc(records, func(a, b *OfferRecord) int { return cmp.Compare(a.Epoch, b.Epoch) })
	for _, r := range records {
		o := m.offers.get(r.Epoch)
		if o == nil {
			o = &offer{}
		}
		*o = offer{OfferRecord: *r}
		m.offers.restore(o)
		if r.Callback != "" {
			m.offers.addCallback(o)
			if cb := m.callbacks[r.Callback]; cb != nil {
				more.callbacks = append(more.callbacks, cb) // who declined it
			}
		}
		if o.Ended == "" {
			more.offers = append(more.offers, o)
		}
	}
	for _, o := range more.offers {
		if m.offers.get(o.Epoch) != o || o.Ended != "" || o.linked() {
			continue
		}
		if !m.linkOffer(o) {
			return fmt.Errorf("queue: offer %s is live but its call or agent is not on record", OfferID(o.Epoch))
		}
	}
	return nil
}

// linkOffer ties a live offer to its agent and to what he is offered. It reports
// whether both are there and free for it.
func (m *Machine) linkOffer(o *offer) bool {
	a, e := m.agents[o.Agent], (*entry)(nil)
	if c := m.calls.get(o.OfferRecord.Call); o.OfferRecord.Call != "" && c != nil {
		e = &c.entry
	} else if cb := m.callbacks[o.OfferRecord.Callback]; o.OfferRecord.Callback != "" && cb != nil {
		e = &cb.entry
	}
	if a == nil || e == nil || a.offer != nil || e.offer != nil || e.call == nil && e.cb == nil {
		return false
	}
	o.a, o.e, o.rank, o.slot = a, e, e.rank(), e.slot
	e.offer, a.offer = o, o
	m.live[o.slot].add(o)
	return true
}

// linked reports whether a live offer is tied to its agent and call or callback.
func (o *offer) linked() bool { return o.e != nil && o.e.offer == o }

// standCalls puts calls that wait into their lines and sets every timer, in the
// order of rank.
func (m *Machine) standCalls(calls []*call) {
	slices.SortFunc(calls, func(a, b *call) int { return cmp.Or(cmp.Compare(a.JoinedAt, b.JoinedAt), cmp.Compare(a.Seq, b.Seq)) })
	for _, c := range calls {
		if c.State.Terminal() {
			continue
		}
		m.lineOut(&c.entry)
		if c.State == CallWaiting {
			if a := m.preferred(c); c.few().HeldUntil != 0 && a != nil {
				m.hold(&c.entry, a)
			} else {
				m.lineUp(&c.entry)
			}
		}
		m.armCall(c)
	}
}

// standCallbacks does the same for open callbacks.
func (m *Machine) standCallbacks(callbacks []*cbRecord) {
	slices.SortFunc(callbacks, func(a, b *cbRecord) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, cb := range slices.Compact(callbacks) {
		if !cb.State.Open() {
			continue
		}
		m.lineOut(&cb.entry)
		m.declinedSince(cb)
		if cb.State == callback.StateDue {
			m.lineUp(&cb.entry)
		}
		m.armCallback(cb)
	}
}

func (m *Machine) adoptCounts(st *State) {
	slices.SortFunc(st.Cohorts, func(a, b *Cohort) int { return cmp.Compare(a.Start, b.Start) })
	for _, r := range st.Cohorts {
		if r.Tier.Valid() {
			ts := &m.knownQueue(r.Queue).tiers[r.Tier]
			i, _ := ts.cohortAt(r.Start)
			ts.cohorts = slices.Insert(ts.cohorts, i, &cohort{Cohort: *r})
		}
	}
	for _, r := range st.Totals {
		if r.Tier.Valid() {
			m.knownQueue(r.Queue).tiers[r.Tier].totals = &totals{Totals: *r}
		}
	}
}

func (m *Machine) adoptRequests(records []*RequestRecord) {
	slices.SortFunc(records, func(a, b *RequestRecord) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, r := range records {
		m.requests[requestKey{r.Kind, r.ID}] = r
		m.requestList.put(r)
	}
}

// State returns every record, for a full copy, each kind in order of its key.
// The pointers are the machine's own.
func (m *Machine) State() *State {
	st := &State{Meta: m.meta, Requests: slices.Clone(m.requestList.all())}
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
	past := slices.SortedFunc(maps.Values(m.pastQueues), func(a, b *queueState) int { return strings.Compare(a.cfg.Name, b.cfg.Name) })
	for _, q := range slices.Concat(m.queueList, past) {
		if q.rec.Name != "" {
			st.Queues = append(st.Queues, &q.rec)
		}
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
