package report

import (
	"cmp"
	"slices"
	"time"

	"greenlane/metrics"
	"greenlane/queue"
	"greenlane/tiering"
)

// Report is a site over a range of time.
type Report struct {
	Site      string
	From, To  time.Time // To is not included
	Interval  time.Duration
	Zone      *time.Location
	Made      time.Time     // by the daemon's clock: what came later is not in it
	Events    int64         // how many were read
	Intervals []Interval    // in order, without a gap
	Lines     []Line        // by queue and tier: the whole range
	Queues    []QueueConfig // of the lines
	Missing   []Span        // what of the range the log keeps no longer
	Agents    metrics.AgentTime
}

// Span is a stretch of time, To not included.
type Span struct{ From, To time.Time }

// QueueConfig is what a queue is measured by, as it is configured now.
type QueueConfig struct {
	Name      string
	Threshold time.Duration
	Targets   map[tiering.Tier]float64 // a tier that is not in it has no target
}

// State says how much is known of an interval.
type State uint8

// The states. Nothing is told of an interval that is Missing: no figure of it
// would be right, and zero least of all.
const (
	Complete State = iota
	Partial        // a part of its events is missing
	Missing        // all of them are
	Running        // it is not over, or callers who joined in it still wait
)

var stateNames = [...]string{"complete", "partial", "missing", "running"}

// String returns the state's name.
func (s State) String() string { return stateNames[s] }

// Interval is what joined in one interval.
type Interval struct {
	Span
	State  State
	Lines  []Line // by queue, then tier, best first; those without a call are left out
	Agents metrics.AgentTime
}

// silent reports whether an interval has to be mentioned although there is
// nothing to tell of it: that nothing happened is not known.
func (iv *Interval) silent() bool {
	return iv.State == Missing || iv.State == Partial && len(iv.Lines) == 0
}

// Line is one queue and tier.
type Line struct {
	Queue  string
	Tier   tiering.Tier
	Target float64 // 0 = none
	Figures
}

// Figures are counts of calls and callbacks.
type Figures struct {
	Joined    int64
	Counts    queue.Counts
	Waiting   int64         // joined, neither answered nor ended when the report was made
	Longest   time.Duration // the longest wait that ended
	Completed int64
	Talk      time.Duration // of the completed ones

	Promised  int64            // callbacks promised
	Promises  metrics.Promises // of these, what became of them; kept means within 24 h
	Withdrawn int64            // cancelled, or made needless by the caller's own next call
}

// Add adds o to f.
func (f *Figures) Add(o *Figures) {
	f.Joined += o.Joined
	f.Counts.Add(&o.Counts)
	f.Waiting += o.Waiting
	f.Longest = max(f.Longest, o.Longest)
	f.Completed += o.Completed
	f.Talk += o.Talk
	f.Promised += o.Promised
	f.Promises.Kept += o.Promises.Kept
	f.Promises.Broken += o.Promises.Broken
	f.Withdrawn += o.Withdrawn
}

// Open is how many promised callbacks are neither kept, broken nor withdrawn.
func (f *Figures) Open() int64 { return f.Promised - f.Promises.Kept - f.Promises.Broken - f.Withdrawn }

// AverageTalk is the mean talk of completed calls.
func (f *Figures) AverageTalk() (d time.Duration, ok bool) {
	if f.Completed == 0 {
		return 0, false
	}
	return f.Talk / time.Duration(f.Completed), true
}

// empty reports whether nothing happened.
func (f *Figures) empty() bool { return *f == Figures{} }

// Sum adds lines up. judged leaves out those that have no target, as the service
// level of a queue does with the blacklist.
func Sum(lines []Line, judged bool) Figures {
	var sum Figures
	for i := range lines {
		if !judged || lines[i].Target > 0 {
			sum.Add(&lines[i].Figures)
		}
	}
	return sum
}

// byQueue orders lines.
func byQueue(a, b Line) int {
	return cmp.Or(cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.Tier, b.Tier))
}

// total adds the intervals' lines up by queue and tier.
func (r *Report) total() {
	sums := map[lineKey]*Line{}
	for i := range r.Intervals {
		r.Agents = plus(r.Agents, r.Intervals[i].Agents)
		for j := range r.Intervals[i].Lines {
			l := &r.Intervals[i].Lines[j]
			key := lineKey{l.Queue, l.Tier}
			if sums[key] == nil {
				sums[key] = &Line{Queue: l.Queue, Tier: l.Tier, Target: l.Target}
			}
			sums[key].Add(&l.Figures)
		}
	}
	for _, l := range sums {
		r.Lines = append(r.Lines, *l)
	}
	slices.SortFunc(r.Lines, byQueue)
}

func plus(a, b metrics.AgentTime) metrics.AgentTime {
	return metrics.AgentTime{
		Ready: a.Ready + b.Ready, Offered: a.Offered + b.Offered, Talking: a.Talking + b.Talking,
		WrapUp: a.WrapUp + b.WrapUp, NotReady: a.NotReady + b.NotReady,
	}
}
