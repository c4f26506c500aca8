package redisq

import (
	"fmt"
	"slices"

	"greenlane/callback"
	"greenlane/queue"
)

// mending is what was put right in records that do not belong together.
type mending struct {
	what    []string
	agents  []string // who has nothing to do now, and is to be ready again
	changes queue.Changes
}

// mend looks at records by their STATE, not by their leases, and puts back what was
// left active without one: a call, a callback or an agent whose offer is gone, an
// offer without one of the two. Nothing is wrong as a rule, since each commit is
// one step; a record that could not be read, or a hand in the data, may leave such
// things.
func mend(c *queue.Changes) (m mending) {
	agents, calls, backs := map[string]*queue.Agent{}, map[string]*queue.Call{}, map[string]*callback.Callback{}
	for _, a := range c.Agents {
		agents[a.ID] = a
	}
	for _, r := range c.Calls {
		calls[r.ID] = r
	}
	for _, r := range c.Callbacks {
		backs[r.ID] = r
	}
	live := map[uint64]bool{}
	byBack := map[string]bool{} // callbacks with a live offer
	for _, o := range c.Offers {
		if o.Ended != "" {
			continue
		}
		a, call, cb := agents[o.Agent], calls[o.Call], backs[o.Callback]
		ofCall := call != nil && call.State == queue.CallOffered && call.Offer == o.Epoch
		ofBack := cb != nil && cb.State == callback.StateOffered
		if a == nil || a.State != queue.AgentOffered || a.Offer != o.Epoch || !ofCall && !ofBack {
			m.note("offer %s was live without its call or agent", queue.OfferID(o.Epoch))
			o.Ended = queue.EndedCancelled
			m.changes.Offers = append(m.changes.Offers, o)
			continue
		}
		live[o.Epoch] = true
		if ofBack && !ofCall {
			byBack[o.Callback] = true
		}
	}
	for _, r := range c.Calls {
		if r.State == queue.CallOffered && !live[r.Offer] {
			m.note("call %s was offered without an offer", r.ID)
			r.State, r.Agent, r.Offer, r.OfferedAt, r.HeldUntil = queue.CallWaiting, "", 0, 0, 0
			m.changes.Calls = append(m.changes.Calls, r)
		}
	}
	for _, cb := range c.Callbacks {
		if cb.State == callback.StateOffered && !byBack[cb.ID] {
			m.note("callback %s was offered without an offer", cb.ID)
			cb.State = callback.StateDue
			m.changes.Callbacks = append(m.changes.Callbacks, cb)
		}
	}
	for _, a := range c.Agents {
		switch {
		case a.State == queue.AgentOffered && !live[a.Offer]:
			m.note("agent %s had an offer that is gone", a.ID)
		case a.State == queue.AgentTalking && a.Call != "" && (calls[a.Call] == nil || calls[a.Call].State != queue.CallAnswered):
			m.note("agent %s talked without a call", a.ID)
		default:
			continue
		}
		// Ready is what they become by a command, which gives them who waits.
		a.State, a.Reason, a.Call, a.Callback, a.Offer, a.Since = queue.AgentNotReady, queue.ReasonLost, "", "", 0, c.Meta.Now
		m.agents = append(m.agents, a.ID)
		m.changes.Agents = append(m.changes.Agents, a)
	}
	slices.Sort(m.agents)
	return m
}

func (m *mending) note(format string, args ...any) {
	m.what = append(m.what, fmt.Sprintf(format, args...))
}
