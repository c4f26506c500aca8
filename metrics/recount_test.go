package metrics_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenlane/internal/instant"
	"greenlane/metrics"
	"greenlane/queue"
	"greenlane/tiering"
)

// lived is one call as its own events tell it.
type lived struct {
	tier   tiering.Tier
	joined instant.Instant
	wait   time.Duration
	end    queue.EventType // EventCallAnswered, EventCallAbandoned, ..., EventUnset while it waits
}

// day drives a real state machine and keeps every event of it.
type day struct {
	t     *rapid.T
	m     *queue.Machine
	now   instant.Instant
	log   []queue.Event
	calls int
}

func (d *day) do(cmd queue.Command) {
	if _, err := d.m.Apply(d.now, cmd); err != nil {
		d.t.Fatalf("%s: %v", cmd.Kind(), err)
	}
	d.log = append(d.log, d.m.TakeChanges().Events...)
}

// live lets one random thing happen.
func (d *day) live() {
	waiting, _, _ := d.m.Calls(queue.CallFilter{States: []queue.CallState{queue.CallWaiting, queue.CallOffered}, Limit: 1000})
	_, offer, _ := d.m.Agent("anna")
	talking, _, _ := d.m.Calls(queue.CallFilter{States: []queue.CallState{queue.CallAnswered}})
	switch what := rapid.IntRange(0, 5).Draw(d.t, "what"); {
	case what == 1 && len(waiting) > 0:
		d.do(&queue.Abandon{Call: waiting[rapid.IntRange(0, len(waiting)-1).Draw(d.t, "who")].ID, Switch: "s"})
	case what == 2 && offer != nil:
		d.do(&queue.Accept{Agent: "anna", Offer: offer.Epoch})
	case what == 3 && len(talking) > 0:
		d.do(&queue.Complete{Agent: "anna", Call: talking[0].ID})
	case what >= 4:
		// Around the short limit, around the threshold, and anything.
		d.now = d.now.Add(time.Duration(rapid.OneOf(
			rapid.SampledFrom([]int{4999, 5000, 5001, 19_999, 20_000, 20_001}), rapid.IntRange(0, 15_000),
		).Draw(d.t, "ms")) * time.Millisecond)
		d.do(&queue.Tick{})
		d.do(&queue.SetState{Agent: "anna", State: queue.AgentReady}) // an offer may have run out
	default:
		d.calls++
		d.do(&queue.Arrive{Call: fmt.Sprint("c", d.calls), Switch: "s", Tier: rapid.SampledFrom(tiering.Tiers[:]).Draw(d.t, "tier")})
	}
}

func (d *day) tell() map[string]*lived {
	calls := map[string]*lived{}
	for i := range d.log {
		switch e := &d.log[i]; e.Type {
		case queue.EventCallJoined:
			calls[e.Call] = &lived{tier: e.Tier, joined: e.At}
		case queue.EventCallAnswered, queue.EventCallAbandoned, queue.EventCallTimedOut, queue.EventCallOverflowed:
			calls[e.Call].end, calls[e.Call].wait = e.Type, e.At.Sub(calls[e.Call].joined)
		}
	}
	return calls
}

// TestFormulasAgreeWithTheRawEvents: whatever happens, each formula over the
// engine's counters is what its definition says of the single calls, and a share.
func TestFormulasAgreeWithTheRawEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		site := queue.DefaultSite("main")
		site.OwnerLease, site.AckTimeout, site.Callback.Tiers = 1000*time.Hour, 0, nil
		site.Queues[0].MaxWait = 90 * time.Second
		m, err := queue.NewMachine(site)
		if err != nil {
			t.Fatal(err)
		}
		d := &day{t: t, m: m, now: instant.Of(time.Date(2026, 3, 2, 9, 0, 0, 0, site.Zone))}
		d.do(&queue.SignIn{Agent: "anna", Services: []queue.Service{{Queue: "default", Level: 1}}, WrapUp: -1})
		d.do(&queue.Attach{Agent: "anna", Owner: "d1", Token: "t", Presence: queue.PresentStream})
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			d.live()
		}
		calls := d.tell()
		tiers := m.Statistics(d.now).Queues[0].Tiers
		for i := range tiers {
			for _, f := range metrics.Formulas {
				over, under := define(f, d.now, tiers[i].Tier, calls)
				for _, counts := range []*queue.Counts{&tiers[i].Today, &tiers[i].Totals.Counts} {
					got, ok := metrics.ServiceLevel(f, counts)
					if ok != (under > 0) || ok && math.Abs(got-over/under) > 1e-12 {
						t.Fatalf("%s of %s = %v, %v; the calls say %v of %v", f, tiers[i].Tier, got, ok, over, under)
					}
					if got < 0 || got > 1 {
						t.Fatalf("%s of %s = %v is no share", f, tiers[i].Tier, got)
					}
				}
			}
		}
	})
}

// define is each formula as its definition has it, in waits and ends, without
// any bucket.
func define(f metrics.Formula, now instant.Instant, tier tiering.Tier, calls map[string]*lived) (over, under float64) {
	const threshold, short = 20 * time.Second, 5 * time.Second
	for _, c := range calls {
		if c.tier != tier {
			continue
		}
		answered, abandoned := c.end == queue.EventCallAnswered, c.end == queue.EventCallAbandoned
		inTime := c.wait <= threshold
		switch {
		case answered:
			under++
			if inTime {
				over++
			}
		case abandoned && f == metrics.AnsweredOnly,
			abandoned && f == metrics.WithoutShortAbandons && c.wait < short,
			abandoned && f == metrics.AbandonsInTimeIgnored && inTime:
		case abandoned:
			under++
			if f == metrics.AbandonsInTimeMet && inTime {
				over++
			}
		case c.end == queue.EventUnset && f == metrics.WithLateWaiting && now.Sub(c.joined) > threshold:
			under++
		}
	}
	return over, under
}
