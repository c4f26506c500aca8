package queuetest

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"greenlane/queue"
)

func (m *Model) attach(c *queue.Attach) (queue.Result, error) {
	a := m.agent(c.Agent)
	switch {
	case a == nil:
		return queue.Result{}, refuse(queue.ErrAgentNotFound, "agent_id")
	case a.State == queue.AgentSignedOut:
		return queue.Result{}, refuse(queue.ErrWrongState, "agent_id")
	case c.Owner == "" || c.Token == "" || c.Presence != queue.PresentPoll && c.Presence != queue.PresentStream:
		return queue.Result{}, refuse(queue.ErrInvalid, "presence")
	}
	if c.Presence == queue.PresentStream {
		m.renewOwner(c.Owner)
	}
	a.Owner, a.Token = c.Owner, c.Token
	switch {
	case a.Presence == queue.PresentRing: // the phone stays the way in; the client only watches
	case c.Presence == queue.PresentStream:
		a.Presence, a.LeaseUntil = queue.PresentStream, 0
	case m.liveOffer(a) != nil: // the answer carries the offer, and the poll is over
		a.Presence, a.LeaseUntil = queue.Absent, 0
	default:
		a.Presence, a.LeaseUntil = queue.PresentPoll, m.now.Add(c.Wait+m.site.PollGrace)
	}
	if a.State == queue.AgentNotReady && a.Reason == queue.ReasonLost {
		m.makeReady(a)
	}
	m.tryAgent(a)
	return queue.Result{Agent: a, Offer: m.offerView(m.liveOffer(a))}, nil
}

func (m *Model) detach(c *queue.Detach) (queue.Result, error) {
	a := m.agent(c.Agent)
	if a == nil {
		return queue.Result{}, refuse(queue.ErrAgentNotFound, "agent_id")
	}
	if c.Token == "" || a.Token != c.Token {
		return queue.Result{Agent: a, Duplicate: true}, nil
	}
	a.Owner, a.Token = "", ""
	grace := map[queue.Presence]time.Duration{queue.PresentPoll: m.site.PollGrace, queue.PresentStream: m.site.OwnerLease}
	if lease, holds := grace[a.Presence]; holds {
		a.Presence, a.LeaseUntil = queue.Absent, 0
		if a.State == queue.AgentReady {
			a.LeaseUntil = m.now.Add(lease)
		}
	}
	if o := m.liveOffer(a); o != nil && c.Undelivered && a.Presence != queue.PresentRing {
		m.giveBack(o, queue.EndedUndelivered, "")
	}
	return queue.Result{Agent: a, Offer: m.offerView(m.liveOffer(a))}, nil
}

func (m *Model) renew(c *queue.RenewOwner) (queue.Result, error) {
	if c.Owner == "" {
		return queue.Result{}, refuse(queue.ErrInvalid, "owner")
	}
	m.renewOwner(c.Owner)
	return queue.Result{}, nil
}

func (m *Model) renewOwner(name string) {
	until := m.now.Add(m.site.OwnerLease)
	for _, o := range m.owners {
		if o.Owner == name {
			o.Until = until
			return
		}
	}
	m.ord++ // the order of owners is the order of agents, too
	m.owners = append(m.owners, &queue.OwnerRecord{Owner: name, Until: until, Ord: m.ord})
}

// lapse is the end of a daemon's lease: its streams are gone, its switches too.
func (m *Model) lapse(o *queue.OwnerRecord) {
	for i, x := range m.owners {
		if x == o {
			m.owners = append(m.owners[:i], m.owners[i+1:]...)
			break
		}
	}
	for _, a := range slices.Clone(m.agents) { // in order of first sign-in
		if a.Owner == o.Owner && a.Presence == queue.PresentStream {
			m.lose(a)
		}
	}
	for _, s := range m.switchesByName() {
		if s.Owner == o.Owner {
			m.dropSwitch(s)
		}
	}
}

// lose is for an agent whose softphone went away: what was offered goes back.
// A call at hand is left alone.
func (m *Model) lose(a *queue.Agent) {
	a.Presence, a.LeaseUntil, a.Owner, a.Token = queue.Absent, 0, "", ""
	if a.State != queue.AgentOffered && a.State != queue.AgentReady {
		return
	}
	o := m.liveOffer(a)
	if o != nil {
		m.dropOffer(o, queue.EndedAgentLost)
	}
	m.become(a, queue.AgentNotReady, queue.ReasonLost)
	if o != nil {
		m.offerReturned(o)
	}
	m.changed(a)
	m.settleAgent(a, o)
}

func (m *Model) attachSwitch(c *queue.AttachSwitch) (queue.Result, error) {
	if c.Switch == "" || c.Owner == "" || c.Token == "" {
		return queue.Result{}, refuse(queue.ErrInvalid, "switch_id")
	}
	m.renewOwner(c.Owner)
	attached := m.isAttached(c.Switch)
	m.switches = slices.DeleteFunc(m.switches, func(s *queue.SwitchRecord) bool { return s.Switch == c.Switch })
	m.switches = append(m.switches, &queue.SwitchRecord{Switch: c.Switch, Owner: c.Owner, Token: c.Token})
	if !attached {
		m.write(queue.Event{Type: queue.EventSwitchConnected, Switch: c.Switch})
	}
	for _, a := range m.ringAgents() {
		m.tryAgent(a)
		m.upgrade(a)
	}
	return queue.Result{}, nil
}

func (m *Model) detachSwitch(c *queue.DetachSwitch) (queue.Result, error) {
	for _, s := range m.switches {
		if s.Switch == c.Switch && s.Token == c.Token {
			m.dropSwitch(s)
			break
		}
	}
	return queue.Result{}, nil
}

// dropSwitch takes back what the switch's phones were ringing for.
func (m *Model) dropSwitch(gone *queue.SwitchRecord) {
	m.switches = slices.DeleteFunc(m.switches, func(s *queue.SwitchRecord) bool { return s == gone })
	m.write(queue.Event{Type: queue.EventSwitchDisconnected, Switch: gone.Switch})
	for _, a := range m.ringAgents() {
		if o := m.liveOffer(a); o != nil && o.Call != "" && m.call(o.Call).Switch == gone.Switch {
			m.giveBack(o, queue.EndedUndelivered, "")
		}
	}
	// Who else can serve what somebody declined has changed.
	for i := range m.site.Queues {
		m.retryDeclined(m.site.Queues[i].Name)
	}
}

func (m *Model) switchesByName() []*queue.SwitchRecord {
	out := slices.Clone(m.switches)
	slices.SortFunc(out, func(x, y *queue.SwitchRecord) int { return strings.Compare(x.Switch, y.Switch) })
	return out
}

// ringAgents lists the agents whose phones switches ring, longest idle first.
func (m *Model) ringAgents() []*queue.Agent {
	var out []*queue.Agent
	for _, a := range m.agents {
		if a.RingBySwitch && a.State != queue.AgentSignedOut {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(x, y *queue.Agent) int {
		return cmp.Or(cmp.Compare(x.IdleSince, y.IdleSince), cmp.Compare(x.Ord, y.Ord))
	})
	return out
}
