package rpc

import (
	"context"
	"time"

	"greenlane/internal/instant"
	"greenlane/metrics"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

// mostCohorts is the longest span that GetCohorts answers for.
const mostCohorts = 7 * 24 * time.Hour

// GetCohorts implements the rpc.
func (s *supervisorService) GetCohorts(ctx context.Context, req *pb.GetCohortsRequest) (*pb.GetCohortsResponse, error) {
	var c check
	c.name("site", req.GetSite(), false)
	c.name("queue", req.GetQueue(), false)
	from, to := c.time("from", req.GetFrom()), c.time("to", req.GetTo())
	if err := c.err(); err != nil {
		return nil, err
	}
	st, err := s.queueOf(ctx, req.GetSite(), req.GetQueue())
	if err != nil {
		return nil, err
	}
	now := st.now()
	if req.GetTo() == nil {
		to = now.Add(time.Millisecond) // the interval that begins now counts
	}
	if req.GetFrom() == nil {
		from = dayStart(st.config.Zone, now)
	}
	if to < from || to.Sub(from) > mostCohorts {
		c.fault("to", "a time from 0 s to %v after `from` is allowed", mostCohorts)
		return nil, c.err()
	}
	list, err := st.engine.Cohorts(ctx, from, to)
	if err != nil {
		return nil, toError(s.log, err)
	}
	return toCohorts(list, req.GetQueue(), now), nil
}

func toCohorts(list []queue.Cohort, only string, now instant.Instant) *pb.GetCohortsResponse {
	out := &pb.GetCohortsResponse{
		Cohorts: make([]*pb.Cohort, 0, len(list)), Interval: toDuration(queue.CohortInterval),
		Formula: metrics.Headline.String(), TakenAt: toTime(now),
	}
	for i := range list {
		k := &list[i]
		if only == "" || k.Queue == only {
			out.Cohorts = append(out.Cohorts, &pb.Cohort{Start: toTime(k.Start), Queue: k.Queue, Tier: toTier(k.Tier), Counts: toTierCounts(&k.Counts)})
		}
	}
	return out
}
