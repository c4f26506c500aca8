package queuetest

import (
	"errors"
	"fmt"
	"time"

	"greenlane/callback"
	"greenlane/queue"
	"greenlane/tiering"
)

// shortMemory keeps everything for a minute.
func shortMemory(s *queue.Site) {
	s.Keep.CallsAge, s.Keep.CallbacksAge, s.Keep.RequestsAge, s.Keep.AgentsAge = time.Minute, time.Minute, time.Minute, time.Minute
}

// keepCases are the sentences about what is forgotten.
var keepCases = []testCase{
	{says: "ended calls are forgotten by age and live ones never", site: shortMemory, run: func(d *desk) {
		d.arrive("c1")
		d.arrive("c2")
		d.do(&queue.Abandon{Call: "c1", Switch: "s1"})
		d.pass(59 * time.Second)
		equal(d, "kept", d.state("c1"), queue.CallAbandoned)
		d.pass(2 * time.Second)
		d.do(&queue.Tick{})
		if _, err := d.e.Call(d.ctx(), "c1"); !errors.Is(err, queue.ErrCallNotFound) {
			d.Errorf("got %v", err)
		}
		equal(d, "live", d.state("c2"), queue.CallWaiting)
		equal(d, "counted for ever", d.tierOf("billing", tiering.Ordinary).Totals.Counts.AbandonedShort, 1)
	}},
	{says: "ended calls are forgotten by number and the newest are kept", site: func(s *queue.Site) { s.Keep.Calls = 100 }, run: func(d *desk) {
		for i := range 120 {
			id := fmt.Sprint("c", i)
			d.arrive(id)
			d.do(&queue.Abandon{Call: id, Switch: "s1"})
		}
		d.do(&queue.Tick{})
		list, _, err := d.e.Calls(d.ctx(), queue.CallFilter{Limit: 1000})
		if err != nil || len(list) != 100 || list[99].ID != "c119" {
			d.Errorf("%d calls are kept, %v", len(list), err)
		}
	}},
	{says: "request ids are forgotten by age", site: shortMemory, run: func(d *desk) {
		pause := func(content uint64) queue.Command {
			return &queue.SetState{Request: queue.Request{ID: "r1", Print: content}, Agent: "a1", State: queue.AgentNotReady, Reason: fmt.Sprint(content)}
		}
		d.signedIn("a1")
		d.do(pause(1))
		equal(d, "again", d.do(pause(1)).Duplicate, true)
		d.pass(61 * time.Second)
		d.signedIn("a1")
		equal(d, "anew", d.do(pause(2)).Duplicate, false)
	}},
	{says: "ended callbacks are forgotten by age and open ones never", site: shortMemory, run: func(d *desk) {
		done := d.do(&queue.CreateCallback{Caller: "+8613800000001"}).Callback
		open := d.do(&queue.CreateCallback{Caller: "+8613800000002"}).Callback
		d.do(&queue.CancelCallback{Callback: done.ID, Reason: "by mail"})
		d.pass(61 * time.Second)
		d.do(&queue.Tick{})
		list, _, err := d.e.Callbacks(d.ctx(), queue.CallbackFilter{})
		if err != nil || len(list) != 1 || list[0].ID != open.ID {
			d.Errorf("kept %+v, %v", list, err)
		}
		d.refused(queue.ErrCallbackNotFound, &queue.ClaimCallback{Callback: done.ID, Claimant: "lea"})
	}},
	{says: "agents are forgotten when they have been signed out for long", site: shortMemory, run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.onDuty("a2", "billing")
		d.do(&queue.SignOut{Agent: "a1"})
		d.pass(61 * time.Second)
		if _, _, err := d.e.Agent(d.ctx(), "a1"); !errors.Is(err, queue.ErrAgentNotFound) {
			d.Errorf("got %v", err)
		}
		equal(d, "at work", d.agent("a2").State, queue.AgentReady)
		d.onDuty("a1", "billing")
		equal(d, "back", d.agent("a1").State, queue.AgentReady)
	}},
	{says: "an accept of an offer long past is told that it is over", site: shortMemory, run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		o := d.mustOffer("a1", "c1")
		d.accept("a1")
		d.do(&queue.Complete{Agent: "a1", Call: "c1"})
		d.pass(2 * time.Minute)
		d.reopen()
		if _, err := d.e.Do(d.ctx(), &queue.Accept{Agent: "a1", Offer: o.Epoch}); err != nil && !errors.Is(err, queue.ErrOfferEnded) {
			d.Errorf("got %v", err)
		}
	}},
}

// reopen takes the engine through a restart, if it can be.
func (d *desk) reopen() {
	d.Helper()
	if d.restart == nil {
		d.Skip("this engine forgets")
	}
	d.e = d.restart(d.TB)
}

