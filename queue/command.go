package queue

import (
	"time"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/tiering"
)

// Command is one request to change a site's state. Commands are validated by
// the machine; a refused command changes nothing.
type Command interface {
	// Kind is the command's short name: the scope of a request id.
	Kind() string
	request() *Request
}

// Request makes a command safe to repeat: a second command of the same kind
// with the same ID returns the first answer and changes nothing. Print is a
// hash of the request's contents; the same ID with another Print is refused
// with ErrRequestReused. An empty ID gives no such protection.
type Request struct {
	ID    string
	Print uint64
}

func (r *Request) request() *Request { return r }

// Arrive says that a call reached the switch. The call id is the idempotency
// key: a call that is already known is answered as it stands.
// Errors: ErrInvalid, ErrQueueNotFound, ErrCallExists (other switch's call).
// A closed or full queue is not an error: the call is Refused, with the reason.
type Arrive struct {
	Request
	Call           string
	Switch         string
	Caller         tiering.Number
	Dialed         string
	Queue          string // empty: by Dialed, else the site's default
	Tier           tiering.Tier
	Provisional    bool
	Attestation    Attestation
	UnattestedVIP  bool
	PreferredAgent string
	ArrivedAt      instant.Instant
	Attributes     []Attribute
	// Refuse has a call that is not known yet Refused for this reason, when nothing
	// else turns it down: whoever counts arrivals has seen too many.
	Refuse string
}

// Abandon says that the caller hung up. Before the arrival it leaves a mark, so
// that the late arrival ends the same way. After an answer the call is complete.
// Waits are measured by the engine's clock alone; At, the switch's own time,
// counts only for such an overtaken arrival, together with its ArrivedAt.
// Errors: ErrInvalid, ErrCallNotFound (another switch's call).
type Abandon struct {
	Request
	Call   string
	Switch string
	At     instant.Instant
}

// End says that the call is over: an answered call is completed, a waiting one
// abandoned. Errors as for Abandon.
type End struct {
	Request
	Call   string
	Switch string
	At     instant.Instant
}

// Reconcile gives the switch's list of live calls. Missing ones are added with
// their original arrival, calls of this switch that are not in the list and
// joined before AsOf are closed. The result has one item per listed call.
type Reconcile struct {
	Request
	Switch string
	AsOf   instant.Instant // zero: now
	Calls  []Live
}

// Live is a call the switch still holds.
type Live struct {
	Arrive            // ArrivedAt is the original arrival: place and clock count from it
	Err        error  // set by the caller when the item is unusable: reported in its place
	Agent      string // the agent talking to it, when answered
	AnsweredAt instant.Instant
}

// AttachSwitch says that a switch's event stream is open at a daemon (Owner):
// phones of agents with RingBySwitch can be rung for its calls.
type AttachSwitch struct {
	Request
	Switch, Owner, Token string
}

// DetachSwitch ends AttachSwitch with the same Token; otherwise it does nothing.
type DetachSwitch struct {
	Request
	Switch, Token string
}

// SignIn makes an agent known, with endpoint and queues, and ready. Again, for
// an agent who is signed in, it changes queues and endpoint at once and leaves
// the work at hand alone.
// Errors: ErrInvalid, ErrQueueNotFound.
type SignIn struct {
	Request
	Agent        string
	Endpoint     string
	Services     []Service
	WrapUp       time.Duration // -1: as the queue says
	RingBySwitch bool
}

// SignOut ends the agent's day; a live offer goes back to its place. While
// talking it is refused with ErrWrongState unless Force.
type SignOut struct {
	Request
	Agent string
	Force bool
}

// SetState makes an agent ready or not ready (with a reason). While talking,
// not ready counts from the end of the call.
type SetState struct {
	Request
	Agent  string
	State  AgentState // AgentReady or AgentNotReady
	Reason string
}

// Attach says that offers reach the agent: by a poll (own lease: Wait plus the
// grace) or a stream (lives with its owner's lease). A new Token replaces the
// old one; a long poll is used up by the offer it brings. An agent lost before is
// ready again. The result has the live offer, if there is one.
type Attach struct {
	Request
	Agent, Owner, Token string
	Presence            Presence // PresentPoll or PresentStream
	Wait                time.Duration
}

// Detach ends an Attach with the same Token. Undelivered says that the client
// vanished: a live offer goes back at once, and nobody is blamed. Otherwise the
// result has the live offer, if one came in the last moment.
type Detach struct {
	Request
	Agent, Token string
	Undelivered  bool
}

// RenewOwner keeps a daemon's agents and switches alive for OwnerLease.
type RenewOwner struct {
	Request
	Owner string
}

// Acknowledge says that the softphone has the offer. Repeating it is harmless.
type Acknowledge struct {
	Request
	Agent string
	Offer uint64
}

// Accept answers: the service-level clock stops. Repeating it by the same agent
// is harmless. Errors: ErrAgentNotFound, ErrOfferNotFound, ErrOfferEnded.
type Accept struct {
	Request
	Agent string // empty: the switch reports that the offer's agent answered
	Offer uint64
}

// Decline gives an offer back to its old place. Errors as for Accept.
type Decline struct {
	Request
	Agent  string // empty: the switch reports that the agent's phone failed
	Offer  uint64
	Reason string
	// NotReady is set when the phone could not be reached: the agent becomes not
	// ready with Reason.
	NotReady bool
}

// Complete ends the agent's call; repeating it is harmless.
// Errors: ErrAgentNotFound, ErrCallNotFound, ErrWrongState.
type Complete struct {
	Request
	Agent string
	Call  string
}

