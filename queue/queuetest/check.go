package queuetest

import (
	"fmt"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/queue"
)

// Checker holds an engine to the promises that are true after every command,
// whatever came before. It sees records and events only, and works everything
// out anew. Give it the whole log of a site, from the first event on.
type Checker struct {
	// Forgets says that ended calls are forgotten soon, so that an id may come
	// again for another call.
	Forgets bool

	site  queue.Site
	count recount

	last     uint64
	at       instant.Instant
	joined   map[string]bool
	ended    map[string]queue.EventType
	declined map[string]map[string]bool // call or callback -> agents
	places   map[string]place
}

type place struct {
	at  instant.Instant
	seq uint64
}

// NewChecker returns a checker for a new site.
func NewChecker(site queue.Site) *Checker {
	return &Checker{
		site: site, count: recount{shortAbandon: site.ShortAbandon}, joined: map[string]bool{},
		ended: map[string]queue.EventType{}, declined: map[string]map[string]bool{}, places: map[string]place{},
	}
}

// terminal tells which event ends a call in which state.
var terminal = map[queue.EventType]queue.CallState{
	queue.EventCallRefused:    queue.CallRefused,
	queue.EventCallCompleted:  queue.CallCompleted,
	queue.EventCallAbandoned:  queue.CallAbandoned,
	queue.EventCallTimedOut:   queue.CallTimedOut,
	queue.EventCallOverflowed: queue.CallOverflowed,
}

// Events takes the events of one command.
func (c *Checker) Events(events []queue.Event) error {
	for i := range events {
		if err := c.event(&events[i]); err != nil {
			return fmt.Errorf("%s: %w", FormatEvent(events[i]), err)
		}
	}
	return nil
}

func (c *Checker) event(e *queue.Event) error {
	if e.Seq != c.last+1 {
		return fmt.Errorf("follows event %d", c.last)
	}
	if e.At < c.at {
		return fmt.Errorf("is earlier than the event before")
	}
	c.last, c.at = e.Seq, e.At
	c.count.add(e)
	subject := e.Call
	switch e.Type {
	case queue.EventCallbackReturned, queue.EventOfferReturned:
		if e.Callback != "" {
			subject = e.Callback
		}
		if e.Reason == queue.EndedDeclined || e.Reason == queue.EndedExpired {
			if c.declined[subject] == nil {
				c.declined[subject] = map[string]bool{}
			}
			c.declined[subject][e.Agent] = true
		}
	case queue.EventCallbackClaimed, queue.EventCallbackRescheduled:
		delete(c.declined, e.Callback)
	}
	if e.Call == "" || e.Callback != "" && e.Type >= queue.EventCallbackCreated && e.Type <= queue.EventCallbackEscalated {
		return nil
	}
	begins := e.Type == queue.EventCallJoined || e.Type == queue.EventCallRefused
	was, ended := c.ended[e.Call]
	switch {
	case ended && begins && c.Forgets:
		delete(c.ended, e.Call)
		delete(c.declined, e.Call)
		delete(c.places, e.Call)
	case ended:
		return fmt.Errorf("comes after %s: a call ends once", was)
	case begins == c.joined[e.Call]:
		return fmt.Errorf("a call begins once, and before all else")
	}
	c.joined[e.Call] = true
	if _, ends := terminal[e.Type]; ends {
		c.ended[e.Call] = e.Type
	}
	return nil
}

