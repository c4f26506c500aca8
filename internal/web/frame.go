package web

import (
	"time"

	"greenlane/internal/instant"
	"greenlane/metrics"
	"greenlane/queue"
)

// What the stream sends, as the pages read it (docs/web.md). Instants are
// milliseconds since the epoch by the engine's clock, 0 for none; lengths of time
// are milliseconds.

// hello begins every stream.
type hello struct {
	Site    string          `json:"site"`
	Now     instant.Instant `json:"now"`
	Zone    string          `json:"zone"`
	Version string          `json:"version"`
	// Beat is how often a snapshot comes at least, also when nothing changes.
	Beat int64 `json:"beat"`
}

// figures is a site at one instant: the event "snapshot".
type figures struct {
	Site       string          `json:"site"`
	At         instant.Instant `json:"at"`
	Seq        uint64          `json:"seq"`
	DayStart   instant.Instant `json:"day_start"`
	Formula    string          `json:"formula"`
	Violations int64           `json:"violations"`
	Tiers      []tierFigures   `json:"tiers"` // of all queues together
	Queues     []queueFigures  `json:"queues"`
	Agents     agentFigures    `json:"agents"` // each once, whatever the number of queues
	Callbacks  callbackFigures `json:"callbacks"`
}

type queueFigures struct {
	Name      string        `json:"name"`
	Open      bool          `json:"open"`
	Threshold int64         `json:"threshold"`
	Capacity  int           `json:"capacity"`
	Tiers     []tierFigures `json:"tiers"`
	Agents    agentFigures  `json:"agents"`
	Callbacks int           `json:"callbacks"` // due
}

type tierFigures struct {
	Tier    string `json:"tier"`
	Waiting int    `json:"waiting"`
	Late    int    `json:"late"` // of Waiting, beyond the threshold
	// Oldest is when the oldest of those joined, so that a page can count its wait.
	Oldest    instant.Instant `json:"oldest"`
	Answered  int64           `json:"answered"`
	InTime    int64           `json:"in_time"`
	Abandoned int64           `json:"abandoned"`
	Level     *float64        `json:"level"`  // today; null when nothing was counted
	Recent    *float64        `json:"recent"` // of the last 30 minutes
	Target    *float64        `json:"target"` // null for none, or when the queues differ
}

type agentFigures struct {
	Ready    int `json:"ready"`
	Idle     int `json:"idle"` // of Ready, those whom an offer can reach
	Offered  int `json:"offered"`
	Talking  int `json:"talking"`
	WrapUp   int `json:"wrap_up"`
	NotReady int `json:"not_ready"`
}

type callbackFigures struct {
	Pending      int             `json:"pending"`
	Due          int             `json:"due"`
	Working      int             `json:"working"` // offered or claimed
	NextDue      instant.Instant `json:"next_due"`
	NextDeadline instant.Instant `json:"next_deadline"`
	Reached      int64           `json:"reached"`
	Missed       int64           `json:"missed"` // since the site's data began, as Reached
}

func midnight(zone *time.Location, at instant.Instant) instant.Instant {
	y, m, d := at.Time().In(zone).Date()
	return instant.Of(time.Date(y, m, d, 0, 0, 0, 0, zone))
}

// figuresOf converts a snapshot.
func figuresOf(site *queue.Site, s *queue.Snapshot) *figures {
	f := &figures{
		Site: s.Site, At: s.At, Seq: s.Seq, DayStart: midnight(site.Zone, s.At), Formula: metrics.Headline.String(),
		Violations: s.GreenChannelViolations, Queues: make([]queueFigures, 0, len(s.Queues)), Callbacks: callbacksOf(&s.Callbacks),
	}
	var sums siteTiers
	for i := range s.Queues {
		q := &s.Queues[i]
		out := queueFigures{
			Name: q.Name, Open: q.Open, Threshold: q.Threshold.Milliseconds(), Capacity: q.Capacity,
			Agents: agentsOf(q.Agents, q.Idle), Callbacks: q.CallbacksWaiting,
		}
		for j := range q.Tiers {
			t := &q.Tiers[j]
			out.Tiers = append(out.Tiers, tierOf(t, s.At))
			sums.add(j, t)
		}
		f.Queues = append(f.Queues, out)
	}
	f.Tiers = sums.figures(s.At)
	byState, idle := map[queue.AgentState]int{}, 0
	for i := range s.Agents {
		a := &s.Agents[i]
		byState[a.State]++
		if a.State == queue.AgentReady && a.Presence != queue.Absent {
			idle++
		}
	}
	f.Agents = agentsOf(byState, idle)
	return f
}

func tierOf(t *queue.TierSnapshot, at instant.Instant) tierFigures {
	out := tierFigures{
		Tier: t.Tier.String(), Waiting: t.Waiting, Late: t.LateWaiting,
		Answered: t.Today.Answered(), InTime: t.Today.AnsweredInTime, Abandoned: t.Today.Abandoned(),
		Level: level(&t.Today), Recent: level(&t.Last30Min),
	}
	if t.Waiting > 0 {
		out.Oldest = at.Add(-t.OldestWait)
	}
	if t.Target > 0 {
		out.Target = &t.Target
	}
	return out
}

// level is nil when nothing was counted.
func level(c *queue.Counts) *float64 {
	if v, ok := metrics.ServiceLevel(metrics.Headline, c); ok {
		return &v
	}
	return nil
}

// siteTiers sums each tier over the queues, in the order in which they have them.
type siteTiers struct {
	sums   []queue.TierSnapshot
	differ []bool // the queues have not the same target
}

func (st *siteTiers) add(i int, t *queue.TierSnapshot) {
	if i == len(st.sums) {
		st.sums = append(st.sums, queue.TierSnapshot{Tier: t.Tier, Target: t.Target})
		st.differ = append(st.differ, false)
	}
	sum := &st.sums[i]
	st.differ[i] = st.differ[i] || sum.Target != t.Target
	sum.Waiting += t.Waiting
	sum.LateWaiting += t.LateWaiting
	sum.Today.Add(&t.Today)
	sum.Last30Min.Add(&t.Last30Min)
	if t.Waiting > 0 {
		sum.OldestWait = max(sum.OldestWait, t.OldestWait)
	}
}

func (st *siteTiers) figures(at instant.Instant) []tierFigures {
	out := make([]tierFigures, len(st.sums))
	for i := range st.sums {
		if out[i] = tierOf(&st.sums[i], at); st.differ[i] {
			out[i].Target = nil
		}
	}
	return out
}

func agentsOf(n map[queue.AgentState]int, idle int) agentFigures {
	return agentFigures{
		Ready: n[queue.AgentReady], Idle: idle, Offered: n[queue.AgentOffered], Talking: n[queue.AgentTalking],
		WrapUp: n[queue.AgentWrapUp], NotReady: n[queue.AgentNotReady],
	}
}
