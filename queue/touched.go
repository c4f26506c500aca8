package queue

import (
	"slices"

	"greenlane/callback"
)

// touched collects the records that changed since TakeChanges, each once.
type touched struct {
	calls     []*call
	agents    []*agent
	offers    []*offer
	callbacks []*cbRecord
	queues    []*queueState
	cohorts   []*cohort
	totals    []*totals
	owners    []*owner
	switches  []*switchState
}

func (m *Machine) touchCall(c *call) {
	if !c.dirty {
		c.dirty = true
		m.touched.calls = append(m.touched.calls, c)
	}
}

func (m *Machine) touchAgent(a *agent) {
	if !a.dirty {
		a.dirty = true
		m.touched.agents = append(m.touched.agents, a)
	}
}

func (m *Machine) touchOffer(o *offer) {
	if !o.dirty {
		o.dirty = true
		m.touched.offers = append(m.touched.offers, o)
	}
}

func (m *Machine) touchCallback(c *cbRecord) {
	if !c.dirty {
		c.dirty = true
		m.touched.callbacks = append(m.touched.callbacks, c)
	}
}

func (m *Machine) touchQueue(q *queueState) {
	if !q.dirty {
		q.dirty = true
		m.touched.queues = append(m.touched.queues, q)
	}
}

func (m *Machine) touchOwner(o *owner) {
	if !o.dirty {
		o.dirty = true
		m.touched.owners = append(m.touched.owners, o)
	}
}

func (m *Machine) touchSwitch(s *switchState) {
	if !s.dirty {
		s.dirty = true
		m.touched.switches = append(m.touched.switches, s)
	}
}

// notGone takes a key that is made anew out of the list of those kept no longer.
func notGone[K comparable](gone []K, key K) []K {
	if len(gone) == 0 {
		return gone
	}
	return slices.DeleteFunc(gone, func(k K) bool { return k == key })
}

// TouchedAgents visits, before TakeChanges, every agent that changed since the
// last of it, or whose live offer did, with that offer; nil is none. What it is
// given is good until the next Apply.
func (m *Machine) TouchedAgents(visit func(*Agent, *Offer)) {
	for _, a := range m.touched.agents {
		visit(&a.Agent, a.liveOffer(&m.shown))
	}
	also := func(e *entry) {
		if e.offer != nil && !e.offer.a.dirty {
			visit(&e.offer.a.Agent, e.offer.a.liveOffer(&m.shown))
		}
	}
	for _, c := range m.touched.calls {
		also(&c.entry)
	}
	for _, cb := range m.touched.callbacks {
		also(&cb.entry)
	}
}

// TakeChanges returns what was touched since the last call of it. The value
// and its pointers are good until the next Apply; its slices are used again by
// the TakeChanges after the next. A record that is gone may be listed as
// touched as well: apply what is gone last.
func (m *Machine) TakeChanges() *Changes {
	out, t := m.changes, &m.touched
	out.Meta = m.meta
	out.Calls, t.calls = take(out.Calls, t.calls, func(c *call) *Call { c.dirty = false; return c.record(&out.room) })
	out.Agents, t.agents = take(out.Agents, t.agents, func(a *agent) *Agent { a.dirty = false; return &a.Agent })
	out.Offers, t.offers = take(out.Offers, t.offers, func(o *offer) *OfferRecord { o.dirty = false; return &o.OfferRecord })
	out.Callbacks, t.callbacks = take(out.Callbacks, t.callbacks, func(c *cbRecord) *callback.Callback { c.dirty = false; return &c.Callback })
	out.Queues, t.queues = take(out.Queues, t.queues, func(q *queueState) *QueueRecord { q.dirty = false; return &q.rec })
	out.Cohorts, t.cohorts = take(out.Cohorts, t.cohorts, func(c *cohort) *Cohort { c.dirty = false; return &c.Cohort })
	out.Totals, t.totals = take(out.Totals, t.totals, func(c *totals) *Totals { c.dirty = false; return &c.Totals })
	out.Owners, t.owners = take(out.Owners, t.owners, func(o *owner) *OwnerRecord { o.dirty = false; return &o.OwnerRecord })
	out.Switches, t.switches = take(out.Switches, t.switches, func(s *switchState) *SwitchRecord { s.dirty = false; return &s.SwitchRecord })
	m.rooms.giveLater()
	m.changes, m.spare = m.spare, out
	m.changes.reset()
	return out
}

// empty reports whether nothing was touched.
func (t *touched) empty() bool {
	return len(t.calls) == 0 && len(t.agents) == 0 && len(t.offers) == 0 && len(t.callbacks) == 0 && len(t.queues) == 0 &&
		len(t.cohorts) == 0 && len(t.totals) == 0 && len(t.owners) == 0 && len(t.switches) == 0
}

// forgetTouched lets what was linked from records count as untouched. Only calls,
// agents and callbacks are touched by that. It leaves the changes taken before as
// they are.
func (m *Machine) forgetTouched() {
	t := &m.touched
	for _, c := range t.calls {
		c.dirty = false
	}
	for _, a := range t.agents {
		a.dirty = false
	}
	for _, cb := range t.callbacks {
		cb.dirty = false
	}
	t.calls, t.agents, t.callbacks = reset(t.calls), reset(t.agents), reset(t.callbacks)
}

// take appends the record of each touched one to out and empties the list.
func take[T, R any](out []*R, list []T, record func(T) *R) ([]*R, []T) {
	if len(list) == 0 {
		return out, list
	}
	for _, x := range list {
		out = append(out, record(x))
	}
	return out, reset(list)
}

// keepCapacity is how large an emptied list may be to be used again; what a
// burst needed is given back.
const keepCapacity = 1 << 14

func reset[T any](list []T) []T {
	if len(list) == 0 {
		return list
	}
	if cap(list) > keepCapacity {
		return nil
	}
	clear(list)
	return list[:0]
}

func (c *Changes) reset() {
	c.Erased = false
	c.room.reset()
	c.Calls, c.Agents, c.Offers, c.Callbacks = reset(c.Calls), reset(c.Agents), reset(c.Offers), reset(c.Callbacks)
	c.Queues, c.Cohorts, c.Totals = reset(c.Queues), reset(c.Cohorts), reset(c.Totals)
	c.Requests, c.Owners, c.Switches = reset(c.Requests), reset(c.Owners), reset(c.Switches)
	if c.Events = c.Events[:0]; cap(c.Events) > keepCapacity {
		c.Events = nil
	}
	c.GoneCalls, c.GoneAgents, c.GoneOffers = reset(c.GoneCalls), reset(c.GoneAgents), reset(c.GoneOffers)
	c.GoneCallbacks, c.GoneCohorts, c.GoneRequests = reset(c.GoneCallbacks), reset(c.GoneCohorts), reset(c.GoneRequests)
	c.GoneOwners, c.GoneSwitches = reset(c.GoneOwners), reset(c.GoneSwitches)
	c.NoTotals, c.NoQueues = reset(c.NoTotals), reset(c.NoQueues)
}
