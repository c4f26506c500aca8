package queuetest

import (
	"slices"

	"greenlane/callback"
	"greenlane/queue"
)

// Fold adds to c what later changes left: c is then what both left, for one Sync. It
// shares later's records.
func Fold(c, later *queue.Changes) {
	c.Meta = later.Meta
	c.Events = append(c.Events, later.Events...)
	fold(&c.Calls, &c.GoneCalls, later.Calls, later.GoneCalls, callKey)
	fold(&c.Agents, &c.GoneAgents, later.Agents, later.GoneAgents, agentKey)
	fold(&c.Offers, &c.GoneOffers, later.Offers, later.GoneOffers, offerKey)
	fold(&c.Callbacks, &c.GoneCallbacks, later.Callbacks, later.GoneCallbacks, callbackKey)
	fold(&c.Queues, &c.NoQueues, later.Queues, later.NoQueues, queueKey)
	fold(&c.Cohorts, &c.GoneCohorts, later.Cohorts, later.GoneCohorts, cohortKey)
	fold(&c.Totals, &c.NoTotals, later.Totals, later.NoTotals, totalsKey)
	fold(&c.Requests, &c.GoneRequests, later.Requests, later.GoneRequests, requestKey)
	fold(&c.Owners, &c.GoneOwners, later.Owners, later.GoneOwners, ownerKey)
	fold(&c.Switches, &c.GoneSwitches, later.Switches, later.GoneSwitches, switchKey)
}

// fold adds records and keys that are gone. What comes back is gone no longer.
func fold[R any, K comparable](list *[]*R, gone *[]K, later []*R, laterGone []K, key func(*R) K) {
	back := map[K]bool{}
	for _, r := range later {
		back[key(r)] = true
	}
	*gone = append(slices.DeleteFunc(*gone, func(k K) bool { return back[k] }), laterGone...)
	*list = append(*list, later...)
}

// Under returns copies of the records that a store has under the keys of touched; the
// keys under which it has none are listed as gone. It is what Sync is told to take
// commands back.
func (s *Store) Under(touched *queue.Changes) *queue.Changes {
	c := &queue.Changes{Meta: s.meta}
	c.Calls, c.GoneCalls = under(s.calls, touched.Calls, touched.GoneCalls, callKey)
	c.Agents, c.GoneAgents = under(s.agents, touched.Agents, touched.GoneAgents, agentKey)
	c.Offers, c.GoneOffers = under(s.offers, touched.Offers, touched.GoneOffers, offerKey)
	c.Callbacks, c.GoneCallbacks = under(s.callbacks, touched.Callbacks, touched.GoneCallbacks, callbackKey)
	c.Queues, c.NoQueues = under(s.queues, touched.Queues, touched.NoQueues, queueKey)
	c.Cohorts, c.GoneCohorts = under(s.cohorts, touched.Cohorts, touched.GoneCohorts, cohortKey)
	c.Totals, c.NoTotals = under(s.totals, touched.Totals, touched.NoTotals, totalsKey)
	c.Requests, c.GoneRequests = under(s.requests, touched.Requests, touched.GoneRequests, requestKey)
	c.Owners, c.GoneOwners = under(s.owners, touched.Owners, touched.GoneOwners, ownerKey)
	c.Switches, c.GoneSwitches = under(s.switches, touched.Switches, touched.GoneSwitches, switchKey)
	return CloneChanges(c)
}

func under[R any, K comparable](kept map[K]*R, touched []*R, gone []K, key func(*R) K) (there []*R, none []K) {
	seen := map[K]bool{}
	see := func(k K) {
		r := kept[k]
		switch {
		case seen[k]:
		case r == nil:
			none = append(none, k)
		default:
			there = append(there, r)
		}
		seen[k] = true
	}
	for _, r := range touched {
		see(key(r))
	}
	for _, k := range gone {
		see(k)
	}
	return there, none
}

func callKey(r *queue.Call) uint64            { return r.Seq }
func agentKey(r *queue.Agent) string          { return r.ID }
func offerKey(r *queue.OfferRecord) uint64    { return r.Epoch }
func callbackKey(r *callback.Callback) uint64 { return r.Seq }
func queueKey(r *queue.QueueRecord) string    { return r.Name }
func cohortKey(r *queue.Cohort) queue.CohortKey {
	return queue.CohortKey{Queue: r.Queue, Tier: r.Tier, Start: r.Start}
}
func totalsKey(r *queue.Totals) queue.TotalsKey { return queue.TotalsKey{Queue: r.Queue, Tier: r.Tier} }
func requestKey(r *queue.RequestRecord) uint64  { return r.Seq }
func ownerKey(r *queue.OwnerRecord) string      { return r.Owner }
func switchKey(r *queue.SwitchRecord) string    { return r.Switch }
