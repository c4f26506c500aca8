package queue

import (
	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/tiering"
)

// State is everything a machine knows, as records a store can keep. The
// configuration (Site) is not part of it. Order of the slices is free.
type State struct {
	Meta      Meta
	Calls     []*Call
	Agents    []*Agent
	Offers    []*OfferRecord
	Callbacks []*callback.Callback
	Queues    []*QueueRecord
	Cohorts   []*Cohort
	Totals    []*Totals
	Requests  []*RequestRecord
	Owners    []*OwnerRecord
	Switches  []*SwitchRecord
}

// Meta holds the site's counters.
type Meta struct {
	LastEvent  uint64          `cbor:"1,keyasint,omitempty"`
	CallSeq    uint64          `cbor:"2,keyasint,omitempty"`
	Epoch      uint64          `cbor:"3,keyasint,omitempty"`
	Ord        uint64          `cbor:"4,keyasint,omitempty"`
	RequestSeq uint64          `cbor:"5,keyasint,omitempty"`
	Now        instant.Instant `cbor:"6,keyasint,omitempty"` // the last command's instant: time never runs back
	Callbacks  CallbackTotals  `cbor:"7,keyasint"`
	Violations int64           `cbor:"8,keyasint,omitempty"`
}

// OfferRecord is a live offer, or a past one kept for a while to say how it ended.
type OfferRecord struct {
	Epoch     uint64          `cbor:"1,keyasint"`
	Agent     string          `cbor:"2,keyasint"`
	Call      string          `cbor:"3,keyasint,omitempty"`
	Callback  string          `cbor:"4,keyasint,omitempty"`
	OfferedAt instant.Instant `cbor:"5,keyasint"`
	ExpiresAt instant.Instant `cbor:"6,keyasint"`
	AckBy     instant.Instant `cbor:"7,keyasint,omitempty"` // zero: acknowledged, or not watched
	Acked     bool            `cbor:"8,keyasint,omitempty"`
	Why       string          `cbor:"9,keyasint,omitempty"`
	Ended     string          `cbor:"10,keyasint,omitempty"` // "" while live
}

// QueueRecord is what a queue learns.
type QueueRecord struct {
	Name string `cbor:"1,keyasint"`
	// HandleTime is the moving mean of the time an agent is busy with one call, in
	// milliseconds: h' = (15 h + x) / 16 in whole numbers.
	HandleTime int64 `cbor:"2,keyasint,omitempty"`
}

// RequestRecord is the first answer to a request id.
type RequestRecord struct {
	Seq    uint64          `cbor:"1,keyasint"`
	Kind   string          `cbor:"2,keyasint"`
	ID     string          `cbor:"3,keyasint"`
	Print  uint64          `cbor:"4,keyasint,omitempty"`
	At     instant.Instant `cbor:"5,keyasint"`
	Result Result          `cbor:"6,keyasint"`
}

// OwnerRecord is a daemon's lease on the agents and switches attached to it.
type OwnerRecord struct {
	Owner string          `cbor:"1,keyasint"`
	Until instant.Instant `cbor:"2,keyasint"`
	Ord   uint64          `cbor:"3,keyasint,omitempty"` // order of first contact: a tie-break
}

// SwitchRecord is a switch whose event stream is open at a daemon.
type SwitchRecord struct {
	Switch string `cbor:"1,keyasint"`
	Owner  string `cbor:"2,keyasint"`
	Token  string `cbor:"3,keyasint"`
}

// CohortKey names a cohort.
type CohortKey struct {
	Queue string
	Tier  tiering.Tier
	Start instant.Instant
}

// TotalsKey names the running counters of a queue and tier.
type TotalsKey struct {
	Queue string
	Tier  tiering.Tier
}

// Changes are the records that commands touched since the machine was last
// asked, each once, and the events they wrote. The pointers are the machine's
// own: encode them before the next command. What is gone may be listed as
// touched as well; apply what is gone last. What went and came back is not
// listed as gone.
type Changes struct {
	Meta      Meta
	Calls     []*Call
	Agents    []*Agent
	Offers    []*OfferRecord
	Callbacks []*callback.Callback
	Queues    []*QueueRecord
	Cohorts   []*Cohort
	Totals    []*Totals
	Requests  []*RequestRecord
	Owners    []*OwnerRecord
	Switches  []*SwitchRecord
	Events    []Event

	// What is kept no longer, by the key each kind is stored under: calls,
	// callbacks and requests by Seq, offers by Epoch.
	GoneCalls     []uint64
	GoneAgents    []string
	GoneOffers    []uint64
	GoneCallbacks []uint64
	GoneCohorts   []CohortKey
	GoneRequests  []uint64
	GoneOwners    []string
	GoneSwitches  []string

	// Erased says that a person was erased from some of the records: what a store
	// keeps of how they were is to go, too.
	Erased bool

	// For Sync alone: there is no record under these keys. No command makes one go,
	// but one that is taken back may have been the first to count something.
	NoTotals []TotalsKey
	NoQueues []string

	room room // where Calls point to
}

// Empty reports whether nothing was touched.
func (c *Changes) Empty() bool {
	return len(c.Events) == 0 && len(c.Calls) == 0 && len(c.Agents) == 0 && len(c.Offers) == 0 && len(c.Callbacks) == 0 &&
		len(c.Queues) == 0 && len(c.Cohorts) == 0 && len(c.Totals) == 0 && len(c.Requests) == 0 && len(c.Owners) == 0 &&
		len(c.Switches) == 0 && len(c.GoneCalls) == 0 && len(c.GoneAgents) == 0 && len(c.GoneOffers) == 0 &&
		len(c.GoneCallbacks) == 0 && len(c.GoneCohorts) == 0 && len(c.GoneRequests) == 0 && len(c.GoneOwners) == 0 &&
		len(c.GoneSwitches) == 0 && len(c.NoTotals) == 0 && len(c.NoQueues) == 0
}
