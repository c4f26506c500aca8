package queuetest

import (
	"time"

	"greenlane/queue"
	"greenlane/tiering"
)

// agentCases are the sentences about SignIn, SignOut, SetState and Complete.
var agentCases = []testCase{
	{says: "a sign-in makes an agent known with endpoint and queues and ready", run: func(d *desk) {
		res := d.do(&queue.SignIn{
			Agent: "a1", Endpoint: "SIP/1", WrapUp: 10 * time.Second,
			Services: []queue.Service{{Queue: "orders", Level: 2}, {Queue: "billing", Level: 1}},
		})
		a := d.agent("a1")
		equal(d, "state", a.State, queue.AgentReady)
		equal(d, "state in the answer", res.Agent.State, queue.AgentReady)
		equal(d, "endpoint", a.Endpoint, "SIP/1")
		equal(d, "wrap-up", a.WrapUp, 10_000)
		equal(d, "first queue", a.Services[0], queue.Service{Queue: "billing", Level: 1})
		equal(d, "second queue", a.Services[1], queue.Service{Queue: "orders", Level: 2})
		equal(d, "since", a.Since, d.now())
	}},
	{says: "again it changes the queues at once and leaves the work at hand alone", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.accept("a1")
		d.arrive("x1", inQueue("orders"))
		d.arrive("c2")
		d.do(&queue.SignIn{Agent: "a1", Services: serving("orders"), WrapUp: -1})
		equal(d, "agent", d.agent("a1").State, queue.AgentTalking)
		equal(d, "call", d.state("c1"), queue.CallAnswered)
		d.do(&queue.Complete{Agent: "a1", Call: "c1"})
		d.mustOffer("a1", "x1")
	}},
	{says: "an added queue offers at once", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("x1", inQueue("orders"))
		d.do(&queue.SignIn{Agent: "a1", Services: serving("billing", "orders"), WrapUp: -1})
		d.mustOffer("a1", "x1")
	}},
	{says: "a live offer of a queue no longer served is left to its end", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.do(&queue.SignIn{Agent: "a1", Services: serving("orders"), WrapUp: -1})
		d.mustOffer("a1", "c1")
		equal(d, "state", d.accept("a1").Call.State, queue.CallAnswered)
	}},
	{says: "again it ends a pause that nobody asked for and no other", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.pass(20 * time.Second)
		equal(d, "reason", d.agent("a1").Reason, queue.ReasonNoAnswer)
		d.onDuty("a1", "billing")
		d.mustOffer("a1", "c1")
		d.do(&queue.SetState{Agent: "a1", State: queue.AgentNotReady, Reason: "lunch"})
		d.onDuty("a1", "billing")
		equal(d, "reason", d.agent("a1").Reason, "lunch")
	}},
	{says: "a sign-in without agent or queues is ErrInvalid", run: func(d *desk) {
		d.refused(queue.ErrInvalid, &queue.SignIn{Services: serving("billing")})
		d.refused(queue.ErrInvalid, &queue.SignIn{Agent: "a1"})
		d.refused(queue.ErrInvalid, &queue.SignIn{Agent: "a1", Services: []queue.Service{{Queue: "billing", Level: 0}}})
		d.refused(queue.ErrInvalid, &queue.SignIn{Agent: "a1", Services: serving("billing", "billing")})
		d.refused(queue.ErrInvalid, &queue.SignIn{Agent: "a1", Services: serving("billing"), RingBySwitch: true})
	}},
	{says: "a sign-in for an unknown queue is ErrQueueNotFound", run: func(d *desk) {
		d.refused(queue.ErrQueueNotFound, &queue.SignIn{Agent: "a1", Services: serving("billing", "nowhere")})
	}},
	{says: "a sign-out takes a live offer back to its place", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.arrive("c2")
		d.do(&queue.SignOut{Agent: "a1"})
		equal(d, "agent", d.agent("a1").State, queue.AgentSignedOut)
		equal(d, "position", d.call("c1").Position, 1)
		d.do(&queue.SignOut{Agent: "a1"})
		d.onDuty("a2", "billing")
		d.mustOffer("a2", "c1")
	}},
	{says: "a sign-out while talking is refused with ErrWrongState unless forced", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.accept("a1")
		d.refused(queue.ErrWrongState, &queue.SignOut{Agent: "a1"})
		d.do(&queue.SignOut{Agent: "a1", Force: true})
		equal(d, "call", d.state("c1"), queue.CallAnswered)
		d.do(&queue.End{Call: "c1", Switch: "s1"})
		equal(d, "agent", d.agent("a1").State, queue.AgentSignedOut)
	}},
	{says: "an unknown agent is ErrAgentNotFound", run: func(d *desk) {
		d.refused(queue.ErrAgentNotFound, &queue.SignOut{Agent: "a1"})
		d.refused(queue.ErrAgentNotFound, &queue.SetState{Agent: "a1", State: queue.AgentReady})
		d.refused(queue.ErrAgentNotFound, &queue.Attach{Agent: "a1", Owner: "d1", Token: "t", Presence: queue.PresentPoll})
		d.refused(queue.ErrAgentNotFound, &queue.Detach{Agent: "a1", Token: "t"})
		d.refused(queue.ErrAgentNotFound, &queue.Complete{Agent: "a1", Call: "c1"})
	}},
	{says: "an agent is not ready for a reason and gets no offers", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.do(&queue.SetState{Agent: "a1", State: queue.AgentNotReady, Reason: "lunch"})
		d.arrive("c1")
		d.noOffer("a1")
		equal(d, "reason", d.agent("a1").Reason, "lunch")
		d.do(&queue.SetState{Agent: "a1", State: queue.AgentReady})
		d.mustOffer("a1", "c1")
		equal(d, "reason", d.agent("a1").Reason, "")
	}},
	{says: "not ready takes a live offer back and blames nobody", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.onDuty("a2", "billing")
		d.arrive("c1")
		d.do(&queue.SetState{Agent: "a1", State: queue.AgentNotReady, Reason: "lunch"})
		d.mustOffer("a2", "c1")
		equal(d, "declined", len(d.call("c1").Call.DeclinedBy), 0)
	}},
	{says: "while talking not ready counts from the end of the call", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.accept("a1")
		d.do(&queue.SetState{Agent: "a1", State: queue.AgentNotReady, Reason: "lunch"})
		a := d.agent("a1")
		equal(d, "state", a.State, queue.AgentTalking)
		equal(d, "after the call", a.NextPause, true)
		equal(d, "for", a.NextReason, "lunch")
		d.do(&queue.Complete{Agent: "a1", Call: "c1"})
		a = d.agent("a1")
		equal(d, "state", a.State, queue.AgentNotReady)
		equal(d, "reason", a.Reason, "lunch")
	}},
	{says: "while talking ready takes a wish back", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.accept("a1")
		d.do(&queue.SetState{Agent: "a1", State: queue.AgentNotReady, Reason: "lunch"})
		d.do(&queue.SetState{Agent: "a1", State: queue.AgentReady})
		d.do(&queue.Complete{Agent: "a1", Call: "c1"})
		equal(d, "state", d.agent("a1").State, queue.AgentReady)
	}},
	{says: "no other state can be set and nobody who is signed out has one", run: func(d *desk) {
		d.signedIn("a1")
		d.refused(queue.ErrInvalid, &queue.SetState{Agent: "a1", State: queue.AgentTalking})
		d.do(&queue.SignOut{Agent: "a1"})
		d.refused(queue.ErrWrongState, &queue.SetState{Agent: "a1", State: queue.AgentReady})
	}},
	{says: "complete ends the agent's call and repeating it is harmless", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.accept("a1")
		d.pass(30 * time.Second)
		res := d.do(&queue.Complete{Agent: "a1", Call: "c1"})
		equal(d, "state", res.Call.State, queue.CallCompleted)
		equal(d, "reason", res.Call.Reason, queue.ReasonAgentCompleted)
		equal(d, "agent", res.Agent.State, queue.AgentReady)
		equal(d, "again", d.do(&queue.Complete{Agent: "a1", Call: "c1"}).Duplicate, true)
		equal(d, "completed", d.tierOf("billing", tiering.Ordinary).Totals.Completed, 1)
	}},
	{says: "complete of another's call or one not answered is refused", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.signedIn("a2")
		d.arrive("c1")
		d.refused(queue.ErrWrongState, &queue.Complete{Agent: "a1", Call: "c1"})
		d.refused(queue.ErrCallNotFound, &queue.Complete{Agent: "a1", Call: "c9"})
		d.accept("a1")
		d.refused(queue.ErrCallNotFound, &queue.Complete{Agent: "a2", Call: "c1"})
	}},
	{says: "after a call an agent wraps up for as long as the agent or the queue says", site: func(s *queue.Site) {
		s.Queues[0].WrapUp = 30 * time.Second
	}, run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.accept("a1")
		d.do(&queue.Complete{Agent: "a1", Call: "c1"})
		a := d.agent("a1")
		equal(d, "state", a.State, queue.AgentWrapUp)
		equal(d, "until", a.WrapUntil, d.now().Add(30*time.Second))
		d.arrive("c2")
		d.noOffer("a1")
		d.keepAlive(30 * time.Second)
		d.mustOffer("a1", "c2")
		d.do(&queue.SignIn{Agent: "a1", Services: serving("billing"), WrapUp: 5 * time.Second})
		d.accept("a1")
		d.do(&queue.Complete{Agent: "a1", Call: "c2"})
		equal(d, "until", d.agent("a1").WrapUntil, d.now().Add(5*time.Second))
		d.do(&queue.SetState{Agent: "a1", State: queue.AgentReady})
		equal(d, "ready ends it", d.agent("a1").State, queue.AgentReady)
	}},
	{says: "of the idle agents the best level is first and then the longest idle", run: func(d *desk) {
		d.do(&queue.SignIn{Agent: "a1", Services: []queue.Service{{Queue: "billing", Level: 2}}, WrapUp: -1})
		d.do(&queue.Attach{Agent: "a1", Owner: "d1", Token: "t", Presence: queue.PresentStream})
		d.clock.Advance(time.Second)
		d.onDuty("a2", "billing")
		d.clock.Advance(time.Second)
		d.onDuty("a3", "billing")
		d.arrive("c1")
		d.mustOffer("a2", "c1")
		d.arrive("c2")
		d.mustOffer("a3", "c2")
		d.arrive("c3")
		d.mustOffer("a1", "c3")
	}},
}

