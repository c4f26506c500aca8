package queuetest

import (
	"testing"
	"time"

	"greenlane/callback"
	"greenlane/queue"
	"greenlane/tiering"
)

// the number that is erased, and somebody else's
const (
	person = tiering.Number("+8613900000001")
	other  = tiering.Number("+8613900000002")
)

// known returns how many calls and callbacks of a number are kept.
func (d *desk) known(n tiering.Number) (calls, callbacks int) {
	d.Helper()
	list, _, err := d.e.Calls(d.ctx(), queue.CallFilter{Caller: n})
	if err != nil {
		d.Fatal(err)
	}
	backs, _, err := d.e.Callbacks(d.ctx(), queue.CallbackFilter{Caller: n})
	if err != nil {
		d.Fatal(err)
	}
	return len(list), len(backs)
}

// knownIs says how many calls and callbacks of a number are kept.
func (d *desk) knownIs(n tiering.Number, calls, callbacks int) {
	d.Helper()
	gotCalls, gotBacks := d.known(n)
	equal(d, "calls kept of "+string(n), gotCalls, calls)
	equal(d, "callbacks kept of "+string(n), gotBacks, callbacks)
}

// hasHistory leaves ended calls and callbacks of a number behind.
func (d *desk) hasHistory(n tiering.Number, prefix string) (ended string) {
	d.Helper()
	with := func(c *queue.Arrive) { c.Attributes = []queue.Attribute{{Key: "name", Value: "Li"}} }
	d.arrive(prefix+"1", tier(tiering.Mid), caller(n), with)
	d.pass(10 * time.Second)
	cb := d.do(&queue.Abandon{Request: queue.Request{ID: prefix + "r", Print: 7}, Call: prefix + "1", Switch: "s1"}).Callback
	d.do(&queue.ClaimCallback{Callback: cb.ID, Claimant: "boss"})
	d.do(&queue.ReportCallback{Callback: cb.ID, Claimant: "boss", Result: callback.ResultReached, Note: "Li is content"})
	d.arrive(prefix+"2", caller(n), with)
	d.do(&queue.Abandon{Call: prefix + "2", Switch: "s1"})
	return cb.ID
}

// erasesAtEnd reports whether an engine erases what is under way when it ends.
func erasesAtEnd(t *testing.T, open Factory) bool {
	t.Helper()
	can := false
	t.Run("erases at the end", func(t *testing.T) {
		d := newDesk(t, open, caseSite())
		can = d.erasesAtEnd()
		if !can {
			t.Skip("this engine erases only what is over: the sequences ask for nothing else")
		}
	})
	return can
}

func (d *desk) erasesAtEnd() bool {
	d.Helper()
	d.arrive("probe", caller("+8613900000009"))
	return d.do(&queue.EraseCaller{Caller: "+8613900000009", AtEnd: true}).AtEnd == 1
}

// mustEraseAtEnd leaves a case out that this engine cannot do.
func (d *desk) mustEraseAtEnd() {
	d.Helper()
	if !d.erasesAtEnd() {
		d.Skip("this engine erases only what is over")
	}
	d.do(&queue.Abandon{Call: "probe", Switch: "s1"})
}

// eraseOnlyWhatIsOver changes a sequence's commands to erase.
func (s *Sequence) eraseOnlyWhatIsOver() {
	for i := range s.Steps {
		if cmd, ok := s.Steps[i].Cmd.(*queue.EraseCaller); ok {
			cmd.AtEnd = false
		}
	}
}

