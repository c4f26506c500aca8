package prom

import "github.com/prometheus/client_golang/prometheus"

// limits counts what the daemon refused for a limit.
type limits struct {
	reached     *prometheus.CounterVec
	floods      *prometheus.CounterVec
	claims      *prometheus.CounterVec
	connections *prometheus.CounterVec
}

func newLimits() limits {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "greenlaned_" + name, Help: help}, labels)
	}
	return limits{
		reached: vec("limit_reached_total", "Requests and streams that were refused because their identity used all it may, by limit and role.", "limit", "role"),
		floods: vec("flood_refused_calls_total", "Calls that were refused because too many came of their number or switch. A switch that the configuration does not name is *.",
			"site", "switch", "reason"),
		claims: vec("vip_claims_refused_total", "Calls of a VIP's number that were not served as one because nobody vouched for it. A switch that the configuration does not name is *.",
			"site", "switch"),
		connections: vec("connections_ended_total", "Connections that were turned away or cut, by port and why.", "port", "why"),
	}
}

func (l *limits) collectors() []prometheus.Collector {
	return []prometheus.Collector{l.reached, l.floods, l.claims, l.connections}
}

// ExpectCalls has the counts of a site's refused calls begin at 0, so that the first
// one is a rise. The switches and reasons are those that the counts may name.
func (d *Daemon) ExpectCalls(site string, switches, reasons []string) {
	for _, id := range switches {
		d.limits.claims.WithLabelValues(site, id)
		for _, reason := range reasons {
			d.limits.floods.WithLabelValues(site, id, reason)
		}
	}
}

// LimitReached counts a request that was refused for a limit of its identity. Both
// labels are words of a fixed set.
func (d *Daemon) LimitReached(limit, role string) {
	d.limits.reached.WithLabelValues(limit, role).Inc()
}

// Flood counts a call that was refused because too many came. switchID is one of
// the configuration, or "*".
func (d *Daemon) Flood(site, switchID, reason string) {
	d.limits.floods.WithLabelValues(site, switchID, reason).Inc()
}

// VIPClaimRefused counts calls that are no VIP's because nobody vouched for their
// number. switchID is one of the configuration, or "*".
func (d *Daemon) VIPClaimRefused(site, switchID string, calls int) {
	d.limits.claims.WithLabelValues(site, switchID).Add(float64(calls))
}

// ConnectionEnded counts a connection that the daemon turned away or cut: to which
// port, grpc or http, and why, both of a fixed set.
func (d *Daemon) ConnectionEnded(port, why string) {
	d.limits.connections.WithLabelValues(port, why).Inc()
}
