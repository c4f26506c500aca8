package queuetest

import (
	"errors"
	"time"

	"greenlane/queue"
	"greenlane/tiering"
)

// arriveCases are the sentences about Arrive.
var arriveCases = []testCase{
	{says: "a call joins its queue", run: func(d *desk) {
		res := d.do(&queue.Arrive{
			Call: "c1", Switch: "s1", Caller: "+8613800000001", Dialed: "10086", Queue: "orders", Tier: tiering.Mid,
			Attestation: tiering.AttestationFull, PreferredAgent: "a9", ArrivedAt: d.now().Add(-time.Second),
			Attributes: []queue.Attribute{{Key: "lang", Value: "zh"}, {Key: "menu", Value: "2"}},
		})
		c := d.call("c1").Call
		equal(d, "position", res.Position, 1)
		equal(d, "state", c.State, queue.CallWaiting)
		equal(d, "queue", c.Queue, "orders")
		equal(d, "tier", c.Tier, tiering.Mid)
		equal(d, "joined", c.JoinedAt, d.now())
		equal(d, "arrived", c.ArrivedAt, d.now().Add(-time.Second))
		equal(d, "caller", c.Caller, "+8613800000001")
		equal(d, "dialed", c.Dialed, "10086")
		equal(d, "preferred agent", c.PreferredAgent, "a9")
		equal(d, "attestation", c.Attestation, tiering.AttestationFull)
		equal(d, "attributes", len(c.Attributes), 2)
	}},
	{says: "a call that is already known is answered as it stands", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.accept("a1")
		last := d.last()
		res := d.do(&queue.Arrive{Call: "c1", Switch: "s1", Queue: "orders", Tier: tiering.VIP})
		equal(d, "duplicate", res.Duplicate, true)
		equal(d, "state", res.Call.State, queue.CallAnswered)
		equal(d, "queue", res.Call.Queue, "billing")
		equal(d, "the last event", d.last(), last)
	}},
	{says: "an empty call id is ErrInvalid", run: func(d *desk) { d.refused(queue.ErrInvalid, &queue.Arrive{Switch: "s1"}) }},
	{says: "an unknown queue is ErrQueueNotFound", run: func(d *desk) {
		d.refused(queue.ErrQueueNotFound, &queue.Arrive{Call: "c1", Switch: "s1", Queue: "nowhere"})
	}},
	{says: "another switch's call is ErrCallExists", run: func(d *desk) {
		d.arrive("c1")
		d.refused(queue.ErrCallExists, &queue.Arrive{Call: "c1", Switch: "s2"})
		d.do(&queue.Abandon{Call: "c2", Switch: "s1"})
		d.refused(queue.ErrCallExists, &queue.Arrive{Call: "c2", Switch: "s2"})
	}},
	{says: "a call without a queue goes by the dialed number else to the default queue", site: func(s *queue.Site) {
		s.Routes = map[string]string{"10086": "orders"}
	}, run: func(d *desk) {
		equal(d, "by number", d.do(&queue.Arrive{Call: "c1", Switch: "s1", Dialed: "10086"}).Call.Queue, "orders")
		equal(d, "by default", d.do(&queue.Arrive{Call: "c2", Switch: "s1", Dialed: "10010"}).Call.Queue, "billing")
		equal(d, "by name", d.do(&queue.Arrive{Call: "c3", Switch: "s1", Dialed: "10086", Queue: "billing"}).Call.Queue, "billing")
	}},
	{says: "a call that is to be refused is, with the reason", run: func(d *desk) {
		refuse := func(c *queue.Arrive) { c.Refuse = queue.ReasonSwitchFlood }
		c := d.arrive("c1", refuse)
		equal(d, "state", c.State, queue.CallRefused)
		equal(d, "reason", c.Reason, queue.ReasonSwitchFlood)
		equal(d, "what is kept", d.call("c1").Call.Reason, queue.ReasonSwitchFlood)
		equal(d, "event", d.newEvents()[0].Reason, queue.ReasonSwitchFlood)
		equal(d, "again", d.arrive("c1").State, queue.CallRefused)
	}},
	{says: "a call that is known is not refused for being told again", run: func(d *desk) {
		refuse := func(c *queue.Arrive) { c.Refuse = queue.ReasonNumberFlood }
		d.arrive("c1")
		res := d.do(&queue.Arrive{Call: "c1", Switch: "s1", Refuse: queue.ReasonNumberFlood})
		equal(d, "duplicate", res.Duplicate, true)
		equal(d, "state", res.Call.State, queue.CallWaiting)
		d.do(&queue.Abandon{Call: "c2", Switch: "s1"})
		equal(d, "hung up before", d.arrive("c2", refuse).State, queue.CallAbandoned)
	}},
	{says: "a queue's own reason to refuse comes first", site: func(s *queue.Site) {
		s.Queues[0].Hours = &queue.Hours{Zone: time.UTC}
	}, run: func(d *desk) {
		equal(d, "reason", d.arrive("c1", func(c *queue.Arrive) { c.Refuse = queue.ReasonSwitchFlood }).Reason, queue.ReasonQueueClosed)
	}},
	{says: "a closed queue refuses the call with the reason", site: func(s *queue.Site) {
		s.Queues[0].Hours = &queue.Hours{Zone: s.Zone}
	}, run: func(d *desk) {
		c := d.arrive("c1", tier(tiering.VIP))
		equal(d, "state", c.State, queue.CallRefused)
		equal(d, "reason", c.Reason, queue.ReasonQueueClosed)
		equal(d, "ended", c.EndedAt, d.now())
		equal(d, "again", d.arrive("c1", tier(tiering.VIP)).State, queue.CallRefused)
		equal(d, "refused", d.tierOf("billing", tiering.VIP).Today.Refused, 1)
	}},
	{says: "a full queue refuses the lowest tiers first and a VIP never", site: func(s *queue.Site) {
		s.Queues[0].Capacity = 10
	}, run: func(d *desk) {
		ids := []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}
		for _, id := range ids[:8] {
			equal(d, id, d.arrive(id).State, queue.CallWaiting)
		}
		equal(d, "blacklist at 8", d.arrive("b", tier(tiering.Blacklist)).Reason, queue.ReasonQueueFull)
		equal(d, "ordinary at 8", d.arrive("o1").State, queue.CallWaiting)
		equal(d, "ordinary at 9", d.arrive("o2").Reason, queue.ReasonQueueFull)
		equal(d, "mid at 9", d.arrive("m1", tier(tiering.Mid)).Reason, queue.ReasonQueueFull)
		equal(d, "vip at 9", d.arrive("v1", tier(tiering.VIP)).State, queue.CallWaiting)
		equal(d, "vip at 10", d.arrive("v2", tier(tiering.VIP)).State, queue.CallWaiting)
		equal(d, "the other queue", d.arrive("x", inQueue("orders")).State, queue.CallWaiting)
	}},
	{says: "a full process refuses everyone", site: func(s *queue.Site) { s.MaxWaiting = 2 }, run: func(d *desk) {
		d.arrive("c1")
		d.arrive("c2", inQueue("orders"))
		equal(d, "vip", d.arrive("v1", tier(tiering.VIP)).Reason, queue.ReasonProcessFull)
	}},
	{says: "the blacklist is refused where the policy says so", site: func(s *queue.Site) { s.RejectBlacklist = true }, run: func(d *desk) {
		equal(d, "reason", d.arrive("b1", tier(tiering.Blacklist)).Reason, queue.ReasonBlacklisted)
	}},
	{says: "the green channel takes an offer back for a VIP", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("o1")
		old := d.mustOffer("a1", "o1")
		d.arrive("v1", tier(tiering.VIP))
		d.mustOffer("a1", "v1")
		d.refused(queue.ErrOfferEnded, &queue.Accept{Agent: "a1", Offer: old.Epoch})
		equal(d, "the other's place", d.call("o1").Position, 1)
	}},
	{says: "without preemption a VIP waits for the next agent who comes free", site: func(s *queue.Site) { s.Preemption = false }, run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("o1")
		d.arrive("v1", tier(tiering.VIP))
		d.mustOffer("a1", "o1")
		d.do(&queue.Decline{Agent: "a1", Offer: d.offer("a1").Epoch})
		d.mustOffer("a1", "v1")
	}},
	{says: "a call waits for its preferred agent at most the preferred wait", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.onDuty("a2", "billing")
		d.arrive("c1", prefers("a2"))
		d.mustOffer("a2", "c1")
		d.accept("a2")
		d.arrive("c2", prefers("a2"))
		d.noOffer("a1")
		wait := queue.DefaultQueue("billing").PreferredWait
		equal(d, "held until", d.call("c2").Call.HeldUntil, d.now().Add(wait))
		d.pass(wait)
		d.mustOffer("a1", "c2")
		equal(d, "held until", d.call("c2").Call.HeldUntil, 0)
	}},
}

