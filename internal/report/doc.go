// Package report tells, interval by interval, how a site served its callers,
// from its event log over the public API. What lives here: reading the log,
// counting what its events tell, and writing the outcome as a table, CSV, JSON or
// a page.
//
// A call counts in the interval in which it joined its queue, under the queue and
// tier it had at its end, as the engine's own cohorts have it: over the same calls
// the figures are those of GetSnapshot and of the dashboards' day. The formulas
// are those of package metrics.
//
// The log is read once, event by event. What is kept is bounded by intervals,
// queues and tiers, by the agents at work, and by the callbacks that are open;
// not by the number of events.
package report