// MoveCall puts a waiting call into another queue; place and clock are kept.
// Errors: ErrCallNotFound, ErrQueueNotFound, ErrWrongState.
type MoveCall struct {
	Request
	Call, Queue, By string
}

// Rerank gives a waiting call its tier, by call or by caller's number. In the
// better tier it stands by its original arrival. By call: ErrCallNotFound and
// ErrWrongState, but with OnlyProvisional a call that is gone is no error.
type Rerank struct {
	Request
	Call   string         // this call, or
	Caller tiering.Number // every waiting call of this number
	Tier   tiering.Tier
	// OnlyProvisional leaves a call alone whose tier is known by now.
	OnlyProvisional bool
	UnattestedVIP   bool
	// AttestedVIP makes vip of those calls only whose number is fully attested; the
	// others become ordinary, and are marked as UnattestedVIP.
	AttestedVIP bool
}

// CreateCallback promises a callback by hand.
// Errors: ErrInvalid, ErrQueueNotFound, ErrCallbackExists, callback.ErrDue.
type CreateCallback struct {
	Request
	Caller tiering.Number
	Queue  string
	Tier   tiering.Tier
	DueAt  instant.Instant // zero: as the policy says
	Note   string
}

// ClaimCallback takes an open callback for a person or a tool.
// Errors: ErrCallbackNotFound, callback.ErrClaimed, callback.ErrState;
// ErrWrongState for an agent who is busy.
type ClaimCallback struct {
	Request
	Callback, Claimant string
	// OnDuty asks for an agent who is signed in and serves the callback's queue:
	// ErrWrongState for anybody else who takes it. Who has it may keep it.
	OnDuty bool
}

// ReportCallback says how the attempt went.
// Errors: ErrCallbackNotFound, callback.ErrNotClaimant, callback.ErrState.
type ReportCallback struct {
	Request
	Callback, Claimant string
	Result             callback.Result
	Note               string
}

// RescheduleCallback sets another due time before the deadline.
type RescheduleCallback struct {
	Request
	Callback string
	DueAt    instant.Instant
}

// CancelCallback ends an open callback.
type CancelCallback struct {
	Request
	Callback, Reason string
}

// Tick fires every timer that is due. Firing twice is harmless.
type Tick struct{ Request }

// Kind implements Command.
func (*Arrive) Kind() string { return "arrive" }

// Kind implements Command.
func (*Abandon) Kind() string { return "abandon" }

// Kind implements Command.
func (*End) Kind() string { return "end" }

// Kind implements Command.
func (*Reconcile) Kind() string { return "reconcile" }

// Kind implements Command.
func (*AttachSwitch) Kind() string { return "attach_switch" }

// Kind implements Command.
func (*DetachSwitch) Kind() string { return "detach_switch" }

// Kind implements Command.
func (*SignIn) Kind() string { return "sign_in" }

// Kind implements Command.
func (*SignOut) Kind() string { return "sign_out" }

// Kind implements Command.
func (*SetState) Kind() string { return "set_state" }

// Kind implements Command.
func (*Attach) Kind() string { return "attach" }

// Kind implements Command.
func (*Detach) Kind() string { return "detach" }

// Kind implements Command.
func (*RenewOwner) Kind() string { return "renew_owner" }

// Kind implements Command.
func (*Acknowledge) Kind() string { return "acknowledge" }

// Kind implements Command.
func (*Accept) Kind() string { return "accept" }

// Kind implements Command.
func (*Decline) Kind() string { return "decline" }

// Kind implements Command.
func (*Complete) Kind() string { return "complete" }

// Kind implements Command.
func (*MoveCall) Kind() string { return "move_call" }

// Kind implements Command.
func (*Rerank) Kind() string { return "rerank" }

// Kind implements Command.
func (*CreateCallback) Kind() string { return "create_callback" }

// Kind implements Command.
func (*ClaimCallback) Kind() string { return "claim_callback" }

// Kind implements Command.
func (*ReportCallback) Kind() string { return "report_callback" }

// Kind implements Command.
func (*RescheduleCallback) Kind() string { return "reschedule_callback" }

// Kind implements Command.
func (*CancelCallback) Kind() string { return "cancel_callback" }

// Kind implements Command.
func (*Tick) Kind() string { return "tick" }

// Result is a command's answer. Fields that do not apply are nil or zero.
//
// The machine's results point into its own records and are good until the next
// command; Clone makes them last. An Engine's results last; a first answer is kept
// to be given again, so nobody changes what a result points to.
type Result struct {
	Call          *Call
	Agent         *Agent
	Offer         *Offer
	Callback      *callback.Callback
	Position      int           // 1 = next of its queue; 0 = not waiting
	EstimatedWait time.Duration // -1 = no estimate (no agent works)
	Added         int
	Closed        int
	Kept          int
	Reranked      int
	Items         []Item // one per item of a batch
	Duplicate     bool   // the first answer, or the call as it stands: nothing was changed now

	// Of EraseCaller: what was erased, and what was left because it is under way: Live
	// until the command is repeated, AtEnd until it ends.
	ErasedCalls, ErasedCallbacks, Live, AtEnd int

	lasting bool // a first answer that is kept: nobody changes what it points to
}

// Item is the outcome for one call of a batch: "added", "kept" or "failed".
type Item struct {
	Call    string `cbor:"1,keyasint"`
	Outcome string `cbor:"2,keyasint"`
	Err     error  `cbor:"-"`
}
