package queuetest

import (
	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// cohort returns the counters of the calls that joined in at's interval.
func (m *Model) cohort(queueName string, t tiering.Tier, at instant.Instant) *queue.Cohort {
	start := cohortStart(at)
	for _, c := range m.cohorts {
		if c.Queue == queueName && c.Tier == t && c.Start == start {
			return c
		}
	}
	c := &queue.Cohort{Queue: queueName, Tier: t, Start: start}
	m.cohorts = append(m.cohorts, c)
	return c
}

func cohortStart(at instant.Instant) instant.Instant {
	return at - at%instant.Instant(queue.CohortInterval.Milliseconds())
}

// total returns the counters of a queue and tier since the beginning.
func (m *Model) total(queueName string, t tiering.Tier) *queue.Totals {
	for _, x := range m.totals {
		if x.Queue == queueName && x.Tier == t {
			return x
		}
	}
	x := &queue.Totals{Queue: queueName, Tier: t}
	m.totals = append(m.totals, x)
	return x
}

// count changes both sets of counters of a call, under the queue and tier that
// it has now.
func (m *Model) count(c *queue.Call, change func(*queue.Counts)) {
	change(&m.cohort(c.Queue, c.Tier, c.JoinedAt).Counts)
	change(&m.total(c.Queue, c.Tier).Counts)
}

// countEnd counts how a call's wait ended. It no longer waits, late or not.
func (m *Model) countEnd(c *queue.Call, change func(*queue.Counts)) {
	m.count(c, func(n *queue.Counts) {
		if c.Late {
			n.LateWaiting--
		}
		change(n)
	})
}

// countAnswer counts an answer, in time or late.
func (m *Model) countAnswer(c *queue.Call) {
	wait := c.Wait(m.now).Milliseconds()
	m.countEnd(c, func(n *queue.Counts) {
		if c.Late {
			n.AnsweredLate++
		} else {
			n.AnsweredInTime++
		}
		n.AnsweredWait += wait
	})
	m.total(c.Queue, c.Tier).Waits[bucket(wait)]++
}

// countAbandon counts a caller who hung up.
func (m *Model) countAbandon(c *queue.Call) {
	wait := c.Wait(m.now)
	m.countEnd(c, func(n *queue.Counts) {
		switch {
		case wait < m.site.ShortAbandon:
			n.AbandonedShort++
		case !c.Late:
			n.AbandonedInTime++
		default:
			n.AbandonedLate++
		}
		n.AbandonedWait += wait.Milliseconds()
	})
}

// bucket returns the place of a wait in milliseconds in the histogram.
func bucket(ms int64) int {
	for i, bound := range queue.WaitBounds {
		if ms <= bound {
			return i
		}
	}
	return len(queue.WaitBounds)
}

// callEvent writes an event about a call.
func (m *Model) callEvent(c *queue.Call, e queue.Event) {
	e.Call, e.Queue, e.Tier, e.Switch, e.JoinedAt, e.Late = c.ID, c.Queue, c.Tier, c.Switch, c.JoinedAt, c.Late
	m.write(e)
	c.Events = append(c.Events, uint64(len(m.events)))
}

// callbackEvent writes an event about a callback.
func (m *Model) callbackEvent(cb *promise, e queue.Event) {
	e.Callback, e.Queue, e.Tier = cb.ID, cb.Queue, cb.Tier
	m.write(e)
}

// write appends an event to the log.
func (m *Model) write(e queue.Event) {
	e.Seq, e.At = uint64(len(m.events)+1), m.now
	m.events = append(m.events, e)
}
