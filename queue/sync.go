package queue

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"greenlane/callback"
)

// Sync makes the machine what somebody else's commits left. Each record of ch takes
// the place of the one under its key, or is added; of several under one key the last
// counts. Those listed as gone are forgotten if they are there, also when ch has a
// record of them. ch.Meta takes the place of the counters, and time may run back by
// it. ch.Events is not looked at. Afterwards the machine behaves exactly as
// RestoreMachine(site, its State()) would. It takes the records over, and leaves the
// lists of ch in another order.
//
// So a machine follows others, commit by commit or with the last record of each key
// from some of them. It also takes its own commands back when others were faster: ch
// then has, all in one, what those left and under every key that its own commands
// touched the record that is there by now, or the key as gone.
//
// What was changed since TakeChanges must have been taken: an error says that it was
// not, and nothing has happened. Any other error says that the records contradict
// each other: a live offer has no call or agent, or a call is there twice. Such a
// machine must not be used any more; RestoreMachine tells whether all the records
// are any better.
//
// It costs what the records of ch cost, whatever the site holds; but the first Sync
// goes through all calls once, to find them by their sequence from then on.
func (m *Machine) Sync(ch *Changes) error {
	if !m.changes.Empty() || !m.touched.empty() {
		return errors.New("queue: changes were not taken before Sync")
	}
	m.followBySeq()
	st := ch.lasting()
	var more affected
	m.unlinkOffers(ch, &more)
	m.unlinkAgents(ch, &more)
	m.unlinkCalls(ch, &more)
	m.unlinkCallbacks(ch, &more)
	m.unlinkOthers(ch)
	more.calls = slices.DeleteFunc(more.calls, func(c *call) bool { return m.bySeq[c.Seq] != c })
	more.callbacks = slices.DeleteFunc(more.callbacks, func(cb *cbRecord) bool { return m.callbacks[cb.ID] != cb })
	warnings := len(m.warnings) // they tell of the start
	err := m.adopt(st, &more)
	m.warnings = m.warnings[:warnings]
	m.forgetTouched()
	return err
}

// followBySeq makes calls findable by their sequence. A machine that nobody syncs
// does without: it saves the memory.
func (m *Machine) followBySeq() {
	if m.bySeq != nil {
		return
	}
	m.bySeq = map[uint64]*call{}
	for c := range m.calls.all() {
		m.bySeq[c.Seq] = c
	}
}

// lasting returns the last record of each key that is not listed as gone.
func (c *Changes) lasting() *State {
	c.Calls = lastOnes(c.Calls, c.GoneCalls, callKey, cmp.Compare)
	c.Agents = lastOnes(c.Agents, c.GoneAgents, agentKey, strings.Compare)
	c.Offers = lastOnes(c.Offers, c.GoneOffers, offerKey, cmp.Compare)
	c.Callbacks = lastOnes(c.Callbacks, c.GoneCallbacks, callbackSeq, cmp.Compare)
	c.Queues = lastOnes(c.Queues, c.NoQueues, queueKey, strings.Compare)
	c.Cohorts = lastOnes(c.Cohorts, c.GoneCohorts, cohortKey, CohortKey.compare)
	c.Totals = lastOnes(c.Totals, c.NoTotals, totalsKey, TotalsKey.compare)
	c.Requests = lastOnes(c.Requests, c.GoneRequests, requestSeq, cmp.Compare)
	c.Owners = lastOnes(c.Owners, c.GoneOwners, ownerKey, strings.Compare)
	c.Switches = lastOnes(c.Switches, c.GoneSwitches, switchKey, strings.Compare)
	return &State{
		Meta: c.Meta, Calls: c.Calls, Agents: c.Agents, Offers: c.Offers, Callbacks: c.Callbacks, Queues: c.Queues,
		Cohorts: c.Cohorts, Totals: c.Totals, Requests: c.Requests, Owners: c.Owners, Switches: c.Switches,
	}
}

