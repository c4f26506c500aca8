package prom

import (
	dto "github.com/prometheus/client_model/go"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/metrics"
	"greenlane/queue"
)

const (
	counter = dto.MetricType_COUNTER
	gauge   = dto.MetricType_GAUGE
)

// def is a metric; rows of one name and different extra labels are one metric.
type def struct {
	name, help string
	kind       dto.MetricType
	extra      extra
}

// extra is a label beside site, queue and tier.
type extra struct{ name, value string }

// row is one series of each T: what it is called and how it is read. ok is false
// when the series has no value now.
type row[T any] struct {
	def
	read func(T) (v float64, ok bool)
}

// Series of every queue and tier.
var perTier = []row[*queue.TierSnapshot]{
	total("calls_joined_total", "Calls that joined a queue.", func(t *queue.Totals) int64 { return t.Joined }),
	total("calls_answered_total", "Calls that an agent accepted.", func(t *queue.Totals) int64 { return t.Counts.Answered() }),
	total("calls_answered_in_time_total", "Calls that an agent accepted within the answer threshold of the queue.",
		func(t *queue.Totals) int64 { return t.Counts.AnsweredInTime }),
	abandoned("short", func(c *queue.Counts) int64 { return c.AbandonedShort }),
	abandoned("in_time", func(c *queue.Counts) int64 { return c.AbandonedInTime }),
	abandoned("late", func(c *queue.Counts) int64 { return c.AbandonedLate }),
	total("calls_timed_out_total", "Calls that were released after the queue's maximum wait.", func(t *queue.Totals) int64 { return t.Counts.TimedOut }),
	total("calls_refused_total", "Calls that were not let in.", func(t *queue.Totals) int64 { return t.Counts.Refused }),
	total("calls_overflowed_total", "Calls that were handed to a place outside by the overflow rule.",
		func(t *queue.Totals) int64 { return t.Counts.Overflowed }),
	total("calls_completed_total", "Calls that ended after an answer.", func(t *queue.Totals) int64 { return t.Completed }),
	total("calls_late_total", "Calls that passed the answer threshold before an answer, counted at that moment.",
		func(t *queue.Totals) int64 { return t.Late }),
	total("offers_total", "Offers of calls to agents.", func(t *queue.Totals) int64 { return t.Offers }),
	{
		def{name: "greenlane_talk_seconds_total", help: "Time talked on completed calls.", kind: counter},
		func(t *queue.TierSnapshot) (float64, bool) { return float64(t.Totals.Talk) / 1000, true },
	},
	tierGauge("calls_waiting", "Calls that wait now, offered ones included.",
		func(t *queue.TierSnapshot) (float64, bool) { return float64(t.Waiting), true }),
	tierGauge("calls_waiting_late", "Calls that wait now beyond the answer threshold.",
		func(t *queue.TierSnapshot) (float64, bool) { return float64(t.LateWaiting), true }),
	tierGauge("oldest_wait_seconds", "Longest wait of the calls that wait now; 0 when none waits.",
		func(t *queue.TierSnapshot) (float64, bool) { return t.OldestWait.Seconds(), true }),
	tierGauge("service_level_target_ratio", "What the share of calls answered in time should reach.",
		func(t *queue.TierSnapshot) (float64, bool) { return t.Target, t.Target > 0 }),
	tierGauge("service_level_today_ratio",
		"Share of calls answered in time of those answered or abandoned, of the calls that joined since midnight of the site's zone.",
		func(t *queue.TierSnapshot) (float64, bool) { return metrics.ServiceLevel(metrics.Headline, &t.Today) }),
}

// answeredWait is the one histogram; see waits.go.
var answeredWait = def{
	name: "greenlane_wait_seconds", help: "Wait of answered calls, from joining the queue until the agent accepted.",
	kind: dto.MetricType_HISTOGRAM,
}

func total(name, help string, read func(*queue.Totals) int64) row[*queue.TierSnapshot] {
	return row[*queue.TierSnapshot]{
		def{name: "greenlane_" + name, help: help, kind: counter},
		func(t *queue.TierSnapshot) (float64, bool) { return float64(read(&t.Totals)), true },
	}
}

func abandoned(kind string, read func(*queue.Counts) int64) row[*queue.TierSnapshot] {
	r := total("calls_abandoned_total",
		"Calls whose caller hung up before an answer: short (below the short-abandon limit), in_time (from there to the threshold) or late.",
		func(t *queue.Totals) int64 { return read(&t.Counts) })
	r.extra = extra{"kind", kind}
	return r
}

func tierGauge(name, help string, read func(*queue.TierSnapshot) (float64, bool)) row[*queue.TierSnapshot] {
	return row[*queue.TierSnapshot]{def{name: "greenlane_" + name, help: help, kind: gauge}, read}
}

// Series of every queue.
var perQueue = append([]row[*queue.QueueSnapshot]{
	queueGauge("answer_threshold_seconds", "Answer threshold of the queue.", func(q *queue.QueueSnapshot) float64 { return q.Threshold.Seconds() }),
	queueGauge("queue_open", "1 while the queue takes calls by its opening hours, else 0.", func(q *queue.QueueSnapshot) float64 { return bit(q.Open) }),
	queueGauge("queue_capacity_calls", "Calls the queue has room for; 0 means that it has no limit of its own.",
		func(q *queue.QueueSnapshot) float64 { return float64(q.Capacity) }),
	queueGauge("queue_callbacks_due", "Callbacks of the queue that are due and not yet offered.",
		func(q *queue.QueueSnapshot) float64 { return float64(q.CallbacksWaiting) }),
	queueGauge("queue_agents_idle", "Agents who serve the queue, are ready, and can be reached by an offer now.",
		func(q *queue.QueueSnapshot) float64 { return float64(q.Idle) }),
}, agentsOfQueue()...)

