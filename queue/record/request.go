package record

import (
	"time"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/queue"
)

// storedRequest is a queue.RequestRecord as it is kept: the errors of a batch's
// items with it, so that a repeated batch gets the same answer after a restart.
type storedRequest struct {
	Seq    uint64          `cbor:"1,keyasint"`
	Kind   string          `cbor:"2,keyasint"`
	ID     string          `cbor:"3,keyasint"`
	Print  uint64          `cbor:"4,keyasint,omitempty"`
	At     instant.Instant `cbor:"5,keyasint"`
	Result storedResult    `cbor:"6,keyasint"`
}

type storedResult struct {
	Call          *queue.Call        `cbor:"1,keyasint,omitempty"`
	Agent         *queue.Agent       `cbor:"2,keyasint,omitempty"`
	Offer         *queue.Offer       `cbor:"3,keyasint,omitempty"`
	Callback      *callback.Callback `cbor:"4,keyasint,omitempty"`
	Position      int                `cbor:"5,keyasint,omitempty"`
	EstimatedWait time.Duration      `cbor:"6,keyasint,omitempty"`
	Added         int                `cbor:"7,keyasint,omitempty"`
	Closed        int                `cbor:"8,keyasint,omitempty"`
	Kept          int                `cbor:"9,keyasint,omitempty"`
	Reranked      int                `cbor:"10,keyasint,omitempty"`
	Items         []storedItem       `cbor:"11,keyasint,omitempty"`
	Duplicate     bool               `cbor:"12,keyasint,omitempty"`

	ErasedCalls     int `cbor:"13,keyasint,omitempty"`
	ErasedCallbacks int `cbor:"14,keyasint,omitempty"`
	Live            int `cbor:"15,keyasint,omitempty"`
	AtEnd           int `cbor:"16,keyasint,omitempty"`
}

type storedItem struct {
	Call    string        `cbor:"1,keyasint,omitempty"`
	Outcome string        `cbor:"2,keyasint,omitempty"`
	Refusal *storedReason `cbor:"3,keyasint,omitempty"`
}

func storeRequest(r *queue.RequestRecord) storedRequest {
	res := &r.Result
	s := storedRequest{Seq: r.Seq, Kind: r.Kind, ID: r.ID, Print: r.Print, At: r.At, Result: storedResult{
		Call: res.Call, Agent: res.Agent, Offer: res.Offer, Callback: res.Callback,
		Position: res.Position, EstimatedWait: res.EstimatedWait,
		Added: res.Added, Closed: res.Closed, Kept: res.Kept, Reranked: res.Reranked,
		Duplicate: res.Duplicate, ErasedCalls: res.ErasedCalls, ErasedCallbacks: res.ErasedCallbacks, Live: res.Live, AtEnd: res.AtEnd,
	}}
	for _, item := range res.Items {
		s.Result.Items = append(s.Result.Items, storedItem{item.Call, item.Outcome, storeReason(item.Err)})
	}
	return s
}

func (s *storedRequest) load() *queue.RequestRecord {
	res := &s.Result
	r := &queue.RequestRecord{Seq: s.Seq, Kind: s.Kind, ID: s.ID, Print: s.Print, At: s.At, Result: queue.Result{
		Call: res.Call, Agent: res.Agent, Offer: res.Offer, Callback: res.Callback,
		Position: res.Position, EstimatedWait: res.EstimatedWait,
		Added: res.Added, Closed: res.Closed, Kept: res.Kept, Reranked: res.Reranked,
		Duplicate: res.Duplicate, ErasedCalls: res.ErasedCalls, ErasedCallbacks: res.ErasedCallbacks, Live: res.Live, AtEnd: res.AtEnd,
	}}
	for _, item := range res.Items {
		r.Result.Items = append(r.Result.Items, queue.Item{Call: item.Call, Outcome: item.Outcome, Err: item.Refusal.load()})
	}
	return r
}
