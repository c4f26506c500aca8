// Package callback decides when a caller who hung up is called back, and what
// may happen to that promise next. It holds the policy (who earns a callback,
// when it is due, how often it is tried), the record of one callback and its
// lifecycle. It is pure: no clock, no I/O, no goroutine; every function takes
// the instant it decides with, and the same arguments give the same answer on
// every machine.
//
// What does not live here: the collection of callbacks, "one open callback per
// number and queue", their order among waiting calls, the events. Those belong
// to package queue, which keeps the records and asks this package.
//
// # Lifecycle
//
//	        ┌──────────────── no answer, busy, rescheduled, window closed ───────┐
//	        ▼                                                                    │
//	New ▶ PENDING ──due──▶ DUE ──offer──▶ OFFERED ──claim──▶ CLAIMED ──report──▶─┤
//	        │               ▲ ◀──return─────┘                   │                ├▶ DONE (reached, refused)
//	        │               └───────── claim lapsed ────────────┘                ├▶ FAILED (attempts used up)
//	        └ claim: from PENDING and DUE too                                    └▶ CANCELLED (served meanwhile)
//
//	any open state ──cancel──▶ CANCELLED
//	PENDING, DUE, OFFERED ──the caller rang again and was answered──▶ CANCELLED
//	PENDING, DUE, OFFERED ──deadline──▶ MISSED; CLAIMED waits for its report or lapse, then MISSED
//
// Time-driven changes are BecomeDue, Defer, Escalate, ClaimLapsed and Miss.
// Advance applies them in the right order, one at a time, so that the caller
// can write one event for each; NextTimer says when to ask again. After
// Advance has answered ChangeNone, NextTimer lies in the future: the two can
// drive a timer queue without a further rule.
//
// # Windows
//
// An instant is inside the window when the wall clock of the policy's zone
// reads at least WindowFrom and less than WindowTo: 09:00:00.000 is in,
// 21:00:00.000 is out. The rule asks the wall clock and nothing else, so it
// needs no exception on the days when clocks change: an hour that is skipped
// has no instants, an hour that is repeated is inside twice. A window never
// crosses midnight.
//
// Nobody is rung outside the window: a callback that nobody took before the
// window closed goes back to PENDING until it opens again (Defer).
//
// # Deadlines
//
// The deadline itself is too late: at that instant a callback is missed. A due
// time is therefore before the deadline; a record whose DueAt equals its
// Deadline has no moment left in which it could be offered.
package callback