// switchCases are the sentences about AttachSwitch and DetachSwitch.
var switchCases = []testCase{
	{says: "phones are rung for calls of a switch whose stream is open", run: func(d *desk) {
		d.ringing("a1")
		d.arrive("c1")
		d.noOffer("a1")
		d.do(&queue.AttachSwitch{Switch: "s1", Owner: "d1", Token: "x"})
		d.mustOffer("a1", "c1")
		equal(d, "why", d.offer("a1").Why, queue.WhyNextInLine)
	}},
	{says: "a switch reports that the phone was picked up or failed without naming the agent", run: func(d *desk) {
		d.ringing("a1")
		d.do(&queue.AttachSwitch{Switch: "s1", Owner: "d1", Token: "x"})
		d.arrive("c1")
		d.do(&queue.Decline{Offer: d.offer("a1").Epoch, Reason: queue.ReasonBusy, NotReady: true})
		equal(d, "agent", d.agent("a1").State, queue.AgentNotReady)
		equal(d, "reason", d.agent("a1").Reason, queue.ReasonBusy)
		d.do(&queue.SetState{Agent: "a1", State: queue.AgentReady})
		equal(d, "call", d.do(&queue.Accept{Offer: d.offer("a1").Epoch}).Call.State, queue.CallAnswered)
	}},
	{says: "a detach with the same token ends it and what rings stops", run: func(d *desk) {
		d.ringing("a1")
		d.do(&queue.AttachSwitch{Switch: "s1", Owner: "d1", Token: "x"})
		d.arrive("c1")
		d.do(&queue.DetachSwitch{Switch: "s1", Token: "other"})
		d.mustOffer("a1", "c1")
		d.do(&queue.DetachSwitch{Switch: "s1", Token: "x"})
		d.noOffer("a1")
		equal(d, "agent", d.agent("a1").State, queue.AgentReady)
		equal(d, "declined", len(d.call("c1").Call.DeclinedBy), 0)
		d.do(&queue.DetachSwitch{Switch: "s1", Token: "x"})
	}},
	{says: "a newer stream replaces the older one", run: func(d *desk) {
		d.ringing("a1")
		d.do(&queue.AttachSwitch{Switch: "s1", Owner: "d1", Token: "x"})
		d.do(&queue.AttachSwitch{Switch: "s1", Owner: "d2", Token: "y"})
		d.do(&queue.DetachSwitch{Switch: "s1", Token: "x"})
		d.arrive("c1")
		d.mustOffer("a1", "c1")
	}},
	{says: "a switch is gone when its daemon is silent for the owner's lease", site: func(s *queue.Site) { s.OwnerLease = 10 * time.Second }, run: func(d *desk) {
		d.ringing("a1")
		d.do(&queue.AttachSwitch{Switch: "s1", Owner: "d1", Token: "x"})
		d.pass(9 * time.Second)
		d.do(&queue.RenewOwner{Owner: "d1"})
		d.arrive("c1")
		d.pass(9 * time.Second)
		d.mustOffer("a1", "c1")
		d.pass(time.Second)
		d.noOffer("a1")
	}},
	{says: "switch, owner and token must be given", run: func(d *desk) {
		d.refused(queue.ErrInvalid, &queue.AttachSwitch{Owner: "d1", Token: "x"})
		d.refused(queue.ErrInvalid, &queue.AttachSwitch{Switch: "s1", Token: "x"})
		d.refused(queue.ErrInvalid, &queue.AttachSwitch{Switch: "s1", Owner: "d1"})
		d.refused(queue.ErrInvalid, &queue.RenewOwner{})
	}},
}

// ringing signs in an agent whose phone the switch rings.
func (d *desk) ringing(id string) {
	d.Helper()
	d.do(&queue.SignIn{Agent: id, Endpoint: "SIP/" + id, Services: serving("billing"), WrapUp: -1, RingBySwitch: true})
}
