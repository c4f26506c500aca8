// Package prom exports the service to Prometheus.
//
// The site's figures (calls, waits, agents, callbacks) are read from the
// engine's snapshot at scrape time: they are the engine's own counts, exact, the
// same on every daemon of a site, and neither doubled nor lost by a restart. The
// daemon's own figures (requests, commits, tier lookups) are counted in this
// process, under the prefix greenlane_daemon_.
//
// No label carries a caller, a call or an agent: the number of series is bounded
// by sites, queues and tiers.
//
// What does not live here: service levels (package metrics, or a recording rule
// over these counters).
package prom
