package queuetest

import (
	"fmt"
	"time"

	"greenlane/queue"
	"greenlane/tiering"
)

// countCases are the sentences about the counters.
var countCases = []testCase{
	{says: "exactly the threshold is in time", run: func(d *desk) {
		d.arrive("c1")
		d.pass(20 * time.Second)
		d.onDuty("a1", "billing")
		c := d.accept("a1").Call
		equal(d, "wait", c.Wait(d.now()), 20*time.Second)
		equal(d, "late", c.Late, false)
		ts := d.tierOf("billing", tiering.Ordinary)
		equal(d, "in time", ts.Today.AnsweredInTime, 1)
		equal(d, "late", ts.Today.AnsweredLate, 0)
		equal(d, "sum of waits", ts.Today.AnsweredWait, 20_000)
		equal(d, "in the bucket of 20 s", ts.Totals.Waits[queue.WaitBucket(20*time.Second)], 1)
	}},
	{says: "a call is late one millisecond after the threshold while it waits", run: func(d *desk) {
		d.arrive("c1")
		d.pass(20 * time.Second)
		equal(d, "late", d.call("c1").Call.Late, false)
		d.pass(time.Millisecond)
		equal(d, "late", d.call("c1").Call.Late, true)
		equal(d, "late waiting", d.tierOf("billing", tiering.Ordinary).Today.LateWaiting, 1)
		equal(d, "late waiting now", d.tierOf("billing", tiering.Ordinary).LateWaiting, 1)
		d.onDuty("a1", "billing")
		d.accept("a1")
		ts := d.tierOf("billing", tiering.Ordinary)
		equal(d, "late waiting", ts.Today.LateWaiting, 0)
		equal(d, "answered late", ts.Today.AnsweredLate, 1)
		equal(d, "passed the threshold", ts.Totals.Late, 1)
	}},
	{says: "every call is in exactly one counter once it has ended or been answered", site: func(s *queue.Site) {
		s.Queues[0].MaxWait, s.Queues[0].Capacity = time.Minute, 3
		s.Queues[1].Overflow = queue.Overflow{After: 30 * time.Second, Destination: "voicemail"}
	}, run: oneOfEach},
	{says: "waits are put into buckets whose bounds are inclusive", run: func(d *desk) {
		for i, wait := range []time.Duration{time.Second, 1001 * time.Millisecond, 20 * time.Second, 20_001 * time.Millisecond, 2 * time.Hour} {
			id := fmt.Sprint(i)
			d.arrive("c" + id)
			d.pass(wait)
			d.onDuty("a"+id, "billing")
			d.accept("a" + id)
		}
		waits := d.tierOf("billing", tiering.Ordinary).Totals.Waits
		for i, n := range waits {
			bound := int64(1 << 62)
			if i < len(queue.WaitBounds) {
				bound = queue.WaitBounds[i]
			}
			want := int64(0)
			switch bound {
			case 1000, 1189, 20_000, 22_627, 1 << 62:
				want = 1
			}
			equal(d, fmt.Sprintf("up to %d ms", bound), n, want)
		}
	}},
	{says: "today begins at midnight of the site's zone", run: func(d *desk) {
		d.untilMidnight()
		d.arrive("c1")
		d.do(&queue.Abandon{Call: "c1", Switch: "s1"})
		equal(d, "before midnight", d.tierOf("billing", tiering.Ordinary).Today.AbandonedShort, 1)
		d.pass(5 * time.Minute)
		ts := d.tierOf("billing", tiering.Ordinary)
		equal(d, "after midnight", ts.Today.AbandonedShort, 0)
		equal(d, "in the last half hour", ts.Last30Min.AbandonedShort, 1)
		equal(d, "for ever", ts.Totals.Counts.AbandonedShort, 1)
	}},
	{says: "the last half hour is six intervals and the present one is among them", run: func(d *desk) {
		d.arrive("c1") // at 10:00:00, the first instant of an interval
		d.do(&queue.Abandon{Call: "c1", Switch: "s1"})
		d.pass(29*time.Minute + 59*time.Second)
		equal(d, "within", d.tierOf("billing", tiering.Ordinary).Last30Min.AbandonedShort, 1)
		d.pass(time.Second)
		equal(d, "over", d.tierOf("billing", tiering.Ordinary).Last30Min.AbandonedShort, 0)
	}},
	{says: "a call counts in the interval in which it joined", run: func(d *desk) {
		d.arrive("c1")
		d.pass(40 * time.Minute)
		d.do(&queue.Abandon{Call: "c1", Switch: "s1"})
		ts := d.tierOf("billing", tiering.Ordinary)
		equal(d, "today", ts.Today.AbandonedLate, 1)
		equal(d, "last half hour", ts.Last30Min.AbandonedLate, 0)
	}},
	{says: "a call counts under the queue and tier it had at its end", run: func(d *desk) {
		d.arrive("c1")
		d.pass(30 * time.Second)
		d.do(&queue.Rerank{Call: "c1", Tier: tiering.Mid})
		d.do(&queue.MoveCall{Call: "c1", Queue: "orders", By: "boss"})
		equal(d, "late there", d.tierOf("orders", tiering.Mid).Today.LateWaiting, 1)
		equal(d, "late here", d.tierOf("billing", tiering.Ordinary).Today.LateWaiting, 0)
		d.do(&queue.Abandon{Call: "c1", Switch: "s1"})
		equal(d, "abandoned there", d.tierOf("orders", tiering.Mid).Today.AbandonedLate, 1)
		equal(d, "abandoned here", d.abandoned("billing", tiering.Ordinary), 0)
	}},
	{says: "totals count joins, offers, ends and talk", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.do(&queue.Decline{Agent: "a1", Offer: d.offer("a1").Epoch})
		d.accept("a1")
		d.keepAlive(90 * time.Second)
		d.do(&queue.Complete{Agent: "a1", Call: "c1"})
		x := d.tierOf("billing", tiering.Ordinary).Totals
		equal(d, "joined", x.Joined, 1)
		equal(d, "offers", x.Offers, 2)
		equal(d, "completed", x.Completed, 1)
		equal(d, "talk", x.Talk, 90_000)
	}},
}