// State takes the records as they stand after the events given so far.
func (c *Checker) State(st *queue.State) error {
	if st.Meta.LastEvent != c.last {
		return fmt.Errorf("the records count %d events, the log has %d", st.Meta.LastEvent, c.last)
	}
	if st.Meta.Violations != 0 {
		return fmt.Errorf("%d offers passed a VIP over", st.Meta.Violations)
	}
	v := newView(c, st)
	for _, check := range []func() error{v.calls, v.offers, v.agents, v.matching, c.counts(st)} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// counts compares the counters with a recount of the log.
func (c *Checker) counts(st *queue.State) func() error {
	return func() error {
		cohorts, totals := c.count.result()
		sortRecords(st)
		kept := nonZero(st.Cohorts)
		for i := range max(len(cohorts), len(kept)) {
			if i >= len(cohorts) || i >= len(kept) || cohorts[i] != *kept[i] {
				return fmt.Errorf("cohorts: counted %v, recounted %+v", values(kept), cohorts)
			}
		}
		for i := range max(len(totals), len(st.Totals)) {
			if i >= len(totals) || i >= len(st.Totals) || totals[i] != *st.Totals[i] {
				return fmt.Errorf("totals: counted %+v, recounted %+v", values(st.Totals), totals)
			}
		}
		return nil
	}
}

func values[T any](list []*T) []T {
	var out []T
	for _, x := range list {
		out = append(out, *x)
	}
	return out
}

// view is the records, found by name.
type view struct {
	*Checker
	st        *queue.State
	callOf    map[string]*queue.Call
	agentOf   map[string]*queue.Agent
	backOf    map[string]*callback.Callback
	attached  map[string]bool
	liveByApp map[string]*queue.OfferRecord // live offers by agent
}

func newView(c *Checker, st *queue.State) *view {
	v := &view{
		Checker: c, st: st, callOf: map[string]*queue.Call{}, agentOf: map[string]*queue.Agent{},
		backOf: map[string]*callback.Callback{}, attached: map[string]bool{}, liveByApp: map[string]*queue.OfferRecord{},
	}
	for _, x := range st.Calls {
		v.callOf[x.ID] = x
	}
	for _, x := range st.Agents {
		v.agentOf[x.ID] = x
	}
	for _, x := range st.Callbacks {
		v.backOf[x.ID] = x
	}
	for _, x := range st.Switches {
		v.attached[x.Switch] = true
	}
	return v
}

// calls: every call has ended exactly when the log says so, and keeps its place.
func (v *view) calls() error {
	for _, c := range v.st.Calls {
		if c.Tombstone {
			continue
		}
		event, ended := v.ended[c.ID]
		if ended != c.State.Terminal() || ended && terminal[event] != c.State {
			return fmt.Errorf("call %s is %s, its last word in the log is %s", c.ID, c.State, event)
		}
		p := place{c.JoinedAt, c.Seq}
		if was, ok := v.places[c.ID]; ok && was != p {
			return fmt.Errorf("call %s had place %v and has %v", c.ID, was, p)
		}
		v.places[c.ID] = p
		if c.Late != (c.Late && v.joined[c.ID]) {
			return fmt.Errorf("call %s is late and never joined", c.ID)
		}
	}
	return nil
}

// offers: one live offer for each call, callback and agent, and all three
// records agree on it.
func (v *view) offers() error {
	subject := map[string]uint64{}
	for _, o := range v.st.Offers {
		if o.Ended != "" {
			continue
		}
		what := o.Call + o.Callback
		if subject[what] != 0 {
			return fmt.Errorf("%s is offered twice: %d and %d", what, subject[what], o.Epoch)
		}
		subject[what] = o.Epoch
		if v.liveByApp[o.Agent] != nil {
			return fmt.Errorf("agent %s has two offers", o.Agent)
		}
		v.liveByApp[o.Agent] = o
		if a := v.agentOf[o.Agent]; a == nil || a.State != queue.AgentOffered || a.Offer != o.Epoch {
			return fmt.Errorf("offer %d is live, its agent is %+v", o.Epoch, a)
		}
		if c := v.callOf[o.Call]; o.Call != "" && (c == nil || c.State != queue.CallOffered || c.Offer != o.Epoch || c.Agent != o.Agent) {
			return fmt.Errorf("offer %d is live, its call is %+v", o.Epoch, c)
		}
		if cb := v.backOf[o.Callback]; o.Callback != "" && (cb == nil || cb.State != callback.StateOffered) {
			return fmt.Errorf("offer %d is live, its callback is %+v", o.Epoch, cb)
		}
	}
	for _, c := range v.st.Calls {
		if c.State == queue.CallOffered && subject[c.ID] == 0 {
			return fmt.Errorf("call %s is offered without an offer", c.ID)
		}
	}
	for _, cb := range v.st.Callbacks {
		if cb.State == callback.StateOffered && subject[cb.ID] == 0 {
			return fmt.Errorf("callback %s is offered without an offer", cb.ID)
		}
	}
	return nil
}

// agents: what an agent does is what the records of the work say.
func (v *view) agents() error {
	talks := map[string]string{}
	for _, a := range v.st.Agents {
		if (a.State == queue.AgentOffered) != (v.liveByApp[a.ID] != nil) {
			return fmt.Errorf("agent %s is %s, the live offer is %+v", a.ID, a.State, v.liveByApp[a.ID])
		}
		if a.State != queue.AgentTalking {
			continue
		}
		c, cb := v.callOf[a.Call], v.backOf[a.Callback]
		onCall := c != nil && c.State == queue.CallAnswered && c.Agent == a.ID
		onCallback := cb != nil && cb.State == callback.StateClaimed && cb.ClaimedBy == a.ID
		if onCall == onCallback {
			return fmt.Errorf("agent %s talks on call %q and callback %q", a.ID, a.Call, a.Callback)
		}
		if other := talks[a.Call+a.Callback]; other != "" {
			return fmt.Errorf("agents %s and %s talk on the same", a.ID, other)
		}
		talks[a.Call+a.Callback] = a.ID
	}
	return nil
}
