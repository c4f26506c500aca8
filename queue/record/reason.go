package record

import (
	"errors"

	"greenlane/callback"
	"greenlane/queue"
	"greenlane/tiering"
)

// kinds names the errors that an item of a batch may be refused with, as they
// are kept. An error that wraps another one of the list stands before it.
// A name, once given, is never given to another error.
var kinds = []struct {
	name string
	err  error
}{
	{"invalid", queue.ErrInvalid},
	{"queue_not_found", queue.ErrQueueNotFound},
	{"agent_not_found", queue.ErrAgentNotFound},
	{"call_not_found", queue.ErrCallNotFound},
	{"offer_not_found", queue.ErrOfferNotFound},
	{"callback_not_found", queue.ErrCallbackNotFound},
	{"call_exists", queue.ErrCallExists},
	{"callback_exists", queue.ErrCallbackExists},
	{"request_reused", queue.ErrRequestReused},
	{"offer_ended", queue.ErrOfferEnded},
	{"wrong_state", queue.ErrWrongState},
	{"trimmed", queue.ErrTrimmed},
	{"unavailable", queue.ErrUnavailable},
	{"closed", queue.ErrClosed},
	{"callback_state", callback.ErrState},
	{"callback_claimed", callback.ErrClaimed},
	{"callback_not_claimant", callback.ErrNotClaimant},
	{"callback_claimant", callback.ErrClaimant},
	{"callback_result", callback.ErrResult},
	{"callback_window", callback.ErrWindow},
	{"callback_due", callback.ErrDue},
	{"callback_deadline", callback.ErrDeadline},
	{"callback_early", callback.ErrEarly},
	{"number", tiering.ErrNumber},
}

func kindName(err error) string {
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.name
		}
	}
	return ""
}

func kindNamed(name string) error {
	for _, k := range kinds {
		if k.name == name {
			return k.err
		}
	}
	return nil
}

// storedReason is an error as it is kept: its text and its kind.
type storedReason struct {
	Kind   string `cbor:"1,keyasint,omitempty"`
	Field  string `cbor:"2,keyasint,omitempty"`
	Detail string `cbor:"3,keyasint,omitempty"`
	Oldest uint64 `cbor:"4,keyasint,omitempty"`
	// Refusal says that it is a *queue.Error, with Field, Detail and Oldest;
	// otherwise Detail is the whole text.
	Refusal bool `cbor:"5,keyasint,omitempty"`
}

func storeReason(err error) *storedReason {
	if err == nil {
		return nil
	}
	s := &storedReason{Kind: kindName(err), Detail: err.Error()}
	if refusal, ok := errors.AsType[*queue.Error](err); ok && refusal.Error() == err.Error() {
		s.Field, s.Detail, s.Oldest, s.Refusal = refusal.Field, refusal.Detail, refusal.Oldest, true
	}
	return s
}

// load returns an error with the same text and kind; nil for nil.
func (s *storedReason) load() error {
	switch {
	case s == nil:
		return nil
	case s.Refusal:
		return &queue.Error{Kind: kindNamed(s.Kind), Field: s.Field, Detail: s.Detail, Oldest: s.Oldest}
	}
	return &keptError{text: s.Detail, kind: kindNamed(s.Kind)}
}

// keptError is an error that was read back.
type keptError struct {
	text string
	kind error
}

func (e *keptError) Error() string { return e.text }

func (e *keptError) Unwrap() error { return e.kind }
