package queue

import (
	"context"
	"time"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/tiering"
)

// Engine is the port: one site's state, behind a store. Two adapters implement
// it (queue/embedded and queue/redisq) and one suite holds both to this comment
// (queue/queuetest).
//
// All methods are safe for concurrent use. Any of them may return
// ErrUnavailable (the store does not answer; the command may or may not have
// happened; repeat it with the same request id) or ErrClosed (after Close).
type Engine interface {
	// Do decides one command in one atomic step with one instant and returns when
	// it is durable as the engine promises. A returned refusal (see errors.go)
	// means that nothing changed. Repeating a command with the same request id
	// returns the first answer with Duplicate set. Timers that are due fire
	// before the command.
	Do(ctx context.Context, cmd Command) (Result, error)

	// Now returns the engine's clock, truncated to the millisecond.
	Now() instant.Instant

	// Snapshot returns the site's figures at one instant.
	Snapshot(ctx context.Context) (*Snapshot, error)
	// Statistics returns what Snapshot returns, but without Agents. It is asked
	// often, by monitoring: an engine answers from counts it keeps, and lists
	// neither agents nor calls for it.
	Statistics(ctx context.Context) (*Snapshot, error)
	// Call returns one call and where it stands. ErrCallNotFound.
	Call(ctx context.Context, id string) (*CallInfo, error)
	// Calls lists calls in order of (JoinedAt, Seq) of one page; next is "" at the end.
	Calls(ctx context.Context, f CallFilter) (page []Call, next string, err error)
	// Agent returns one agent and the live offer, if there is one. ErrAgentNotFound.
	Agent(ctx context.Context, id string) (*Agent, *Offer, error)
	// Agents lists agents by id; next is "" at the end.
	Agents(ctx context.Context, f AgentFilter) (page []Agent, next string, err error)
	// Callbacks lists callbacks by due time, then sequence; next is "" at the end.
	Callbacks(ctx context.Context, f CallbackFilter) (page []callback.Callback, next string, err error)
	// Positions returns every waiting call of one switch with its place.
	Positions(ctx context.Context, switchID string) ([]Position, error)

	// Cohorts returns what was counted of the calls that joined in the intervals
	// beginning at from or later and before to, by start, then queue name, then
	// tier, best first. Intervals in which nothing was counted may be missing, and
	// those that are no longer kept are.
	Cohorts(ctx context.Context, from, to instant.Instant) ([]Cohort, error)

	// Events returns up to limit events after the given sequence, oldest first.
	// It waits until there is at least one, or ctx ends. A cursor older than what
	// is kept gets ErrTrimmed with the oldest sequence kept. Only committed events
	// are returned.
	Events(ctx context.Context, after uint64, limit int) ([]Event, error)
	// LastEvent returns the sequence of the last committed event, 0 when there is none.
	LastEvent(ctx context.Context) (uint64, error)

	// Failed is closed when the engine can go on no longer (a disk that fails);
	// Err then says why. The daemon must exit.
	Failed() <-chan struct{}
	Err() error

	// Close stops after the commands at hand; it is idempotent.
	Close(ctx context.Context) error
}

// CallFilter selects calls. Zero fields select everything.
type CallFilter struct {
	Queue  string
	Tier   tiering.Tier
	Caller tiering.Number
	States []CallState
	Limit  int    // 1 to 1000; 0 = 100
	After  string // page token of the page before
}

// AgentFilter selects agents.
type AgentFilter struct {
	Queue  string
	States []AgentState
	Limit  int
	After  string
}

// CallbackFilter selects callbacks.
type CallbackFilter struct {
	Queue  string
	Caller tiering.Number
	States []callback.State
	Limit  int
	After  string
}

// Position is a waiting call's place in its queue.
type Position struct {
	Call          string
	Position      int
	EstimatedWait time.Duration // -1 = no estimate
}

// CallInfo is a call and why it stands where it stands.
type CallInfo struct {
	Call           Call
	Position       int
	Estimated      time.Duration        // -1 = no estimate
	AheadByTier    map[tiering.Tier]int // waiting calls served before it, in its queue
	AheadCallbacks int
	Working        int     // agents who serve its queue and work
	Idle           int     // of these, ready and present
	Events         []Event // its own, oldest first; trimmed ones are missing
}

// Counts are a cohort's counters. Every call is in exactly one of the first
// eight once it has ended or been answered; LateWaiting holds those that passed
// the threshold and wait on.
type Counts struct {
	AnsweredInTime  int64 `cbor:"1,keyasint,omitempty"`
	AnsweredLate    int64 `cbor:"2,keyasint,omitempty"`
	AbandonedShort  int64 `cbor:"3,keyasint,omitempty"` // below short_abandon
	AbandonedInTime int64 `cbor:"4,keyasint,omitempty"` // from there to the threshold
	AbandonedLate   int64 `cbor:"5,keyasint,omitempty"`
	TimedOut        int64 `cbor:"6,keyasint,omitempty"`
	Overflowed      int64 `cbor:"7,keyasint,omitempty"`
	Refused         int64 `cbor:"8,keyasint,omitempty"`
	LateWaiting     int64 `cbor:"9,keyasint,omitempty"`
	// Sums of milliseconds: of the waits of answered and of abandoned calls.
	AnsweredWait  int64 `cbor:"10,keyasint,omitempty"`
	AbandonedWait int64 `cbor:"11,keyasint,omitempty"`
}

// Answered returns how many calls were answered.
func (c *Counts) Answered() int64 { return c.AnsweredInTime + c.AnsweredLate }

