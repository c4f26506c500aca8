package queuetest

import (
	"time"

	"greenlane/queue"
	"greenlane/tiering"
)

// supervisorCases are the sentences about MoveCall and Rerank.
var supervisorCases = []testCase{
	{says: "a moved call keeps its place and its clock", run: func(d *desk) {
		d.arrive("c1")
		d.pass(10 * time.Second)
		d.arrive("x1", inQueue("orders"))
		d.do(&queue.MoveCall{Call: "c1", Queue: "orders", By: "boss"})
		c := d.call("c1")
		equal(d, "queue", c.Call.Queue, "orders")
		equal(d, "came from", c.Call.OverflowedFrom, "billing")
		equal(d, "joined", c.Call.JoinedAt, d.now().Add(-10*time.Second))
		equal(d, "position", c.Position, 1)
	}},
	{says: "an offer of a moved call is over and the agent free", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.arrive("c2")
		d.do(&queue.MoveCall{Call: "c1", Queue: "orders", By: "boss"})
		d.mustOffer("a1", "c2")
		equal(d, "state", d.state("c1"), queue.CallWaiting)
	}},
	{says: "a moved call does not overtake an older one with the agent it leaves", run: func(d *desk) {
		d.do(&queue.SignIn{Agent: "a1", WrapUp: -1, Services: []queue.Service{{Queue: "orders", Level: 1}, {Queue: "billing", Level: 2}}})
		d.arrive("c1", tier(tiering.VIP))
		d.arrive("c2", tier(tiering.VIP), inQueue("orders"))
		d.do(&queue.Attach{Agent: "a1", Owner: "d1", Token: "t", Presence: queue.PresentStream})
		d.mustOffer("a1", "c2")
		d.do(&queue.MoveCall{Call: "c2", Queue: "billing", By: "boss"})
		d.mustOffer("a1", "c1")
	}},
	{says: "moving a call to where it is changes nothing", run: func(d *desk) {
		d.arrive("c1")
		last := d.last()
		d.do(&queue.MoveCall{Call: "c1", Queue: "billing", By: "boss"})
		equal(d, "the last event", d.last(), last)
	}},
	{says: "what cannot be moved is refused", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.arrive("c2")
		d.accept("a1")
		d.do(&queue.Abandon{Call: "c2", Switch: "s1"})
		d.refused(queue.ErrCallNotFound, &queue.MoveCall{Call: "c9", Queue: "orders"})
		d.refused(queue.ErrWrongState, &queue.MoveCall{Call: "c1", Queue: "orders"})
		d.refused(queue.ErrWrongState, &queue.MoveCall{Call: "c2", Queue: "orders"})
		d.arrive("c3")
		d.refused(queue.ErrQueueNotFound, &queue.MoveCall{Call: "c3", Queue: "nowhere"})
	}},
	{says: "in the better tier a call stands by its original arrival", run: func(d *desk) {
		d.arrive("c1", func(c *queue.Arrive) { c.Provisional = true })
		d.clock.Advance(time.Second)
		d.arrive("m1", tier(tiering.Mid))
		equal(d, "position", d.call("c1").Position, 2)
		res := d.do(&queue.Rerank{Call: "c1", Tier: tiering.Mid, OnlyProvisional: true})
		equal(d, "reranked", res.Reranked, 1)
		equal(d, "position", res.Position, 1)
		equal(d, "provisional", d.call("c1").Call.Provisional, false)
	}},
	{says: "by number every waiting call of the caller is ranked", run: func(d *desk) {
		d.arrive("c1", caller("+8613800000001"))
		d.arrive("c2", caller("+8613800000001"), inQueue("orders"))
		d.arrive("c3", caller("+8613800000002"))
		d.arrive("c4", caller("+8613800000001"))
		d.do(&queue.Abandon{Call: "c4", Switch: "s1"})
		equal(d, "reranked", d.do(&queue.Rerank{Caller: "+8613800000001", Tier: tiering.VIP}).Reranked, 2)
		equal(d, "c2", d.call("c2").Call.Tier, tiering.VIP)
		equal(d, "c3", d.call("c3").Call.Tier, tiering.Ordinary)
		equal(d, "c4", d.call("c4").Call.Tier, tiering.Ordinary)
		equal(d, "withheld", d.do(&queue.Rerank{Tier: tiering.VIP}).Reranked, 0)
	}},
	{says: "a call that becomes a VIP takes an offer back as one who arrives", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("o1")
		d.arrive("c1")
		d.do(&queue.Rerank{Call: "c1", Tier: tiering.VIP})
		d.mustOffer("a1", "c1")
	}},
	{says: "an offered call that is a VIP no longer gives way to one who is", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("v1", tier(tiering.VIP))
		d.arrive("v2", tier(tiering.VIP))
		d.mustOffer("a1", "v1")
		d.do(&queue.Rerank{Call: "v1", Tier: tiering.Ordinary, UnattestedVIP: true})
		d.mustOffer("a1", "v2")
		equal(d, "unattested", d.call("v1").Call.UnattestedVIP, true)
	}},
	{says: "with attested vip a number that nobody vouches for is no VIP's", run: func(d *desk) {
		vouched := func(a queue.Attestation) func(*queue.Arrive) {
			return func(c *queue.Arrive) { c.Caller, c.Attestation = "+8613800000001", a }
		}
		d.arrive("c1", vouched(tiering.AttestationFull))
		d.arrive("c2", vouched(tiering.AttestationPartial))
		d.arrive("c3", vouched(tiering.AttestationUnset))
		equal(d, "reranked", d.do(&queue.Rerank{Caller: "+8613800000001", Tier: tiering.VIP, AttestedVIP: true}).Reranked, 3)
		equal(d, "again", d.do(&queue.Rerank{Caller: "+8613800000001", Tier: tiering.VIP, AttestedVIP: true}).Reranked, 0)
		for id, want := range map[string]tiering.Tier{"c1": tiering.VIP, "c2": tiering.Ordinary, "c3": tiering.Ordinary} {
			equal(d, id, d.call(id).Call.Tier, want)
			equal(d, id+" unattested", d.call(id).Call.UnattestedVIP, want != tiering.VIP)
		}
		equal(d, "mid", d.do(&queue.Rerank{Caller: "+8613800000001", Tier: tiering.Mid, AttestedVIP: true}).Reranked, 3)
		equal(d, "c2 is mid", d.call("c2").Call.Tier, tiering.Mid)
		equal(d, "c2 unattested", d.call("c2").Call.UnattestedVIP, false)
	}},
	{says: "only provisional leaves alone what is known by now", run: func(d *desk) {
		d.arrive("c1", func(c *queue.Arrive) { c.Provisional = true })
		d.do(&queue.Rerank{Call: "c1", Tier: tiering.Blacklist})
		equal(d, "reranked", d.do(&queue.Rerank{Call: "c1", Tier: tiering.VIP, OnlyProvisional: true}).Reranked, 0)
		equal(d, "tier", d.call("c1").Call.Tier, tiering.Blacklist)
	}},
	{says: "with only provisional a call that is gone is no error and without it is", run: func(d *desk) {
		d.arrive("c1")
		d.do(&queue.Abandon{Call: "c1", Switch: "s1"})
		d.do(&queue.Rerank{Call: "c1", Tier: tiering.VIP, OnlyProvisional: true})
		d.do(&queue.Rerank{Call: "c9", Tier: tiering.VIP, OnlyProvisional: true})
		d.refused(queue.ErrWrongState, &queue.Rerank{Call: "c1", Tier: tiering.VIP})
		d.refused(queue.ErrCallNotFound, &queue.Rerank{Call: "c9", Tier: tiering.VIP})
		d.refused(queue.ErrInvalid, &queue.Rerank{Call: "c1"})
	}},
}
