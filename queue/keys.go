package queue

import (
	"cmp"
	"slices"
	"strings"
)

// Keys names records, each kind by the key it is stored under.
type Keys struct {
	Calls     []uint64 // by Seq
	Agents    []string
	Offers    []uint64 // by Epoch
	Callbacks []uint64 // by Seq
	Queues    []string
	Cohorts   []CohortKey
	Totals    []TotalsKey
	Requests  []uint64 // by Seq
	Owners    []string
	Switches  []string
}

// Add adds the key of every record that ch has or lists as gone: what is to be told
// to Sync when the commands that made ch are taken back. Each key is there once, in
// order.
func (k *Keys) Add(ch *Changes) {
	k.Calls = addKeys(k.Calls, ch.Calls, ch.GoneCalls, callKey, cmp.Compare)
	k.Agents = addKeys(k.Agents, ch.Agents, ch.GoneAgents, agentKey, strings.Compare)
	k.Offers = addKeys(k.Offers, ch.Offers, ch.GoneOffers, offerKey, cmp.Compare)
	k.Callbacks = addKeys(k.Callbacks, ch.Callbacks, ch.GoneCallbacks, callbackSeq, cmp.Compare)
	k.Queues = addKeys(k.Queues, ch.Queues, ch.NoQueues, queueKey, strings.Compare)
	k.Cohorts = addKeys(k.Cohorts, ch.Cohorts, ch.GoneCohorts, cohortKey, CohortKey.compare)
	k.Totals = addKeys(k.Totals, ch.Totals, ch.NoTotals, totalsKey, TotalsKey.compare)
	k.Requests = addKeys(k.Requests, ch.Requests, ch.GoneRequests, requestSeq, cmp.Compare)
	k.Owners = addKeys(k.Owners, ch.Owners, ch.GoneOwners, ownerKey, strings.Compare)
	k.Switches = addKeys(k.Switches, ch.Switches, ch.GoneSwitches, switchKey, strings.Compare)
}

func addKeys[R any, K comparable](keys []K, list []*R, gone []K, key func(*R) K, compare func(a, b K) int) []K {
	for _, r := range list {
		keys = append(keys, key(r))
	}
	keys = append(keys, gone...)
	slices.SortFunc(keys, compare)
	return slices.Compact(keys)
}

// Lack lists as gone every key of k under which c has no record. An engine that
// takes commands back puts into c what it finds under their keys, and lets this tell
// of the rest.
func (c *Changes) Lack(k *Keys) {
	c.GoneCalls = lacking(c.GoneCalls, k.Calls, c.Calls, callKey)
	c.GoneAgents = lacking(c.GoneAgents, k.Agents, c.Agents, agentKey)
	c.GoneOffers = lacking(c.GoneOffers, k.Offers, c.Offers, offerKey)
	c.GoneCallbacks = lacking(c.GoneCallbacks, k.Callbacks, c.Callbacks, callbackSeq)
	c.NoQueues = lacking(c.NoQueues, k.Queues, c.Queues, queueKey)
	c.GoneCohorts = lacking(c.GoneCohorts, k.Cohorts, c.Cohorts, cohortKey)
	c.NoTotals = lacking(c.NoTotals, k.Totals, c.Totals, totalsKey)
	c.GoneRequests = lacking(c.GoneRequests, k.Requests, c.Requests, requestSeq)
	c.GoneOwners = lacking(c.GoneOwners, k.Owners, c.Owners, ownerKey)
	c.GoneSwitches = lacking(c.GoneSwitches, k.Switches, c.Switches, switchKey)
}

func lacking[R any, K comparable](gone, keys []K, list []*R, key func(*R) K) []K {
	if len(keys) == 0 {
		return gone
	}
	there := keysOf(list, key)
	for _, k := range keys {
		if _, is := there[k]; !is {
			gone = append(gone, k)
		}
	}
	return gone
}

func keysOf[R any, K comparable](list []*R, key func(*R) K) map[K]struct{} {
	there := make(map[K]struct{}, len(list))
	for _, r := range list {
		there[key(r)] = struct{}{}
	}
	return there
}

// Fold adds what later commits left: c is then what both left, for one Sync. It
// shares later's records.
func (c *Changes) Fold(later *Changes) {
	c.Meta = later.Meta
	c.Events = append(c.Events, later.Events...)
	c.Calls, c.GoneCalls = fold(c.Calls, c.GoneCalls, later.Calls, later.GoneCalls, callKey)
	c.Agents, c.GoneAgents = fold(c.Agents, c.GoneAgents, later.Agents, later.GoneAgents, agentKey)
	c.Offers, c.GoneOffers = fold(c.Offers, c.GoneOffers, later.Offers, later.GoneOffers, offerKey)
	c.Callbacks, c.GoneCallbacks = fold(c.Callbacks, c.GoneCallbacks, later.Callbacks, later.GoneCallbacks, callbackSeq)
	c.Queues, c.NoQueues = fold(c.Queues, c.NoQueues, later.Queues, later.NoQueues, queueKey)
	c.Cohorts, c.GoneCohorts = fold(c.Cohorts, c.GoneCohorts, later.Cohorts, later.GoneCohorts, cohortKey)
	c.Totals, c.NoTotals = fold(c.Totals, c.NoTotals, later.Totals, later.NoTotals, totalsKey)
	c.Requests, c.GoneRequests = fold(c.Requests, c.GoneRequests, later.Requests, later.GoneRequests, requestSeq)
	c.Owners, c.GoneOwners = fold(c.Owners, c.GoneOwners, later.Owners, later.GoneOwners, ownerKey)
	c.Switches, c.GoneSwitches = fold(c.Switches, c.GoneSwitches, later.Switches, later.GoneSwitches, switchKey)
}

// fold adds records and keys that are gone. What comes back is gone no longer.
func fold[R any, K comparable](list []*R, gone []K, later []*R, laterGone []K, key func(*R) K) ([]*R, []K) {
	if len(gone) > 0 && len(later) > 0 {
		back := keysOf(later, key)
		gone = slices.DeleteFunc(gone, func(k K) bool {
			_, is := back[k]
			return is
		})
	}
	return append(list, later...), append(gone, laterGone...)
}