// lastOnes orders records by their keys and drops those that are gone or that a
// later one of the same key replaces.
func lastOnes[R any, K comparable](list []*R, gone []K, key func(*R) K, compare func(a, b K) int) []*R {
	slices.SortStableFunc(list, func(a, b *R) int { return compare(key(a), key(b)) })
	slices.SortFunc(gone, compare)
	kept := list[:0]
	for i, r := range list {
		k := key(r)
		if i+1 < len(list) && key(list[i+1]) == k {
			continue
		}
		if _, is := slices.BinarySearchFunc(gone, k, compare); !is {
			kept = append(kept, r)
		}
	}
	clear(list[len(kept):])
	return kept
}

// unlinkOffers takes live offers that are gone or new from their agents and calls.
func (m *Machine) unlinkOffers(ch *Changes, more *affected) {
	for _, epoch := range ch.GoneOffers {
		if o := m.offers.get(epoch); o != nil {
			m.unlinkOffer(o, more)
			m.offers.dropCallback(o)
			m.offers.remove(o)
		}
	}
	for _, r := range ch.Offers {
		if o := m.offers.get(r.Epoch); o != nil {
			m.unlinkOffer(o, more)
			m.offers.dropCallback(o)
		}
	}
}

// unlinkOffer unties an offer. Also one that is over counts: it may tell who
// declined a callback.
func (m *Machine) unlinkOffer(o *offer, more *affected) {
	if cb := m.callbacks[o.OfferRecord.Callback]; cb != nil {
		more.callbacks = append(more.callbacks, cb)
	}
	if o.Ended != "" || !o.linked() {
		return // what is over points to anything
	}
	m.live[o.slot].remove(o)
	if c := o.e.call; c != nil {
		more.calls = append(more.calls, c)
	}
	o.e.offer, o.a.offer = nil, nil
	o.e, o.a = nil, nil
}

// untie unlinks the live offer of an agent, call or callback, nil if there is none,
// to be linked again.
func (m *Machine) untie(o *offer, more *affected) {
	if o != nil {
		m.unlinkOffer(o, more)
		more.offers = append(more.offers, o)
	}
}

func (m *Machine) unlinkAgents(ch *Changes, more *affected) {
	for _, id := range ch.GoneAgents {
		a := m.agents[id]
		if a == nil {
			continue
		}
		m.unlinkAgent(a, more)
		m.apart = m.apart || a.Agent.Call != ""
		delete(m.agents, id)
		m.agentList.Delete(id)
		if a.held != nil {
			a.held.Scan(func(e *entry) bool {
				more.calls = append(more.calls, e.call)
				return true
			})
		}
	}
	for _, r := range ch.Agents {
		if a := m.agents[r.ID]; a != nil {
			m.unlinkAgent(a, more)
		}
	}
}

// unlinkAgent takes an agent out of all that counts or lists agents.
func (m *Machine) unlinkAgent(a *agent, more *affected) {
	m.untie(a.offer, more)
	m.setIdle(a, false)
	if a.State.Working() {
		a.countWorking(-1)
	}
	m.countAgent(a, -1)
	a.members = nil
	m.timers.disarm(&a.timer)
}

func (m *Machine) unlinkCalls(ch *Changes, more *affected) {
	for _, seq := range ch.GoneCalls {
		if c := m.bySeq[seq]; c != nil {
			m.unlinkCall(c, more)
			m.ended.remove(c)
			m.forgetCall(c)
			m.rooms.give(c)
		}
	}
	for _, r := range ch.Calls {
		c := m.bySeq[r.Seq]
		if c == nil {
			continue
		}
		m.unlinkCall(c, more)
		if !r.State.Terminal() || r.EndedAt != c.EndedAt {
			m.ended.remove(c)
		}
		switch {
		case c.ID != r.ID:
			m.ended.remove(c)
			m.forgetCall(c)
			m.rooms.give(c)
		case c.Caller != r.Caller:
			m.unlinkCaller(c)
			c.Caller = ""
		}
	}
}

// unlinkCall takes a call out of all but the indexes and the list of those that have
// ended.
func (m *Machine) unlinkCall(c *call, more *affected) {
	m.untie(c.offer, more)
	m.lineOut(&c.entry)
	if a := m.agents[c.Agent]; a != nil && a.talk == c {
		a.talk = nil
	}
	m.timers.disarm(&c.timer)
	if c.State.Terminal() {
		return
	}
	c.q.open--
	if c.State != CallAnswered {
		m.waiting--
		countWaiting(c, -1)
	}
}

