package audit

import (
	"slices"
	"time"

	"github.com/tidwall/btree"

	pb "greenlane/proto/greenlane/v1"
)

// Service is one queue that an agent serves.
type Service struct {
	Queue string
	Level int
}

// World is what a Replay has to know beside the log: what the client told the
// daemon about its callers and agents.
type World struct {
	// Serves returns the queues an agent signed in for.
	Serves func(agent string) []Service
	// Rung says that an agent's phone is rung by the switch of the call, which
	// must be connected. nil: nobody's.
	Rung func(agent string) bool
	// Call returns what the client said of a call; ok is false for a call that
	// is not the client's.
	Call func(id string) (caller, preferred string, ok bool)
	// CallbackTiers are the tiers whose abandons earn a callback, ShortAbandon the
	// wait below which they earn none: as the daemon is configured.
	CallbackTiers []pb.Tier
	ShortAbandon  time.Duration
}

// Replay follows a site's event log. It is for one goroutine.
type Replay struct {
	world  World
	faults *Faults

	last      uint64
	lastAt    time.Time
	calls     map[string]*call
	lines     map[lineKey]*btree.BTreeG[*call]
	agents    map[string]*agent
	connected map[string]bool // switches with a stream
	offerings map[string]offering
	callbacks map[string]*promise
	open      map[promiseKey]*promise // one open callback per caller and queue

	// What the daemon counts by the tier that a call has at that moment: a tier
	// that is known late does not move it to another.
	joins, lates map[lineKey]int64

	// Counts of what was seen, for reports.
	Preempted, Returned, Offers int
	Callbacks                   Promises
}

// Promises counts what the log told of callbacks.
type Promises struct {
	Created, Done, Missed, Cancelled, Attempts int
}

type lineKey struct {
	queue string
	tier  pb.Tier
}

// call is one call as the log tells it.
type call struct {
	id        string
	switchID  string
	queue     string
	tier      pb.Tier
	joinedAt  time.Time
	joinedBy  uint64 // the event: ranks calls of one joinedAt
	state     pb.CallState
	agent     string // who has the offer or talks
	offer     string
	heldFor   string   // waits for this agent alone
	refusedBy []string // agents who declined or did not answer it
	callback  string
	wait      time.Duration // until the answer or the end
	late      bool          // the log said that the threshold passed
	offers    int
}

// before is the order of arrival.
func before(a, b *call) bool {
	if !a.joinedAt.Equal(b.joinedAt) {
		return a.joinedAt.Before(b.joinedAt)
	}
	return a.joinedBy < b.joinedBy
}

// offering is one offer that was made.
type offering struct{ call, agent string }

// agent is what an agent has in hand, as the log tells it.
type agent struct {
	call     string
	callback string
}

// NewReplay returns a replay that begins after the event with the given
// sequence, at a site without live calls and callbacks.
func NewReplay(after uint64, world World, faults *Faults) *Replay {
	return &Replay{
		world: world, faults: faults, last: after,
		calls:     make(map[string]*call),
		lines:     make(map[lineKey]*btree.BTreeG[*call]),
		agents:    make(map[string]*agent),
		joins:     make(map[lineKey]int64),
		lates:     make(map[lineKey]int64),
		connected: make(map[string]bool),
		offerings: make(map[string]offering),
		callbacks: make(map[string]*promise),
		open:      make(map[promiseKey]*promise),
	}
}

// Last returns the sequence of the last event seen.
func (r *Replay) Last() uint64 { return r.last }

// Observe takes the next event of the log.
func (r *Replay) Observe(e *pb.Event) {
	if e.GetSequence() != r.last+1 {
		r.bad(RuleLog, e, "follows event %d", r.last)
	}
	r.last = e.GetSequence()
	at := e.GetAt().AsTime()
	if at.Before(r.lastAt) {
		r.bad(RuleLog, e, "is of %v, before the last event's %v", at, r.lastAt)
	}
	r.lastAt = at
	switch t := e.GetType(); {
	case t <= pb.EventType_EVENT_TYPE_UNSPECIFIED:
		r.bad(RuleLog, e, "has no type")
	case t <= pb.EventType_EVENT_TYPE_CALL_RELEASED_TO_ALL:
		r.callEvent(e)
	case t >= pb.EventType_EVENT_TYPE_CALLBACK_CREATED && t <= pb.EventType_EVENT_TYPE_CALLBACK_ESCALATED:
		r.callbackEvent(e)
	case t == pb.EventType_EVENT_TYPE_SWITCH_CONNECTED:
		r.connected[e.GetSwitchId()] = true
	case t == pb.EventType_EVENT_TYPE_SWITCH_DISCONNECTED:
		delete(r.connected, e.GetSwitchId())
	}
}

func (r *Replay) bad(rule string, e *pb.Event, format string, args ...any) {
	r.faults.add(rule, e.GetCallId(), e.GetSequence(), format, args...)
}

// line returns the waiting calls of a queue and tier by arrival.
func (r *Replay) line(queue string, tier pb.Tier) *btree.BTreeG[*call] {
	k := lineKey{queue, tier}
	l := r.lines[k]
	if l == nil {
		l = btree.NewBTreeGOptions(before, btree.Options{NoLocks: true})
		r.lines[k] = l
	}
	return l
}

func (r *Replay) join(c *call)  { r.line(c.queue, c.tier).Set(c) }
func (r *Replay) leave(c *call) { r.line(c.queue, c.tier).Delete(c) }

func (r *Replay) agentOf(id string) *agent {
	a := r.agents[id]
	if a == nil {
		a = new(agent)
		r.agents[id] = a
	}
	return a
}

// Waiting returns how many calls wait or are offered.
func (r *Replay) Waiting() int {
	n := 0
	for _, c := range r.calls {
		if c.state == pb.CallState_CALL_STATE_WAITING || c.state == pb.CallState_CALL_STATE_OFFERED {
			n++
		}
	}
	return n
}

// refused reports whether an agent gave the call back once.
func (c *call) refused(agent string) bool { return slices.Contains(c.refusedBy, agent) }

// mayHave reports whether a waiting call may go to an agent who serves its queue.
func (r *Replay) mayHave(c *call, agent string) bool {
	if r.world.Rung != nil && r.world.Rung(agent) && !r.connected[c.switchID] {
		return false
	}
	return !c.refused(agent) && (c.heldFor == "" || c.heldFor == agent)
}

// stateName returns a call's state as people say it.
func stateName(s pb.CallState) string {
	names := [...]string{"nowhere", "waiting", "offered", "answered", "completed", "abandoned", "timed out", "overflowed", "refused"}
	if int(s) < len(names) {
		return names[s]
	}
	return s.String()
}
