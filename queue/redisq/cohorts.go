package redisq

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// Cohorts implements queue.Engine. It asks for what the range can hold, each
// interval of each queue and tier, a part at a time: the answer is no picture of
// one instant.
func (e *Engine) Cohorts(ctx context.Context, from, to instant.Instant) ([]queue.Cohort, error) {
	node, err := e.open(ctx)
	if err != nil {
		return nil, err
	}
	wanted, err := e.cohortsWithin(ctx, node, from, to)
	if err != nil {
		return nil, err
	}
	var out []queue.Cohort
	for part := range slices.Chunk(wanted, hashStep) {
		fields := make([]string, len(part))
		for i := range part {
			fields[i] = part[i].field
		}
		records, err := node.HMGet(ctx, e.keys[keyCohorts], fields...).Result()
		if err != nil {
			return nil, e.asked(ctx, err)
		}
		for i, raw := range records {
			text, ok := raw.(string)
			if !ok {
				continue
			}
			var r countsRecord
			if err := unpack([]byte(text), &r); err != nil {
				e.unreadable(keyCohorts, fields[i], err)
				continue
			}
			c := part[i].cohort
			c.Counts = queue.Counts(r)
			out = append(out, c)
		}
	}
	return out, nil
}

// wantedCohort is a cohort that may be there, and where it would stand.
type wantedCohort struct {
	field  string
	cohort queue.Cohort
}

// cohortsWithin lists every cohort that may begin within a range, in the order of
// the port. What is kept no longer is not asked for.
func (e *Engine) cohortsWithin(ctx context.Context, node *redis.Client, from, to instant.Instant) ([]wantedCohort, error) {
	interval := instant.Instant(queue.CohortInterval.Milliseconds())
	now := e.Now()
	from = max(from, now.Add(-e.site.Keep.CohortsAge)-interval)
	from += (interval - from%interval) % interval
	to = min(to, now+interval)
	queues := slices.Clone(e.site.Queues)
	slices.SortFunc(queues, func(a, b queue.Queue) int { return strings.Compare(a.Name, b.Name) })
	numbers := map[string]int{}
	for i := range queues {
		raw, err := node.HGet(ctx, e.keys[keySite], "queue:"+queues[i].Name).Result()
		if errors.Is(err, redis.Nil) {
			continue // it is not in place: another daemon's settings are
		}
		if err != nil {
			return nil, e.asked(ctx, err)
		}
		view, err := queueViewOf(raw, nil)
		if err != nil {
			return nil, err
		}
		numbers[queues[i].Name] = view.Number
	}
	var out []wantedCohort
	for start := from; start < to; start += interval {
		for i := range queues {
			number, ok := numbers[queues[i].Name]
			if !ok {
				continue
			}
			for _, t := range tiering.Tiers {
				out = append(out, wantedCohort{
					field:  cohortField(strconv.FormatInt(int64(start), 10), number, int(t)),
					cohort: queue.Cohort{Queue: queues[i].Name, Tier: t, Start: start},
				})
			}
		}
	}
	return out, nil
}

// Statistics implements queue.Engine. It is asked for every few seconds, so that it
// reads agents a part at a time: ten thousand of them at once would hold Redis up for
// longer than any script may. They may be a moment older than the rest.
func (e *Engine) Statistics(ctx context.Context) (*queue.Snapshot, error) {
	agents := map[string]string{}
	if err := e.eachField(ctx, keyAgents, func(id, raw string) { agents[id] = raw }); err != nil {
		return nil, err
	}
	s, err := e.snapshot(ctx, agents)
	if err != nil {
		return nil, err
	}
	s.Agents = nil
	return s, nil
}