func (m *Machine) unlinkCallbacks(ch *Changes, more *affected) {
	for _, seq := range ch.GoneCallbacks {
		if cb := m.callbacks[CallbackID(seq)]; cb != nil {
			m.unlinkCallback(cb, more)
			delete(m.callbacks, cb.ID)
		}
	}
	for _, r := range ch.Callbacks {
		if cb := m.callbacks[r.ID]; cb != nil {
			m.unlinkCallback(cb, more)
		}
	}
}

func (m *Machine) unlinkCallback(cb *cbRecord, more *affected) {
	m.untie(cb.offer, more)
	m.lineOut(&cb.entry)
	if cb.State.Open() {
		cb.q.open--
		if key := (callbackKey{cb.Caller, cb.Queue}); m.openCallbacks[key] == cb {
			delete(m.openCallbacks, key)
		}
	} else {
		m.endedBacks.remove(cb)
		m.endedStates[cb.State]--
	}
	m.timers.disarm(&cb.timer)
}

// unlinkOthers takes out the records that no other points to.
func (m *Machine) unlinkOthers(ch *Changes) {
	for _, name := range ch.NoQueues {
		q := m.knownQueue(name)
		q.rec = QueueRecord{}
		if m.queues[name] == q {
			q.rec = newQueueRecord(&q.cfg)
		}
	}
	for _, k := range ch.GoneCohorts {
		m.unlinkCohort(k)
	}
	for _, r := range ch.Cohorts {
		m.unlinkCohort(cohortKey(r))
	}
	for _, k := range ch.NoTotals {
		if k.Tier.Valid() {
			m.knownQueue(k.Queue).tiers[k.Tier].totals = nil
		}
	}
	for _, seq := range ch.GoneRequests {
		r := &RequestRecord{Seq: seq}
		m.unlinkRequest(r)
		m.requestList.remove(r)
	}
	for _, r := range ch.Requests {
		m.unlinkRequest(r)
	}
	for _, id := range ch.GoneOwners {
		m.unlinkOwner(id)
	}
	for _, r := range ch.Owners {
		m.unlinkOwner(r.Owner)
	}
	for _, id := range ch.GoneSwitches {
		delete(m.switches, id)
	}
}

func (m *Machine) unlinkCohort(k CohortKey) {
	if !k.Tier.Valid() {
		return
	}
	ts := &m.knownQueue(k.Queue).tiers[k.Tier]
	if i, found := ts.cohortAt(k.Start); found {
		ts.cohorts = slices.Delete(ts.cohorts, i, i+1)
	}
}

// unlinkRequest takes the answer with the sequence number of r out of all but the
// list.
func (m *Machine) unlinkRequest(r *RequestRecord) {
	if i, found := m.requestList.find(r); found {
		known := m.requestList.all()[i]
		if key := (requestKey{known.Kind, known.ID}); m.requests[key] == known {
			delete(m.requests, key)
		}
	}
}

func (m *Machine) unlinkOwner(id string) {
	if o := m.owners[id]; o != nil {
		m.timers.disarm(&o.timer)
		delete(m.owners, id)
	}
}

func callKey(r *Call) uint64                  { return r.Seq }
func agentKey(r *Agent) string                { return r.ID }
func offerKey(r *OfferRecord) uint64          { return r.Epoch }
func callbackSeq(r *callback.Callback) uint64 { return r.Seq }
func queueKey(r *QueueRecord) string          { return r.Name }
func cohortKey(r *Cohort) CohortKey           { return CohortKey{r.Queue, r.Tier, r.Start} }
func totalsKey(r *Totals) TotalsKey           { return TotalsKey{r.Queue, r.Tier} }
func requestSeq(r *RequestRecord) uint64      { return r.Seq }
func ownerKey(r *OwnerRecord) string          { return r.Owner }
func switchKey(r *SwitchRecord) string        { return r.Switch }

func (k CohortKey) compare(o CohortKey) int {
	return cmp.Or(strings.Compare(k.Queue, o.Queue), cmp.Compare(k.Tier, o.Tier), cmp.Compare(k.Start, o.Start))
}

func (k TotalsKey) compare(o TotalsKey) int {
	return cmp.Or(strings.Compare(k.Queue, o.Queue), cmp.Compare(k.Tier, o.Tier))
}
