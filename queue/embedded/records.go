package embedded

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/internal/seal"
	"greenlane/queue"
)

// changes encodes everything a machine's commands touched, what is gone last.
func (w *writes) changes(c *queue.Changes) error {
	err := errors.Join(
		putAll(w, bucketCalls, c.Calls, func(r *queue.Call) int { return w.number(r.Seq) }),
		putAll(w, bucketAgents, c.Agents, func(r *queue.Agent) int { return w.name(r.ID) }),
		putAll(w, bucketOffers, c.Offers, func(r *queue.OfferRecord) int { return w.number(r.Epoch) }),
		putAll(w, bucketCallbacks, c.Callbacks, func(r *callback.Callback) int { return w.number(r.Seq) }),
		putAll(w, bucketQueues, c.Queues, func(r *queue.QueueRecord) int { return w.name(r.Name) }),
		putAll(w, bucketCohorts, c.Cohorts, func(r *queue.Cohort) int { return w.cohort(r.Start, uint8(r.Tier), r.Queue) }),
		putAll(w, bucketTotals, c.Totals, func(r *queue.Totals) int { return w.cohort(0, uint8(r.Tier), r.Queue) }),
		putAll(w, bucketOwners, c.Owners, func(r *queue.OwnerRecord) int { return w.name(r.Owner) }),
		putAll(w, bucketSwitches, c.Switches, func(r *queue.SwitchRecord) int { return w.name(r.Switch) }),
		w.put(bucketMeta, w.name(string(keyCounters)), &c.Meta),
	)
	for _, r := range c.Requests {
		stored := storeRequest(r)
		err = errors.Join(err, w.put(bucketRequests, w.number(r.Seq), &stored))
	}
	for i := range c.Events {
		err = errors.Join(err, w.put(bucketEvents, w.number(c.Events[i].Seq), &c.Events[i]))
	}
	w.gone(c)
	return err
}

func putAll[T any](w *writes, bucket bucketID, records []*T, key func(*T) int) error {
	for _, r := range records {
		if err := w.put(bucket, key(r), r); err != nil {
			return err
		}
	}
	return nil
}

func (w *writes) gone(c *queue.Changes) {
	for _, kind := range []struct {
		bucket bucketID
		seqs   []uint64
	}{
		{bucketCalls, c.GoneCalls},
		{bucketOffers, c.GoneOffers},
		{bucketCallbacks, c.GoneCallbacks},
		{bucketRequests, c.GoneRequests},
	} {
		for _, seq := range kind.seqs {
			w.delete(kind.bucket, w.number(seq))
		}
	}
	for _, kind := range []struct {
		bucket bucketID
		names  []string
	}{
		{bucketAgents, c.GoneAgents},
		{bucketOwners, c.GoneOwners},
		{bucketSwitches, c.GoneSwitches},
	} {
		for _, name := range kind.names {
			w.delete(kind.bucket, w.name(name))
		}
	}
	for _, k := range c.GoneCohorts {
		w.delete(bucketCohorts, w.cohort(k.Start, uint8(k.Tier), k.Queue))
	}
}

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

// eachRecord calls f with every key and value of a bucket, in order of keys. It
// may be used by several goroutines at once.
type eachRecord func(bucket bucketID, f func(key, value []byte) error) error

// loadAll returns a function that decodes the records of one bucket.
func loadAll[T any](each eachRecord, s *seal.Store, bucket bucketID, into *[]*T) func() error {
	return func() error {
		return each(bucket, func(key, value []byte) error {
			r := new(T)
			if err := decode(s, bucket, key, value, r); err != nil {
				return fmt.Errorf("%s %x: %w", bucketNames[bucket], key, err)
			}
			*into = append(*into, r)
			return nil
		})
	}
}

// loadState reads every record but the counters and the events, the kinds side
// by side: a start is quick when there are several processors.
func loadState(each eachRecord, s *seal.Store) (*queue.State, error) {
	st := &queue.State{}
	var requests []*storedRequest
	loads := []func() error{
		loadAll(each, s, bucketCalls, &st.Calls),
		loadAll(each, s, bucketRequests, &requests),
		loadAll(each, s, bucketCallbacks, &st.Callbacks),
		loadAll(each, s, bucketOffers, &st.Offers),
		loadAll(each, s, bucketAgents, &st.Agents),
		loadAll(each, s, bucketQueues, &st.Queues),
		loadAll(each, s, bucketCohorts, &st.Cohorts),
		loadAll(each, s, bucketTotals, &st.Totals),
		loadAll(each, s, bucketOwners, &st.Owners),
		loadAll(each, s, bucketSwitches, &st.Switches),
	}
	faults := make([]error, len(loads))
	var wg sync.WaitGroup
	for i, load := range loads {
		wg.Go(func() { faults[i] = guard(load) })
	}
	wg.Wait()
	for _, r := range requests {
		st.Requests = append(st.Requests, r.load())
	}
	return st, errors.Join(faults...)
}
