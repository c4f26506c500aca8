package queue

import (
	"greenlane/callback"
	"greenlane/internal/instant"
)

// AgentState is what an agent is doing.
type AgentState uint8

// The states of an agent.
const (
	AgentUnset AgentState = iota
	AgentReady
	AgentNotReady
	AgentOffered
	AgentTalking
	AgentWrapUp
	AgentSignedOut
)

var agentStateNames = [...]string{"unset", "ready", "not_ready", "offered", "talking", "wrap_up", "signed_out"}

// String returns the state's name as labels and transcripts write it.
func (s AgentState) String() string { return name(agentStateNames[:], uint8(s)) }

// Working reports whether an agent in this state serves callers now or as soon
// as the work at hand is done. Only a working agent counts as one who "can
// serve" a call that somebody else declined.
func (s AgentState) Working() bool {
	return s == AgentReady || s == AgentOffered || s == AgentTalking || s == AgentWrapUp
}

// Reasons the engine gives for a not-ready agent.
const (
	ReasonNoAnswer        = "no_answer"        // an offer ran out
	ReasonLost            = "lost"             // the softphone went away; it is ready again when it comes back
	ReasonNotAcknowledged = "not_acknowledged" // the softphone did not confirm an offer
	ReasonBusy            = "busy"             // the switch found the agent's phone busy
	ReasonUnreachable     = "unreachable"      // the switch could not reach the agent's phone
)

// Service is one queue an agent serves. Level 1 is served first.
type Service struct {
	Queue string `cbor:"1,keyasint"`
	Level int    `cbor:"2,keyasint"`
}

// Presence is how offers reach an agent.
type Presence uint8

// An agent is available only while present.
const (
	Absent        Presence = iota
	PresentPoll            // a long poll is open; it has its own lease
	PresentStream          // a session is open; it lives as long as its owner's lease
	PresentRing            // the switch rings the agent's phone; present while signed in
)

// Agent is a person with a softphone, as the engine records it.
type Agent struct {
	ID           string          `cbor:"1,keyasint"`
	Ord          uint64          `cbor:"2,keyasint"` // order of first sign-in: the last tie-break
	Endpoint     string          `cbor:"3,keyasint,omitempty"`
	Services     []Service       `cbor:"4,keyasint,omitempty"` // sorted by level, then queue
	State        AgentState      `cbor:"5,keyasint"`
	Reason       string          `cbor:"6,keyasint,omitempty"`
	Since        instant.Instant `cbor:"7,keyasint"`           // when State began
	IdleSince    instant.Instant `cbor:"8,keyasint,omitempty"` // longest idle is served first
	Call         string          `cbor:"9,keyasint,omitempty"` // offered or talked on
	Callback     string          `cbor:"10,keyasint,omitempty"`
	Offer        uint64          `cbor:"11,keyasint,omitempty"`
	WrapUp       int64           `cbor:"12,keyasint,omitempty"` // milliseconds after each call; -1 = as the queue says
	WrapUntil    instant.Instant `cbor:"13,keyasint,omitempty"`
	NextReason   string          `cbor:"14,keyasint,omitempty"` // not ready after the call at hand, for this reason
	NextPause    bool            `cbor:"15,keyasint,omitempty"` // a not-ready request waits for the end of the call
	Presence     Presence        `cbor:"16,keyasint,omitempty"`
	Owner        string          `cbor:"17,keyasint,omitempty"` // the daemon that holds the session or poll
	Token        string          `cbor:"18,keyasint,omitempty"` // which session or poll
	LeaseUntil   instant.Instant `cbor:"19,keyasint,omitempty"` // lost when it passes; zero = no lease of its own
	RingBySwitch bool            `cbor:"20,keyasint,omitempty"`
}

// Offer is a lease of one call (or callback) to one agent. Epoch is unique in
// the site and grows: it is the offer's name and its fence.
type Offer struct {
	Epoch        uint64             `cbor:"1,keyasint"`
	Agent        string             `cbor:"2,keyasint"`
	Call         *Call              `cbor:"3,keyasint,omitempty"`
	Callback     *callback.Callback `cbor:"4,keyasint,omitempty"`
	OfferedAt    instant.Instant    `cbor:"5,keyasint"`
	ExpiresAt    instant.Instant    `cbor:"6,keyasint"`
	Acknowledged bool               `cbor:"7,keyasint,omitempty"`
	Why          string             `cbor:"8,keyasint,omitempty"`
}

// Why an offer went to its agent, as Offer.Why and Event.Why give it.
const (
	WhyLongestIdle    = "longest_idle"    // a caller came; this agent was idle longest at the best level
	WhyNextInLine     = "next_in_line"    // an agent came free; this caller was first in the one order
	WhyPreferredAgent = "preferred_agent" // the caller asked for this agent
	WhyPreemption     = "preemption"      // green channel: a lower-tier offer was rescinded for a VIP
)

// Why an offer ended without an answer, as Event.Reason gives it.
const (
	EndedDeclined        = "declined"
	EndedExpired         = "expired"
	EndedPreempted       = "preempted"
	EndedCallerHungUp    = "caller_hung_up"
	EndedAgentLost       = "agent_lost"
	EndedNotAcknowledged = "not_acknowledged"
	EndedNotReady        = "agent_not_ready"
	EndedSignedOut       = "agent_signed_out"
	EndedMoved           = "moved"
	EndedMaxWait         = "max_wait"
	EndedCancelled       = "cancelled"
	EndedUndelivered     = "undelivered"
	EndedReconciled      = "reconciled"
	EndedAccepted        = "accepted"
)
