package queuetest

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"greenlane/callback"
	"greenlane/queue"
)

// sortRecords puts the kinds whose order is free into one order.
func sortRecords(st *queue.State) {
	slices.SortFunc(st.Cohorts, func(a, b *queue.Cohort) int {
		return cmp.Or(cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.Tier, b.Tier), cmp.Compare(a.Start, b.Start))
	})
	slices.SortFunc(st.Totals, func(a, b *queue.Totals) int {
		return cmp.Or(cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.Tier, b.Tier))
	})
	slices.SortFunc(st.Owners, func(a, b *queue.OwnerRecord) int { return cmp.Compare(a.Owner, b.Owner) })
}

// CloneState returns a copy that shares nothing with st.
func CloneState(st *queue.State) *queue.State {
	out := &queue.State{Meta: st.Meta}
	for _, c := range st.Calls {
		out.Calls = append(out.Calls, c.Clone())
	}
	for _, a := range st.Agents {
		out.Agents = append(out.Agents, a.Clone())
	}
	for _, r := range st.Requests {
		copied := *r
		copied.Result = r.Result.Clone()
		out.Requests = append(out.Requests, &copied)
	}
	out.Offers = cloneRecords(st.Offers)
	out.Callbacks = cloneRecords(st.Callbacks)
	out.Queues = cloneRecords(st.Queues)
	out.Cohorts = cloneRecords(st.Cohorts)
	out.Totals = cloneRecords(st.Totals)
	out.Owners = cloneRecords(st.Owners)
	out.Switches = cloneRecords(st.Switches)
	return out
}

// CloneChanges returns a copy that shares nothing with c, without its events.
func CloneChanges(c *queue.Changes) *queue.Changes {
	st := CloneState(&queue.State{
		Meta: c.Meta, Calls: c.Calls, Agents: c.Agents, Offers: c.Offers, Callbacks: c.Callbacks, Queues: c.Queues,
		Cohorts: c.Cohorts, Totals: c.Totals, Requests: c.Requests, Owners: c.Owners, Switches: c.Switches,
	})
	return &queue.Changes{
		Meta: st.Meta, Calls: st.Calls, Agents: st.Agents, Offers: st.Offers, Callbacks: st.Callbacks, Queues: st.Queues,
		Cohorts: st.Cohorts, Totals: st.Totals, Requests: st.Requests, Owners: st.Owners, Switches: st.Switches,
		GoneCalls: slices.Clone(c.GoneCalls), GoneAgents: slices.Clone(c.GoneAgents), GoneOffers: slices.Clone(c.GoneOffers),
		GoneCallbacks: slices.Clone(c.GoneCallbacks), GoneCohorts: slices.Clone(c.GoneCohorts),
		GoneRequests: slices.Clone(c.GoneRequests), GoneOwners: slices.Clone(c.GoneOwners),
		GoneSwitches: slices.Clone(c.GoneSwitches), NoTotals: slices.Clone(c.NoTotals), NoQueues: slices.Clone(c.NoQueues),
	}
}

func cloneRecords[T any](list []*T) []*T {
	var out []*T
	for _, r := range list {
		copied := *r
		out = append(out, &copied)
	}
	return out
}

// diffSnapshots compares what two snapshots say of now; the sums of today and
// of the last half hour follow from the cohorts, which are compared elsewhere.
func diffSnapshots(got, want *queue.Snapshot) string {
	for i := range got.Queues {
		for j := range got.Queues[i].Tiers {
			t := &got.Queues[i].Tiers[j]
			t.Today, t.Last30Min = queue.Counts{}, queue.Counts{}
			t.Totals.Queue, t.Totals.Tier = "", 0
			w := &want.Queues[i].Tiers[j]
			w.Totals.Queue, w.Totals.Tier = "", 0
		}
		got.Queues[i].Agents = somebody(got.Queues[i].Agents)
		if !reflect.DeepEqual(got.Queues[i], want.Queues[i]) {
			return fmt.Sprintf("queue %s: %s", want.Queues[i].Name, diffFields(got.Queues[i], want.Queues[i]))
		}
	}
	if states := somebody(got.AgentStates); !reflect.DeepEqual(states, want.AgentStates) {
		return fmt.Sprintf("agents: machine %v, model %v", states, want.AgentStates)
	}
	if !reflect.DeepEqual(got.Callbacks, want.Callbacks) {
		return "callbacks: " + diffFields(got.Callbacks, want.Callbacks)
	}
	if got.Seq != want.Seq || got.GreenChannelViolations != want.GreenChannelViolations {
		return fmt.Sprintf("machine seq %d violations %d, model seq %d violations %d",
			got.Seq, got.GreenChannelViolations, want.Seq, want.GreenChannelViolations)
	}
	return ""
}

// somebody returns the states that somebody is in.
func somebody(n map[queue.AgentState]int) map[queue.AgentState]int {
	out := map[queue.AgentState]int{}
	for s, count := range n {
		if count != 0 {
			out[s] = count
		}
	}
	return out
}

// diffStore says what a store lacks, or has kept too long: every record counts,
// also requests and what queues learn. Handle times that nobody has touched are
// those of the configuration.
func diffStore(machine, store *queue.State) string {
	untouched := map[string]bool{}
	for _, q := range machine.Queues {
		untouched[q.Name] = true
	}
	for _, q := range store.Queues {
		delete(untouched, q.Name)
	}
	machine.Queues = slices.DeleteFunc(slices.Clone(machine.Queues), func(q *queue.QueueRecord) bool { return untouched[q.Name] })
	byName := func(a, b *queue.QueueRecord) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(machine.Queues, byName)
	requests, kept := machine.Requests, store.Requests
	if len(requests) != len(kept) {
		return fmt.Sprintf("%d requests, %d in the store", len(requests), len(kept))
	}
	for i := range requests {
		if requests[i].Seq != kept[i].Seq || requests[i].ID != kept[i].ID {
			return fmt.Sprintf("request %s, in the store %s", requests[i].ID, kept[i].ID)
		}
	}
	if diff := diffRecords("queues", machine.Queues, store.Queues); diff != "" {
		return diff
	}
	return DiffStates(machine, store)
}

func pointers[T any](list []T) []*T {
	out := make([]*T, 0, len(list))
	for i := range list {
		out = append(out, &list[i])
	}
	return out
}

func bySeq(calls []*queue.Call) []*queue.Call {
	slices.SortFunc(calls, func(a, b *queue.Call) int { return cmp.Compare(a.Seq, b.Seq) })
	return calls
}

func bySeqOf(list []*callback.Callback) []*callback.Callback {
	slices.SortFunc(list, func(a, b *callback.Callback) int { return cmp.Compare(a.Seq, b.Seq) })
	return list
}