// endCases are the sentences about Abandon and End.
var endCases = []testCase{
	{says: "a waiting or offered call is abandoned", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.arrive("c2")
		d.pass(7 * time.Second)
		res := d.do(&queue.Abandon{Call: "c2", Switch: "s1"})
		equal(d, "state", res.Call.State, queue.CallAbandoned)
		equal(d, "reason", res.Call.Reason, queue.ReasonCallerHungUp)
		equal(d, "wait", res.Call.Wait(d.now()), 7*time.Second)
		d.do(&queue.End{Call: "c1", Switch: "s1"})
		equal(d, "reason", d.call("c1").Call.Reason, queue.ReasonSwitchEnded)
		d.noOffer("a1")
		equal(d, "agent", d.agent("a1").State, queue.AgentReady)
	}},
	{says: "an answered call is complete and its agent is free", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.accept("a1")
		d.pass(30 * time.Second)
		equal(d, "state", d.do(&queue.Abandon{Call: "c1", Switch: "s1"}).Call.State, queue.CallCompleted)
		equal(d, "agent", d.agent("a1").State, queue.AgentReady)
		equal(d, "completed", d.tierOf("billing", tiering.Ordinary).Totals.Completed, 1)
		equal(d, "abandoned", d.abandoned("billing", tiering.Ordinary), 0)
	}},
	{says: "a call that has ended is answered as it stands", run: func(d *desk) {
		d.arrive("c1")
		d.do(&queue.Abandon{Call: "c1", Switch: "s1"})
		last := d.last()
		res := d.do(&queue.End{Call: "c1", Switch: "s1"})
		equal(d, "duplicate", res.Duplicate, true)
		equal(d, "reason", res.Call.Reason, queue.ReasonCallerHungUp)
		equal(d, "the last event", d.last(), last)
	}},
	{says: "before the arrival it leaves a mark so that the arrival ends the same way", run: func(d *desk) {
		d.onDuty("a1", "billing")
		equal(d, "state", d.do(&queue.End{Call: "c1", Switch: "s1"}).Call.State, queue.CallAbandoned)
		c := d.arrive("c1")
		equal(d, "state", c.State, queue.CallAbandoned)
		equal(d, "reason", c.Reason, queue.ReasonSwitchEnded)
		d.noOffer("a1")
		equal(d, "counted once", d.abandoned("billing", tiering.Ordinary), 1)
		equal(d, "again", d.do(&queue.Abandon{Call: "c1", Switch: "s1"}).Duplicate, true)
	}},
	{says: "the switch's own times say how long an overtaken call waited", run: func(d *desk) {
		d.do(&queue.Abandon{Call: "c1", Switch: "s1", At: d.now().Add(-time.Second)})
		c := d.arrive("c1", func(a *queue.Arrive) { a.ArrivedAt = d.now().Add(-26 * time.Second) })
		equal(d, "wait", c.Wait(d.now()), 25*time.Second)
		equal(d, "late", c.Late, true)
		equal(d, "counted", d.tierOf("billing", tiering.Ordinary).Today.AbandonedLate, 1)
	}},
	{says: "else waits are measured by the engine's clock alone", run: func(d *desk) {
		d.arrive("c1")
		d.pass(9 * time.Second)
		c := d.do(&queue.Abandon{Call: "c1", Switch: "s1", At: d.now().Add(-8 * time.Second)}).Call
		equal(d, "wait", c.Wait(d.now()), 9*time.Second)
	}},
	{says: "an empty call id is ErrInvalid and another switch's call ErrCallNotFound", run: func(d *desk) {
		d.arrive("c1")
		d.refused(queue.ErrInvalid, &queue.Abandon{Switch: "s1"})
		d.refused(queue.ErrInvalid, &queue.End{Switch: "s1"})
		d.refused(queue.ErrCallNotFound, &queue.Abandon{Call: "c1", Switch: "s2"})
		d.refused(queue.ErrCallNotFound, &queue.End{Call: "c1", Switch: "s2"})
	}},
	{says: "a call that waited for its maximum is timed out", site: func(s *queue.Site) { s.Queues[0].MaxWait = 45 * time.Second }, run: func(d *desk) {
		d.arrive("c1")
		d.pass(44_999 * time.Millisecond)
		equal(d, "state", d.state("c1"), queue.CallWaiting)
		d.pass(time.Millisecond)
		equal(d, "state", d.state("c1"), queue.CallTimedOut)
		equal(d, "reason", d.call("c1").Call.Reason, queue.ReasonMaxWait)
	}},
	{says: "a call that waited too long overflows with its place and its clock", site: func(s *queue.Site) {
		s.Queues[0].Overflow = queue.Overflow{After: 30 * time.Second, To: "orders"}
	}, run: func(d *desk) {
		d.arrive("c1")
		d.pass(10 * time.Second)
		d.arrive("x1", inQueue("orders"))
		d.pass(20 * time.Second)
		c := d.call("c1")
		equal(d, "queue", c.Call.Queue, "orders")
		equal(d, "came from", c.Call.OverflowedFrom, "billing")
		equal(d, "position", c.Position, 1)
		equal(d, "joined", c.Call.JoinedAt, d.now().Add(-30*time.Second))
		equal(d, "the other's position", d.call("x1").Position, 2)
	}},
	{says: "a call may be handed to a place outside", site: func(s *queue.Site) {
		s.Queues[0].Overflow = queue.Overflow{After: 30 * time.Second, Destination: "voicemail"}
	}, run: func(d *desk) {
		d.arrive("c1")
		d.pass(30 * time.Second)
		equal(d, "state", d.state("c1"), queue.CallOverflowed)
		equal(d, "reason", d.call("c1").Call.Reason, queue.ReasonOverflow)
	}},
	{says: "a call that nobody ended is closed after the longest talk", site: func(s *queue.Site) { s.MaxTalk = time.Hour }, run: func(d *desk) {
		d.do(&queue.SignIn{Agent: "a1", Services: serving("billing"), WrapUp: -1})
		d.do(&queue.Attach{Agent: "a1", Owner: "d1", Token: "t", Presence: queue.PresentPoll, Wait: time.Minute})
		d.arrive("c1")
		d.accept("a1")
		d.pass(time.Hour)
		equal(d, "state", d.state("c1"), queue.CallCompleted)
		equal(d, "reason", d.call("c1").Call.Reason, queue.ReasonMaxTalk)
	}},
}