// eraseCases are the sentences about EraseCaller.
var eraseCases = []testCase{
	{says: "a person is erased from what is over and nobody else is", run: func(d *desk) {
		ended, theirs := d.hasHistory(person, "c"), d.hasHistory(other, "x")
		open := d.do(&queue.CreateCallback{Caller: person, Queue: "orders", Note: "ask for Li"}).Callback
		d.newEvents()
		res := d.do(&queue.EraseCaller{Caller: person})
		equal(d, "calls", res.ErasedCalls, 2)
		equal(d, "callbacks", res.ErasedCallbacks, 2)
		equal(d, "live", res.Live, 0)
		d.knownIs(person, 0, 0)
		d.knownIs(other, 2, 1)
		c := d.call("c1").Call
		equal(d, "number", c.Caller, "")
		equal(d, "attributes", len(c.Attributes), 0)
		equal(d, "state", c.State, queue.CallAbandoned)
		cb := d.callbackOf(ended)
		equal(d, "number", cb.Caller, "")
		equal(d, "note", cb.Note, "")
		equal(d, "state", cb.State, callback.StateDone)
		cb = d.callbackOf(open.ID)
		equal(d, "state", cb.State, callback.StateCancelled)
		equal(d, "reason", cb.EndReason, queue.ReasonErased)
		equal(d, "number", cb.Caller, "")
		equal(d, "note of the other", d.callbackOf(theirs).Note, "Li is content")
		events := d.newEvents()
		equal(d, "cancelled", count(events, queue.EventCallbackCancelled), 1)
		equal(d, "all events", len(events), 1)
		d.do(&queue.CreateCallback{Caller: person, Queue: "orders"}) // the promise is gone
	}},
	{says: "erasing leaves the counters as they were", run: func(d *desk) {
		d.hasHistory(person, "c")
		before, err := d.e.Statistics(d.ctx())
		if err != nil {
			d.Fatal(err)
		}
		d.do(&queue.EraseCaller{Caller: person})
		after, err := d.e.Statistics(d.ctx())
		if err != nil {
			d.Fatal(err)
		}
		for i := range before.Queues {
			for j := range before.Queues[i].Tiers {
				equal(d, "totals", after.Queues[i].Tiers[j].Totals, before.Queues[i].Tiers[j].Totals)
				equal(d, "today", after.Queues[i].Tiers[j].Today, before.Queues[i].Tiers[j].Today)
			}
		}
		equal(d, "callbacks", after.Callbacks.Totals, before.Callbacks.Totals)
	}},
	{says: "what is under way is left and erased when it is over", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("talks", caller(person))
		d.accept("a1")
		d.arrive("waits", caller(person))
		cb := d.do(&queue.CreateCallback{Caller: person, Queue: "orders"}).Callback
		d.do(&queue.ClaimCallback{Callback: cb.ID, Claimant: "boss"})
		res := d.do(&queue.EraseCaller{Caller: person})
		equal(d, "live", res.Live, 3)
		equal(d, "erased", res.ErasedCalls+res.ErasedCallbacks, 0)
		equal(d, "number", d.call("waits").Call.Caller, person)
		d.do(&queue.Complete{Agent: "a1", Call: "talks"})
		d.accept("a1")
		d.do(&queue.Complete{Agent: "a1", Call: "waits"})
		d.do(&queue.ReportCallback{Callback: cb.ID, Claimant: "boss", Result: callback.ResultReached})
		res = d.do(&queue.EraseCaller{Caller: person})
		equal(d, "live", res.Live, 0)
		equal(d, "calls", res.ErasedCalls, 2)
		equal(d, "callbacks", res.ErasedCallbacks, 1)
		d.knownIs(person, 0, 0)
	}},
	{says: "a callback on offer is taken back from the agent", run: func(d *desk) {
		cb := d.do(&queue.CreateCallback{Caller: person}).Callback
		d.keepAlive(15 * time.Minute)
		d.onDuty("a1", "billing")
		if o := d.offer("a1"); o == nil || o.Callback == nil || o.Callback.ID != cb.ID {
			d.Fatalf("offered %+v", o)
		}
		d.do(&queue.EraseCaller{Caller: person})
		d.noOffer("a1")
		equal(d, "state", d.agent("a1").State, queue.AgentReady)
		d.arrive("c1")
		d.mustOffer("a1", "c1")
	}},
	{says: "first answers forget the number and stay first answers", run: func(d *desk) {
		d.hasHistory(person, "c")
		d.do(&queue.EraseCaller{Caller: person})
		res := d.do(&queue.Abandon{Request: queue.Request{ID: "cr", Print: 7}, Call: "c1", Switch: "s1"})
		equal(d, "duplicate", res.Duplicate, true)
		equal(d, "the call's number", res.Call.Caller, "")
		equal(d, "attributes", len(res.Call.Attributes), 0)
		equal(d, "the callback's number", res.Callback.Caller, "")
		d.refused(queue.ErrRequestReused, &queue.Abandon{Request: queue.Request{ID: "cr", Print: 8}, Call: "c1", Switch: "s1"})
	}},
	{says: "what is under way is erased in the step that ends it", run: func(d *desk) {
		d.mustEraseAtEnd()
		with := func(c *queue.Arrive) { c.Attributes = []queue.Attribute{{Key: "name", Value: "Li"}} }
		d.onDuty("a1", "billing")
		d.arrive("talks", caller(person), with)
		d.accept("a1")
		d.arrive("waits", caller(person), with, tier(tiering.Mid))
		d.arrive("theirs", caller(other), with)
		res := d.do(&queue.EraseCaller{Caller: person, AtEnd: true})
		equal(d, "at the end", res.AtEnd, 2)
		equal(d, "live", res.Live, 0)
		equal(d, "erased", res.ErasedCalls, 0)
		equal(d, "number of one who talks", d.call("talks").Call.Caller, person)
		equal(d, "attributes of one who waits", len(d.call("waits").Call.Attributes), 1)
		d.arrive("later", caller(person), with)
		d.newEvents()

		res = d.do(&queue.Complete{Request: queue.Request{ID: "done", Print: 3}, Agent: "a1", Call: "talks"})
		equal(d, "number in the answer", res.Call.Caller, "")
		equal(d, "number afterwards", d.call("talks").Call.Caller, "")
		equal(d, "attributes afterwards", len(d.call("talks").Call.Attributes), 0)
		d.mustOffer("a1", "waits")
		d.pass(10 * time.Second)
		res = d.do(&queue.Abandon{Request: queue.Request{ID: "gone", Print: 4}, Call: "waits", Switch: "s1"})
		equal(d, "callback", res.Callback == nil, true)
		equal(d, "number in the answer", res.Call.Caller, "")
		equal(d, "number afterwards", d.call("waits").Call.Caller, "")
		for id, cmd := range map[string]queue.Command{
			"done": &queue.Complete{Request: queue.Request{ID: "done", Print: 3}, Agent: "a1", Call: "talks"},
			"gone": &queue.Abandon{Request: queue.Request{ID: "gone", Print: 4}, Call: "waits", Switch: "s1"},
		} {
			again := d.do(cmd)
			equal(d, "duplicate of "+id, again.Duplicate, true)
			equal(d, "number in the first answer of "+id, again.Call.Caller, "")
			equal(d, "attributes in the first answer of "+id, len(again.Call.Attributes), 0)
		}
		equal(d, "callbacks promised", count(d.newEvents(), queue.EventCallbackCreated), 0)
		d.knownIs(person, 1, 0) // the call that came after the erasure is a new one
		d.knownIs(other, 1, 0)
		d.do(&queue.Abandon{Call: "later", Switch: "s1"})
		d.knownIs(person, 1, 0)
	}},
	{says: "what time ends is erased in the step that does", run: func(d *desk) {
		d.mustEraseAtEnd()
		d.arrive("waits", caller(person), tier(tiering.Mid))
		equal(d, "at the end", d.do(&queue.EraseCaller{Caller: person, AtEnd: true}).AtEnd, 1)
		equal(d, "at the end, again", d.do(&queue.EraseCaller{Caller: person, AtEnd: true}).AtEnd, 1)
		d.pass(11 * time.Minute) // longer than anybody may wait
		equal(d, "state", d.state("waits"), queue.CallTimedOut)
		equal(d, "number", d.call("waits").Call.Caller, "")
		d.knownIs(person, 0, 0)
	}, site: func(s *queue.Site) { s.Queues[0].MaxWait = 10 * time.Minute }},
	{says: "a claimed callback is not tried again and erased when it is over", run: func(d *desk) {
		d.mustEraseAtEnd()
		claimed := func(queueName string) string {
			cb := d.do(&queue.CreateCallback{Caller: person, Queue: queueName, Note: "ask for Li"}).Callback
			d.do(&queue.ClaimCallback{Callback: cb.ID, Claimant: "boss"})
			return cb.ID
		}
		reached, missed := claimed("orders"), claimed("billing")
		equal(d, "at the end", d.do(&queue.EraseCaller{Caller: person, AtEnd: true}).AtEnd, 2)
		equal(d, "note while it is claimed", d.callbackOf(reached).Note, "ask for Li")
		d.newEvents()
		report := &queue.ReportCallback{Request: queue.Request{ID: "r", Print: 5}, Callback: reached, Claimant: "boss", Result: callback.ResultReached, Note: "Li is content"}
		equal(d, "number in the answer", d.do(report).Callback.Caller, "")
		equal(d, "note in the first answer", d.do(report).Callback.Note, "")
		cb := d.callbackOf(reached)
		equal(d, "state", cb.State, callback.StateDone)
		equal(d, "number", cb.Caller, "")
		equal(d, "note", cb.Note, "")
		d.do(&queue.ReportCallback{Callback: missed, Claimant: "boss", Result: callback.ResultNoAnswer})
		cb = d.callbackOf(missed)
		equal(d, "state", cb.State, callback.StateCancelled)
		equal(d, "reason", cb.EndReason, queue.ReasonErased)
		equal(d, "number", cb.Caller, "")
		lapses := claimed("billing")
		equal(d, "at the end", d.do(&queue.EraseCaller{Caller: person, AtEnd: true}).AtEnd, 1)
		d.pass(d.callbackOf(lapses).ClaimUntil.Sub(d.now()))
		d.do(&queue.Tick{})
		cb = d.callbackOf(lapses)
		equal(d, "state", cb.State, callback.StateCancelled)
		equal(d, "number", cb.Caller, "")
		events := d.newEvents()
		equal(d, "cancelled", count(events, queue.EventCallbackCancelled), 1)
		equal(d, "why", events[len(events)-1].Reason, queue.ReasonErased)
		d.knownIs(person, 0, 0)
	}},
	{says: "an erasure that is to come outlives a restart", run: func(d *desk) {
		d.mustEraseAtEnd()
		d.arrive("waits", caller(person))
		cb := d.do(&queue.CreateCallback{Caller: person, Queue: "orders"}).Callback
		d.do(&queue.ClaimCallback{Callback: cb.ID, Claimant: "boss"})
		d.do(&queue.EraseCaller{Caller: person, AtEnd: true})
		if d.restart == nil {
			return
		}
		d.e = d.restart(d)
		d.do(&queue.Abandon{Call: "waits", Switch: "s1"})
		d.do(&queue.ReportCallback{Callback: cb.ID, Claimant: "boss", Result: callback.ResultBusy})
		d.knownIs(person, 0, 0)
		d.e = d.restart(d)
		d.knownIs(person, 0, 0)
		equal(d, "state", d.callbackOf(cb.ID).State, callback.StateCancelled)
	}},
	{says: "erasing is safe to repeat", run: func(d *desk) {
		d.hasHistory(person, "c")
		cmd := &queue.EraseCaller{Request: queue.Request{ID: "e1", Print: 1}, Caller: person}
		first, again := d.do(cmd), d.do(cmd)
		equal(d, "calls", again.ErasedCalls, first.ErasedCalls)
		equal(d, "callbacks", again.ErasedCallbacks, first.ErasedCallbacks)
		equal(d, "duplicate", again.Duplicate, true)
		equal(d, "what is left", d.do(&queue.EraseCaller{Caller: person}).ErasedCalls, 0)
	}},
	{says: "nobody is erased without a number", run: func(d *desk) {
		d.arrive("c1", caller(tiering.Withheld))
		d.refused(queue.ErrInvalid, &queue.EraseCaller{})
	}},
	{says: "what was erased stays erased over a restart", run: func(d *desk) {
		d.hasHistory(person, "c")
		d.hasHistory(other, "x")
		d.do(&queue.EraseCaller{Caller: person})
		if d.restart == nil {
			return
		}
		d.e = d.restart(d)
		d.knownIs(person, 0, 0)
		d.knownIs(other, 2, 1)
		equal(d, "state", d.state("c1"), queue.CallAbandoned)
	}},
}
