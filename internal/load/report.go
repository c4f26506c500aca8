package load

import (
	"fmt"
	"io"
	"strings"
	"time"

	"greenlane/internal/load/audit"
	pb "greenlane/proto/greenlane/v1"
)

// Report is what a run found.
type Report struct {
	Faults     []audit.Fault // the first of what is wrong
	FaultCount int
	Tiers      []TierFigures
	Formula    string // the name of TierFigures.ServiceLevel
	Threshold  time.Duration

	Calls, Answered, Abandoned  int
	Offers, Returned, Preempted int
	TooLate                     int // accepts of offers that were gone by then
	Callbacks                   audit.Promises
	Events                      uint64
	Retries                     int64
	Took                        time.Duration
	Speed                       float64
	// ToOffer is the time from sending an arrival until the softphone has the
	// offer, for calls that found an agent idle; FreeToOffer that from an agent's
	// last call being over until the next offer, when a caller waited.
	ToOffer, FreeToOffer Quantiles
}

// TierFigures is how one tier fared, over all queues.
type TierFigures struct {
	Tier                                   pb.Tier
	Calls, Answered, InTime                int64
	Abandoned, AbandonedShort, Refused     int64
	ServiceLevel, ServiceLevelWithoutShort float64 // negative when nothing was counted
	Target                                 float64 // 0: none
	Wait                                   Quantiles
}

// Quantiles sum a set of times up.
type Quantiles struct {
	Count              int64
	P50, P90, P99, Max time.Duration
}

func (r *Run) report(after *pb.GetSnapshotResponse) *Report {
	f := r.figures
	f.mu.Lock()
	defer f.mu.Unlock()
	rep := &Report{
		Faults: r.faults.List(), FaultCount: r.faults.Count(), Formula: after.GetFormula(), Speed: r.opt.Speed,
		TooLate: f.late, Retries: r.retries.n.Load(), Took: r.ended.Sub(r.began), Calls: int(r.placed.Load()),
		Events: after.GetSequence() - r.before.GetSequence(), ToOffer: quantiles(f.arrival), FreeToOffer: quantiles(f.free),
	}
	r.follower.with(func(p *audit.Replay) {
		rep.Offers, rep.Returned, rep.Preempted, rep.Callbacks = p.Offers, p.Returned, p.Preempted, p.Callbacks
	})
	before := Totals(r.before)
	for i, now := range Totals(after) {
		now.sub(before[i])
		now.Wait = quantiles(f.waits[now.Tier])
		now.Rates()
		rep.Answered += int(now.Answered)
		rep.Abandoned += int(now.Abandoned)
		rep.Tiers = append(rep.Tiers, now)
	}
	if q := after.GetQueues(); len(q) > 0 {
		rep.Threshold = q[0].GetThreshold().AsDuration()
	}
	return rep
}

// Totals sums the counts of a snapshot up by tier, over all queues, since the
// site's data began.
func Totals(s *pb.GetSnapshotResponse) []TierFigures {
	var out []TierFigures
	for t := pb.Tier_TIER_VIP; t <= pb.Tier_TIER_BLACKLIST; t++ {
		f := TierFigures{Tier: t}
		for _, q := range s.GetQueues() {
			for _, tier := range q.GetTiers() {
				if tier.GetTier() == t {
					f.add(tier)
				}
			}
		}
		out = append(out, f)
	}
	return out
}

func (f *TierFigures) add(t *pb.TierSnapshot) {
	n := t.GetTotals()
	f.Calls += n.GetJoined() + n.GetRefused()
	f.Answered += n.GetAnswered()
	f.InTime += n.GetAnsweredInTime()
	f.Abandoned += n.GetAbandoned()
	f.AbandonedShort += n.GetAbandonedShort()
	f.Refused += n.GetRefused()
	f.Target = max(f.Target, t.GetTarget())
}

func (f *TierFigures) sub(o TierFigures) {
	f.Calls -= o.Calls
	f.Answered -= o.Answered
	f.InTime -= o.InTime
	f.Abandoned -= o.Abandoned
	f.AbandonedShort -= o.AbandonedShort
	f.Refused -= o.Refused
}

// Rates fills in the service levels: the daemon's own formulas, over all queues
// together.
func (f *TierFigures) Rates() {
	f.ServiceLevel, f.ServiceLevelWithoutShort = -1, -1
	if n := f.Answered + f.Abandoned; n > 0 {
		f.ServiceLevel = float64(f.InTime) / float64(n)
	}
	if n := f.Answered + f.Abandoned - f.AbandonedShort; n > 0 {
		f.ServiceLevelWithoutShort = float64(f.InTime) / float64(n)
	}
}

