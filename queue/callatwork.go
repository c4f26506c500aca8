package queue

import (
	"math"
	"slices"
	"time"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// call is a call at work. A million of them may wait, so it holds what most
// calls have and points to what few have; record gives the whole.
type call struct {
	ID         string
	Caller     tiering.Number
	from       *origin
	Reason     string
	Agent      string
	Seq        uint64
	Offer      uint64
	ArrivedAt  instant.Instant
	JoinedAt   instant.Instant
	OfferedAt  instant.Instant
	AnsweredAt instant.Instant
	EndedAt    instant.Instant
	QueuedAt   instant.Instant
	firstEvent uint64    // sequence of its first event; 0: none
	events     [4]uint32 // how much later the next ones are, unless moreEvents has them; 0: none
	moreEvents *[]uint64 // of all but the first, when they are too many for events
	rare       *rareCall // nil: nothing of it
	entry
	timer  timer
	Offers uint32

	ref        callRef // its own
	sameCaller callRef // next call of the same number; the last leads to the first
	idHash     uint32  // of the index by id
	callerHash uint32  // of the index by number

	Tier          tiering.Tier
	Provisional   bool
	Attestation   Attestation
	UnattestedVIP bool
	State         CallState
	Late          bool
	Tombstone     bool
}

// origin is where calls come from; they share it.
type origin struct{ Switch, Dialed string }

// rareCall is what most calls do not have, by the names of Call.
type rareCall struct {
	PreferredAgent string
	Attributes     []Attribute
	HeldUntil      instant.Instant
	OverflowAt     instant.Instant
	DeclinedBy     []string
	OverflowedFrom string
	Callback       string
	EraseAtEnd     bool
}

// noRare is what a call without rare facts has. Nobody writes to it.
var noRare rareCall

// few returns a call's rare facts, to be read.
func (c *call) few() *rareCall {
	if c.rare == nil {
		return &noRare
	}
	return c.rare
}

// own returns a call's rare facts, to be changed.
func (c *call) own() *rareCall {
	if c.rare == nil {
		c.rare = &rareCall{}
	}
	return c.rare
}

// holdUntil says until when a call waits for its preferred agent only; zero ends it.
func (c *call) holdUntil(at instant.Instant) {
	if c.rare != nil || at != 0 {
		c.own().HeldUntil = at
	}
}

// queueName returns the queue's name, "" for a call that has not arrived.
func (c *call) queueName() string {
	if c.q == nil {
		return ""
	}
	return c.q.cfg.Name
}

// wait is Call.Wait.
func (c *call) wait(now instant.Instant) time.Duration {
	return waited(c.JoinedAt, c.AnsweredAt, c.EndedAt, now)
}

// warm reads something of every part of a call's room; what, is of no use.
func (c *call) warm() uint64 {
	return uint64(len(c.ID)) + c.Seq + c.firstEvent + uint64(c.JoinedAt) + uint64(c.slot) + uint64(c.timer.at) + uint64(c.callerHash)
}

// addEvent records the sequence of one of the call's events.
func (c *call) addEvent(seq uint64) {
	if c.firstEvent == 0 {
		c.firstEvent = seq
		return
	}
	if c.moreEvents == nil {
		// Most calls come to four, or five: joined, late, offered, answered, completed.
		later := seq - c.firstEvent
		for i := range c.events {
			if c.events[i] == 0 && later <= math.MaxUint32 {
				c.events[i] = uint32(later)
				return
			}
		}
		list := c.appendEvents(make([]uint64, 0, 2*len(c.events)))
		c.moreEvents = &list
	}
	more := c.moreEvents
	if len(*more) >= eventsPerCall-1 {
		*more = slices.Delete(*more, 0, 1) // the first one tells of the arrival
	}
	*more = append(*more, seq)
}

// appendEvents appends the sequences of all of the call's events but the first.
func (c *call) appendEvents(list []uint64) []uint64 {
	if c.moreEvents != nil {
		return append(list, *c.moreEvents...)
	}
	for _, later := range c.events {
		if later == 0 {
			break
		}
		list = append(list, c.firstEvent+uint64(later))
	}
	return list
}

// room holds records that are made to be shown, and their lists of events. It
// is used again for the next ones, as it is: record writes every field.
type room struct {
	calls  []Call
	events []uint64
}

func (r *room) reset() {
	if cap(r.calls) > keepCapacity/16 || cap(r.events) > keepCapacity {
		*r = room{}
	}
	r.calls, r.events = r.calls[:0], r.events[:0]
}

// next returns room for one more record, with anything in it.
func (r *room) next() *Call {
	if n := len(r.calls); n < cap(r.calls) {
		r.calls = r.calls[:n+1]
	} else {
		r.calls = append(r.calls, Call{})
	}
	return &r.calls[len(r.calls)-1]
}

// record makes the whole record of a call. It shares the call's lists, and
// stands in r, which is good until its reset.
func (c *call) record(r *room) *Call {
	from := len(r.events)
	if c.firstEvent != 0 {
		r.events = c.appendEvents(append(r.events, c.firstEvent))
	}
	out := r.next()
	// Field by field: a literal would be made elsewhere and copied.
	out.ID, out.Caller, out.Queue, out.Switch, out.Dialed = c.ID, c.Caller, c.queueName(), c.from.Switch, c.from.Dialed
	out.Tier, out.Provisional, out.Attestation, out.UnattestedVIP = c.Tier, c.Provisional, c.Attestation, c.UnattestedVIP
	out.State, out.Late, out.Tombstone, out.Reason, out.Seq = c.State, c.Late, c.Tombstone, c.Reason, c.Seq
	out.ArrivedAt, out.JoinedAt, out.OfferedAt, out.AnsweredAt = c.ArrivedAt, c.JoinedAt, c.OfferedAt, c.AnsweredAt
	out.EndedAt, out.QueuedAt = c.EndedAt, c.QueuedAt
	out.Agent, out.Offer, out.Offers = c.Agent, c.Offer, int(c.Offers)
	few := c.few()
	out.PreferredAgent, out.Attributes, out.HeldUntil = few.PreferredAgent, few.Attributes, few.HeldUntil
	out.DeclinedBy, out.OverflowedFrom, out.Callback, out.EraseAtEnd = few.DeclinedBy, few.OverflowedFrom, few.Callback, few.EraseAtEnd
	out.OverflowAt = few.OverflowAt
	out.Events = nil
	if n := len(r.events); n > from {
		out.Events = r.events[from:n:n]
	}
	return out
}

// take fills an empty call from a record, but for its place in the machine.
func (c *call) take(r *Call, from *origin) {
	c.ID, c.Caller, c.from, c.Reason, c.Agent = r.ID, r.Caller, from, r.Reason, r.Agent
	c.Seq, c.Offer, c.Offers = r.Seq, r.Offer, uint32(r.Offers)
	c.ArrivedAt, c.JoinedAt, c.OfferedAt, c.AnsweredAt = r.ArrivedAt, r.JoinedAt, r.OfferedAt, r.AnsweredAt
	c.EndedAt, c.QueuedAt = r.EndedAt, r.QueuedAt
	c.Tier, c.Provisional, c.Attestation, c.UnattestedVIP = r.Tier, r.Provisional, r.Attestation, r.UnattestedVIP
	c.State, c.Late, c.Tombstone = r.State, r.Late, r.Tombstone
	for _, seq := range r.Events {
		c.addEvent(seq)
	}
	if r.PreferredAgent != "" || len(r.Attributes) > 0 || r.HeldUntil != 0 || len(r.DeclinedBy) > 0 || r.OverflowedFrom != "" ||
		r.Callback != "" || r.EraseAtEnd || r.OverflowAt != 0 {
		c.rare = &rareCall{
			PreferredAgent: r.PreferredAgent, Attributes: r.Attributes, HeldUntil: r.HeldUntil, OverflowAt: r.OverflowAt,
			DeclinedBy: r.DeclinedBy, OverflowedFrom: r.OverflowedFrom, Callback: r.Callback, EraseAtEnd: r.EraseAtEnd,
		}
	}
}

// clear empties a call for another record of it. It stays where it can be found.
func (c *call) clear() {
	*c = call{ref: c.ref, idHash: c.idHash, callerHash: c.callerHash, sameCaller: c.sameCaller}
}

// copy returns a call's record as somebody else may keep it.
func (m *Machine) copy(c *call) *Call {
	var r room
	return c.record(&r).Clone()
}

// preferred returns the agent a call asks for, nil when there is none.
func (m *Machine) preferred(c *call) *agent {
	if c.rare == nil || c.rare.PreferredAgent == "" {
		return nil
	}
	return m.agents[c.rare.PreferredAgent]
}

// show returns a call's record as an answer has it: good until the next command.
func (m *Machine) show(c *call) *Call { return c.record(&m.shown) }

// sameOrigin returns the one copy of where many calls come from. Forged numbers
// must not fill the memory, so only so many are shared.
func (m *Machine) sameOrigin(switchID, dialed string) *origin {
	if o := m.origin; o != nil && o.Switch == switchID && o.Dialed == dialed {
		return o
	}
	o, ok := m.origins[origin{switchID, dialed}]
	if !ok {
		o = &origin{switchID, dialed}
		if len(m.origins) < sharedOrigins {
			m.origins[*o] = o
		}
	}
	m.origin = o
	return o
}
