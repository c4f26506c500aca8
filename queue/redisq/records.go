package redisq

import (
	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// The records as Redis holds them: MessagePack maps without what is zero. The
// tag msgpack is a field's name in Redis, the tag lua its name in the scripts;
// one name in the scripts has one name in Redis, whatever record it is of. A
// name, once given, is never given to another field.

// callRecord is a queue.Call; its id is the field of the hash.
type callRecord struct {
	State          queue.CallState `msgpack:"S,omitempty" lua:"state"`
	Switch         string          `msgpack:"W,omitempty" lua:"switch"`
	Caller         string          `msgpack:"C,omitempty" lua:"caller"`
	Dialed         string          `msgpack:"D,omitempty" lua:"dialed"`
	Queue          string          `msgpack:"Q,omitempty" lua:"queue"`
	Tier           uint8           `msgpack:"T,omitempty" lua:"tier"`
	Provisional    bool            `msgpack:"P,omitempty" lua:"provisional"`
	Attestation    uint8           `msgpack:"At,omitempty" lua:"attestation"`
	UnattestedVIP  bool            `msgpack:"Ua,omitempty" lua:"unattested"`
	Late           bool            `msgpack:"L,omitempty" lua:"late"`
	Tombstone      bool            `msgpack:"Tb,omitempty" lua:"tombstone"`
	PreferredAgent string          `msgpack:"Pa,omitempty" lua:"preferred"`
	Attributes     []string        `msgpack:"As,omitempty" lua:"attributes"` // key, value, key, value, ...
	Reason         string          `msgpack:"R,omitempty" lua:"reason"`
	Seq            uint64          `msgpack:"N,omitempty" lua:"seq"`
	ArrivedAt      instant.Instant `msgpack:"A,omitempty" lua:"arrived_at"`
	JoinedAt       instant.Instant `msgpack:"J,omitempty" lua:"joined_at"`
	OfferedAt      instant.Instant `msgpack:"Oa,omitempty" lua:"offered_at"`
	AnsweredAt     instant.Instant `msgpack:"An,omitempty" lua:"answered_at"`
	EndedAt        instant.Instant `msgpack:"E,omitempty" lua:"ended_at"`
	QueuedAt       instant.Instant `msgpack:"Qa,omitempty" lua:"queued_at"` // zero: when it joined
	HeldUntil      instant.Instant `msgpack:"H,omitempty" lua:"held_until"`
	Agent          string          `msgpack:"G,omitempty" lua:"agent"`
	Offer          uint64          `msgpack:"O,omitempty" lua:"offer"`
	Offers         int             `msgpack:"On,omitempty" lua:"offers"`
	DeclinedBy     []string        `msgpack:"Db,omitempty" lua:"declined"`
	OverflowedFrom string          `msgpack:"Of,omitempty" lua:"overflowed_from"`
	Callback       string          `msgpack:"K,omitempty" lua:"callback_id"`
	Events         []uint64        `msgpack:"V,omitempty" lua:"events"`
}

func (r *callRecord) call(id string) *queue.Call {
	c := &queue.Call{
		ID: id, Switch: r.Switch, Caller: tiering.Number(r.Caller), Dialed: r.Dialed, Queue: r.Queue, Tier: tiering.Tier(r.Tier), Provisional: r.Provisional,
		Attestation: queue.Attestation(r.Attestation), UnattestedVIP: r.UnattestedVIP, State: r.State, Late: r.Late,
		Tombstone: r.Tombstone, PreferredAgent: r.PreferredAgent, Reason: r.Reason, Seq: r.Seq, ArrivedAt: r.ArrivedAt,
		JoinedAt: r.JoinedAt, OfferedAt: r.OfferedAt, AnsweredAt: r.AnsweredAt, EndedAt: r.EndedAt, QueuedAt: r.QueuedAt,
		HeldUntil: r.HeldUntil, Agent: r.Agent, Offer: r.Offer, Offers: r.Offers, DeclinedBy: r.DeclinedBy,
		OverflowedFrom: r.OverflowedFrom, Callback: r.Callback, Events: r.Events,
	}
	if c.QueuedAt == 0 {
		c.QueuedAt = c.JoinedAt
	}
	for i := 0; i+1 < len(r.Attributes); i += 2 {
		c.Attributes = append(c.Attributes, queue.Attribute{Key: r.Attributes[i], Value: r.Attributes[i+1]})
	}
	return c
}

// said is what a switch says of a call when it arrives.
func (v vault) said(c *queue.Arrive) *callRecord {
	r := &callRecord{
		Switch: c.Switch, Caller: v.seal(c.Caller), Dialed: c.Dialed, Tier: uint8(c.Tier), Provisional: c.Provisional,
		Attestation: uint8(c.Attestation), UnattestedVIP: c.UnattestedVIP, PreferredAgent: c.PreferredAgent, ArrivedAt: c.ArrivedAt,
	}
	if !c.Tier.Valid() {
		r.Tier = uint8(tiering.Ordinary)
	}
	for _, a := range c.Attributes {
		r.Attributes = append(r.Attributes, a.Key, v.sealText(a.Value))
	}
	return r
}

// agentRecord is a queue.Agent; its id is the field of the hash.
type agentRecord struct {
	Ord          uint64           `msgpack:"Or,omitempty" lua:"ord"`
	Endpoint     string           `msgpack:"En,omitempty" lua:"endpoint"`
	Services     []serviceRecord  `msgpack:"Sv,omitempty" lua:"services"`
	State        queue.AgentState `msgpack:"S,omitempty" lua:"state"`
	Reason       string           `msgpack:"R,omitempty" lua:"reason"`
	Since        instant.Instant  `msgpack:"Si,omitempty" lua:"since"`
	IdleSince    instant.Instant  `msgpack:"Is,omitempty" lua:"idle_since"`
	Call         string           `msgpack:"I,omitempty" lua:"call_id"`
	Callback     string           `msgpack:"K,omitempty" lua:"callback_id"`
	Offer        uint64           `msgpack:"O,omitempty" lua:"offer"`
	WrapUp       int64            `msgpack:"Wu,omitempty" lua:"wrap_up"`
	WrapUntil    instant.Instant  `msgpack:"Wt,omitempty" lua:"wrap_until"`
	NextReason   string           `msgpack:"Nr,omitempty" lua:"next_reason"`
	NextPause    bool             `msgpack:"Np,omitempty" lua:"next_pause"`
	Presence     queue.Presence   `msgpack:"Pr,omitempty" lua:"presence"`
	Owner        string           `msgpack:"Ow,omitempty" lua:"owner"`
	Token        string           `msgpack:"Tk,omitempty" lua:"token"`
	LeaseUntil   instant.Instant  `msgpack:"Lu,omitempty" lua:"lease_until"`
	RingBySwitch bool             `msgpack:"Rg,omitempty" lua:"ring"`
	Holds        int              `msgpack:"Hc,omitempty" lua:"holds"` // calls that wait for this agent only
}

// serviceRecord is a queue that an agent serves, with the queue's number, which
// never changes.
type serviceRecord struct {
	_msgpack struct{} `msgpack:",as_array"` //nolint:unused // read by the codec
	Queue    string
	Level    int
	Number   int
}

func (r *agentRecord) agent(id string) *queue.Agent {
	a := &queue.Agent{
		ID: id, Ord: r.Ord, Endpoint: r.Endpoint, State: r.State, Reason: r.Reason, Since: r.Since, IdleSince: r.IdleSince,
		Call: r.Call, Callback: r.Callback, Offer: r.Offer, WrapUp: r.WrapUp, WrapUntil: r.WrapUntil, NextReason: r.NextReason,
		NextPause: r.NextPause, Presence: r.Presence, Owner: r.Owner, Token: r.Token, LeaseUntil: r.LeaseUntil,
		RingBySwitch: r.RingBySwitch,
	}
	for _, s := range r.Services {
		a.Services = append(a.Services, queue.Service{Queue: s.Queue, Level: s.Level})
	}
	return a
}

// offerRecord is a queue.OfferRecord; its epoch is the field of the hash.
type offerRecord struct {
	Agent     string          `msgpack:"G,omitempty" lua:"agent"`
	Call      string          `msgpack:"I,omitempty" lua:"call_id"`
	Callback  string          `msgpack:"K,omitempty" lua:"callback_id"`
	OfferedAt instant.Instant `msgpack:"Oa,omitempty" lua:"offered_at"`
	ExpiresAt instant.Instant `msgpack:"Ex,omitempty" lua:"expires_at"`
	AckBy     instant.Instant `msgpack:"Ab,omitempty" lua:"ack_by"`
	Acked     bool            `msgpack:"Ak,omitempty" lua:"acked"`
	Why       string          `msgpack:"Y,omitempty" lua:"why"`
	Ended     string          `msgpack:"Eh,omitempty" lua:"ended"`
	Slot      int             `msgpack:"Sl,omitempty" lua:"slot"` // where it stands among those that may be displaced
	Rank      int64           `msgpack:"Rk,omitempty" lua:"rank"`
	RankSeq   uint64          `msgpack:"Rs,omitempty" lua:"rank_seq"`
}

func (r *offerRecord) offer(epoch uint64) *queue.Offer {
	return &queue.Offer{
		Epoch: epoch, Agent: r.Agent, OfferedAt: r.OfferedAt, ExpiresAt: r.ExpiresAt, Acknowledged: r.Acked, Why: r.Why,
	}
}

// callbackRecord is a callback.Callback; its id is the field of the hash.
type callbackRecord struct {
	Seq             uint64          `msgpack:"N,omitempty" lua:"seq"`
	Caller          string          `msgpack:"C,omitempty" lua:"caller"`
	Queue           string          `msgpack:"Q,omitempty" lua:"queue"`
	Tier            uint8           `msgpack:"T,omitempty" lua:"tier"`
	State           callback.State  `msgpack:"S,omitempty" lua:"state"`
	CallID          string          `msgpack:"I,omitempty" lua:"call_id"`
	Reason          string          `msgpack:"R,omitempty" lua:"reason"`
	CreatedAt       instant.Instant `msgpack:"Cr,omitempty" lua:"created_at"`
	ArrivedAt       instant.Instant `msgpack:"A,omitempty" lua:"arrived_at"`
	DueAt           instant.Instant `msgpack:"Du,omitempty" lua:"due_at"`
	Deadline        instant.Instant `msgpack:"Dl,omitempty" lua:"deadline"`
	Attempts        int             `msgpack:"Ap,omitempty" lua:"attempts"`
	LastResult      callback.Result `msgpack:"Lr,omitempty" lua:"last_result"`
	LastAttemptAt   instant.Instant `msgpack:"La,omitempty" lua:"last_attempt_at"`
	ClaimedBy       string          `msgpack:"Cb,omitempty" lua:"claimed_by"`
	ClaimEpoch      uint64          `msgpack:"Ce,omitempty" lua:"claim_epoch"`
	ClaimUntil      instant.Instant `msgpack:"Cu,omitempty" lua:"claim_until"`
	EndedAt         instant.Instant `msgpack:"E,omitempty" lua:"ended_at"`
	EndReason       string          `msgpack:"Er,omitempty" lua:"end_reason"`
	ServedMeanwhile bool            `msgpack:"Sm,omitempty" lua:"served_meanwhile"`
	Note            string          `msgpack:"Nt,omitempty" lua:"note"`
	EscalatedAt     instant.Instant `msgpack:"Ea,omitempty" lua:"escalated_at"`
	Offer           uint64          `msgpack:"O,omitempty" lua:"offer"`     // the live one
	Declined        []string        `msgpack:"Db,omitempty" lua:"declined"` // since it was due
}

func (r *callbackRecord) callback(id string) *callback.Callback {
	return &callback.Callback{
		ID: id, Seq: r.Seq, Caller: tiering.Number(r.Caller), Queue: r.Queue, Tier: tiering.Tier(r.Tier), State: r.State, CallID: r.CallID, Reason: r.Reason,
		CreatedAt: r.CreatedAt, ArrivedAt: r.ArrivedAt, DueAt: r.DueAt, Deadline: r.Deadline, Attempts: r.Attempts,
		LastResult: r.LastResult, LastAttemptAt: r.LastAttemptAt, ClaimedBy: r.ClaimedBy, ClaimEpoch: r.ClaimEpoch,
		ClaimUntil: r.ClaimUntil, EndedAt: r.EndedAt, EndReason: r.EndReason, ServedMeanwhile: r.ServedMeanwhile,
		Note: r.Note, EscalatedAt: r.EscalatedAt,
	}
}

// eventRecord is a queue.Event; its sequence is the entry's id in the stream.
type eventRecord struct {
	At         instant.Instant  `msgpack:"M,omitempty" lua:"at"`
	Type       queue.EventType  `msgpack:"X,omitempty" lua:"kind"`
	Call       string           `msgpack:"I,omitempty" lua:"call_id"`
	Agent      string           `msgpack:"G,omitempty" lua:"agent"`
	Queue      string           `msgpack:"Q,omitempty" lua:"queue"`
	FromQueue  string           `msgpack:"F,omitempty" lua:"from_queue"`
	Tier       uint8            `msgpack:"T,omitempty" lua:"tier"`
	FromTier   uint8            `msgpack:"Ft,omitempty" lua:"from_tier"`
	Offer      uint64           `msgpack:"O,omitempty" lua:"offer"`
	Callback   string           `msgpack:"K,omitempty" lua:"callback_id"`
	AgentState queue.AgentState `msgpack:"Gs,omitempty" lua:"agent_state"`
	Reason     string           `msgpack:"R,omitempty" lua:"reason"`
	Why        string           `msgpack:"Y,omitempty" lua:"why"`
	Switch     string           `msgpack:"W,omitempty" lua:"switch"`
	JoinedAt   instant.Instant  `msgpack:"J,omitempty" lua:"joined_at"`
	Wait       int64            `msgpack:"Wa,omitempty" lua:"wait"` // milliseconds
	Late       bool             `msgpack:"L,omitempty" lua:"late"`
	Talk       int64            `msgpack:"Ta,omitempty" lua:"talk"` // milliseconds
}

func (r *eventRecord) event(seq uint64) queue.Event {
	return queue.Event{
		Seq: seq, At: r.At, Type: r.Type, Call: r.Call, Agent: r.Agent, Queue: r.Queue, FromQueue: r.FromQueue, Tier: tiering.Tier(r.Tier),
		FromTier: tiering.Tier(r.FromTier), Offer: r.Offer, Callback: r.Callback, AgentState: r.AgentState, Reason: r.Reason, Why: r.Why,
		Switch: r.Switch, JoinedAt: r.JoinedAt, Wait: millis(r.Wait), Late: r.Late, Talk: millis(r.Talk),
	}
}

// answerRecord is what a script answers; see pack_result in lua/lib/run.lua.
type answerRecord struct {
	CallID        string     `msgpack:"I" lua:"call_id"`
	Call          []byte     `msgpack:"call_record" lua:"call_record"`
	AgentID       string     `msgpack:"agent_id" lua:"agent_id"`
	Agent         []byte     `msgpack:"agent_record" lua:"agent_record"`
	CallbackID    string     `msgpack:"K" lua:"callback_id"`
	Callback      []byte     `msgpack:"callback_record" lua:"callback_record"`
	Offer         uint64     `msgpack:"O" lua:"offer"`
	OfferRecord   []byte     `msgpack:"offer_record" lua:"offer_record"`
	OfferCall     []byte     `msgpack:"offer_call" lua:"offer_call"`
	OfferCallback []byte     `msgpack:"offer_callback" lua:"offer_callback"`
	Position      int        `msgpack:"position" lua:"position"`
	EstimatedWait int64      `msgpack:"Wa" lua:"wait"` // milliseconds, -1 = no estimate
	Added         int        `msgpack:"added" lua:"added"`
	Closed        int        `msgpack:"closed" lua:"closed"`
	Kept          int        `msgpack:"kept" lua:"kept"`
	Reranked      int        `msgpack:"reranked" lua:"reranked"`
	Items         [][]string `msgpack:"items" lua:"items"`
	Duplicate     bool       `msgpack:"duplicate" lua:"duplicate"`

	ErasedCalls     int `msgpack:"erased_calls" lua:"erased_calls"`
	ErasedCallbacks int `msgpack:"erased_callbacks" lua:"erased_callbacks"`
	Live            int `msgpack:"live" lua:"live"`
}