// restartCases are what must be the same after a restart.
var restartCases = []testCase{
	{says: "the order of the queue and the clocks are kept", run: func(d *desk) {
		d.arrive("o1")
		d.pass(5 * time.Second)
		d.arrive("m1", tier(tiering.Mid))
		d.arrive("v1", tier(tiering.VIP))
		d.reopen()
		for i, id := range []string{"v1", "m1", "o1"} {
			equal(d, "position of "+id, d.call(id).Position, i+1)
		}
		d.pass(15*time.Second + time.Millisecond)
		equal(d, "late", d.call("o1").Call.Late, true)
		equal(d, "late", d.call("m1").Call.Late, false)
		equal(d, "waiting", d.tierOf("billing", tiering.Ordinary).Waiting, 1)
	}},
	{says: "offers are kept and those past their lease come back", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		o := d.mustOffer("a1", "c1")
		d.reopen()
		equal(d, "epoch", d.mustOffer("a1", "c1").Epoch, o.Epoch)
		d.clock.Advance(20 * time.Second)
		d.reopen()
		d.do(&queue.Tick{})
		equal(d, "state", d.state("c1"), queue.CallWaiting)
		equal(d, "reason", d.agent("a1").Reason, queue.ReasonNoAnswer)
		d.refused(queue.ErrOfferEnded, &queue.Accept{Agent: "a1", Offer: o.Epoch})
		d.do(&queue.SetState{Agent: "a1", State: queue.AgentReady})
		if next := d.mustOffer("a1", "c1").Epoch; next <= o.Epoch {
			d.Errorf("epoch %d after %d", next, o.Epoch)
		}
	}},
	{says: "agents and wrap-ups and holds are kept", site: func(s *queue.Site) { s.Queues[0].WrapUp = 30 * time.Second }, run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.onDuty("a2", "billing")
		d.arrive("c1", prefers("a1"))
		d.accept("a1")
		d.arrive("c2", prefers("a1"))
		d.do(&queue.SetState{Agent: "a1", State: queue.AgentNotReady, Reason: "lunch"})
		d.reopen()
		d.noOffer("a2")
		d.do(&queue.Complete{Agent: "a1", Call: "c1"})
		equal(d, "state", d.agent("a1").State, queue.AgentWrapUp)
		d.reopen()
		d.keepAlive(20 * time.Second)
		d.mustOffer("a2", "c2")
		d.keepAlive(10 * time.Second)
		equal(d, "reason", d.agent("a1").Reason, "lunch")
	}},
	{says: "the daemon's leases and the switches are kept", site: func(s *queue.Site) { s.OwnerLease = 10 * time.Second }, run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.ringing("a2")
		d.do(&queue.AttachSwitch{Switch: "s1", Owner: "d1", Token: "x"})
		d.do(&queue.DetachSwitch{Switch: "s1", Token: "x"})
		d.do(&queue.AttachSwitch{Switch: "s1", Owner: "d2", Token: "y"})
		d.reopen()
		d.arrive("c1")
		d.arrive("c2")
		d.mustOffer("a2", "c2")
		d.pass(10 * time.Second)
		equal(d, "stream", d.agent("a1").Reason, queue.ReasonLost)
		d.noOffer("a2")
	}},
	{says: "callbacks and request ids and tombstones are kept", run: func(d *desk) {
		cb := d.promised("c1", "+8613800000001")
		d.do(&queue.ClaimCallback{Callback: cb.ID, Claimant: "lea"})
		arrive := &queue.Arrive{Request: queue.Request{ID: "r1", Print: 3}, Call: "c2", Switch: "s1"}
		first := d.do(arrive)
		d.do(&queue.Abandon{Call: "c3", Switch: "s1"})
		d.reopen()
		d.refused(callback.ErrClaimed, &queue.ClaimCallback{Callback: cb.ID, Claimant: "tom"})
		d.refused(queue.ErrCallbackExists, &queue.CreateCallback{Caller: "+8613800000001"})
		again := d.do(arrive)
		equal(d, "duplicate", again.Duplicate, true)
		equal(d, "position", again.Position, first.Position)
		equal(d, "overtaken", d.arrive("c3").State, queue.CallAbandoned)
		d.pass(30 * time.Minute)
		equal(d, "claim", d.callbackOf(cb.ID).State, callback.StateDue)
	}},
	{says: "counters and events are kept", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.accept("a1")
		d.do(&queue.Complete{Agent: "a1", Call: "c1"})
		before := d.newEvents()
		totals := d.tierOf("billing", tiering.Ordinary).Totals
		d.reopen()
		equal(d, "totals", d.tierOf("billing", tiering.Ordinary).Totals, totals)
		d.seen = 0
		after := d.newEvents()
		equal(d, "events", len(after), len(before))
		for i := range min(len(after), len(before)) {
			equal(d, "event", after[i], before[i])
		}
		d.arrive("c2")
		equal(d, "the next event", d.newEvents()[0].Seq, uint64(len(before))+1)
		equal(d, "the call's own", len(d.call("c1").Events), 4)
	}},
}
