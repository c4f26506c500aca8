package prom

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Credentials are the state of the files that identities rest on.
type Credentials struct {
	Reloads, Failures int64
	// When the first of each ends; zero: there is none.
	Certificate, CA, CRL time.Time
}

// credentials are the metrics of who is let in.
type credentials struct {
	read                       func() Credentials
	reloads, failures, expires *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *credentials) Describe(out chan<- *prometheus.Desc) {
	out <- c.reloads
	out <- c.failures
	out <- c.expires
}

// Collect implements prometheus.Collector.
func (c *credentials) Collect(out chan<- prometheus.Metric) {
	now := c.read()
	out <- prometheus.MustNewConstMetric(c.reloads, prometheus.CounterValue, float64(now.Reloads))
	out <- prometheus.MustNewConstMetric(c.failures, prometheus.CounterValue, float64(now.Failures))
	for _, e := range []struct {
		what string
		at   time.Time
	}{{"certificate", now.Certificate}, {"client_ca", now.CA}, {"client_crl", now.CRL}} {
		if !e.at.IsZero() {
			out <- prometheus.MustNewConstMetric(c.expires, prometheus.GaugeValue, float64(e.at.Unix()), e.what)
		}
	}
}

// Credentials exports the state of the files that identities rest on, and returns
// the counter of the requests that were refused for who made them, by reason: one
// of a bounded set.
func (d *Daemon) Credentials(read func() Credentials) (refused func(reason string), err error) {
	c := &credentials{
		read:     read,
		reloads:  prometheus.NewDesc("greenlaned_tls_reloads_total", "Times that changed files of certificates, authorities or keys of tokens were taken.", nil, nil),
		failures: prometheus.NewDesc("greenlaned_tls_reload_failures_total", "Times that changed files were no good, so that those from before are used on.", nil, nil),
		expires: prometheus.NewDesc("greenlaned_tls_expiry_timestamp_seconds",
			"When the daemon's certificate ends, the first authority of clients, and the first revocation list without a successor.", []string{"what"}, nil),
	}
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "greenlaned_requests_refused_total", Help: "Requests and connections that were refused for who made them, by reason.",
	}, []string{"reason"})
	for _, one := range []prometheus.Collector{c, refusals} {
		if err := d.reg.Register(one); err != nil {
			return nil, err
		}
	}
	return func(reason string) { refusals.WithLabelValues(reason).Inc() }, nil
}
