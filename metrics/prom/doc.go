// Package prom exports the service to Prometheus.
//
// The site's figures (greenlane_*: calls, waits, agents, callbacks) are read from
// the engine's statistics at scrape time: they are the engine's own counts, exact,
// the same on every daemon of a site, and neither doubled nor lost by a restart.
// The daemon's own figures (greenlaned_*: requests, commits, round trips to the
// store, tier lookups, readers of the event log) are counted in this process.
//
// No label carries a caller, a call or an agent: the number of series is bounded
// by sites, queues, tiers, states and methods.
//
// What does not live here: the formulas of service levels (package metrics, and
// the recording rules in deploy/prometheus over these counters).
package prom