// untilMidnight sets the clock to one minute before the day ends in Shanghai.
func (d *desk) untilMidnight() {
	d.Helper()
	d.clock.Set(time.Date(2026, 11, 21, 23, 59, 0, 0, opening.Location()))
	d.do(&queue.Tick{})
}

// oneOfEach ends calls in every way there is.
func oneOfEach(d *desk) {
	d.onDuty("a1", "billing")
	d.arrive("t1")
	d.accept("a1")                    // answered in time
	d.arrive("e1")                    // will be answered late
	d.arrive("x1")                    // will be timed out
	d.arrive("o1", inQueue("orders")) // will overflow
	d.arrive("f1")                    // is refused: 90 % of 3 is 2
	d.arrive("s1", tier(tiering.VIP)) // short
	d.do(&queue.Abandon{Call: "s1", Switch: "s1"})
	d.arrive("m1", tier(tiering.VIP)) // abandoned in time
	d.arrive("l1", tier(tiering.VIP)) // abandoned late
	d.keepAlive(10 * time.Second)
	d.do(&queue.End{Call: "m1", Switch: "s1"})
	d.keepAlive(20 * time.Second)
	d.do(&queue.Abandon{Call: "l1", Switch: "s1"})
	d.do(&queue.Complete{Agent: "a1", Call: "t1"})
	d.accept("a1")
	d.keepAlive(30 * time.Second)
	got := d.tierOf("billing", tiering.Ordinary).Today
	got.AnsweredWait, got.AbandonedWait = 0, 0
	equal(d, "ordinary", got, queue.Counts{AnsweredInTime: 1, AnsweredLate: 1, TimedOut: 1, Refused: 1})
	got = d.tierOf("billing", tiering.VIP).Today
	got.AbandonedWait = 0
	equal(d, "vip", got, queue.Counts{AbandonedShort: 1, AbandonedInTime: 1, AbandonedLate: 1})
	equal(d, "orders", d.tierOf("orders", tiering.Ordinary).Today, queue.Counts{Overflowed: 1})
}
