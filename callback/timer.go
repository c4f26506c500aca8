package callback

import (
	"fmt"

	"greenlane/internal/instant"
)

// Change names what time alone did to a callback: one step of Advance.
type Change uint8

// The changes.
const (
	ChangeNone      Change = iota
	ChangeDue              // Pending -> Due
	ChangeDeferred         // Due or Pending -> Pending: the window has closed, DueAt is its next opening
	ChangeEscalated        // ranks as a mid-tier call from now on; the state stays
	ChangeLapsed           // Claimed -> Due: nobody reported in time
	ChangeCancelled        // Claimed -> Cancelled: nobody reported in time, and the caller was served or erased meanwhile; EndReason says which
	ChangeMissed           // Pending, Due or Offered -> Missed
)

var changeNames = [...]string{"none", "due", "deferred", "escalated", "lapsed", "cancelled", "missed"}

// String returns the change's name.
func (ch Change) String() string {
	if int(ch) < len(changeNames) {
		return changeNames[ch]
	}
	return fmt.Sprintf("change(%d)", uint8(ch))
}

// Advance applies one change that is due at now because of time alone, and
// says which; ChangeNone says that nothing is left to do. Call it until then:
// one change, one event. It takes at most three steps, however long the
// callback was left alone, and firing twice is harmless. After ChangeNone,
// NextTimer lies after now, and a callback that is Due is inside the window.
func (c *Callback) Advance(p Policy, now instant.Instant) Change {
	switch {
	case c.State == StateClaimed:
		if now < c.ClaimUntil {
			return ChangeNone
		}
		return c.lapse(now)
	case !c.State.Open():
		return ChangeNone
	case now >= c.Deadline:
		c.end(StateMissed, now, EndDeadline)
		return ChangeMissed
	case c.mustDefer(p, now):
		c.deferTo(p, now)
		return ChangeDeferred
	case c.State == StatePending && now >= c.DueAt:
		c.State = StateDue
		return ChangeDue
	case c.mustEscalate(p, now):
		c.EscalatedAt = now
		return ChangeEscalated
	}
	return ChangeNone
}

// NextTimer returns the next moment at which time alone changes this record:
// it becomes due, the window closes on it, it escalates, its claim lapses, or
// its deadline comes. The moment has passed already when Advance has not been
// called since; ok is false for a callback that has ended.
func (c *Callback) NextTimer(p Policy) (at instant.Instant, ok bool) {
	switch c.State {
	case StatePending:
		return min(c.DueAt, c.Deadline), true
	case StateClaimed:
		return c.ClaimUntil, true
	case StateDue, StateOffered:
	default:
		return 0, false
	}
	at = c.Deadline
	if c.EscalatedAt.IsZero() {
		at = min(at, c.escalation(p))
	}
	if c.State == StateDue {
		if closed, ever := p.closes(c.DueAt); ever {
			at = min(at, closed)
		}
	}
	return at, true
}

// BecomeDue makes a scheduled callback ready to be offered: Pending -> Due at
// DueAt or later. It does not ask whether the window is still open; Advance does. Errors: ErrState; ErrDeadline at or after the deadline;
// ErrEarly before DueAt.
func (c *Callback) BecomeDue(now instant.Instant) error {
	switch {
	case c.State != StatePending:
		return stateError("make due", c.State)
	case now >= c.Deadline:
		return ErrDeadline
	case now < c.DueAt:
		return fmt.Errorf("%w: due in %s", ErrEarly, c.DueAt.Sub(now))
	}
	c.State = StateDue
	return nil
}

// Defer puts a callback off because the window has closed on it: Due, or
// Pending that is due, -> Pending until the window opens next, which is now
// when it has opened again meanwhile. If that is not before the deadline,
// DueAt becomes Deadline. Errors: ErrState; ErrDeadline
// at or after the deadline; ErrEarly when the window has not closed.
func (c *Callback) Defer(p Policy, now instant.Instant) error {
	switch {
	case c.State != StatePending && c.State != StateDue:
		return stateError("defer", c.State)
	case now >= c.Deadline:
		return ErrDeadline
	case !c.mustDefer(p, now):
		return fmt.Errorf("%w: the window has not closed on it", ErrEarly)
	}
	c.deferTo(p, now)
	return nil
}

