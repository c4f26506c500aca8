// Package screen draws the live view of a synthetic day: a pure function from
// what is known to the lines of a terminal, and the little that is needed to put
// them there.
package screen

import (
	"time"

	"greenlane/internal/load"
	pb "greenlane/proto/greenlane/v1"
)

// Model is what the screen shows. Spans and times are the day's.
type Model struct {
	Title    string
	Now      time.Duration // time of the day
	From, To time.Duration
	Phase    string
	Calls    int // reported so far
	Retries  int64
	Tiers    []Tier
	Queues   []Queue
	Agents   Agents
	Promises Promises
	// Preempted is how many offers were taken back for a VIP, Violations how often
	// the green channel was violated.
	Preempted  int
	Violations int64
	Threshold  time.Duration
	News       []News // the latest last
}

// Tier is how one tier stands, over all queues.
type Tier struct {
	load.TierFigures
	Waiting int
	Oldest  time.Duration
}

// Queue is how one queue stands.
type Queue struct {
	Name    string
	Waiting [4]int // by tier, best first
	Oldest  time.Duration
	Free    int // agents who could have a call of this queue now
}

// Agents counts agents by what they do.
type Agents struct {
	Talking, Offered, WrapUp, Free, Away int
}

// Total returns how many agents there are.
func (a Agents) Total() int { return a.Talking + a.Offered + a.WrapUp + a.Free + a.Away }

// Promises are the callbacks.
type Promises struct {
	Made    int64 // promised
	Open    int   // not yet due, or due
	Working int   // offered or being made
	Reached int64
	Missed  int64
	// Needless were cancelled, since the caller rang again and was answered.
	Needless int64
}

// News is something that just happened.
type News struct {
	At   time.Duration
	Kind Kind
	Text string
}

// Kind is what a piece of news is about; it decides the colour.
type Kind uint8

// The kinds of news.
const (
	Green   Kind = iota // the green channel
	Promise             // callbacks
	Trouble             // agents who do not answer
)

// Apply takes what a snapshot of the daemon says; spans are the daemon's, and
// shown speed times as long. Copies of the model that were made before stay as
// they are.
func (m *Model) Apply(s *pb.GetSnapshotResponse, speed float64) {
	day := func(d time.Duration) time.Duration { return time.Duration(float64(d) * speed) }
	m.Tiers, m.Queues = nil, nil
	for _, f := range load.Totals(s) {
		f.Rates()
		m.Tiers = append(m.Tiers, Tier{TierFigures: f})
	}
	for _, q := range s.GetQueues() {
		row := Queue{Name: q.GetQueue(), Oldest: day(q.GetOldestWait().AsDuration()), Free: int(q.GetAgents().GetIdle())}
		for i, t := range q.GetTiers() {
			row.Waiting[i] = int(t.GetWaiting())
			m.Tiers[i].Waiting += int(t.GetWaiting())
			m.Tiers[i].Oldest = max(m.Tiers[i].Oldest, day(t.GetOldestWait().AsDuration()))
		}
		m.Queues = append(m.Queues, row)
		m.Threshold = day(q.GetThreshold().AsDuration())
	}
	m.Agents = Agents{}
	for _, a := range s.GetAgents() {
		m.Agents.add(a.GetState())
	}
	c := s.GetCallbacks()
	t := c.GetTotals()
	m.Promises = Promises{
		Made: t.GetCreated(), Open: int(c.GetPending() + c.GetDue()), Working: int(c.GetOffered() + c.GetClaimed()),
		Reached: t.GetReached(), Missed: t.GetMissed(), Needless: t.GetCancelled(),
	}
	m.Violations = s.GetGreenChannelViolations()
}

func (a *Agents) add(s pb.AgentState) {
	switch s {
	case pb.AgentState_AGENT_STATE_READY:
		a.Free++
	case pb.AgentState_AGENT_STATE_OFFERED:
		a.Offered++
	case pb.AgentState_AGENT_STATE_TALKING:
		a.Talking++
	case pb.AgentState_AGENT_STATE_WRAP_UP:
		a.WrapUp++
	default:
		a.Away++
	}
}
