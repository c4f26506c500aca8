package prom

import "github.com/prometheus/client_golang/prometheus"

// Tiers are the counts of a tier resolver at one moment.
type Tiers struct {
	Failed    int64 // lookups that ended in an error, retries included
	Skipped   int64 // calls for which no lookup was begun
	Delivered int64 // answers that came after the deadline
	GaveUp    int64 // calls whose answer is sought no longer
	Pending   int   // calls whose answer is still sought
	Down      bool  // the directory counts as down
}

var (
	tiersFailed = prometheus.NewDesc("greenlane_daemon_tier_lookup_failures_total",
		"Lookups of a caller's tier that ended in an error, repeated ones included.", nil, nil)
	tiersSkipped = prometheus.NewDesc("greenlane_daemon_tier_lookups_skipped_total",
		"Calls for which no lookup was begun, because the directory was down or too many were under way.", nil, nil)
	tiersLate = prometheus.NewDesc("greenlane_daemon_tier_late_answers_total",
		"Tiers that came after the deadline and were applied to the call.", nil, nil)
	tiersGaveUp = prometheus.NewDesc("greenlane_daemon_tier_gave_up_total",
		"Calls whose tier was not found out in the end.", nil, nil)
	tiersPending = prometheus.NewDesc("greenlane_daemon_tier_pending",
		"Calls whose tier is still sought.", nil, nil)
	tiersDown = prometheus.NewDesc("greenlane_daemon_tier_directory_down",
		"1 while the tier directory does not answer, else 0.", nil, nil)
)

type tiers struct{ read func() Tiers }

// Tiers registers the counts of the tier resolver.
func (d *Daemon) Tiers(reg prometheus.Registerer, read func() Tiers) error {
	return reg.Register(&tiers{read})
}

// Describe implements prometheus.Collector.
func (t *tiers) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{tiersFailed, tiersSkipped, tiersLate, tiersGaveUp, tiersPending, tiersDown} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (t *tiers) Collect(ch chan<- prometheus.Metric) {
	now := t.read()
	for _, c := range []struct {
		d *prometheus.Desc
		n int64
	}{{tiersFailed, now.Failed}, {tiersSkipped, now.Skipped}, {tiersLate, now.Delivered}, {tiersGaveUp, now.GaveUp}} {
		ch <- prometheus.MustNewConstMetric(c.d, prometheus.CounterValue, float64(c.n))
	}
	down := 0.0
	if now.Down {
		down = 1
	}
	ch <- prometheus.MustNewConstMetric(tiersPending, prometheus.GaugeValue, float64(now.Pending))
	ch <- prometheus.MustNewConstMetric(tiersDown, prometheus.GaugeValue, down)
}
