// Package top is the live view of a site on a terminal: queues by tier against
// their targets, agents, callbacks, and from there down to one call and why it
// stands where it stands. What changes comes by SupervisorService.Watch; between
// two snapshots the waits count on by themselves, by the daemon's clock. Nothing is
// asked for in a rhythm: a list that is open is read again when the site's event
// log has moved on.
package top
