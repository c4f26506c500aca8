package callback

import (
	"greenlane/internal/instant"
	"greenlane/tiering"
)

// Why a callback exists or has ended, as Reason and EndReason say it. Whoever
// creates or cancels one by hand may give other words.
const (
	ReasonAbandoned = "abandoned" // the caller hung up while waiting

	EndReached  = "reached"  // done: the caller was spoken to
	EndRefused  = "refused"  // done: the caller wants no callback
	EndAttempts = "attempts" // failed: MaxAttempts were used up
	EndDeadline = "deadline" // missed
	EndAnswered = "answered" // cancelled: the caller rang again and was answered
	EndErased   = "erased"   // cancelled: the caller was erased
)

// Callback is the record of one promise. It holds no pointer: an assignment
// copies it. The cbor tags name the fields for whoever stores it; a number,
// once given, is never given to another field.
type Callback struct {
	ID     string         `cbor:"1,keyasint,omitempty"`
	Seq    uint64         `cbor:"2,keyasint,omitempty"` // the engine's sequence
	Caller tiering.Number `cbor:"3,keyasint,omitempty"`
	Queue  string         `cbor:"4,keyasint,omitempty"`
	Tier   tiering.Tier   `cbor:"5,keyasint,omitempty"`
	State  State          `cbor:"6,keyasint,omitempty"`
	// CallID is the abandoned call, empty when the callback was made by hand.
	CallID string `cbor:"7,keyasint,omitempty"`
	// Reason is ReasonAbandoned, or what the creator gave.
	Reason string `cbor:"8,keyasint,omitempty"`

	CreatedAt instant.Instant `cbor:"9,keyasint,omitempty"`
	// ArrivedAt is when the call arrived first: the rank after escalation.
	ArrivedAt instant.Instant `cbor:"10,keyasint,omitempty"`
	// DueAt is when the callback is, or became, due. It is never after Deadline;
	// when it equals Deadline there is no further attempt.
	DueAt instant.Instant `cbor:"11,keyasint,omitempty"`
	// Deadline is the first instant that is too late. It never changes.
	Deadline instant.Instant `cbor:"12,keyasint,omitempty"`

	// Attempts counts the reports, of whatever result.
	Attempts      int             `cbor:"13,keyasint,omitempty"`
	LastResult    Result          `cbor:"14,keyasint,omitempty"`
	LastAttemptAt instant.Instant `cbor:"15,keyasint,omitempty"`

	// ClaimedBy holds the claim; on an ended callback it is who held it at the end.
	ClaimedBy string `cbor:"16,keyasint,omitempty"`
	// ClaimEpoch counts the claims; a renewal is none.
	ClaimEpoch uint64 `cbor:"17,keyasint,omitempty"`
	// ClaimUntil is when the claim lapses; set only while StateClaimed.
	ClaimUntil instant.Instant `cbor:"18,keyasint,omitempty"`

	EndedAt   instant.Instant `cbor:"19,keyasint,omitempty"`
	EndReason string          `cbor:"20,keyasint,omitempty"`
	// ServedMeanwhile: the caller rang again and was answered while claimed.
	ServedMeanwhile bool   `cbor:"21,keyasint,omitempty"`
	Note            string `cbor:"22,keyasint,omitempty"`
	// EscalatedAt is when the callback began to rank as a mid-tier call; zero
	// until then. It is a fact, written by Escalate; Escalated is the rule.
	EscalatedAt instant.Instant `cbor:"23,keyasint,omitempty"`
	// EraseAtEnd: the caller was erased while somebody held the claim. It is not tried
	// again, and the engine erases it when it ends.
	EraseAtEnd bool `cbor:"24,keyasint,omitempty"`
}

// New returns a pending callback whose deadline is now+Deadline. now is when
// the caller hung up, or when somebody made the callback by hand; arrivedAt is
// when the call arrived, and a zero one counts as now.
//
// due asks for a due time; zero means FirstDue(now). New has no errors, so it
// moves a due time that cannot be: to now when it is earlier, then into the
// window, then, as NextDue does, before the deadline. When no moment is left
// DueAt equals Deadline and the callback will be missed, visibly. A door where
// somebody names a due time calls CheckDue first.
func New(p Policy, id string, seq uint64, now, arrivedAt instant.Instant, caller tiering.Number, queue string,
	tier tiering.Tier, callID, reason string, due instant.Instant,
) Callback {
	c := Callback{
		ID: id, Seq: seq, Caller: caller, Queue: queue, Tier: tier, State: StatePending,
		CallID: callID, Reason: reason, CreatedAt: now, ArrivedAt: arrivedAt, Deadline: now.Add(p.Deadline),
	}
	if arrivedAt.IsZero() {
		c.ArrivedAt = now
	}
	if due.IsZero() {
		due = p.FirstDue(now)
		c.DueAt = c.dueOrDeadline(p.beforeDeadline(now, due, c.Deadline))
		return c
	}
	due = p.nextInside(max(due, now))
	if due < c.Deadline {
		c.DueAt = due // what somebody asked for is not moved to make room
		return c
	}
	c.DueAt = c.dueOrDeadline(p.beforeDeadline(now, due, c.Deadline))
	return c
}

// dueOrDeadline returns due, or the deadline when there is no due time left.
func (c *Callback) dueOrDeadline(due instant.Instant, ok bool) instant.Instant {
	if !ok {
		return c.Deadline
	}
	return due
}

// end closes the record. ClaimedBy stays: it says who was last at it.
func (c *Callback) end(s State, now instant.Instant, reason string) {
	c.State, c.EndedAt, c.EndReason, c.ClaimUntil = s, now, reason, 0
}

// release takes the claim away and leaves the record open in state s.
func (c *Callback) release(s State, due instant.Instant) {
	c.State, c.DueAt, c.ClaimedBy, c.ClaimUntil = s, due, "", 0
}
