package record

import (
	"fmt"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// Add decodes the value kept under a key and adds the record to those of its kind.
// Records of different kinds may be added at the same time.
//
// Errors: those of Body, and of a record that is none this program knows.
func Add(c *queue.Changes, s Sealer, kind Kind, key, value []byte) error {
	switch kind {
	case Calls:
		return add(&c.Calls, s, kind, key, value)
	case Agents:
		return add(&c.Agents, s, kind, key, value)
	case Offers:
		return add(&c.Offers, s, kind, key, value)
	case Callbacks:
		return add(&c.Callbacks, s, kind, key, value)
	case Queues:
		return add(&c.Queues, s, kind, key, value)
	case Cohorts:
		return add(&c.Cohorts, s, kind, key, value)
	case Totals:
		return add(&c.Totals, s, kind, key, value)
	case Owners:
		return add(&c.Owners, s, kind, key, value)
	case Switches:
		return add(&c.Switches, s, kind, key, value)
	case Requests:
		var stored storedRequest
		if err := Decode(s, kind, key, value, &stored); err != nil {
			return err
		}
		c.Requests = append(c.Requests, stored.load())
		return nil
	default:
		return fmt.Errorf("%s are not kept as records", kind)
	}
}

func add[T any](into *[]*T, s Sealer, kind Kind, key, value []byte) error {
	r := new(T)
	if err := Decode(s, kind, key, value, r); err != nil {
		return err
	}
	*into = append(*into, r)
	return nil
}

// Gone notes that there is no record under a key.
func Gone(c *queue.Changes, k Key) {
	switch k.Kind {
	case Calls:
		c.GoneCalls = append(c.GoneCalls, k.Number)
	case Agents:
		c.GoneAgents = append(c.GoneAgents, k.Name)
	case Offers:
		c.GoneOffers = append(c.GoneOffers, k.Number)
	case Callbacks:
		c.GoneCallbacks = append(c.GoneCallbacks, k.Number)
	case Cohorts:
		c.GoneCohorts = append(c.GoneCohorts, queue.CohortKey{Queue: k.Name, Tier: tiering.Tier(k.Tier), Start: instant.Instant(k.Number)})
	case Queues:
		c.NoQueues = append(c.NoQueues, k.Name)
	case Totals:
		c.NoTotals = append(c.NoTotals, queue.TotalsKey{Queue: k.Name, Tier: tiering.Tier(k.Tier)})
	case Requests:
		c.GoneRequests = append(c.GoneRequests, k.Number)
	case Owners:
		c.GoneOwners = append(c.GoneOwners, k.Name)
	case Switches:
		c.GoneSwitches = append(c.GoneSwitches, k.Name)
	}
}

// State returns the records of c, which it takes over, as a machine is restored
// from them.
func State(c *queue.Changes) *queue.State {
	return &queue.State{
		Meta: c.Meta, Calls: c.Calls, Agents: c.Agents, Offers: c.Offers, Callbacks: c.Callbacks, Queues: c.Queues,
		Cohorts: c.Cohorts, Totals: c.Totals, Requests: c.Requests, Owners: c.Owners, Switches: c.Switches,
	}
}
