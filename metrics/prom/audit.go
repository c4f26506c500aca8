package prom

import (
	"github.com/prometheus/client_golang/prometheus"

	"greenlane/internal/audit"
)

// Audit registers what the audit record tells of itself, asked at each scrape.
func (d *Daemon) Audit(stats func() audit.Stats) error {
	counter := func(name, help string, value func(audit.Stats) int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "greenlaned_" + name, Help: help}, func() float64 {
			return float64(value(stats()))
		})
	}
	for _, c := range []prometheus.Collector{
		counter("audit_records_total", "Records written to the audit record.", func(s audit.Stats) int64 { return s.Records }),
		counter("audit_bytes_total", "Bytes written to the audit record.", func(s audit.Stats) int64 { return s.Bytes }),
		counter("audit_failures_total", "Writes of the audit record that failed; the changes they stood for were refused.", func(s audit.Stats) int64 { return s.Failures }),
	} {
		if err := d.reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}
