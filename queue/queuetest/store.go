package queuetest

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"greenlane/callback"
	"greenlane/queue"
)

// Store keeps records as an engine's store does: it sees what TakeChanges says
// was touched or is gone, and nothing else. If the machine forgets to say
// something, the store differs from the machine's own State, and a restart from
// it goes another way.
type Store struct {
	meta      queue.Meta
	calls     map[uint64]*queue.Call
	agents    map[string]*queue.Agent
	offers    map[uint64]*queue.OfferRecord
	callbacks map[uint64]*callback.Callback
	queues    map[string]*queue.QueueRecord
	cohorts   map[queue.CohortKey]*queue.Cohort
	totals    map[queue.TotalsKey]*queue.Totals
	requests  map[uint64]*queue.RequestRecord
	owners    map[string]*queue.OwnerRecord
	switches  map[string]*queue.SwitchRecord
}

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{
		calls: map[uint64]*queue.Call{}, agents: map[string]*queue.Agent{}, offers: map[uint64]*queue.OfferRecord{},
		callbacks: map[uint64]*callback.Callback{}, queues: map[string]*queue.QueueRecord{},
		cohorts: map[queue.CohortKey]*queue.Cohort{}, totals: map[queue.TotalsKey]*queue.Totals{},
		requests: map[uint64]*queue.RequestRecord{}, owners: map[string]*queue.OwnerRecord{}, switches: map[string]*queue.SwitchRecord{},
	}
}

// Apply writes copies of what was touched, then drops what is gone.
func (s *Store) Apply(c *queue.Changes) {
	s.meta = c.Meta
	for _, r := range c.Calls {
		s.calls[r.Seq] = r.Clone()
	}
	for _, r := range c.Agents {
		s.agents[r.ID] = r.Clone()
	}
	for _, r := range c.Requests {
		copied := *r
		copied.Result = r.Result.Clone()
		s.requests[r.Seq] = &copied
	}
	put(s.offers, c.Offers, offerKey)
	put(s.callbacks, c.Callbacks, callbackKey)
	put(s.queues, c.Queues, queueKey)
	put(s.cohorts, c.Cohorts, cohortKey)
	put(s.totals, c.Totals, totalsKey)
	put(s.owners, c.Owners, ownerKey)
	put(s.switches, c.Switches, switchKey)

	drop(s.calls, c.GoneCalls)
	drop(s.agents, c.GoneAgents)
	drop(s.offers, c.GoneOffers)
	drop(s.callbacks, c.GoneCallbacks)
	drop(s.cohorts, c.GoneCohorts)
	drop(s.requests, c.GoneRequests)
	drop(s.owners, c.GoneOwners)
	drop(s.switches, c.GoneSwitches)
}

func put[K comparable, T any](kept map[K]*T, touched []*T, key func(*T) K) {
	for _, r := range touched {
		copied := *r
		kept[key(r)] = &copied
	}
}

func drop[K comparable, T any](kept map[K]*T, gone []K) {
	for _, k := range gone {
		delete(kept, k)
	}
}

// State returns copies of all records, for RestoreMachine.
func (s *Store) State() *queue.State {
	return CloneState(&queue.State{
		Meta: s.meta, Calls: sorted(s.calls, func(a, b *queue.Call) int { return cmp.Compare(a.Seq, b.Seq) }),
		Agents:    sorted(s.agents, func(a, b *queue.Agent) int { return strings.Compare(a.ID, b.ID) }),
		Offers:    sorted(s.offers, func(a, b *queue.OfferRecord) int { return cmp.Compare(a.Epoch, b.Epoch) }),
		Callbacks: sorted(s.callbacks, func(a, b *callback.Callback) int { return cmp.Compare(a.Seq, b.Seq) }),
		Queues:    sorted(s.queues, func(a, b *queue.QueueRecord) int { return strings.Compare(a.Name, b.Name) }),
		Requests:  sorted(s.requests, func(a, b *queue.RequestRecord) int { return cmp.Compare(a.Seq, b.Seq) }),
		Owners:    sorted(s.owners, func(a, b *queue.OwnerRecord) int { return strings.Compare(a.Owner, b.Owner) }),
		Switches:  sorted(s.switches, func(a, b *queue.SwitchRecord) int { return strings.Compare(a.Switch, b.Switch) }),
		Cohorts:   sorted(s.cohorts, nil),
		Totals:    sorted(s.totals, nil),
	})
}

func sorted[K comparable, T any](kept map[K]*T, order func(a, b *T) int) []*T {
	list := slices.Collect(maps.Values(kept))
	if order != nil {
		slices.SortFunc(list, order)
	}
	return list
}
