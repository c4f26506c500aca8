package metrics

import (
	"time"

	"greenlane/queue"
)

// AgentTime is the time that agents spent, added up over agents, by what they did.
type AgentTime struct {
	Ready, Offered, Talking, WrapUp, NotReady time.Duration
}

// Add adds the time d spent in a state. Signed-out time is nobody's.
func (t *AgentTime) Add(s queue.AgentState, d time.Duration) {
	switch s {
	case queue.AgentReady:
		t.Ready += d
	case queue.AgentOffered:
		t.Offered += d
	case queue.AgentTalking:
		t.Talking += d
	case queue.AgentWrapUp:
		t.WrapUp += d
	case queue.AgentNotReady:
		t.NotReady += d
	}
}

// Busy is the time spent on callers: the offer until it is answered, the talk,
// the wrap-up.
func (t *AgentTime) Busy() time.Duration { return t.Offered + t.Talking + t.WrapUp }

// Occupancy returns the share, 0 to 1, of the time in which agents were there
// for callers that they spent on callers: busy / (busy + ready). Pauses are in
// neither. It is the workload figure of traffic engineering (carried load per
// agent); above about 0.85 to 0.9 for long, waits grow steeply.
func Occupancy(t *AgentTime) (share float64, ok bool) {
	busy := t.Busy()
	if busy+t.Ready <= 0 {
		return 0, false
	}
	return float64(busy) / float64(busy+t.Ready), true
}

// OccupancyNow returns the occupancy of one instant: the share of the agents at
// work who are busy. Its mean over instants is Occupancy.
func OccupancyNow(agents map[queue.AgentState]int) (share float64, ok bool) {
	var t AgentTime
	for s, n := range agents {
		t.Add(s, time.Duration(n))
	}
	return Occupancy(&t)
}

// LongestWait returns the longest wait of the calls that wait now in a queue; 0
// when none waits.
func LongestWait(q *queue.QueueSnapshot) time.Duration {
	longest := time.Duration(0)
	for i := range q.Tiers {
		longest = max(longest, q.Tiers[i].OldestWait)
	}
	return longest
}

// Promises counts callbacks by whether they were kept.
type Promises struct {
	Kept   int64 // the caller was spoken to, or wanted no call, before the deadline
	Broken int64 // the deadline passed, or the attempts were used up without an answer
}

// KeptShare returns the share, 0 to 1, of the callbacks that ended whose
// promise was kept. A callback withdrawn, or made needless by the caller's own
// next call, is in neither count.
func (p *Promises) KeptShare() (share float64, ok bool) {
	if p.Kept+p.Broken == 0 {
		return 0, false
	}
	return float64(p.Kept) / float64(p.Kept+p.Broken), true
}

// PromisesOf reads the promises off the engine's totals. The engine ends a
// callback as missed at its deadline, 24 h by default, so one that was reached or
// refused was so in time.
func PromisesOf(t *queue.CallbackTotals) Promises {
	return Promises{Kept: t.Reached + t.Refused, Broken: t.Missed + t.Failed}
}

// KeepPromise is how long after the promise a callback counts as kept, where a
// report judges single callbacks: the published rule, whatever deadline a site
// is configured with.
const KeepPromise = 24 * time.Hour
