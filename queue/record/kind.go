package record

import (
	"errors"

	"greenlane/callback"
	"greenlane/queue"
)

// Kind is what a record is of.
type Kind uint8

// The kinds of records.
const (
	Meta Kind = iota // the site's counters; one record
	Calls
	Agents
	Offers
	Callbacks
	Queues
	Cohorts
	Totals
	Requests
	Owners
	Switches
	Events
	Kinds // how many there are
)

var names = [Kinds]string{
	"meta", "calls", "agents", "offers", "callbacks", "queues", "cohorts", "totals", "requests", "owners", "switches", "events",
}

// String returns the kind's name, which stands in files and keys.
func (k Kind) String() string { return names[k] }

// Key names a record of one kind.
type Key struct {
	Kind   Kind
	Number uint64 // of calls, callbacks and requests the sequence, of offers the epoch, of cohorts the start
	Tier   uint8  // of cohorts and totals
	Name   string // of agents, owners, switches and queues; of cohorts and totals the queue's
}

// Numbered reports whether records of this kind have a number for a name.
func (k Kind) Numbered() bool {
	return k == Calls || k == Offers || k == Callbacks || k == Requests || k == Events
}

// Counted reports whether records of this kind are named by start, tier and queue.
func (k Kind) Counted() bool { return k == Cohorts || k == Totals }

// Put visits everything that was touched, but for meta and the events: first what
// there is, then what is gone.
func Put(c *queue.Changes, put func(Key, any) error, gone func(Key)) error {
	err := errors.Join(
		each(c.Calls, put, func(r *queue.Call) Key { return Key{Kind: Calls, Number: r.Seq} }),
		each(c.Agents, put, func(r *queue.Agent) Key { return Key{Kind: Agents, Name: r.ID} }),
		each(c.Offers, put, func(r *queue.OfferRecord) Key { return Key{Kind: Offers, Number: r.Epoch} }),
		each(c.Callbacks, put, func(r *callback.Callback) Key { return Key{Kind: Callbacks, Number: r.Seq} }),
		each(c.Queues, put, func(r *queue.QueueRecord) Key { return Key{Kind: Queues, Name: r.Name} }),
		each(c.Cohorts, put, func(r *queue.Cohort) Key {
			return Key{Kind: Cohorts, Number: uint64(r.Start), Tier: uint8(r.Tier), Name: r.Queue}
		}),
		each(c.Totals, put, func(r *queue.Totals) Key { return Key{Kind: Totals, Tier: uint8(r.Tier), Name: r.Queue} }),
		each(c.Owners, put, func(r *queue.OwnerRecord) Key { return Key{Kind: Owners, Name: r.Owner} }),
		each(c.Switches, put, func(r *queue.SwitchRecord) Key { return Key{Kind: Switches, Name: r.Switch} }),
	)
	for _, r := range c.Requests {
		stored := storeRequest(r)
		err = errors.Join(err, put(Key{Kind: Requests, Number: r.Seq}, &stored))
	}
	putGone(c, gone)
	return err
}

func each[T any](records []*T, put func(Key, any) error, key func(*T) Key) error {
	for _, r := range records {
		if err := put(key(r), r); err != nil {
			return err
		}
	}
	return nil
}

func putGone(c *queue.Changes, gone func(Key)) {
	numbers := func(kind Kind, list []uint64) {
		for _, n := range list {
			gone(Key{Kind: kind, Number: n})
		}
	}
	words := func(kind Kind, list []string) {
		for _, name := range list {
			gone(Key{Kind: kind, Name: name})
		}
	}
	numbers(Calls, c.GoneCalls)
	numbers(Offers, c.GoneOffers)
	numbers(Callbacks, c.GoneCallbacks)
	numbers(Requests, c.GoneRequests)
	words(Agents, c.GoneAgents)
	words(Owners, c.GoneOwners)
	words(Switches, c.GoneSwitches)
	for _, k := range c.GoneCohorts {
		gone(Key{Kind: Cohorts, Number: uint64(k.Start), Tier: uint8(k.Tier), Name: k.Queue})
	}
}
