package callback

import (
	"fmt"
	"strings"
)

// State says where a callback stands. The zero value is no state at all, so
// that a record nobody filled in is not mistaken for a scheduled one.
type State uint8

// The states, in the order a callback usually passes them.
const (
	StateUnset     State = iota
	StatePending         // scheduled: DueAt lies ahead
	StateDue             // can be offered
	StateOffered         // leased to one agent who has not accepted yet
	StateClaimed         // somebody is calling back, until ClaimUntil
	StateDone            // the caller was reached, or wants no call
	StateFailed          // every attempt was used up
	StateMissed          // the deadline passed unfinished
	StateCancelled       // withdrawn, or the caller was served otherwise
)

// States lists every state a callback can be in.
var States = [...]State{
	StatePending, StateDue, StateOffered, StateClaimed,
	StateDone, StateFailed, StateMissed, StateCancelled,
}

var stateNames = [...]string{
	"unset", "pending", "due", "offered", "claimed",
	"done", "failed", "missed", "cancelled",
}

// String returns the state's name as labels and the operator's tool write it.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Open reports whether the callback is still to be done. A callback that is
// not open never changes again.
func (s State) Open() bool { return s >= StatePending && s <= StateClaimed }

// ParseState reads a state's name, in any case of letters. The error names
// what is allowed.
func ParseState(name string) (State, error) {
	for _, s := range States {
		if strings.EqualFold(name, s.String()) {
			return s, nil
		}
	}
	return StateUnset, fmt.Errorf("callback state %q is unknown: %s is allowed", name, oneOf(stateNames[1:]))
}

// Result is how one attempt to reach the caller ended. The zero value means
// that nobody has tried yet.
type Result uint8

// The results.
const (
	ResultUnset    Result = iota
	ResultReached         // the caller was spoken to: the callback is done
	ResultNoAnswer        // it rang and nobody answered: tried again later
	ResultBusy            // the line was busy: tried again later
	ResultRefused         // the caller wants no callback: it is done
)

// Results lists every result an attempt can have.
var Results = [...]Result{ResultReached, ResultNoAnswer, ResultBusy, ResultRefused}

var resultNames = [...]string{"unset", "reached", "no_answer", "busy", "refused"}

// String returns the result's name as labels and the operator's tool write it.
func (r Result) String() string {
	if int(r) < len(resultNames) {
		return resultNames[r]
	}
	return fmt.Sprintf("result(%d)", uint8(r))
}

// Valid reports whether r is one of Results.
func (r Result) Valid() bool { return r >= ResultReached && r <= ResultRefused }

// ParseResult reads a result's name, in any case of letters. The error names
// what is allowed.
func ParseResult(name string) (Result, error) {
	for _, r := range Results {
		if strings.EqualFold(name, r.String()) {
			return r, nil
		}
	}
	return ResultUnset, fmt.Errorf("callback result %q is unknown: %s is allowed", name, oneOf(resultNames[1:]))
}

// oneOf writes names as "a, b or c".
func oneOf(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
