package queuetest

import (
	"errors"
	"strings"
	"time"

	"greenlane/queue"
	"greenlane/tiering"
)

// presenceCases are the sentences about Attach, Detach and RenewOwner.
var presenceCases = []testCase{
	{says: "offers come only to an agent who is present", run: func(d *desk) {
		d.signedIn("a1")
		d.arrive("c1")
		d.noOffer("a1")
		res := d.do(&queue.Attach{Agent: "a1", Owner: "d1", Token: "t", Presence: queue.PresentStream})
		if res.Offer == nil || res.Offer.Call.ID != "c1" {
			d.Errorf("the answer has offer %+v", res.Offer)
		}
	}},
	{says: "a poll has its own lease of its wait plus the grace", run: func(d *desk) {
		d.signedIn("a1")
		d.poll("a1", 30*time.Second)
		d.pass(34_999 * time.Millisecond)
		equal(d, "state", d.agent("a1").State, queue.AgentReady)
		d.pass(time.Millisecond)
		equal(d, "state", d.agent("a1").State, queue.AgentNotReady)
		equal(d, "reason", d.agent("a1").Reason, queue.ReasonLost)
	}},
	{says: "an agent who was lost is ready again when the softphone comes back", run: func(d *desk) {
		d.signedIn("a1")
		d.pass(time.Minute)
		equal(d, "reason", d.agent("a1").Reason, queue.ReasonLost)
		d.arrive("c1")
		d.poll("a1", time.Second)
		d.mustOffer("a1", "c1")
	}},
	{says: "a ready agent who never comes is lost after the sign-in grace", run: func(d *desk) {
		d.signedIn("a1")
		d.pass(59_999 * time.Millisecond)
		equal(d, "state", d.agent("a1").State, queue.AgentReady)
		d.pass(time.Millisecond)
		equal(d, "reason", d.agent("a1").Reason, queue.ReasonLost)
	}},
	{says: "a stream lives with its owner's lease", site: func(s *queue.Site) { s.OwnerLease = 10 * time.Second }, run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.pass(9 * time.Second)
		d.do(&queue.RenewOwner{Owner: "d1"})
		d.pass(9 * time.Second)
		d.arrive("c1")
		d.mustOffer("a1", "c1")
		d.pass(time.Second)
		equal(d, "reason", d.agent("a1").Reason, queue.ReasonLost)
		equal(d, "call", d.state("c1"), queue.CallWaiting)
		equal(d, "declined", len(d.call("c1").Call.DeclinedBy), 0)
	}},
	{says: "a lost agent's call at hand goes on", site: func(s *queue.Site) { s.OwnerLease = 10 * time.Second }, run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.accept("a1")
		d.pass(time.Minute)
		equal(d, "agent", d.agent("a1").State, queue.AgentTalking)
		d.do(&queue.Complete{Agent: "a1", Call: "c1"})
		equal(d, "call", d.state("c1"), queue.CallCompleted)
	}},
	{says: "a new token replaces the old one", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.do(&queue.Attach{Agent: "a1", Owner: "d1", Token: "new", Presence: queue.PresentStream})
		d.do(&queue.Detach{Agent: "a1", Token: "t-a1", Undelivered: true})
		d.arrive("c1")
		d.mustOffer("a1", "c1")
	}},
	{says: "a detach with the same token ends the presence", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.do(&queue.Detach{Agent: "a1", Token: "t-a1"})
		d.arrive("c1")
		d.noOffer("a1")
		equal(d, "state", d.agent("a1").State, queue.AgentReady)
	}},
	{says: "undelivered takes a live offer back at once and blames nobody", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.onDuty("a2", "billing")
		d.arrive("c1")
		d.do(&queue.Detach{Agent: "a1", Token: "t-a1", Undelivered: true})
		d.mustOffer("a2", "c1")
		equal(d, "agent", d.agent("a1").State, queue.AgentReady)
		equal(d, "declined", len(d.call("c1").Call.DeclinedBy), 0)
	}},
	{says: "otherwise the answer has the live offer that came in the last moment", run: func(d *desk) {
		d.signedIn("a1")
		d.poll("a1", 30*time.Second)
		d.arrive("c1")
		res := d.do(&queue.Detach{Agent: "a1", Token: "p-a1"})
		if res.Offer == nil || res.Offer.Call.ID != "c1" {
			d.Fatalf("the answer has offer %+v", res.Offer)
		}
		d.mustOffer("a1", "c1")
	}},
	{says: "who is signed out cannot attach and a presence has owner and token", run: func(d *desk) {
		d.signedIn("a1")
		d.refused(queue.ErrInvalid, &queue.Attach{Agent: "a1", Token: "t", Presence: queue.PresentPoll})
		d.refused(queue.ErrInvalid, &queue.Attach{Agent: "a1", Owner: "d1", Presence: queue.PresentPoll})
		d.refused(queue.ErrInvalid, &queue.Attach{Agent: "a1", Owner: "d1", Token: "t", Presence: queue.PresentRing})
		d.do(&queue.SignOut{Agent: "a1"})
		d.refused(queue.ErrWrongState, &queue.Attach{Agent: "a1", Owner: "d1", Token: "t", Presence: queue.PresentPoll})
	}},
}

