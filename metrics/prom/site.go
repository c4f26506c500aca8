package prom

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"greenlane/callback"
	"greenlane/queue"
)

// Source is a site and what it is read from; queue.Engine has the method.
type Source struct {
	Site   string
	Engine interface {
		Snapshot(ctx context.Context) (*queue.Snapshot, error)
	}
}

// Sites collects the figures of sites, from one snapshot of each per scrape.
type Sites struct {
	sources []Source
	failed  []atomic.Int64 // scrapes, by source
	timeout time.Duration
	log     *slog.Logger
}

// NewSites returns a collector that waits at most timeout for each site's
// snapshot. A site that does not answer is left out of that scrape, and
// greenlane_daemon_scrape_errors_total says so.
func NewSites(timeout time.Duration, log *slog.Logger, sources ...Source) *Sites {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Sites{sources: sources, failed: make([]atomic.Int64, len(sources)), timeout: timeout, log: log}
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("greenlane_"+name, help, append([]string{"site"}, labels...), nil)
}

var (
	perTier  = []string{"queue", "tier"}
	perQueue = []string{"queue"}

	joined     = desc("calls_joined_total", "Calls that joined a queue.", perTier...)
	answered   = desc("calls_answered_total", "Calls that an agent accepted.", perTier...)
	inTime     = desc("calls_answered_in_time_total", "Calls that an agent accepted within the answer threshold of the queue.", perTier...)
	abandoned  = desc("calls_abandoned_total", "Calls whose caller hung up before an answer: short (below the short-abandon limit), in_time (from there to the threshold) or late.", append(perTier[:2:2], "kind")...)
	timedOut   = desc("calls_timed_out_total", "Calls that were released after the queue's maximum wait.", perTier...)
	refused    = desc("calls_refused_total", "Calls that were not let in.", perTier...)
	overflowed = desc("calls_overflowed_total", "Calls that were handed to a place outside by the overflow rule.", perTier...)
	completed  = desc("calls_completed_total", "Calls that ended after an answer.", perTier...)
	late       = desc("calls_late_total", "Calls that passed the answer threshold before an answer, counted at that moment.", perTier...)
	offers     = desc("offers_total", "Offers of calls to agents.", perTier...)
	talk       = desc("talk_seconds_total", "Time talked on completed calls.", perTier...)
	abandonedS = desc("abandoned_wait_seconds_total", "Time waited by callers who hung up before an answer.", perTier...)
	waits      = desc("answered_wait_seconds", "Wait of answered calls, from joining the queue until the agent accepted.", perTier...)
	waiting    = desc("calls_waiting", "Calls that wait now, offered ones included.", perTier...)
	waitsLate  = desc("calls_waiting_late", "Calls that wait now beyond the answer threshold.", perTier...)
	oldest     = desc("oldest_wait_seconds", "Longest wait of the calls that wait now; 0 when none waits.", perTier...)
	target     = desc("service_level_target_ratio", "What the share of calls answered in time should reach.", perTier...)

	threshold = desc("answer_threshold_seconds", "Answer threshold of the queue.", perQueue...)
	open      = desc("queue_open", "1 while the queue takes calls by its opening hours, else 0.", perQueue...)
	capacity  = desc("queue_capacity_calls", "Calls the queue has room for; 0 means that it has no limit of its own.", perQueue...)
	cbWaiting = desc("queue_callbacks_due", "Callbacks of the queue that are due and not yet offered.", perQueue...)
	agentsIn  = desc("queue_agents", "Agents who serve the queue, by state.", append(perQueue[:1:1], "state")...)
	idle      = desc("queue_agents_idle", "Agents who serve the queue, are ready, and can be reached by an offer now.", perQueue...)

	agents       = desc("agents", "Agents, by state; each agent once.", "state")
	callbacks    = desc("callbacks", "Callbacks that are kept, by state.", "state")
	nextDue      = desc("callback_next_due_timestamp_seconds", "Earliest due time of an open callback.")
	nextEnd      = desc("callback_next_deadline_timestamp_seconds", "Earliest deadline of an open callback.")
	cbCreated    = desc("callbacks_created_total", "Callbacks that were promised.")
	cbEnded      = desc("callbacks_ended_total", "Callbacks that ended: reached, refused, failed, missed or cancelled.", "outcome")
	cbAttempts   = desc("callback_attempts_total", "Attempts to call back that were reported.")
	violations   = desc("green_channel_violations_total", "Offers of a lower tier made while a VIP whom the agent could serve was waiting. Must be 0.")
	scrapeErrors = desc("daemon_scrape_errors_total", "Scrapes in which the site's engine did not answer, so that its figures are missing.")
	lastEvent    = desc("events_total", "Events written to the site's log.")
)

