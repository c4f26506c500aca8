package queue

import (
	"time"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// EventType says what changed.
type EventType uint8

// The events of a site's log. Every state change writes exactly one.
const (
	EventUnset EventType = iota
	EventCallJoined
	EventCallRefused
	EventCallOffered
	EventOfferAcknowledged
	EventOfferReturned // the call is back in its old place; Reason says why
	EventCallAnswered
	EventCallCompleted
	EventCallAbandoned
	EventCallTimedOut
	EventCallOverflowed // handed to a destination outside
	EventCallMoved      // to another queue, by overflow or by a supervisor
	EventCallReranked
	EventCallLate          // the threshold passed before an answer
	EventCallReleasedToAll // the wait for the preferred agent is over
	EventAgentSignedIn
	EventAgentQueuesChanged
	EventAgentStateChanged
	EventAgentSignedOut
	EventCallbackCreated
	EventCallbackDue
	EventCallbackOffered
	EventCallbackReturned
	EventCallbackClaimed
	EventCallbackReported
	EventCallbackRescheduled
	EventCallbackCancelled
	EventCallbackMissed
	EventCallbackEscalated
	EventSwitchConnected
	EventSwitchDisconnected
)

var eventNames = [...]string{
	"unset", "call_joined", "call_refused", "call_offered", "offer_acknowledged", "offer_returned", "call_answered",
	"call_completed", "call_abandoned", "call_timed_out", "call_overflowed", "call_moved", "call_reranked", "call_late",
	"call_released_to_all", "agent_signed_in", "agent_queues_changed", "agent_state_changed", "agent_signed_out",
	"callback_created", "callback_due", "callback_offered", "callback_returned", "callback_claimed", "callback_reported",
	"callback_rescheduled", "callback_cancelled", "callback_missed", "callback_escalated", "switch_connected",
	"switch_disconnected",
}

// String returns the event's name as transcripts and JSON write it.
func (t EventType) String() string { return name(eventNames[:], uint8(t)) }

// Event is one entry of the site's ordered log. Fields that do not apply are
// zero. Seq counts from 1 without gaps.
type Event struct {
	Seq        uint64          `cbor:"1,keyasint"`
	At         instant.Instant `cbor:"2,keyasint"`
	Type       EventType       `cbor:"3,keyasint"`
	Call       string          `cbor:"4,keyasint,omitempty"`
	Agent      string          `cbor:"5,keyasint,omitempty"`
	Queue      string          `cbor:"6,keyasint,omitempty"`
	FromQueue  string          `cbor:"7,keyasint,omitempty"`
	Tier       tiering.Tier    `cbor:"8,keyasint,omitempty"`
	FromTier   tiering.Tier    `cbor:"9,keyasint,omitempty"`
	Offer      uint64          `cbor:"10,keyasint,omitempty"`
	Callback   string          `cbor:"11,keyasint,omitempty"`
	AgentState AgentState      `cbor:"12,keyasint,omitempty"` // the agent's state after the event
	Reason     string          `cbor:"13,keyasint,omitempty"`
	Why        string          `cbor:"14,keyasint,omitempty"`
	Switch     string          `cbor:"15,keyasint,omitempty"`
	JoinedAt   instant.Instant `cbor:"16,keyasint,omitempty"` // of the call: with At it gives the wait
	Wait       time.Duration   `cbor:"17,keyasint,omitempty"` // the wait that counts, on answers and ends
	Late       bool            `cbor:"18,keyasint,omitempty"`
	Talk       time.Duration   `cbor:"19,keyasint,omitempty"` // answer to end, on call_completed
}
