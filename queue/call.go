package queue

import (
	"time"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// CallState is where a call stands in its life.
type CallState uint8

// The states of a call. Completed, Abandoned, TimedOut, Overflowed and Refused
// are terminal: a call reaches exactly one of them, once.
const (
	CallUnset CallState = iota
	CallWaiting
	CallOffered
	CallAnswered
	CallCompleted
	CallAbandoned
	CallTimedOut
	CallOverflowed // handed to a destination outside Greenlane
	CallRefused
)

var callStateNames = [...]string{"unset", "waiting", "offered", "answered", "completed", "abandoned", "timed_out", "overflowed", "refused"}

// String returns the state's name as labels and transcripts write it.
func (s CallState) String() string { return name(callStateNames[:], uint8(s)) }

// Terminal reports whether a call in this state has ended.
func (s CallState) Terminal() bool { return s >= CallCompleted }

// Attestation says how far the switch trusts the caller's number, in the words
// of STIR/SHAKEN (RFC 8588).
type Attestation = tiering.Attestation

// Attribute is one named fact the switch gave about a call.
type Attribute struct {
	Key   string `cbor:"1,keyasint"`
	Value string `cbor:"2,keyasint"`
}

// Call is one inbound call as the engine records it.
//
// JoinedAt is when the service-level clock started: the engine's instant of the
// arrival, or the original arrival for a call restored by Reconcile. Calls are
// ranked by (JoinedAt, Seq), oldest first; neither ever changes afterwards.
type Call struct {
	ID             string          `cbor:"1,keyasint"`
	Switch         string          `cbor:"2,keyasint,omitempty"`
	Caller         tiering.Number  `cbor:"3,keyasint,omitempty"`
	Dialed         string          `cbor:"4,keyasint,omitempty"`
	Queue          string          `cbor:"5,keyasint,omitempty"`
	Tier           tiering.Tier    `cbor:"6,keyasint,omitempty"`
	Provisional    bool            `cbor:"7,keyasint,omitempty"`
	Attestation    Attestation     `cbor:"8,keyasint,omitempty"`
	UnattestedVIP  bool            `cbor:"9,keyasint,omitempty"`
	State          CallState       `cbor:"10,keyasint"`
	Late           bool            `cbor:"11,keyasint,omitempty"` // passed the threshold before an answer
	Tombstone      bool            `cbor:"30,keyasint,omitempty"` // the hang-up came before the arrival
	EraseAtEnd     bool            `cbor:"31,keyasint,omitempty"` // its caller was erased while it was under way
	PreferredAgent string          `cbor:"12,keyasint,omitempty"`
	Attributes     []Attribute     `cbor:"13,keyasint,omitempty"` // sorted by key
	Reason         string          `cbor:"14,keyasint,omitempty"` // why it is in its terminal state
	Seq            uint64          `cbor:"15,keyasint"`
	ArrivedAt      instant.Instant `cbor:"16,keyasint,omitempty"` // the switch's own time, for information
	JoinedAt       instant.Instant `cbor:"17,keyasint,omitempty"`
	OfferedAt      instant.Instant `cbor:"18,keyasint,omitempty"`
	AnsweredAt     instant.Instant `cbor:"19,keyasint,omitempty"`
	EndedAt        instant.Instant `cbor:"20,keyasint,omitempty"`
	QueuedAt       instant.Instant `cbor:"21,keyasint,omitempty"` // when it came to its present queue
	HeldUntil      instant.Instant `cbor:"22,keyasint,omitempty"` // waits for the preferred agent only, until then
	OverflowAt     instant.Instant `cbor:"32,keyasint,omitempty"` // when its overflow is tried again: the target was closed
	Agent          string          `cbor:"23,keyasint,omitempty"`
	Offer          uint64          `cbor:"24,keyasint,omitempty"` // the live offer's epoch
	Offers         int             `cbor:"25,keyasint,omitempty"` // how many offers were made
	DeclinedBy     []string        `cbor:"26,keyasint,omitempty"` // agents who declined or did not answer it
	OverflowedFrom string          `cbor:"27,keyasint,omitempty"` // the queue it was in before it overflowed or was moved
	Callback       string          `cbor:"28,keyasint,omitempty"` // the callback it earned
	Events         []uint64        `cbor:"29,keyasint,omitempty"` // sequence numbers of its events
}

// Wait returns how long the caller waited: until the answer, until the end when
// there was no answer, or until now.
func (c *Call) Wait(now instant.Instant) time.Duration {
	return waited(c.JoinedAt, c.AnsweredAt, c.EndedAt, now)
}

func waited(joined, answered, ended, now instant.Instant) time.Duration {
	switch {
	case joined.IsZero():
		return 0
	case !answered.IsZero():
		return answered.Sub(joined)
	case !ended.IsZero():
		return ended.Sub(joined)
	default:
		return max(0, now.Sub(joined))
	}
}

// Reasons of a call's end, as Call.Reason gives them.
const (
	ReasonCallerHungUp   = "caller_hung_up"
	ReasonSwitchEnded    = "switch_ended"
	ReasonAgentCompleted = "agent_completed"
	ReasonReconciled     = "reconciled"
	ReasonMaxWait        = "max_wait"
	ReasonMaxTalk        = "max_talk"
	ReasonOverflow       = "overflow"
	ReasonMoved          = "moved" // by a supervisor, whom Event.Why names
	ReasonQueueClosed    = "queue_closed"
	ReasonQueueFull      = "queue_full"
	ReasonProcessFull    = "process_full"
	ReasonBlacklisted    = "blacklisted"
	ReasonNumberFlood    = "number_flood" // more calls of one number than are let in
	ReasonSwitchFlood    = "switch_flood" // more calls of one switch than are let in
)

func name(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return "unknown"
}
