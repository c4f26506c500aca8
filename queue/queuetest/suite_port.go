package queuetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// portCases are the sentences about Do, Now and Close.
var portCases = []testCase{
	{says: "a command is one atomic step with one instant", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("o1")
		d.clock.Advance(1500 * time.Millisecond)
		d.newEvents()
		d.arrive("v1", tier(tiering.VIP)) // joins, displaces, is offered
		events := d.newEvents()
		equal(d, "events of one step", len(events), 3)
		for _, e := range events {
			equal(d, "the instant of "+e.Type.String(), e.At, d.now())
		}
	}},
	{says: "a refusal means that nothing changed", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		before, _ := d.e.Snapshot(d.ctx())
		d.refused(queue.ErrQueueNotFound, &queue.Arrive{Call: "c2", Switch: "s1", Queue: "nowhere"})
		d.refused(queue.ErrOfferNotFound, &queue.Accept{Agent: "a1", Offer: 99})
		d.refused(queue.ErrCallNotFound, &queue.Complete{Agent: "a1", Call: "c9"})
		d.refused(queue.ErrQueueNotFound, &queue.SignIn{Agent: "a2", Services: serving("nowhere"), WrapUp: -1})
		after, _ := d.e.Snapshot(d.ctx())
		if fmt.Sprintf("%+v", before) != fmt.Sprintf("%+v", after) {
			d.Errorf("before %+v, after %+v", before, after)
		}
		if _, err := d.e.Call(d.ctx(), "c2"); !errors.Is(err, queue.ErrCallNotFound) {
			d.Errorf("call of a refused arrival: %v", err)
		}
		if _, _, err := d.e.Agent(d.ctx(), "a2"); !errors.Is(err, queue.ErrAgentNotFound) {
			d.Errorf("agent of a refused sign-in: %v", err)
		}
	}},
	{says: "an error tells its kind and its field", run: func(d *desk) {
		_, err := d.e.Do(d.ctx(), &queue.Arrive{Call: "c1", Switch: "s1", Queue: "nowhere"})
		refusal, ok := errors.AsType[*queue.Error](err)
		if !ok || refusal.Field != "queue" || refusal.Detail == "" || !errors.Is(err, queue.ErrQueueNotFound) {
			d.Errorf("got %#v", err)
		}
	}},
	{says: "repeating a request id returns the first answer with Duplicate set", run: func(d *desk) {
		arrive := &queue.Arrive{Request: queue.Request{ID: "r1", Print: 7}, Call: "c1", Switch: "s1", Queue: "billing"}
		first := d.do(arrive)
		d.onDuty("a1", "billing")
		d.accept("a1")
		last := d.last()
		again := d.do(arrive)
		equal(d, "duplicate", again.Duplicate, true)
		equal(d, "the state in the first answer", again.Call.State, first.Call.State)
		equal(d, "the position in the first answer", again.Position, first.Position)
		equal(d, "the last event", d.last(), last)
	}},
	{says: "the same id with another print is refused", run: func(d *desk) {
		d.do(&queue.Arrive{Request: queue.Request{ID: "r1", Print: 7}, Call: "c1", Switch: "s1"})
		d.refused(queue.ErrRequestReused, &queue.Arrive{Request: queue.Request{ID: "r1", Print: 8}, Call: "c1", Switch: "s1"})
	}},
	{says: "a kind of command is the scope of a request id", run: func(d *desk) {
		d.do(&queue.Arrive{Request: queue.Request{ID: "r1", Print: 7}, Call: "c1", Switch: "s1"})
		res := d.do(&queue.Abandon{Request: queue.Request{ID: "r1", Print: 9}, Call: "c1", Switch: "s1"})
		equal(d, "duplicate", res.Duplicate, false)
		equal(d, "state", res.Call.State, queue.CallAbandoned)
	}},
	{says: "a refused command may be repeated with its request id", run: func(d *desk) {
		accept := &queue.Accept{Request: queue.Request{ID: "r1", Print: 1}, Agent: "a1", Offer: 1}
		d.refused(queue.ErrAgentNotFound, accept)
		d.onDuty("a1", "billing")
		d.arrive("c1")
		equal(d, "state", d.do(accept).Call.State, queue.CallAnswered)
	}},
	{says: "an empty request id gives no protection", run: func(d *desk) {
		d.do(&queue.SetState{Agent: d.signedIn("a1"), State: queue.AgentNotReady, Reason: "lunch"})
		d.do(&queue.SetState{Agent: "a1", State: queue.AgentReady})
		res := d.do(&queue.SetState{Agent: "a1", State: queue.AgentNotReady, Reason: "lunch"})
		equal(d, "state", res.Agent.State, queue.AgentNotReady)
	}},
	{says: "timers that are due fire before the command", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		offer := d.mustOffer("a1", "c1")
		d.clock.Advance(offer.ExpiresAt.Sub(d.now()))
		_, err := d.e.Do(d.ctx(), &queue.Accept{Agent: "a1", Offer: offer.Epoch})
		if !errors.Is(err, queue.ErrOfferEnded) {
			d.Errorf("accept at the offer's end: %v", err)
		}
		equal(d, "agent", d.agent("a1").Reason, queue.ReasonNoAnswer)
	}},
	{says: "firing timers twice is harmless", run: func(d *desk) {
		d.arrive("c1")
		d.pass(time.Minute)
		last := d.last()
		d.do(&queue.Tick{})
		d.do(&queue.Tick{})
		equal(d, "the last event", d.last(), last)
	}},
	{says: "now is truncated to the millisecond", run: func(d *desk) {
		d.clock.Advance(1234567 * time.Nanosecond)
		equal(d, "now", d.now(), instant.Of(opening)+1)
		equal(d, "joined", d.arrive("c1").JoinedAt, d.now())
	}},
	{says: "time never runs back", run: func(d *desk) {
		d.pass(time.Minute)
		d.arrive("c1")
		d.clock.Advance(-30 * time.Second)
		d.arrive("c2")
		c1, c2 := d.call("c1").Call, d.call("c2").Call
		if c2.JoinedAt < c1.JoinedAt || c2.Seq < c1.Seq {
			d.Errorf("c1 joined %d, c2 %d", c1.JoinedAt, c2.JoinedAt)
		}
	}},
	{says: "after ErrUnavailable a repeat with the same request id is safe", run: func(d *desk) {
		fault := NoFault
		faulty := NewFaulty(d.e, func(queue.Command) Fault { return fault })
		d.onDuty("a1", "billing")
		for i, fault2 := range []Fault{LostBefore, LostAfter} {
			call, request := fmt.Sprint("c", i), func(what string) queue.Request {
				return queue.Request{ID: fmt.Sprint(what, i), Print: 1}
			}
			var offer uint64
			for _, cmd := range []func() queue.Command{
				func() queue.Command {
					return &queue.Arrive{Request: request("arrive"), Call: call, Switch: "s1", Queue: "billing"}
				},
				func() queue.Command {
					if o := d.offer("a1"); o != nil {
						offer = o.Epoch
					}
					return &queue.Accept{Request: request("accept"), Agent: "a1", Offer: offer}
				},
				func() queue.Command { return &queue.Complete{Request: request("complete"), Agent: "a1", Call: call} },
			} {
				c := cmd()
				fault = fault2
				if _, err := faulty.Do(d.ctx(), c); !errors.Is(err, queue.ErrUnavailable) {
					d.Fatalf("%s: %v", FormatCommand(c), err)
				}
				fault = NoFault
				res, err := faulty.Do(d.ctx(), c)
				if err != nil {
					d.Fatalf("%s: %v", FormatCommand(c), err)
				}
				equal(d, "duplicate", res.Duplicate, fault2 == LostAfter)
			}
		}
		x := d.tierOf("billing", tiering.Ordinary).Totals
		equal(d, "joined", x.Joined, 2)
		equal(d, "in time", x.Counts.AnsweredInTime, 2)
		equal(d, "completed", x.Completed, 2)
	}},
	{says: "all methods are safe for concurrent use", run: concurrentUse},
	{says: "the result is a copy", run: func(d *desk) {
		d.onDuty("a1", "billing")
		res := d.do(&queue.Arrive{Call: "c1", Switch: "s1", Attributes: []queue.Attribute{{Key: "k", Value: "v"}}})
		res.Call.State, res.Call.Attributes[0].Value = queue.CallRefused, "changed"
		c := d.call("c1").Call
		equal(d, "state", c.State, queue.CallOffered)
		equal(d, "attribute", c.Attributes[0].Value, "v")
		d.accept("a1")
		equal(d, "the state in an old answer", res.Call.State, queue.CallRefused)
	}},
	{says: "an engine that goes on has not failed", run: func(d *desk) {
		d.arrive("c1")
		select {
		case <-d.e.Failed():
			d.Error("Failed is closed")
		default:
		}
		if err := d.e.Err(); err != nil {
			d.Errorf("Err: %v", err)
		}
	}},
	{says: "close is idempotent and then everything is closed", run: func(d *desk) {
		d.arrive("c1")
		for range 2 {
			if err := d.e.Close(d.ctx()); err != nil {
				d.Fatal(err)
			}
		}
		_, doErr := d.e.Do(d.ctx(), &queue.Tick{})
		_, snapErr := d.e.Snapshot(d.ctx())
		_, statsErr := d.e.Statistics(d.ctx())
		_, callErr := d.e.Call(d.ctx(), "c1")
		_, eventsErr := d.e.Events(d.ctx(), 0, 1)
		for what, err := range map[string]error{"do": doErr, "snapshot": snapErr, "statistics": statsErr, "call": callErr, "events": eventsErr} {
			if !errors.Is(err, queue.ErrClosed) {
				d.Errorf("%s after close: %v", what, err)
			}
		}
	}},
}

