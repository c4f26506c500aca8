package queue

import (
	"slices"
	"time"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

type cohort struct {
	Cohort
	dirty bool
}

type totals struct {
	Totals
	dirty bool
}

// cohortStart returns the beginning of the interval that holds at.
func cohortStart(at instant.Instant) instant.Instant {
	return at - at%instant.Instant(CohortInterval.Milliseconds())
}

// cohort returns the counters of the calls of q and tier that joined when c
// did, to be changed.
func (m *Machine) cohort(q *queueState, t tiering.Tier, joined instant.Instant) *Counts {
	start := cohortStart(joined)
	ts := &q.tiers[t]
	i := len(ts.cohorts)
	if i == 0 || ts.cohorts[i-1].Start != start {
		var found bool
		i, found = ts.cohortAt(start)
		if !found {
			ts.cohorts = slices.Insert(ts.cohorts, i, &cohort{Cohort: Cohort{Queue: q.cfg.Name, Tier: t, Start: start}})
			m.changes.GoneCohorts = notGone(m.changes.GoneCohorts, CohortKey{q.cfg.Name, t, start})
			i -= m.trimCohorts(ts, i)
		}
		i++
	}
	c := ts.cohorts[i-1]
	if !c.dirty {
		c.dirty = true
		m.touched.cohorts = append(m.touched.cohorts, c)
	}
	return &c.Counts
}

// cohortAt returns where the cohort that starts at the given instant stands, or would.
func (ts *tierState) cohortAt(start instant.Instant) (i int, found bool) {
	return slices.BinarySearchFunc(ts.cohorts, start, func(c *cohort, at instant.Instant) int { return int(c.Start - at) })
}

// trimCohorts drops cohorts that are too old, but none from keep on, and
// returns how many.
func (m *Machine) trimCohorts(ts *tierState, keep int) int {
	oldest := m.now.Add(-m.site.Keep.CohortsAge)
	n := 0
	for n < keep && ts.cohorts[n].Start < oldest {
		c := ts.cohorts[n]
		m.changes.GoneCohorts = append(m.changes.GoneCohorts, CohortKey{c.Queue, c.Tier, c.Start})
		c.dirty = true // never written again
		n++
	}
	ts.cohorts = slices.Delete(ts.cohorts, 0, n)
	return n
}

// totals returns the running counters of q and tier, to be changed.
func (m *Machine) totals(q *queueState, t tiering.Tier) *Totals {
	ts := &q.tiers[t]
	if ts.totals == nil {
		ts.totals = &totals{Totals: Totals{Queue: q.cfg.Name, Tier: t}}
	}
	if !ts.totals.dirty {
		ts.totals.dirty = true
		m.touched.totals = append(m.touched.totals, ts.totals)
	}
	return &ts.totals.Totals
}

// countEnd counts how a call's wait ended: with an answer (state CallAnswered)
// or one of the terminal states. Each call comes here once.
func (m *Machine) countEnd(c *call, state CallState) {
	ch, tot := m.cohort(c.q, c.Tier, c.JoinedAt), m.totals(c.q, c.Tier)
	wait := c.wait(m.now)
	count := func(pick func(*Counts) *int64, n int64) {
		*pick(ch) += n
		*pick(&tot.Counts) += n
	}
	if c.Late {
		count(func(k *Counts) *int64 { return &k.LateWaiting }, -1)
	}
	inTime := !c.Late // one judgement: the one the log tells of
	switch state {
	case CallAnswered:
		if inTime {
			count(func(k *Counts) *int64 { return &k.AnsweredInTime }, 1)
		} else {
			count(func(k *Counts) *int64 { return &k.AnsweredLate }, 1)
		}
		count(func(k *Counts) *int64 { return &k.AnsweredWait }, wait.Milliseconds())
		tot.Waits[WaitBucket(wait)]++
	case CallAbandoned:
		switch {
		case wait < m.site.ShortAbandon:
			count(func(k *Counts) *int64 { return &k.AbandonedShort }, 1)
		case inTime:
			count(func(k *Counts) *int64 { return &k.AbandonedInTime }, 1)
		default:
			count(func(k *Counts) *int64 { return &k.AbandonedLate }, 1)
		}
		count(func(k *Counts) *int64 { return &k.AbandonedWait }, wait.Milliseconds())
	case CallTimedOut:
		count(func(k *Counts) *int64 { return &k.TimedOut }, 1)
	case CallOverflowed:
		count(func(k *Counts) *int64 { return &k.Overflowed }, 1)
	case CallRefused:
		count(func(k *Counts) *int64 { return &k.Refused }, 1)
	}
}

// WaitBucket returns the index in Totals.Waits of an answered call's wait.
func WaitBucket(wait time.Duration) int {
	i, _ := slices.BinarySearch(WaitBounds[:], wait.Milliseconds())
	return i
}

// countWaiting adds n to the calls that wait in c's queue and tier.
func countWaiting(c *call, n int) {
	c.q.waiting += n
	ts := &c.q.tiers[c.Tier]
	ts.waiting += n
	if c.Late {
		ts.late += n
	}
}

// recount moves a waiting call's counts to another queue or tier.
func (m *Machine) recount(c *call, to *queueState, tier tiering.Tier) {
	countWaiting(c, -1)
	if c.Late {
		m.cohort(c.q, c.Tier, c.JoinedAt).LateWaiting--
		m.totals(c.q, c.Tier).Counts.LateWaiting--
		m.cohort(to, tier, c.JoinedAt).LateWaiting++
		m.totals(to, tier).Counts.LateWaiting++
	}
	c.q.open--
	to.open++
	c.q, c.Tier = to, tier
	countWaiting(c, 1)
}