// reconcileCases are the sentences about Reconcile.
var reconcileCases = []testCase{
	{says: "missing calls are added with their original arrival", run: func(d *desk) {
		d.arrive("c1")
		res := d.do(&queue.Reconcile{Switch: "s1", Calls: []queue.Live{
			{Arrive: queue.Arrive{Call: "c1"}},
			{Arrive: queue.Arrive{Call: "c2", Queue: "billing", Tier: tiering.Ordinary, ArrivedAt: d.now().Add(-9 * time.Second)}},
		}})
		equal(d, "added", res.Added, 1)
		equal(d, "kept", res.Kept, 1)
		equal(d, "closed", res.Closed, 0)
		c := d.call("c2")
		equal(d, "joined", c.Call.JoinedAt, d.now().Add(-9*time.Second))
		equal(d, "switch", c.Call.Switch, "s1")
		equal(d, "position", c.Position, 1)
	}},
	{says: "calls of this switch that are not in the list and joined before it are closed", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.accept("a1")
		d.arrive("c2")
		d.arrive("x1", ofSwitch("s2"))
		d.pass(10 * time.Second)
		asOf := d.now()
		d.arrive("c3")
		d.pass(time.Second)
		res := d.do(&queue.Reconcile{Switch: "s1", AsOf: asOf})
		equal(d, "closed", res.Closed, 2)
		equal(d, "answered", d.state("c1"), queue.CallCompleted)
		equal(d, "waiting", d.state("c2"), queue.CallAbandoned)
		equal(d, "reason", d.call("c2").Call.Reason, queue.ReasonReconciled)
		equal(d, "joined since", d.state("c3"), queue.CallWaiting)
		equal(d, "another switch's", d.state("x1"), queue.CallOffered)
	}},
	{says: "the result has one item for each listed call", run: func(d *desk) {
		d.arrive("c1")
		d.arrive("x1", ofSwitch("s2"))
		bad := errors.New("no number")
		res := d.do(&queue.Reconcile{Switch: "s1", Calls: []queue.Live{
			{Arrive: queue.Arrive{Call: "c9", Queue: "nowhere"}}, {Arrive: queue.Arrive{Call: "c1"}},
			{Arrive: queue.Arrive{Call: "c8"}, Err: bad}, {Arrive: queue.Arrive{}}, {Arrive: queue.Arrive{Call: "c2"}}, {Arrive: queue.Arrive{Call: "x1"}},
		}})
		want := []queue.Item{
			{Call: "c9", Outcome: queue.OutcomeFailed}, {Call: "c1", Outcome: queue.OutcomeKept}, {Call: "c8", Outcome: queue.OutcomeFailed},
			{Call: "", Outcome: queue.OutcomeFailed}, {Call: "c2", Outcome: queue.OutcomeAdded}, {Call: "x1", Outcome: queue.OutcomeFailed},
		}
		kinds := []error{queue.ErrQueueNotFound, nil, bad, queue.ErrInvalid, nil, queue.ErrCallExists}
		equal(d, "items", len(res.Items), len(want))
		for i, item := range res.Items {
			if !errors.Is(item.Err, kinds[i]) {
				d.Errorf("item %d: %v, want %v", i, item.Err, kinds[i])
			}
			item.Err = nil
			equal(d, "item", item, want[i])
		}
	}},
	{says: "an answered call is added as answered and never queued", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.onDuty("a2", "billing")
		d.do(&queue.Reconcile{Switch: "s1", Calls: []queue.Live{{
			Arrive: queue.Arrive{Call: "c1", Tier: tiering.VIP, ArrivedAt: d.now().Add(-time.Minute)},
			Agent:  "a1", AnsweredAt: d.now().Add(-45 * time.Second),
		}}})
		c := d.call("c1").Call
		equal(d, "state", c.State, queue.CallAnswered)
		equal(d, "wait", c.Wait(d.now()), 15*time.Second)
		equal(d, "agent", d.agent("a1").State, queue.AgentTalking)
		d.noOffer("a2")
		equal(d, "offers", d.tierOf("billing", tiering.VIP).Totals.Offers, 0)
		d.do(&queue.Complete{Agent: "a1", Call: "c1"})
		equal(d, "talk", d.tierOf("billing", tiering.VIP).Totals.Talk, 45_000)
	}},
	{says: "a listed call whose hang-up is known stays ended", run: func(d *desk) {
		d.do(&queue.Abandon{Call: "c1", Switch: "s1"})
		d.do(&queue.Reconcile{Switch: "s1", Calls: []queue.Live{{Arrive: queue.Arrive{Call: "c1"}}}})
		equal(d, "state", d.state("c1"), queue.CallAbandoned)
	}},
	{says: "no freed agent is offered a call that the same list closes", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.arrive("c2")
		d.arrive("x1", ofSwitch("s2"))
		d.pass(time.Second)
		d.newEvents()
		d.do(&queue.Reconcile{Switch: "s1"})
		equal(d, "offers", count(d.newEvents(), queue.EventCallOffered), 1)
		d.mustOffer("a1", "x1")
	}},
}