// Print writes the report as tables of at most 80 columns. Spans are in the
// day's time, but for those of the API.
func (r *Report) Print(w io.Writer) {
	day := func(d time.Duration) string { return Span(time.Duration(float64(d) * r.Speed)) }
	fmt.Fprintf(w, "%d calls in %s", r.Calls, r.Took.Round(100*time.Millisecond))
	if r.Speed != 1 {
		fmt.Fprintf(w, ", which were %s of the day", day(r.Took))
	}
	fmt.Fprintf(w, ": %.1f calls/s\n", float64(r.Calls)/r.Took.Seconds())
	if r.Speed > 100 {
		fmt.Fprintf(w, "(so fast that a millisecond of this machine is %.1f s of the day)\n", r.Speed/1000)
	}
	fmt.Fprintf(w, "%d answered, %d gave up\n\n", r.Answered, r.Abandoned)
	r.printTiers(w, day)
	r.printTimes(w)
	r.printFaults(w)
}

func (r *Report) printTiers(w io.Writer, day func(time.Duration) string) {
	const row = "%-10s %6v %8v %7v %8s %7s %8s %7s %7s %7s\n"
	limit := "in " + Limit(time.Duration(float64(r.Threshold)*r.Speed))
	fmt.Fprintf(w, row, "tier", "calls", "answered", limit, "level", "target", "wait p50", "p90", "p99", "max")
	for _, f := range r.Tiers {
		fmt.Fprintf(w, row, TierName(f.Tier), f.Calls, f.Answered, f.InTime, percent(f.ServiceLevel), target(f.Target),
			day(f.Wait.P50), day(f.Wait.P90), day(f.Wait.P99), day(f.Wait.Max))
	}
	fmt.Fprintf(w, "level: %s, over all queues;\nwaits are of answered calls\n\n", r.Formula)
}

func (r *Report) printTimes(w io.Writer) {
	const row = "%-33s %8s %9s %9s %9s %7v\n"
	fmt.Fprintf(w, row, "until the softphone has the offer", "p50", "p90", "p99", "max", "offers")
	for _, q := range []struct {
		what string
		q    Quantiles
	}{{"a call comes, an agent is idle", r.ToOffer}, {"an agent is free, a caller waits", r.FreeToOffer}} {
		fmt.Fprintf(w, row, q.what, brief(q.q.P50), brief(q.q.P90), brief(q.q.P99), brief(q.q.Max), q.q.Count)
	}
	fmt.Fprintln(w)
	fmt.Fprintf(w, "offers     %d made, %d came back, %d of these taken back for a VIP\n", r.Offers, r.Returned, r.Preempted)
	c := r.Callbacks
	fmt.Fprintf(w, "callbacks  %d promised, %d attempts, %d done, %d needless since the caller was\n           answered, %d missed\n",
		c.Created, c.Attempts, c.Done, c.Cancelled, c.Missed)
	fmt.Fprintf(w, "event log  %d events, %.0f a second; %d requests were sent again\n\n", r.Events, float64(r.Events)/r.Took.Seconds(), r.Retries)
}

// shownFaults is how many faults are printed.
const shownFaults = 20

func (r *Report) printFaults(w io.Writer) {
	if r.FaultCount == 0 {
		fmt.Fprintln(w, "check: all is right. Every acknowledged call has one end, the right one; order,")
		fmt.Fprintln(w, "green channel, offers, clocks, callbacks and counters agree with the tool's own")
		fmt.Fprintln(w, "record and with the event log")
		return
	}
	fmt.Fprintf(w, "check: %d differences\n", r.FaultCount)
	for _, f := range r.Faults[:min(len(r.Faults), shownFaults)] {
		fmt.Fprintf(w, "  %s\n", f)
	}
	if more := r.FaultCount - shownFaults; more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
}

// brief rounds a short time to three digits.
func brief(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	default:
		return d.Round(time.Microsecond).String()
	}
}

// TierName returns a tier as people say it.
func TierName(t pb.Tier) string {
	return strings.ToLower(strings.TrimPrefix(t.String(), "TIER_"))
}

func percent(v float64) string {
	if v < 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*v)
}

func target(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}

// Limit writes a threshold: "20 s", or as Span when it is a minute or more.
func Limit(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return Span(d)
}

// Span writes a span of the day in minutes and seconds: "1:05", "1:02:03".
func Span(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
