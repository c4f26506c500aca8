package queuetest

import (
	"cmp"
	"slices"
	"time"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// Recount rebuilds the counters from the log alone: what an engine counted must
// be what its events tell. The log must begin with the site. An abandoned wait
// below shortAbandon (Site.ShortAbandon) is short. Cohorts come by queue, tier
// and start, totals by queue and tier; those without a count are left out.
func Recount(shortAbandon time.Duration, log []queue.Event) ([]queue.Cohort, []queue.Totals) {
	r := recount{shortAbandon: shortAbandon}
	for i := range log {
		r.add(&log[i])
	}
	return r.result()
}

type recount struct {
	shortAbandon time.Duration
	cohorts      map[queue.CohortKey]*queue.Counts
	totals       map[queue.CohortKey]*queue.Totals // Start is zero
}

func (r *recount) cohort(name string, t tiering.Tier, joined instant.Instant) *queue.Counts {
	if r.cohorts == nil {
		r.cohorts = map[queue.CohortKey]*queue.Counts{}
	}
	key := queue.CohortKey{Queue: name, Tier: t, Start: cohortStart(joined)}
	if r.cohorts[key] == nil {
		r.cohorts[key] = &queue.Counts{}
	}
	return r.cohorts[key]
}

func (r *recount) total(name string, t tiering.Tier) *queue.Totals {
	if r.totals == nil {
		r.totals = map[queue.CohortKey]*queue.Totals{}
	}
	key := queue.CohortKey{Queue: name, Tier: t}
	if r.totals[key] == nil {
		r.totals[key] = &queue.Totals{Queue: name, Tier: t}
	}
	return r.totals[key]
}

// late counts a call in or out of those that passed the threshold and wait on.
func (r *recount) late(name string, t tiering.Tier, joined instant.Instant, n int64) {
	r.cohort(name, t, joined).LateWaiting += n
	r.total(name, t).Counts.LateWaiting += n
}

func (r *recount) add(e *queue.Event) {
	switch e.Type {
	case queue.EventCallJoined:
		r.total(e.Queue, e.Tier).Joined++
	case queue.EventCallOffered:
		r.total(e.Queue, e.Tier).Offers++
	case queue.EventCallLate:
		r.total(e.Queue, e.Tier).Late++
		r.late(e.Queue, e.Tier, e.JoinedAt, 1)
	case queue.EventCallMoved:
		if e.Late {
			r.late(e.FromQueue, e.Tier, e.JoinedAt, -1)
			r.late(e.Queue, e.Tier, e.JoinedAt, 1)
		}
	case queue.EventCallReranked:
		if e.Late {
			r.late(e.Queue, e.FromTier, e.JoinedAt, -1)
			r.late(e.Queue, e.Tier, e.JoinedAt, 1)
		}
	case queue.EventCallCompleted:
		t := r.total(e.Queue, e.Tier)
		t.Completed++
		t.Talk += e.Talk.Milliseconds()
	case queue.EventCallAnswered, queue.EventCallAbandoned, queue.EventCallTimedOut, queue.EventCallOverflowed, queue.EventCallRefused:
		if e.Late {
			r.late(e.Queue, e.Tier, e.JoinedAt, -1)
		}
		r.ended(e, r.cohort(e.Queue, e.Tier, e.JoinedAt))
		t := r.total(e.Queue, e.Tier)
		r.ended(e, &t.Counts)
		if e.Type == queue.EventCallAnswered {
			t.Waits[bucket(e.Wait.Milliseconds())]++
		}
	}
}

// ended counts the end of a wait.
func (r *recount) ended(e *queue.Event, n *queue.Counts) {
	switch e.Type {
	case queue.EventCallAnswered:
		n.AnsweredWait += e.Wait.Milliseconds()
		if e.Late {
			n.AnsweredLate++
		} else {
			n.AnsweredInTime++
		}
	case queue.EventCallAbandoned:
		n.AbandonedWait += e.Wait.Milliseconds()
		switch {
		case e.Wait < r.shortAbandon:
			n.AbandonedShort++
		case e.Late:
			n.AbandonedLate++
		default:
			n.AbandonedInTime++
		}
	case queue.EventCallTimedOut:
		n.TimedOut++
	case queue.EventCallOverflowed:
		n.Overflowed++
	case queue.EventCallRefused:
		n.Refused++
	}
}

func (r *recount) result() (cohorts []queue.Cohort, totals []queue.Totals) {
	for key, counts := range r.cohorts {
		if *counts != (queue.Counts{}) {
			cohorts = append(cohorts, queue.Cohort{Queue: key.Queue, Tier: key.Tier, Start: key.Start, Counts: *counts})
		}
	}
	slices.SortFunc(cohorts, func(a, b queue.Cohort) int {
		return cmp.Or(cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.Tier, b.Tier), cmp.Compare(a.Start, b.Start))
	})
	for _, t := range r.totals {
		totals = append(totals, *t)
	}
	slices.SortFunc(totals, func(a, b queue.Totals) int {
		return cmp.Or(cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.Tier, b.Tier))
	})
	return cohorts, totals
}