// mustDefer reports whether the window has closed on a callback that is due.
// That is the window in which DueAt lies, even if another one is open by now:
// it is the moment NextTimer names.
func (c *Callback) mustDefer(p Policy, now instant.Instant) bool {
	if c.State != StatePending && c.State != StateDue || now < c.DueAt {
		return false
	}
	closed, ever := p.closes(c.DueAt)
	return ever && now >= closed
}

func (c *Callback) deferTo(p Policy, now instant.Instant) {
	c.State = StatePending
	c.DueAt = min(p.nextInside(now), c.Deadline)
}

// Escalated reports whether the callback ranks as a mid-tier call at now: from
// EscalateBefore before the deadline on.
func (c *Callback) Escalated(p Policy, now instant.Instant) bool { return now >= c.escalation(p) }

// Escalate writes down that a callback began to rank as a mid-tier call: Due
// or Offered, the state stays. Errors: ErrState, also when it has escalated
// already; ErrEarly.
func (c *Callback) Escalate(p Policy, now instant.Instant) error {
	switch {
	case c.State != StateDue && c.State != StateOffered:
		return stateError("escalate", c.State)
	case !c.EscalatedAt.IsZero():
		return fmt.Errorf("%w: it has escalated already", ErrState)
	case !c.Escalated(p, now):
		return fmt.Errorf("%w: escalates in %s", ErrEarly, c.escalation(p).Sub(now))
	}
	c.EscalatedAt = now
	return nil
}

func (c *Callback) mustEscalate(p Policy, now instant.Instant) bool {
	return (c.State == StateDue || c.State == StateOffered) && c.EscalatedAt.IsZero() && c.Escalated(p, now)
}

func (c *Callback) escalation(p Policy) instant.Instant { return c.Deadline.Add(-p.EscalateBefore) }

// ClaimLapsed takes a claim back that nobody reported by ClaimUntil: Claimed
// -> Due, and no attempt is counted. If the caller was served meanwhile there
// is nobody to ring: Claimed -> Cancelled with EndAnswered. Errors: ErrState;
// ErrEarly before ClaimUntil.
func (c *Callback) ClaimLapsed(now instant.Instant) error {
	switch {
	case c.State != StateClaimed:
		return stateError("take back", c.State)
	case now < c.ClaimUntil:
		return fmt.Errorf("%w: the claim lapses in %s", ErrEarly, c.ClaimUntil.Sub(now))
	}
	c.lapse(now)
	return nil
}

// lapse makes the callback due at this instant: it may have been claimed long
// before it was due, or the window may have closed since.
func (c *Callback) lapse(now instant.Instant) Change {
	if c.ServedMeanwhile {
		c.end(StateCancelled, now, EndAnswered)
		return ChangeCancelled
	}
	if c.EraseAtEnd {
		c.end(StateCancelled, now, EndErased)
		return ChangeCancelled
	}
	c.release(StateDue, min(now, c.Deadline))
	return ChangeLapsed
}

// Miss ends a callback that nobody finished by its deadline: Pending, Due or
// Offered -> Missed; the engine rescinds an offer. A claimed one is left to
// its report or lapse. Errors: ErrClaimed; ErrState when it has ended;
// ErrEarly before the deadline.
func (c *Callback) Miss(now instant.Instant) error {
	switch {
	case c.State == StateClaimed:
		return fmt.Errorf("%w by %s: it waits for the report", ErrClaimed, c.ClaimedBy)
	case !c.State.Open():
		return stateError("miss", c.State)
	case now < c.Deadline:
		return fmt.Errorf("%w: the deadline is in %s", ErrEarly, c.Deadline.Sub(now))
	}
	c.end(StateMissed, now, EndDeadline)
	return nil
}
