package web

import (
	"time"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/queue"
)

// curveStep is how much of the day one point of a curve stands for: three of the
// engine's intervals, so that a point of a small queue still means something.
const curveStep = 15 * time.Minute

// day is today so far: the event "day". Tiers without a target are no part of
// it, as they are no part of any target.
type day struct {
	Start  instant.Instant   `json:"start"` // of the first step
	Step   int64             `json:"step"`
	Site   *curve            `json:"site"`
	Queues map[string]*curve `json:"queues"`
}

// curve has one item for each step, the current one included.
type curve struct {
	Calls []int64    `json:"calls"` // answered or abandoned, of those that joined in the step
	Level []*float64 `json:"level"`

	counts []queue.Counts
}

func newCurve(steps int) *curve {
	return &curve{Calls: make([]int64, steps), Level: make([]*float64, steps), counts: make([]queue.Counts, steps)}
}

func (c *curve) sum() {
	for i := range c.counts {
		c.Calls[i] = c.counts[i].Answered() + c.counts[i].Abandoned()
		c.Level[i] = level(&c.counts[i])
	}
}

// dayOf sums cohorts up to curves.
func dayOf(site *queue.Site, cohorts []queue.Cohort, start, now instant.Instant) *day {
	steps := int(now.Sub(start)/curveStep) + 1
	d := &day{Start: start, Step: curveStep.Milliseconds(), Site: newCurve(steps), Queues: map[string]*curve{}}
	targets := map[string]*queue.Queue{}
	for i := range site.Queues {
		targets[site.Queues[i].Name] = &site.Queues[i]
	}
	for i := range cohorts {
		k := &cohorts[i]
		step := int(k.Start.Sub(start) / curveStep)
		if q := targets[k.Queue]; q == nil || q.Targets[k.Tier] <= 0 || k.Start < start || step >= steps {
			continue
		}
		if d.Queues[k.Queue] == nil {
			d.Queues[k.Queue] = newCurve(steps)
		}
		d.Queues[k.Queue].counts[step].Add(&k.Counts)
		d.Site.counts[step].Add(&k.Counts)
	}
	d.Site.sum()
	for _, c := range d.Queues {
		c.sum()
	}
	return d
}

func callbacksOf(c *queue.CallbackSnapshot) callbackFigures {
	n := c.ByState
	return callbackFigures{
		Pending: n[callback.StatePending], Due: n[callback.StateDue],
		Working: n[callback.StateOffered] + n[callback.StateClaimed],
		NextDue: c.NextDue, NextDeadline: c.NextDeadline, Reached: c.Totals.Reached, Missed: c.Totals.Missed,
	}
}
