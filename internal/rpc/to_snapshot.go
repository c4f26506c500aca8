package rpc

import (
	"cmp"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/metrics"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

func toSnapshot(config *queue.Site, s *queue.Snapshot, agents bool) *pb.GetSnapshotResponse {
	out := &pb.GetSnapshotResponse{
		Site: s.Site, TakenAt: toTime(s.At), Sequence: s.Seq, Formula: metrics.Headline.String(),
		Callbacks: toCallbackSummary(&s.Callbacks), DayStart: toTime(dayStart(config.Zone, s.At)),
		GreenChannelViolations: s.GreenChannelViolations,
		ShortAbandon:           toDuration(config.ShortAbandon), Zone: config.Zone.String(),
		Queues: make([]*pb.QueueSnapshot, 0, len(s.Queues)), Agents: []*pb.Agent{},
	}
	for i := range s.Queues {
		out.Queues = append(out.Queues, toQueueSnapshot(&s.Queues[i]))
	}
	slices.SortFunc(out.Queues, func(a, b *pb.QueueSnapshot) int { return cmp.Compare(a.GetQueue(), b.GetQueue()) })
	if !agents {
		return out
	}
	for i := range s.Agents {
		if s.Agents[i].State != queue.AgentSignedOut {
			out.Agents = append(out.Agents, toAgent(s.Site, &s.Agents[i]))
		}
	}
	return out
}

func dayStart(zone *time.Location, at instant.Instant) instant.Instant {
	y, m, d := at.Time().In(zone).Date()
	return instant.Of(time.Date(y, m, d, 0, 0, 0, 0, zone))
}

func toQueueSnapshot(q *queue.QueueSnapshot) *pb.QueueSnapshot {
	out := &pb.QueueSnapshot{
		Queue: q.Name, Threshold: toDuration(q.Threshold), Open: q.Open, Capacity: int32(q.Capacity),
		CallbacksDue: int32(q.CallbacksWaiting),
		Agents: &pb.AgentCounts{
			Ready: int32(q.Agents[queue.AgentReady]), Idle: int32(q.Idle),
			NotReady: int32(q.Agents[queue.AgentNotReady]), Offered: int32(q.Agents[queue.AgentOffered]),
			Talking: int32(q.Agents[queue.AgentTalking]), WrapUp: int32(q.Agents[queue.AgentWrapUp]),
		},
	}
	oldest := time.Duration(-1)
	for i := range q.Tiers {
		t := &q.Tiers[i]
		out.Tiers = append(out.Tiers, toTierSnapshot(t))
		out.Waiting += int32(t.Waiting)
		if t.Waiting > 0 {
			oldest = max(oldest, t.OldestWait)
		}
	}
	out.OldestWait = toDuration(oldest)
	return out
}

func toTierSnapshot(t *queue.TierSnapshot) *pb.TierSnapshot {
	today := toTierCounts(&t.Today)
	out := &pb.TierSnapshot{
		Tier: toTier(t.Tier), Waiting: int32(t.Waiting), LateWaiting: int32(t.LateWaiting),
		Answered: today.Answered, AnsweredInTime: today.AnsweredInTime, Abandoned: today.Abandoned,
		AbandonedShort: today.AbandonedShort, AbandonedInTime: today.AbandonedInTime, TimedOut: today.TimedOut,
		Refused: today.Refused, Overflowed: today.Overflowed, AnsweredWait: today.AnsweredWait, Totals: toTotals(&t.Totals),
		ServiceLevel: today.ServiceLevel, ServiceLevelWithoutShortAbandons: today.ServiceLevelWithoutShortAbandons,
		Last_30Min: toTierCounts(&t.Last30Min),
	}
	if t.Waiting > 0 {
		out.OldestWait = toDuration(t.OldestWait)
	}
	if t.Target > 0 {
		out.Target = &t.Target
	}
	return out
}

func toTierCounts(c *queue.Counts) *pb.TierCounts {
	return &pb.TierCounts{
		Answered: int32(c.Answered()), AnsweredInTime: int32(c.AnsweredInTime), Abandoned: int32(c.Abandoned()),
		AbandonedShort: int32(c.AbandonedShort), AbandonedInTime: int32(c.AbandonedInTime),
		TimedOut: int32(c.TimedOut), Refused: int32(c.Refused), Overflowed: int32(c.Overflowed),
		AnsweredWait:                     toDuration(time.Duration(c.AnsweredWait) * time.Millisecond),
		ServiceLevel:                     level(metrics.Headline, c),
		ServiceLevelWithoutShortAbandons: level(metrics.WithoutShortAbandons, c),
	}
}

func toTotals(t *queue.Totals) *pb.TierTotals {
	c := &t.Counts
	ms := func(v int64) *durationpb.Duration { return toDuration(time.Duration(v) * time.Millisecond) }
	return &pb.TierTotals{
		Joined: t.Joined, Answered: c.Answered(), AnsweredInTime: c.AnsweredInTime, Abandoned: c.Abandoned(),
		AbandonedShort: c.AbandonedShort, AbandonedInTime: c.AbandonedInTime, TimedOut: c.TimedOut, Refused: c.Refused,
		Overflowed: c.Overflowed, Completed: t.Completed, Late: t.Late, Offers: t.Offers,
		AnsweredWait: ms(c.AnsweredWait), AbandonedWait: ms(c.AbandonedWait), Talk: ms(t.Talk),
	}
}

// level is absent when nothing was counted.
func level(f metrics.Formula, c *queue.Counts) *float64 {
	if v, ok := metrics.ServiceLevel(f, c); ok {
		return &v
	}
	return nil
}

func toCallbackSummary(c *queue.CallbackSnapshot) *pb.CallbackSummary {
	n := func(s callback.State) int32 { return int32(c.ByState[s]) }
	return &pb.CallbackSummary{
		Pending: n(callback.StatePending), Due: n(callback.StateDue), Offered: n(callback.StateOffered),
		Claimed: n(callback.StateClaimed), Done: n(callback.StateDone), Failed: n(callback.StateFailed),
		Missed: n(callback.StateMissed), Cancelled: n(callback.StateCancelled),
		NextDue: toTime(c.NextDue), NextDeadline: toTime(c.NextDeadline),
		Totals: &pb.CallbackTotals{
			Created: c.Totals.Created, Reached: c.Totals.Reached, Refused: c.Totals.Refused, Failed: c.Totals.Failed,
			Missed: c.Totals.Missed, Cancelled: c.Totals.Cancelled, Attempts: c.Totals.Attempts,
		},
	}
}
