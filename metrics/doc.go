// Package metrics is the arithmetic of service levels: pure functions from the
// counters of package queue to the ratios supervisors read, each formula by its
// name; targets; speed of answer, abandonment, occupancy, promises kept. It counts
// nothing itself and exports nothing to a monitoring system; that is metrics/prom.
package metrics
