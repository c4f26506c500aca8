package queuetest

import (
	"cmp"
	"fmt"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// waiter is somebody who waits or is offered, with the rank of the one order.
type waiter struct {
	id, queue, sw, only string // only: held for this agent
	rank                int    // vip, mid, ordinary, callback, blacklist
	at                  instant.Instant
	seq                 uint64
}

func (v *view) ofCall(c *queue.Call) waiter {
	w := waiter{id: c.ID, queue: c.Queue, sw: c.Switch, at: c.JoinedAt, seq: c.Seq}
	w.rank = map[tiering.Tier]int{tiering.VIP: 0, tiering.Mid: 1, tiering.Ordinary: 2, tiering.Blacklist: 4}[c.Tier]
	if !c.HeldUntil.IsZero() {
		w.only = c.PreferredAgent
	}
	return w
}

func (v *view) ofCallback(cb *callback.Callback) waiter {
	w := waiter{id: cb.ID, queue: cb.Queue, at: cb.DueAt, seq: cb.Seq, rank: 3}
	if !cb.EscalatedAt.IsZero() {
		w.rank, w.at = 1, cb.ArrivedAt
	}
	return w
}

// line lists who waits and is not on offer.
func (v *view) line() []waiter {
	var out []waiter
	for _, c := range v.st.Calls {
		if c.State == queue.CallWaiting {
			out = append(out, v.ofCall(c))
		}
	}
	for _, cb := range v.st.Callbacks {
		if cb.State == callback.StateDue {
			out = append(out, v.ofCallback(cb))
		}
	}
	return out
}

// serves returns the agent's level for a queue, 0 when there is none.
func serves(a *queue.Agent, name string) int {
	for _, s := range a.Services {
		if s.Queue == name {
			return s.Level
		}
	}
	return 0
}

// reaches: a phone that a switch rings needs that switch.
func (v *view) reaches(a *queue.Agent, w waiter) bool {
	return !a.RingBySwitch || w.sw != "" && v.attached[w.sw]
}

// eligible reports whether the agent may be offered w, were the agent free.
func (v *view) eligible(a *queue.Agent, w waiter) bool {
	if serves(a, w.queue) == 0 || !v.reaches(a, w) || w.only != "" && w.only != a.ID {
		return false
	}
	if !v.declined[w.id][a.ID] {
		return true
	}
	for _, other := range v.st.Agents {
		if other.State.Working() && serves(other, w.queue) != 0 && v.reaches(other, w) && !v.declined[w.id][other.ID] {
			return false // another can serve it
		}
	}
	return true
}

// matching: nobody who may be served now is left waiting, and nobody is offered
// a lower call while a VIP waits for the same agent.
func (v *view) matching() error {
	line := v.line()
	for _, a := range v.st.Agents {
		free := a.State == queue.AgentReady && a.Presence != queue.Absent
		o := v.liveByApp[a.ID]
		if !free && o == nil {
			continue
		}
		for _, w := range line {
			if !v.eligible(a, w) {
				continue
			}
			if free {
				return fmt.Errorf("agent %s is idle while %s waits", a.ID, w.id)
			}
			if w.rank == 0 && v.site.Preemption && v.offered(o).rank > 0 {
				return fmt.Errorf("agent %s holds the offer of %s while VIP %s waits", a.ID, v.offered(o).id, w.id)
			}
		}
	}
	return nil
}

func (v *view) offered(o *queue.OfferRecord) waiter {
	if c := v.callOf[o.Call]; o.Call != "" {
		return v.ofCall(c)
	}
	return v.ofCallback(v.backOf[o.Callback])
}

// LastOffer checks the order of service where records can show it: the events
// of a command end with an offer, so whoever still waits was passed over for
// it. They must come after it for that agent: by tier, then by the agent's
// level, then by arrival.
func (c *Checker) LastOffer(st *queue.State, events []queue.Event) error {
	if !endsWithOffer(events) {
		return nil
	}
	e := events[len(events)-1]
	v := newView(c, st)
	if err := v.offers(); err != nil {
		return err
	}
	a, o := v.agentOf[e.Agent], v.liveByApp[e.Agent]
	if o == nil || o.Epoch != e.Offer {
		return fmt.Errorf("%s: agent %s does not have it", FormatEvent(e), e.Agent)
	}
	got := v.offered(o)
	for _, w := range v.line() {
		order := cmp.Or(cmp.Compare(w.rank, got.rank), cmp.Compare(serves(a, w.queue), serves(a, got.queue)),
			cmp.Compare(w.at, got.at), cmp.Compare(w.seq, got.seq))
		if order < 0 && v.eligible(a, w) && e.Why != queue.WhyPreemption {
			return fmt.Errorf("%s: %s stands before %s for agent %s", FormatEvent(e), w.id, got.id, a.ID)
		}
	}
	return nil
}

func endsWithOffer(events []queue.Event) bool {
	if len(events) == 0 {
		return false
	}
	last := events[len(events)-1].Type
	return last == queue.EventCallOffered || last == queue.EventCallbackOffered
}