func queueGauge(name, help string, read func(*queue.QueueSnapshot) float64) row[*queue.QueueSnapshot] {
	return row[*queue.QueueSnapshot]{
		def{name: "greenlane_" + name, help: help, kind: gauge},
		func(q *queue.QueueSnapshot) (float64, bool) { return read(q), true },
	}
}

// atWork are the states of agents who are not signed out.
var atWork = []queue.AgentState{queue.AgentReady, queue.AgentNotReady, queue.AgentOffered, queue.AgentTalking, queue.AgentWrapUp}

func agentsOfQueue() []row[*queue.QueueSnapshot] {
	var rows []row[*queue.QueueSnapshot]
	for _, st := range atWork {
		r := queueGauge("queue_agents", "Agents who serve the queue, by state. An agent of several queues is in each.",
			func(q *queue.QueueSnapshot) float64 { return float64(q.Agents[st]) })
		r.extra = extra{"state", st.String()}
		rows = append(rows, r)
	}
	return rows
}

// Series of every site.
var perSite = append(append(append([]row[*queue.Snapshot]{
	siteRow(gauge, "callback_next_due_timestamp_seconds", "Earliest due time of an open callback.",
		func(s *queue.Snapshot) (float64, bool) { return at(s.Callbacks.NextDue) }),
	siteRow(gauge, "callback_next_deadline_timestamp_seconds", "Earliest deadline of an open callback.",
		func(s *queue.Snapshot) (float64, bool) { return at(s.Callbacks.NextDeadline) }),
	siteRow(counter, "callbacks_created_total", "Callbacks that were promised.",
		func(s *queue.Snapshot) (float64, bool) { return float64(s.Callbacks.Totals.Created), true }),
	siteRow(counter, "callback_attempts_total", "Attempts to call back that were reported.",
		func(s *queue.Snapshot) (float64, bool) { return float64(s.Callbacks.Totals.Attempts), true }),
	siteRow(counter, "green_channel_violations_total",
		"Offers of a lower tier made while a VIP whom the agent could serve was waiting. Must be 0.",
		func(s *queue.Snapshot) (float64, bool) { return float64(s.GreenChannelViolations), true }),
	siteRow(counter, "events_total", "Events written to the site's log.",
		func(s *queue.Snapshot) (float64, bool) { return float64(s.Seq), true }),
}, agentsOfSite()...), callbacksByState()...), callbacksByOutcome()...)

func siteRow(kind dto.MetricType, name, help string, read func(*queue.Snapshot) (float64, bool)) row[*queue.Snapshot] {
	return row[*queue.Snapshot]{def{name: "greenlane_" + name, help: help, kind: kind}, read}
}

func agentsOfSite() []row[*queue.Snapshot] {
	var rows []row[*queue.Snapshot]
	for _, st := range append(atWork, queue.AgentSignedOut) {
		r := siteRow(gauge, "agents", "Agents, by state; each agent once.",
			func(s *queue.Snapshot) (float64, bool) { return float64(s.AgentStates[st]), true })
		r.extra = extra{"state", st.String()}
		rows = append(rows, r)
	}
	return rows
}

func callbacksByState() []row[*queue.Snapshot] {
	var rows []row[*queue.Snapshot]
	for _, st := range callback.States {
		r := siteRow(gauge, "callbacks", "Callbacks that are kept, by state.",
			func(s *queue.Snapshot) (float64, bool) { return float64(s.Callbacks.ByState[st]), true })
		r.extra = extra{"state", st.String()}
		rows = append(rows, r)
	}
	return rows
}

func callbacksByOutcome() []row[*queue.Snapshot] {
	var rows []row[*queue.Snapshot]
	for _, o := range []struct {
		name string
		n    func(*queue.CallbackTotals) int64
	}{
		{"reached", func(t *queue.CallbackTotals) int64 { return t.Reached }},
		{"refused", func(t *queue.CallbackTotals) int64 { return t.Refused }},
		{"failed", func(t *queue.CallbackTotals) int64 { return t.Failed }},
		{"missed", func(t *queue.CallbackTotals) int64 { return t.Missed }},
		{"cancelled", func(t *queue.CallbackTotals) int64 { return t.Cancelled }},
	} {
		r := siteRow(counter, "callbacks_ended_total", "Callbacks that ended: reached, refused, failed, missed or cancelled.",
			func(s *queue.Snapshot) (float64, bool) { return float64(o.n(&s.Callbacks.Totals)), true })
		r.extra = extra{"outcome", o.name}
		rows = append(rows, r)
	}
	return rows
}

// scrapeErrors is the daemon's own, and told for a site that does not answer, too.
var scrapeErrors = &def{
	name: "greenlaned_scrape_errors_total", kind: counter,
	help: "Scrapes in which the site's engine did not answer, so that its figures are missing.",
}

// at writes an instant as Prometheus does; there is none when it is not set.
func at(i instant.Instant) (float64, bool) { return float64(i) / 1000, !i.IsZero() }

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