// signedIn signs an agent in for billing and returns the id.
func (d *desk) signedIn(id string) string {
	d.Helper()
	d.do(&queue.SignIn{Agent: id, Services: serving("billing"), WrapUp: -1})
	return id
}

// concurrentUse has many at work at once: every call gets a place of its own,
// every agent works alone, and the log has no gap.
func concurrentUse(d *desk) {
	const workers, each = 8, 25
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(context.Background(), 3*waitLimit)
	defer cancel()
	for w := range workers {
		agent := fmt.Sprintf("a%d", w)
		wg.Go(func() {
			do := func(cmd queue.Command) queue.Result {
				res, err := d.e.Do(ctx, cmd)
				if err != nil {
					d.Errorf("%s: %v", FormatCommand(cmd), err)
				}
				return res
			}
			do(&queue.SignIn{Agent: agent, Services: serving("billing"), WrapUp: -1})
			do(&queue.Attach{Agent: agent, Owner: "d1", Token: agent, Presence: queue.PresentStream})
			for i := range each {
				do(&queue.Arrive{Call: fmt.Sprintf("c%d-%d", w, i), Switch: "s1", Queue: "billing"})
				if _, o, err := d.e.Agent(ctx, agent); err == nil && o != nil {
					if res := do(&queue.Accept{Agent: agent, Offer: o.Epoch}); res.Call != nil {
						do(&queue.Complete{Agent: agent, Call: res.Call.ID})
					}
				}
				_, err1 := d.e.Snapshot(ctx)
				_, err4 := d.e.Statistics(ctx)
				_, _, err2 := d.e.Calls(ctx, queue.CallFilter{Limit: 3})
				_, err3 := d.e.Events(ctx, 0, 5)
				if err := errors.Join(err1, err2, err3, err4); err != nil {
					d.Error(err)
				}
			}
		})
	}
	wg.Wait()
	places := map[uint64]string{}
	list, _, err := d.e.Calls(d.ctx(), queue.CallFilter{Limit: 1000})
	if err != nil {
		d.Fatal(err)
	}
	for _, c := range list {
		if other := places[c.Seq]; other != "" {
			d.Errorf("%s and %s have one place", c.ID, other)
		}
		places[c.Seq] = c.ID
	}
	equal(d, "calls", len(list), workers*each)
}
