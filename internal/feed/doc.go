// Package feed brings a site's events to those who wait for them: one reader of
// the engine's log per site, and from there to each subscriber only the events
// of its own agent, its own switch, or all of them.
//
// A subscriber that does not read is cut off when its buffer is full, so that
// memory stays bounded; it resumes from its cursor and misses nothing, because
// what it missed is in the log. A cursor that lies behind is caught up from the
// log before events come live, without a gap and without a double.
//
// What does not live here: what an event means to a softphone or a switch
// (internal/rpc), and the log itself (the engines).
package feed