// Describe implements prometheus.Collector.
func (s *Sites) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		joined, answered, inTime, abandoned, timedOut, refused, overflowed, completed, late, offers, talk, abandonedS, waits,
		waiting, waitsLate, oldest, target, threshold, open, capacity, cbWaiting, agentsIn, idle, agents, callbacks, nextDue,
		nextEnd, cbCreated, cbEnded, cbAttempts, violations, lastEvent, scrapeErrors,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *Sites) Collect(ch chan<- prometheus.Metric) {
	for i, src := range s.sources {
		ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
		snap, err := src.Engine.Snapshot(ctx)
		cancel()
		out := &scrape{ch: ch, site: src.Site}
		if err != nil {
			s.failed[i].Add(1)
			s.log.Warn("a site could not be scraped", "site", src.Site, "error", err)
		} else {
			out.all(snap)
		}
		out.counter(scrapeErrors, float64(s.failed[i].Load()))
	}
}

// scrape writes one site's figures.
type scrape struct {
	ch   chan<- prometheus.Metric
	site string
}

func (s *scrape) counter(d *prometheus.Desc, v float64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, append([]string{s.site}, labels...)...)
}

func (s *scrape) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{s.site}, labels...)...)
}

func (s *scrape) all(snap *queue.Snapshot) {
	for i := range snap.Queues {
		s.queue(&snap.Queues[i])
	}
	byState := map[queue.AgentState]int{}
	for i := range snap.Agents {
		byState[snap.Agents[i].State]++
	}
	for st := queue.AgentReady; st <= queue.AgentSignedOut; st++ {
		s.gauge(agents, float64(byState[st]), st.String())
	}
	s.callbacks(&snap.Callbacks)
	s.counter(violations, float64(snap.GreenChannelViolations))
	s.counter(lastEvent, float64(snap.Seq))
}

func (s *scrape) callbacks(c *queue.CallbackSnapshot) {
	for _, st := range callback.States {
		s.gauge(callbacks, float64(c.ByState[st]), st.String())
	}
	if !c.NextDue.IsZero() {
		s.gauge(nextDue, float64(c.NextDue)/1000)
	}
	if !c.NextDeadline.IsZero() {
		s.gauge(nextEnd, float64(c.NextDeadline)/1000)
	}
	t := &c.Totals
	s.counter(cbCreated, float64(t.Created))
	s.counter(cbAttempts, float64(t.Attempts))
	for _, o := range []struct {
		name string
		n    int64
	}{{"reached", t.Reached}, {"refused", t.Refused}, {"failed", t.Failed}, {"missed", t.Missed}, {"cancelled", t.Cancelled}} {
		s.counter(cbEnded, float64(o.n), o.name)
	}
}

func (s *scrape) queue(q *queue.QueueSnapshot) {
	s.gauge(threshold, q.Threshold.Seconds(), q.Name)
	isOpen := 0.0
	if q.Open {
		isOpen = 1
	}
	s.gauge(open, isOpen, q.Name)
	s.gauge(capacity, float64(q.Capacity), q.Name)
	s.gauge(cbWaiting, float64(q.CallbacksWaiting), q.Name)
	s.gauge(idle, float64(q.Idle), q.Name)
	for st := queue.AgentReady; st < queue.AgentSignedOut; st++ {
		s.gauge(agentsIn, float64(q.Agents[st]), q.Name, st.String())
	}
	for i := range q.Tiers {
		s.tier(q.Name, &q.Tiers[i])
	}
}

func (s *scrape) tier(name string, t *queue.TierSnapshot) {
	tier, k := t.Tier.String(), &t.Totals.Counts
	for _, c := range []struct {
		d *prometheus.Desc
		n int64
	}{
		{joined, t.Totals.Joined}, {answered, k.Answered()}, {inTime, k.AnsweredInTime}, {timedOut, k.TimedOut},
		{refused, k.Refused}, {overflowed, k.Overflowed}, {completed, t.Totals.Completed}, {late, t.Totals.Late}, {offers, t.Totals.Offers},
	} {
		s.counter(c.d, float64(c.n), name, tier)
	}
	s.counter(abandoned, float64(k.AbandonedShort), name, tier, "short")
	s.counter(abandoned, float64(k.AbandonedInTime), name, tier, "in_time")
	s.counter(abandoned, float64(k.AbandonedLate), name, tier, "late")
	s.counter(talk, float64(t.Totals.Talk)/1000, name, tier)
	s.counter(abandonedS, float64(k.AbandonedWait)/1000, name, tier)
	s.histogram(name, tier, &t.Totals)
	s.gauge(waiting, float64(t.Waiting), name, tier)
	s.gauge(waitsLate, float64(t.LateWaiting), name, tier)
	s.gauge(oldest, t.OldestWait.Seconds(), name, tier)
	if t.Target > 0 {
		s.gauge(target, t.Target, name, tier)
	}
}

// histogram writes the waits of answered calls. Its buckets are the engine's,
// 20 s among them exactly.
func (s *scrape) histogram(name, tier string, t *queue.Totals) {
	buckets := make(map[float64]uint64, len(queue.WaitBounds))
	count := uint64(0)
	for i, n := range t.Waits {
		count += uint64(n)
		if i < len(queue.WaitBounds) {
			buckets[float64(queue.WaitBounds[i])/1000] = count
		}
	}
	s.ch <- prometheus.MustNewConstHistogram(waits, count, float64(t.Counts.AnsweredWait)/1000, buckets, s.site, name, tier)
}
