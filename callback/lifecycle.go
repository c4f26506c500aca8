package callback

import (
	"fmt"
	"time"

	"greenlane/internal/instant"
)

// Offer leases a due callback to an agent: Due -> Offered. The lease itself is
// the engine's. Errors: ErrState.
func (c *Callback) Offer() error {
	if c.State != StateDue {
		return stateError("offer", c.State)
	}
	c.State = StateOffered
	return nil
}

// Return takes an offer back that was declined, lapsed or rescinded: Offered ->
// Due. The window may have closed meanwhile: call Advance before offering it
// again. Errors: ErrState.
func (c *Callback) Return() error {
	if c.State != StateOffered {
		return stateError("return", c.State)
	}
	c.State = StateDue
	return nil
}

// Claim gives the callback to by until now+lease: Pending, Due or Offered ->
// Claimed, with a new ClaimEpoch. The engine sees to it that an offer is
// accepted, or rescinded when somebody else claims.
//
// The claimant may claim again, which is safe to repeat: the claim lasts until
// now+lease if that is longer, under the same epoch. Nobody claims or renews
// at or after the deadline, so every callback has ended by then plus one
// lease. A claim whose time is over stands until ClaimLapsed.
//
// Errors: ErrClaimant for an empty by; ErrClaimed when another holds it;
// ErrState when it has ended; ErrDeadline.
func (c *Callback) Claim(now instant.Instant, by string, lease time.Duration) error {
	switch {
	case by == "":
		return fmt.Errorf("%w: a name is needed to claim", ErrClaimant)
	case !c.State.Open():
		return stateError("claim", c.State)
	case c.State == StateClaimed && c.ClaimedBy != by:
		return fmt.Errorf("%w by %s", ErrClaimed, c.ClaimedBy)
	case now >= c.Deadline:
		return ErrDeadline
	}
	if c.State == StateClaimed {
		c.ClaimUntil = max(c.ClaimUntil, now.Add(lease))
		return nil
	}
	c.State = StateClaimed
	c.ClaimedBy = by
	c.ClaimEpoch++
	c.ClaimUntil = now.Add(lease)
	return nil
}

// Report says how the claimant's attempt at now went, and counts it.
//
//   - reached, refused: Done.
//   - no answer, busy: Cancelled with EndAnswered when the caller was served
//     meanwhile, with EndErased when the caller was erased; else Failed when this
//     was attempt MaxAttempts; else Pending, due as NextDue says. With no moment
//     left DueAt becomes Deadline, and the deadline marks it missed.
//
// A late report is taken as long as the claim has not lapsed, after the
// deadline too: the caller was rung. Errors: ErrResult; ErrState when it is
// not claimed; ErrNotClaimant when it is claimed by another.
func (c *Callback) Report(p Policy, now instant.Instant, by string, r Result) error {
	switch {
	case !r.Valid():
		return fmt.Errorf("%w: %s: %s is allowed", ErrResult, r, oneOf(resultNames[1:]))
	case c.State != StateClaimed:
		return stateError("report on", c.State)
	case c.ClaimedBy != by:
		return fmt.Errorf("%w: %s holds the claim", ErrNotClaimant, c.ClaimedBy)
	}
	c.Attempts++
	c.LastResult = r
	c.LastAttemptAt = now
	switch {
	case r == ResultReached:
		c.end(StateDone, now, EndReached)
	case r == ResultRefused:
		c.end(StateDone, now, EndRefused)
	case c.ServedMeanwhile:
		c.end(StateCancelled, now, EndAnswered)
	case c.EraseAtEnd:
		c.end(StateCancelled, now, EndErased)
	case c.Attempts >= p.MaxAttempts:
		c.end(StateFailed, now, EndAttempts)
	default:
		c.release(StatePending, c.dueOrDeadline(p.NextDue(now, c.Attempts, c.Deadline)))
	}
	return nil
}

// Reschedule moves the callback to another due time: Pending or Due -> Pending.
// The due time is after now, before the deadline and inside the window, for
// people too: the window protects the caller.
//
// Errors: ErrClaimed while claimed; ErrState when it is offered or has ended;
// ErrDeadline at or after the deadline; ErrDue, or ErrWindow which is one too.
func (c *Callback) Reschedule(p Policy, now, due instant.Instant) error {
	switch {
	case c.State == StateClaimed:
		return fmt.Errorf("%w by %s: cannot reschedule before the report", ErrClaimed, c.ClaimedBy)
	case c.State != StatePending && c.State != StateDue:
		return stateError("reschedule", c.State)
	case now >= c.Deadline:
		return ErrDeadline
	}
	if err := p.CheckDue(now, due, c.Deadline); err != nil {
		return err
	}
	c.State = StatePending
	c.DueAt = due
	return nil
}

// Cancel withdraws an open callback, a claimed or offered one too; the engine
// rescinds the offer. Errors: ErrState.
func (c *Callback) Cancel(now instant.Instant, reason string) error {
	if !c.State.Open() {
		return stateError("cancel", c.State)
	}
	c.end(StateCancelled, now, reason)
	return nil
}

// Answered says that the caller rang again and an agent answered. An open
// callback that nobody has claimed is cancelled with EndAnswered, and Answered
// returns true; the engine rescinds an offer. A claimed one is marked
// ServedMeanwhile, so that it is not tried again. An ended one stays as it is.
func (c *Callback) Answered(now instant.Instant) (cancelled bool) {
	switch {
	case !c.State.Open():
		return false
	case c.State == StateClaimed:
		c.ServedMeanwhile = true
		return false
	}
	c.end(StateCancelled, now, EndAnswered)
	return true
}

// Erase takes out of an ended record what tells of a person: the number and the
// note. Counts, times and results stay.
func (c *Callback) Erase() { c.Caller, c.Note, c.EraseAtEnd = "", "", false }
