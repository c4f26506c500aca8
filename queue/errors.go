package queue

import (
	"errors"
	"fmt"
)

// The reasons for which a command is turned down. A command that fails has
// changed nothing, and may be repeated. Error wraps one of them.
var (
	ErrInvalid          = errors.New("invalid argument")
	ErrQueueNotFound    = errors.New("queue not found")
	ErrAgentNotFound    = errors.New("agent not found")
	ErrCallNotFound     = errors.New("call not found")
	ErrOfferNotFound    = errors.New("offer not found")
	ErrCallbackNotFound = errors.New("callback not found")
	ErrCallExists       = errors.New("call id already used")
	ErrCallbackExists   = errors.New("an open callback for this number and queue exists")
	ErrRequestReused    = errors.New("request_id already used for another request")
	ErrOfferEnded       = errors.New("offer is over")
	ErrWrongState       = errors.New("not possible in this state")
	ErrTrimmed          = errors.New("events before this are no longer kept")
	ErrUnavailable      = errors.New("engine unavailable")
	ErrClosed           = errors.New("engine closed")
)

// Error is a refusal: which kind, of which field or thing, and in words what
// is allowed. It matches its Kind with errors.Is.
type Error struct {
	Kind   error
	Field  string // the request's field for ErrInvalid, else the thing's kind: "call_id", "offer_id", ...
	Detail string
	Oldest uint64 // with ErrTrimmed: the oldest event sequence still kept
}

// Error returns the whole sentence.
func (e *Error) Error() string {
	if e.Field != "" {
		return fmt.Sprintf("%s: %s", e.Field, e.Detail)
	}
	return e.Detail
}

// Unwrap returns the kind.
func (e *Error) Unwrap() error { return e.Kind }

func refuse(kind error, field, format string, args ...any) error {
	return &Error{Kind: kind, Field: field, Detail: fmt.Sprintf(format, args...)}
}
