package queuetest

import (
	"time"

	"greenlane/callback"
	"greenlane/queue"
	"greenlane/tiering"
)

// callbackCases are the sentences about callbacks.
var callbackCases = []testCase{
	{says: "a mid-tier caller who hangs up is promised a callback in the same step", run: func(d *desk) {
		d.arrive("c1", tier(tiering.Mid), caller("+8613800000001"))
		d.pass(10 * time.Second)
		d.newEvents()
		cb := d.do(&queue.Abandon{Call: "c1", Switch: "s1"}).Callback
		events := d.newEvents()
		equal(d, "created", count(events, queue.EventCallbackCreated), 1)
		equal(d, "abandoned", count(events, queue.EventCallAbandoned), 1)
		equal(d, "state", cb.State, callback.StatePending)
		equal(d, "due", cb.DueAt, d.now().Add(15*time.Minute))
		equal(d, "deadline", cb.Deadline, d.now().Add(24*time.Hour))
		equal(d, "of call", cb.CallID, "c1")
		equal(d, "the call's", d.call("c1").Call.Callback, cb.ID)
		equal(d, "another for the same", d.promised("c2", "+8613800000001").ID, cb.ID)
	}},
	{says: "a callback made by hand is due as asked or as the policy says", run: func(d *desk) {
		cb := d.do(&queue.CreateCallback{Caller: "+8613800000001", Note: "asked by mail"}).Callback
		equal(d, "queue", cb.Queue, "billing")
		equal(d, "due", cb.DueAt, d.now().Add(15*time.Minute))
		equal(d, "note", cb.Note, "asked by mail")
		at := d.now().Add(3 * time.Hour)
		equal(d, "due", d.do(&queue.CreateCallback{Caller: "+8613800000002", Queue: "orders", DueAt: at}).Callback.DueAt, at)
	}},
	{says: "a callback that cannot be made is refused", run: func(d *desk) {
		d.do(&queue.CreateCallback{Caller: "+8613800000001"})
		d.refused(queue.ErrInvalid, &queue.CreateCallback{})
		d.refused(queue.ErrQueueNotFound, &queue.CreateCallback{Caller: "+8613800000002", Queue: "nowhere"})
		d.refused(queue.ErrCallbackExists, &queue.CreateCallback{Caller: "+8613800000001"})
		d.refused(callback.ErrDue, &queue.CreateCallback{Caller: "+8613800000003", DueAt: d.now().Add(-time.Second)})
		d.refused(callback.ErrWindow, &queue.CreateCallback{Caller: "+8613800000003", DueAt: d.now().Add(12 * time.Hour)})
	}},
	{says: "a due callback is offered when no vip, mid or ordinary call waits", run: func(d *desk) {
		cb := d.promised("c1", "+8613800000001")
		d.pass(15 * time.Minute)
		equal(d, "state", d.callbackOf(cb.ID).State, callback.StateDue)
		d.arrive("b1", tier(tiering.Blacklist))
		d.arrive("o1")
		d.onDuty("a1", "billing")
		d.mustOffer("a1", "o1")
		d.accept("a1")
		d.do(&queue.Complete{Agent: "a1", Call: "o1"})
		o := d.offer("a1")
		if o == nil || o.Callback == nil || o.Callback.ID != cb.ID {
			d.Fatalf("offered %+v, want the callback", o)
		}
		res := d.accept("a1")
		equal(d, "state", res.Callback.State, callback.StateClaimed)
		equal(d, "agent", res.Agent.State, queue.AgentTalking)
		equal(d, "again", d.do(&queue.Accept{Agent: "a1", Offer: o.Epoch}).Duplicate, true)
		d.do(&queue.ReportCallback{Callback: cb.ID, Claimant: "a1", Result: callback.ResultReached})
		equal(d, "done", d.callbackOf(cb.ID).State, callback.StateDone)
		d.mustOffer("a1", "b1")
	}},
	{says: "near its deadline it is ranked as a mid-tier call by its arrival", run: func(d *desk) {
		cb := d.promised("c1", "+8613800000001")
		d.clock.Set(opening.Add(23 * time.Hour)) // 09:00: inside the window, one hour before the deadline
		d.arrive("m1", tier(tiering.Mid))
		if d.callbackOf(cb.ID).EscalatedAt.IsZero() {
			d.Fatal("it has not escalated")
		}
		d.onDuty("a1", "billing")
		if o := d.offer("a1"); o == nil || o.Callback == nil {
			d.Fatalf("offered %+v, want the callback", o)
		}
		equal(d, "the call", d.state("m1"), queue.CallWaiting)
	}},
	{says: "claim takes an open callback and nobody else gets it", run: func(d *desk) {
		cb := d.promised("c1", "+8613800000001")
		res := d.do(&queue.ClaimCallback{Callback: cb.ID, Claimant: "lea"})
		equal(d, "state", res.Callback.State, callback.StateClaimed)
		equal(d, "until", res.Callback.ClaimUntil, d.now().Add(30*time.Minute))
		d.refused(callback.ErrClaimed, &queue.ClaimCallback{Callback: cb.ID, Claimant: "tom"})
		equal(d, "again", d.do(&queue.ClaimCallback{Callback: cb.ID, Claimant: "lea"}).Duplicate, true)
		d.refused(queue.ErrCallbackNotFound, &queue.ClaimCallback{Callback: "cb-99", Claimant: "lea"})
		d.do(&queue.CancelCallback{Callback: cb.ID, Reason: "done"})
		d.refused(callback.ErrState, &queue.ClaimCallback{Callback: cb.ID, Claimant: "lea"})
	}},
	{says: "an agent on duty claims in the queues it serves, and keeps what it has", run: func(d *desk) {
		cb := d.promised("c1", "+8613800000001")
		claim := func(by string) *queue.ClaimCallback {
			return &queue.ClaimCallback{Callback: cb.ID, Claimant: by, OnDuty: true}
		}
		d.refused(queue.ErrWrongState, claim("a1"))
		d.onDuty("a1", "orders")
		d.refused(queue.ErrWrongState, claim("a1"))
		d.onDuty("a2", "billing")
		d.do(claim("a2"))
		d.do(&queue.SignOut{Agent: "a2", Force: true})
		equal(d, "again", d.do(claim("a2")).Duplicate, true)
		d.refused(callback.ErrClaimed, claim("a1"))
	}},
	{says: "a claim takes an offer of it back", run: func(d *desk) {
		cb := d.promised("c1", "+8613800000001")
		d.onDuty("a1", "billing")
		d.keepAlive(15 * time.Minute)
		o := d.offer("a1")
		d.do(&queue.ClaimCallback{Callback: cb.ID, Claimant: "lea"})
		d.noOffer("a1")
		d.refused(queue.ErrOfferEnded, &queue.Accept{Agent: "a1", Offer: o.Epoch})
	}},
	{says: "a claim that nobody reports lapses and no attempt is counted", run: func(d *desk) {
		cb := d.promised("c1", "+8613800000001")
		d.do(&queue.ClaimCallback{Callback: cb.ID, Claimant: "lea"})
		d.pass(30 * time.Minute)
		now := d.callbackOf(cb.ID)
		equal(d, "state", now.State, callback.StateDue)
		equal(d, "attempts", now.Attempts, 0)
		d.refused(callback.ErrState, &queue.ReportCallback{Callback: cb.ID, Claimant: "lea", Result: callback.ResultReached})
	}},
	{says: "a report says how the attempt went", run: func(d *desk) {
		for i, want := range []struct {
			result callback.Result
			state  callback.State
		}{{callback.ResultReached, callback.StateDone}, {callback.ResultRefused, callback.StateDone}, {callback.ResultBusy, callback.StatePending}, {callback.ResultNoAnswer, callback.StatePending}} {
			id := d.do(&queue.CreateCallback{Caller: tiering.Number("+861380000000" + string(rune('1'+i)))}).Callback.ID
			d.do(&queue.ClaimCallback{Callback: id, Claimant: "lea"})
			d.refused(callback.ErrNotClaimant, &queue.ReportCallback{Callback: id, Claimant: "tom", Result: want.result})
			cb := d.do(&queue.ReportCallback{Callback: id, Claimant: "lea", Result: want.result, Note: "well"}).Callback
			equal(d, "state", cb.State, want.state)
			equal(d, "attempts", cb.Attempts, 1)
			equal(d, "note", cb.Note, "well")
		}
		d.refused(queue.ErrCallbackNotFound, &queue.ReportCallback{Callback: "cb-99", Claimant: "lea", Result: callback.ResultBusy})
	}},
	{says: "unanswered attempts are retried with growing delay up to the last", run: func(d *desk) {
		cb := d.promised("c1", "+8613800000001")
		for _, delay := range []time.Duration{30 * time.Minute, time.Hour, 0} {
			d.do(&queue.ClaimCallback{Callback: cb.ID, Claimant: "lea"})
			now := d.do(&queue.ReportCallback{Callback: cb.ID, Claimant: "lea", Result: callback.ResultNoAnswer}).Callback
			if delay == 0 {
				equal(d, "state", now.State, callback.StateFailed)
				break
			}
			equal(d, "due", now.DueAt, d.now().Add(delay))
			d.pass(delay)
		}
	}},
	{says: "another due time before the deadline may be set", run: func(d *desk) {
		cb := d.promised("c1", "+8613800000001")
		at := d.now().Add(2 * time.Hour)
		equal(d, "due", d.do(&queue.RescheduleCallback{Callback: cb.ID, DueAt: at}).Callback.DueAt, at)
		d.refused(callback.ErrDue, &queue.RescheduleCallback{Callback: cb.ID, DueAt: d.now().Add(25 * time.Hour)})
		d.refused(queue.ErrCallbackNotFound, &queue.RescheduleCallback{Callback: "cb-99", DueAt: at})
		equal(d, "deadline", d.callbackOf(cb.ID).Deadline, cb.Deadline)
	}},
	{says: "cancel ends an open callback", run: func(d *desk) {
		cb := d.promised("c1", "+8613800000001")
		now := d.do(&queue.CancelCallback{Callback: cb.ID, Reason: "by mail"}).Callback
		equal(d, "state", now.State, callback.StateCancelled)
		equal(d, "reason", now.EndReason, "by mail")
		d.refused(callback.ErrState, &queue.CancelCallback{Callback: cb.ID, Reason: "again"})
		d.refused(queue.ErrCallbackNotFound, &queue.CancelCallback{Callback: "cb-99"})
	}},
	{says: "it is cancelled in the same step when the caller rings again and is answered", run: func(d *desk) {
		cb := d.promised("c1", "+8613800000001")
		d.onDuty("a1", "billing")
		d.arrive("c2", caller("+8613800000001"))
		equal(d, "while ringing", d.callbackOf(cb.ID).State, callback.StatePending)
		d.accept("a1")
		now := d.callbackOf(cb.ID)
		equal(d, "state", now.State, callback.StateCancelled)
		equal(d, "reason", now.EndReason, callback.EndAnswered)
	}},
	{says: "unfinished at the deadline it is missed and counted", run: func(d *desk) {
		cb := d.promised("c1", "+8613800000001")
		d.clock.Set(cb.Deadline.Time().Add(-time.Millisecond))
		d.do(&queue.Tick{})
		equal(d, "open", d.callbackOf(cb.ID).State.Open(), true)
		d.pass(time.Millisecond)
		equal(d, "state", d.callbackOf(cb.ID).State, callback.StateMissed)
		snap, _ := d.e.Snapshot(d.ctx())
		equal(d, "missed", snap.Callbacks.Totals.Missed, 1)
		equal(d, "by state", snap.Callbacks.ByState[callback.StateMissed], 1)
	}},
	{says: "nobody is rung outside the window", run: func(d *desk) {
		d.clock.Set(opening.Add(10*time.Hour + 50*time.Minute)) // 20:50
		cb := d.promised("c1", "+8613800000001")
		equal(d, "due", cb.DueAt.Time().Equal(opening.Add(23*time.Hour)), true) // 09:00
	}},
	{says: "a declined callback goes back to its place", run: func(d *desk) {
		cb := d.promised("c1", "+8613800000001")
		d.onDuty("a1", "billing")
		d.signedIn("a2")
		d.keepAlive(15 * time.Minute)
		d.signedIn("a2")
		d.do(&queue.SetState{Agent: "a2", State: queue.AgentReady})
		d.do(&queue.Decline{Agent: "a1", Offer: d.offer("a1").Epoch})
		equal(d, "state", d.callbackOf(cb.ID).State, callback.StateDue)
		d.noOffer("a1")
		d.poll("a2", time.Minute)
		if o := d.offer("a2"); o == nil || o.Callback == nil {
			d.Fatalf("a2 is offered %+v, want the callback", o)
		}
	}},
}