// Abandoned returns how many callers hung up before an answer.
func (c *Counts) Abandoned() int64 { return c.AbandonedShort + c.AbandonedInTime + c.AbandonedLate }

// Add adds o to c.
func (c *Counts) Add(o *Counts) {
	c.AnsweredInTime += o.AnsweredInTime
	c.AnsweredLate += o.AnsweredLate
	c.AbandonedShort += o.AbandonedShort
	c.AbandonedInTime += o.AbandonedInTime
	c.AbandonedLate += o.AbandonedLate
	c.TimedOut += o.TimedOut
	c.Overflowed += o.Overflowed
	c.Refused += o.Refused
	c.LateWaiting += o.LateWaiting
	c.AnsweredWait += o.AnsweredWait
	c.AbandonedWait += o.AbandonedWait
}

// CohortInterval is the length of the intervals in which calls are counted, by
// the instant they joined their queue.
const CohortInterval = 5 * time.Minute

// Cohort counts the calls of one queue and tier that joined in one interval.
type Cohort struct {
	Queue  string          `cbor:"1,keyasint"`
	Tier   tiering.Tier    `cbor:"2,keyasint"`
	Start  instant.Instant `cbor:"3,keyasint"`
	Counts Counts          `cbor:"4,keyasint"`
}

// WaitBounds are the upper bounds, inclusive, of the wait histogram's buckets
// in milliseconds; a last bucket without bound follows. Two scales share them, so
// that one count serves both:
//
//   - round seconds (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 300 and 600 s). 20 s
//     stands there exactly, since the service level is read off it;
//   - 2^(n/4) s for n from -4 to 48, cut to the millisecond: the buckets of a
//     Prometheus native histogram of schema 2, from 0.5 s to 4096 s. Waits are
//     whole milliseconds, so cutting moves none of them into another bucket.
var WaitBounds = [...]int64{
	500, 594, 707, 840, 1000, 1189, 1414, 1681, 2000, 2378, 2828, 3363, 4000, 4756, 5000, 5656, 6727, 8000, 9513,
	10_000, 11_313, 13_454, 15_000, 16_000, 19_027, 20_000, 22_627, 26_908, 30_000, 32_000, 38_054, 45_000, 45_254,
	53_817, 60_000, 64_000, 76_109, 90_000, 90_509, 107_634, 120_000, 128_000, 152_218, 181_019, 215_269, 256_000,
	300_000, 304_437, 362_038, 430_538, 512_000, 600_000, 608_874, 724_077, 861_077, 1_024_000, 1_217_748, 1_448_154,
	1_722_155, 2_048_000, 2_435_496, 2_896_309, 3_444_311, 4_096_000,
}

// Totals counts a queue and tier since the state was first made.
type Totals struct {
	Queue     string                     `cbor:"1,keyasint"`
	Tier      tiering.Tier               `cbor:"2,keyasint"`
	Counts    Counts                     `cbor:"3,keyasint"`
	Joined    int64                      `cbor:"4,keyasint,omitempty"`
	Completed int64                      `cbor:"5,keyasint,omitempty"`
	Late      int64                      `cbor:"6,keyasint,omitempty"` // passed the threshold before an answer
	Offers    int64                      `cbor:"7,keyasint,omitempty"`
	Talk      int64                      `cbor:"8,keyasint,omitempty"` // milliseconds, of completed calls
	Waits     [len(WaitBounds) + 1]int64 `cbor:"9,keyasint"`           // answered calls by wait
}

// Snapshot is a site at one instant.
type Snapshot struct {
	Site                   string
	At                     instant.Instant
	Seq                    uint64 // last event it reflects
	Queues                 []QueueSnapshot
	Agents                 []Agent            // nil in Statistics
	AgentStates            map[AgentState]int // every agent once; a state that nobody is in may be missing
	Callbacks              CallbackSnapshot
	GreenChannelViolations int64 // offers of a lower tier while an eligible VIP waited: must stay 0
}

// QueueSnapshot is a queue at one instant.
type QueueSnapshot struct {
	Name             string
	Open             bool
	Threshold        time.Duration
	Capacity         int
	Tiers            []TierSnapshot // one per tier, best first
	Agents           map[AgentState]int
	Idle             int // ready and present
	Working          int
	CallbacksWaiting int // due callbacks
}

// TierSnapshot is a tier of a queue at one instant.
type TierSnapshot struct {
	Tier        tiering.Tier
	Waiting     int // waiting or offered
	LateWaiting int
	OldestWait  time.Duration
	Target      float64 // 0 = none
	Today       Counts  // calls that joined since midnight of the site's zone
	Last30Min   Counts  // calls that joined in the last six full or begun intervals
	Totals      Totals
}

// CallbackSnapshot counts the callbacks kept.
type CallbackSnapshot struct {
	ByState      map[callback.State]int
	NextDue      instant.Instant // of open ones
	NextDeadline instant.Instant
	Totals       CallbackTotals
}

// CallbackTotals counts callbacks since the state was first made.
type CallbackTotals struct {
	Created   int64 `cbor:"1,keyasint,omitempty"`
	Reached   int64 `cbor:"2,keyasint,omitempty"`
	Refused   int64 `cbor:"3,keyasint,omitempty"`
	Failed    int64 `cbor:"4,keyasint,omitempty"`
	Missed    int64 `cbor:"5,keyasint,omitempty"`
	Cancelled int64 `cbor:"6,keyasint,omitempty"`
	Attempts  int64 `cbor:"7,keyasint,omitempty"`
}
