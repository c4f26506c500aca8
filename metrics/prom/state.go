package prom

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Tiers are the counts of a tier resolver at one moment.
type Tiers struct {
	Failed    int64 // lookups that ended in an error, retries included
	Skipped   int64 // calls for which no lookup was begun
	Delivered int64 // answers that came after the deadline
	GaveUp    int64 // calls whose answer is sought no longer
	Pending   int   // calls whose answer is still sought
	Down      bool  // the directory counts as down
}

// Tiers registers the counts of the tier resolver.
func (d *Daemon) Tiers(read func() Tiers) error {
	return d.reg.Register(newState(read, nil,
		growing("tier_lookup_failures_total", "Lookups of a caller's tier that ended in an error, repeated ones included.",
			func(t Tiers) float64 { return float64(t.Failed) }),
		growing("tier_lookups_skipped_total", "Calls for which no lookup was begun, because the directory was down or too many were under way.",
			func(t Tiers) float64 { return float64(t.Skipped) }),
		growing("tier_late_answers_total", "Tiers that came after the deadline and were applied to the call.",
			func(t Tiers) float64 { return float64(t.Delivered) }),
		growing("tier_gave_up_total", "Calls whose tier was not found out in the end.",
			func(t Tiers) float64 { return float64(t.GaveUp) }),
		now("tier_pending", "Calls whose tier is still sought.", func(t Tiers) float64 { return float64(t.Pending) }),
		now("tier_directory_down", "1 while the tier directory does not answer, else 0.", func(t Tiers) float64 { return bit(t.Down) }),
	))
}

// Feed is how a site's reader of the event log stands at one moment.
type Feed struct {
	Lag         uint64 // events that are written and not yet handed to the subscribers
	Subscribers int
	CutOff      int64 // subscribers that did not read and were cut off
}

// Feed registers the counts of one site's reader of the event log.
func (d *Daemon) Feed(site string, read func() Feed) error {
	return d.reg.Register(newState(read, prometheus.Labels{"site": site},
		now("event_lag_events", "Events that are written and that this daemon's subscribers do not have yet.",
			func(f Feed) float64 { return float64(f.Lag) }),
		now("event_subscribers", "Softphones, switches and readers that follow the site's events at this daemon.",
			func(f Feed) float64 { return float64(f.Subscribers) }),
		growing("event_subscribers_cut_off_total", "Subscribers that did not read and were cut off; each resumes from its cursor.",
			func(f Feed) float64 { return float64(f.CutOff) }),
	))
}

// Clock registers by how much the daemon's clock is ahead of that of the server that a
// site's engine has.
func (d *Daemon) Clock(site string, ahead func() time.Duration) error {
	return d.reg.Register(newState(ahead, prometheus.Labels{"site": site},
		now("clock_offset_seconds", "By how much this daemon's clock is ahead of the clock of the store's server; negative when it is behind.",
			time.Duration.Seconds)))
}

// Open registers a gauge of what is open now: streams or long polls of one kind.
func (d *Daemon) Open(kind string, n func() int64) error {
	return d.reg.Register(newState(n, prometheus.Labels{"kind": kind},
		now("open_streams", "Streams and long polls that are open now, by kind.", func(n int64) float64 { return float64(n) })))
}

// state collects what is read, once for each scrape, from something that counts
// on its own.
type state[T any] struct {
	read    func() T
	figures []figure[T]
}

type figure[T any] struct {
	kind       prometheus.ValueType
	name, help string
	value      func(T) float64
	desc       *prometheus.Desc
}

func growing[T any](name, help string, value func(T) float64) figure[T] {
	return figure[T]{prometheus.CounterValue, name, help, value, nil}
}

func now[T any](name, help string, value func(T) float64) figure[T] {
	return figure[T]{prometheus.GaugeValue, name, help, value, nil}
}

func newState[T any](read func() T, labels prometheus.Labels, figures ...figure[T]) *state[T] {
	for i := range figures {
		figures[i].desc = prometheus.NewDesc("greenlaned_"+figures[i].name, figures[i].help, nil, labels)
	}
	return &state[T]{read, figures}
}

// Describe implements prometheus.Collector.
func (s *state[T]) Describe(ch chan<- *prometheus.Desc) {
	for i := range s.figures {
		ch <- s.figures[i].desc
	}
}

// Collect implements prometheus.Collector.
func (s *state[T]) Collect(ch chan<- prometheus.Metric) {
	v := s.read()
	for i := range s.figures {
		ch <- prometheus.MustNewConstMetric(s.figures[i].desc, s.figures[i].kind, s.figures[i].value(v))
	}
}
