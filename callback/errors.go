package callback

import (
	"errors"
	"fmt"
)

// The errors of this package. Every error returned by a transition wraps one
// of them, and the record is then exactly as it was before.
var (
	// ErrState: the callback is in a state that does not allow the change.
	ErrState = errors.New("callback: state does not allow this")
	// ErrClaimed: somebody else holds the claim, or the change has to wait
	// until the claim is reported or lapses.
	ErrClaimed = errors.New("callback: claimed")
	// ErrNotClaimant: the reporter is not the one who holds the claim.
	ErrNotClaimant = errors.New("callback: not the claimant")
	// ErrClaimant: the claimant's name is empty.
	ErrClaimant = errors.New("callback: claimant is empty")
	// ErrResult: the result of an attempt is none of Results.
	ErrResult = errors.New("callback: unknown result")
	// ErrDue: the due time asked for is not allowed.
	ErrDue = errors.New("callback: due time is not allowed")
	// ErrWindow: the due time asked for is outside the window. It is an ErrDue.
	ErrWindow = fmt.Errorf("%w: outside the window", ErrDue)
	// ErrDeadline: the deadline has passed.
	ErrDeadline = errors.New("callback: deadline has passed")
	// ErrEarly: a time-driven change was asked for before its moment. A caller
	// that follows Advance or NextTimer never sees it.
	ErrEarly = errors.New("callback: too early")
)

// stateError says that op does not exist in state s.
func stateError(op string, s State) error {
	return fmt.Errorf("%w: cannot %s a callback that is %s", ErrState, op, s)
}
