package audit

import (
	"time"

	pb "greenlane/proto/greenlane/v1"
)

// tally is the count of one queue and tier, with the names of TierTotals.
type tally struct {
	joined, answered, inTime, completed        int64
	abandoned, abandonedShort, abandonedInTime int64
	timedOut, refused, overflowed              int64
	answeredWait, abandonedWait                time.Duration
}

// recount counts the record as the daemon should have counted the calls.
func (c *checker) recount() map[lineKey]*tally {
	threshold := make(map[string]time.Duration)
	for _, q := range c.fin.After.GetQueues() {
		threshold[q.GetQueue()] = q.GetThreshold().AsDuration()
	}
	counts := make(map[lineKey]*tally)
	for _, e := range c.order {
		if e.acked.IsZero() && e.gaveUpAck.IsZero() {
			continue
		}
		k := lineKey{e.queue, e.tier}
		t := counts[k]
		if t == nil {
			t = new(tally)
			counts[k] = t
		}
		t.count(e, threshold[e.queue], c.r.world.ShortAbandon)
	}
	return counts
}

func (t *tally) count(e *Entry, threshold, short time.Duration) {
	if e.state == pb.CallState_CALL_STATE_REFUSED {
		t.refused++
		return
	}
	t.joined++
	switch e.state {
	case pb.CallState_CALL_STATE_COMPLETED, pb.CallState_CALL_STATE_ANSWERED:
		t.answered++
		t.answeredWait += e.wait
		if e.wait <= threshold {
			t.inTime++
		}
		if e.state == pb.CallState_CALL_STATE_COMPLETED {
			t.completed++
		}
	case pb.CallState_CALL_STATE_ABANDONED:
		t.abandoned++
		t.abandonedWait += e.wait
		switch {
		case e.wait < short:
			t.abandonedShort++
		case e.wait <= threshold:
			t.abandonedInTime++
		}
	case pb.CallState_CALL_STATE_TIMED_OUT:
		t.timedOut++
	case pb.CallState_CALL_STATE_OVERFLOWED:
		t.overflowed++
	}
}

// counters checks the daemon's counts against the recount.
func (c *checker) counters() {
	counts := c.recount()
	before := totalsOf(c.fin.Before)
	var offers, joined, wantJoined int64
	for k, now := range totalsOf(c.fin.After) {
		was, want := before[k], counts[k]
		if want == nil {
			want = new(tally)
		}
		offers += now.GetOffers() - was.GetOffers()
		joined += now.GetJoined() - was.GetJoined()
		wantJoined += want.joined
		for _, n := range []struct {
			name      string
			got, want int64
		}{
			{"joined, by the log", now.GetJoined() - was.GetJoined(), c.r.joins[k]},
			{"answered", now.GetAnswered() - was.GetAnswered(), want.answered},
			{"answered_in_time", now.GetAnsweredInTime() - was.GetAnsweredInTime(), want.inTime},
			{"completed", now.GetCompleted() - was.GetCompleted(), want.completed},
			{"abandoned", now.GetAbandoned() - was.GetAbandoned(), want.abandoned},
			{"abandoned_short", now.GetAbandonedShort() - was.GetAbandonedShort(), want.abandonedShort},
			{"abandoned_in_time", now.GetAbandonedInTime() - was.GetAbandonedInTime(), want.abandonedInTime},
			{"timed_out", now.GetTimedOut() - was.GetTimedOut(), want.timedOut},
			{"refused", now.GetRefused() - was.GetRefused(), want.refused},
			{"overflowed", now.GetOverflowed() - was.GetOverflowed(), want.overflowed},
			{"late, by the log", now.GetLate() - was.GetLate(), c.r.lates[k]},
			{"answered_wait (ms)", ms(now.GetAnsweredWait()) - ms(was.GetAnsweredWait()), want.answeredWait.Milliseconds()},
			{"abandoned_wait (ms)", ms(now.GetAbandonedWait()) - ms(was.GetAbandonedWait()), want.abandonedWait.Milliseconds()},
		} {
			if n.got != n.want {
				c.faults.add(RuleCounters, "", 0, "%s of %s, %v: the daemon counts %d, the record %d", n.name, k.queue, k.tier, n.got, n.want)
			}
		}
	}
	if joined != wantJoined {
		c.faults.add(RuleCounters, "", 0, "joined, all together: the daemon counts %d, the record %d", joined, wantJoined)
	}
	if offers != int64(c.r.Offers) {
		c.faults.add(RuleCounters, "", 0, "offers: the daemon counts %d, the log has %d", offers, c.r.Offers)
	}
	c.siteCounters()
}

// ms returns a duration's milliseconds; none is 0.
func ms(d interface{ AsDuration() time.Duration }) int64 { return d.AsDuration().Milliseconds() }

func totalsOf(s *pb.GetSnapshotResponse) map[lineKey]*pb.TierTotals {
	all := make(map[lineKey]*pb.TierTotals)
	for _, q := range s.GetQueues() {
		for _, t := range q.GetTiers() {
			all[lineKey{q.GetQueue(), t.GetTier()}] = t.GetTotals()
		}
	}
	return all
}

// siteCounters checks what the daemon counts for the site as a whole.
func (c *checker) siteCounters() {
	if n := c.fin.After.GetGreenChannelViolations() - c.fin.Before.GetGreenChannelViolations(); n != 0 {
		c.faults.add(RuleGreenChannel, "", 0, "the daemon itself counts %d violations", n)
	}
	waiting, listed := 0, 0
	for _, e := range c.order {
		if e.state == pb.CallState_CALL_STATE_WAITING || e.state == pb.CallState_CALL_STATE_OFFERED {
			waiting++
		}
	}
	earned := make(map[string]bool)
	for _, e := range c.order {
		if e.callback != "" {
			earned[e.callback] = true
		}
	}
	for _, q := range c.fin.After.GetQueues() {
		listed += int(q.GetWaiting())
	}
	if waiting != listed {
		c.faults.add(RuleCounters, "", 0, "waiting: the daemon counts %d, the record %d", listed, waiting)
	}
	now, was := c.fin.After.GetCallbacks().GetTotals(), c.fin.Before.GetCallbacks().GetTotals()
	for _, n := range []struct {
		name      string
		got, want int64
	}{
		{"created", now.GetCreated() - was.GetCreated(), int64(len(earned))},
		{"created, by the log", now.GetCreated() - was.GetCreated(), int64(c.r.Callbacks.Created)},
		{"reached or refused", now.GetReached() + now.GetRefused() - was.GetReached() - was.GetRefused(), int64(c.r.Callbacks.Done)},
		{"attempts", now.GetAttempts() - was.GetAttempts(), int64(c.r.Callbacks.Attempts)},
		{"missed", now.GetMissed() - was.GetMissed(), int64(c.r.Callbacks.Missed)},
	} {
		if n.got != n.want {
			c.faults.add(RuleCounters, "", 0, "callbacks %s: the daemon counts %d, the record %d", n.name, n.got, n.want)
		}
	}
}