// poll opens a long poll.
func (d *desk) poll(id string, wait time.Duration) {
	d.Helper()
	d.do(&queue.Attach{Agent: id, Owner: "d1", Token: "p-" + id, Presence: queue.PresentPoll, Wait: wait})
}

// offerCases are the sentences about Acknowledge, Accept and Decline, and what
// an offer is.
var offerCases = []testCase{
	{says: "an offer's epoch is unique and grows", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		last := uint64(0)
		for range 5 {
			o := d.mustOffer("a1", "c1")
			if o.Epoch <= last {
				d.Errorf("epoch %d after %d", o.Epoch, last)
			}
			last = o.Epoch
			d.do(&queue.Decline{Agent: "a1", Offer: o.Epoch})
		}
	}},
	{says: "one call has one live offer and one agent too", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.onDuty("a2", "billing")
		d.arrive("c1")
		d.mustOffer("a1", "c1")
		d.noOffer("a2")
		d.arrive("c2")
		d.arrive("c3")
		d.mustOffer("a1", "c1")
		d.mustOffer("a2", "c2")
		equal(d, "the third", d.state("c3"), queue.CallWaiting)
	}},
	{says: "an acknowledged offer is not watched and repeating it is harmless", site: func(s *queue.Site) { s.AckTimeout = 5 * time.Second }, run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		o := d.mustOffer("a1", "c1")
		d.pass(4 * time.Second)
		d.do(&queue.Acknowledge{Agent: "a1", Offer: o.Epoch})
		d.do(&queue.Acknowledge{Agent: "a1", Offer: o.Epoch})
		d.pass(10 * time.Second)
		equal(d, "acknowledged", d.mustOffer("a1", "c1").Acknowledged, true)
		d.accept("a1")
		d.do(&queue.Acknowledge{Agent: "a1", Offer: o.Epoch})
	}},
	{says: "a stream that does not acknowledge loses the offer and is not ready", site: func(s *queue.Site) { s.AckTimeout = 5 * time.Second }, run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.pass(5 * time.Second)
		d.noOffer("a1")
		equal(d, "reason", d.agent("a1").Reason, queue.ReasonNotAcknowledged)
		d.signedIn("a2")
		d.arrive("c2")
		d.poll("a2", time.Minute)
		d.pass(10 * time.Second)
		d.mustOffer("a2", "c1") // a poll's answer is its acknowledgement
	}},
	{says: "accept stops the clock and repeating it is harmless", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		o := d.mustOffer("a1", "c1")
		d.pass(8 * time.Second)
		res := d.do(&queue.Accept{Agent: "a1", Offer: o.Epoch})
		equal(d, "state", res.Call.State, queue.CallAnswered)
		equal(d, "agent", res.Agent.State, queue.AgentTalking)
		equal(d, "answered", res.Call.AnsweredAt, d.now())
		d.pass(8 * time.Second)
		again := d.do(&queue.Accept{Agent: "a1", Offer: o.Epoch})
		equal(d, "duplicate", again.Duplicate, true)
		equal(d, "wait", again.Call.Wait(d.now()), 8*time.Second)
	}},
	{says: "an offer that has ended says how", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("o1")
		preempted := d.mustOffer("a1", "o1").Epoch
		d.arrive("v1", tier(tiering.VIP))
		gone := d.mustOffer("a1", "v1").Epoch
		d.do(&queue.Abandon{Call: "v1", Switch: "s1"})
		expired := d.mustOffer("a1", "o1").Epoch
		d.pass(20 * time.Second)
		for epoch, how := range map[uint64]string{
			preempted: queue.EndedPreempted, gone: queue.EndedCallerHungUp, expired: queue.EndedExpired,
		} {
			_, err := d.e.Do(d.ctx(), &queue.Accept{Agent: "a1", Offer: epoch})
			if !errors.Is(err, queue.ErrOfferEnded) || !strings.Contains(err.Error(), how) {
				d.Errorf("offer %d: %v, want a word of %s", epoch, err, how)
			}
			if _, err := d.e.Do(d.ctx(), &queue.Decline{Agent: "a1", Offer: epoch}); !errors.Is(err, queue.ErrOfferEnded) {
				d.Errorf("decline of offer %d: %v", epoch, err)
			}
		}
	}},
	{says: "an offer that nobody made or that is another's is ErrOfferNotFound", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.signedIn("a2")
		d.arrive("c1")
		o := d.mustOffer("a1", "c1")
		for _, cmd := range []queue.Command{
			&queue.Accept{Agent: "a2", Offer: o.Epoch}, &queue.Accept{Agent: "a1", Offer: o.Epoch + 1}, &queue.Accept{Agent: "a1"},
			&queue.Decline{Agent: "a2", Offer: o.Epoch}, &queue.Acknowledge{Agent: "a2", Offer: o.Epoch},
		} {
			d.refused(queue.ErrOfferNotFound, cmd)
		}
		d.refused(queue.ErrAgentNotFound, &queue.Accept{Agent: "a9", Offer: o.Epoch})
		d.mustOffer("a1", "c1")
	}},
	{says: "decline gives an offer back to its old place and the agent stays ready", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.signedIn("a2")
		d.arrive("c1")
		d.arrive("c2")
		d.do(&queue.Decline{Agent: "a1", Offer: d.offer("a1").Epoch})
		equal(d, "position", d.call("c1").Position, 1)
		d.mustOffer("a1", "c2")
		equal(d, "again", d.do(&queue.Decline{Agent: "a1", Offer: 1}).Duplicate, true)
	}},
	{says: "who declined is not offered the same call while another can serve it", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.signedIn("a2") // works, but is not present
		d.arrive("c1")
		d.do(&queue.Decline{Agent: "a1", Offer: d.offer("a1").Epoch})
		d.noOffer("a1")
		d.do(&queue.SetState{Agent: "a2", State: queue.AgentNotReady, Reason: "lunch"})
		d.mustOffer("a1", "c1")
	}},
	{says: "an offer that runs out makes the agent not ready", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.onDuty("a2", "billing")
		d.arrive("c1")
		d.pass(19_999 * time.Millisecond)
		d.mustOffer("a1", "c1")
		d.pass(time.Millisecond)
		equal(d, "reason", d.agent("a1").Reason, queue.ReasonNoAnswer)
		d.mustOffer("a2", "c1")
	}},
	{says: "a phone that could not be reached makes the agent not ready for that reason", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.do(&queue.Decline{Offer: d.offer("a1").Epoch, NotReady: true, Reason: queue.ReasonUnreachable})
		equal(d, "state", d.agent("a1").State, queue.AgentNotReady)
		equal(d, "reason", d.agent("a1").Reason, queue.ReasonUnreachable)
	}},
}
