package redisq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// shortView is how far the short view of a snapshot reaches back: the interval
// at hand and the five before it.
const shortView = 6

// picture is what a snapshot is made of, read in one transaction.
type picture struct {
	now      instant.Instant
	meta     *redis.StringCmd
	agents   *redis.MapStringStringCmd
	totals   *redis.MapStringStringCmd
	due, end *redis.ZSliceCmd
	queues   []queuePicture
	starts   []string // of the cohorts: the day, then the short view's
}

type queuePicture struct {
	cfg     *queue.Queue
	view    *queueView
	cohorts *redis.SliceCmd
	idle    *redis.IntCmd
	backs   *redis.IntCmd
	first   [slots]*redis.ZSliceCmd
}

// Snapshot implements queue.Engine: one transaction, and a second look at the
// calls that are offered or held for how long they have waited.
func (e *Engine) Snapshot(ctx context.Context) (*queue.Snapshot, error) {
	return e.snapshot(ctx, nil)
}

// snapshot takes the agents as they are given; nil: they are part of the transaction.
func (e *Engine) snapshot(ctx context.Context, agents map[string]string) (*queue.Snapshot, error) {
	node, err := e.open(ctx)
	if err != nil {
		return nil, err
	}
	pic, err := e.takePicture(ctx, node, agents == nil)
	if err != nil {
		return nil, e.asked(ctx, err)
	}
	if agents == nil {
		agents = pic.agents.Val()
	}
	var meta metaRecord
	if raw, err := pic.meta.Bytes(); err == nil {
		if err := unpack(raw, &meta); err != nil {
			return nil, fmt.Errorf("meta in %s: %w", e.keys[keySite], err)
		}
	}
	pic.now = max(pic.now, meta.Now)
	s := &queue.Snapshot{Site: e.site.Name, At: pic.now, Seq: meta.LastEvent, GreenChannelViolations: meta.Violations}
	byQueue := map[string]map[queue.AgentState]int{}
	s.Agents = e.agentsOf(agents, byQueue)
	s.AgentStates = map[queue.AgentState]int{}
	for i := range s.Agents {
		s.AgentStates[s.Agents[i].State]++
	}
	oldest, err := e.oldest(ctx, node, pic, s.Agents)
	if err != nil {
		return nil, e.asked(ctx, err)
	}
	totals := totalsOf(pic.totals.Val())
	for i := range pic.queues {
		s.Queues = append(s.Queues, e.queueSnapshot(pic, &pic.queues[i], byQueue, totals, oldest))
	}
	s.Callbacks = queue.CallbackSnapshot{ByState: meta.byState(), Totals: meta.totals()}
	if list := pic.due.Val(); len(list) > 0 {
		s.Callbacks.NextDue = instant.Instant(list[0].Score)
	}
	if list := pic.end.Val(); len(list) > 0 {
		s.Callbacks.NextDeadline = instant.Instant(int64(list[0].Score) - deadlines)
	}
	return s, nil
}

func (e *Engine) takePicture(ctx context.Context, node *redis.Client, withAgents bool) (*picture, error) {
	pic := &picture{now: e.Now()}
	local := pic.now.Time().In(e.site.Zone)
	pic.starts = append(pic.starts, "day "+strconv.FormatInt(time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC).UnixMilli()/dayMs, 10))
	interval := instant.Instant(queue.CohortInterval.Milliseconds())
	for n := range instant.Instant(shortView) {
		pic.starts = append(pic.starts, strconv.FormatInt(int64(pic.now-pic.now%interval-n*interval), 10))
	}
	var fields []string
	for i := range e.site.Queues {
		fields = append(fields, "queue:"+e.site.Queues[i].Name)
	}
	configs, err := node.HMGet(ctx, e.keys[keySite], fields...).Result()
	if err != nil {
		return nil, err
	}
	for i := range fields {
		fields[i] = "state:" + e.site.Queues[i].Name
		q := queuePicture{cfg: &e.site.Queues[i]}
		if q.view, err = queueViewOf(configs[i], nil); errors.Is(err, redis.Nil) {
			continue // it is not in place: another daemon's settings are
		} else if err != nil {
			return nil, err
		}
		pic.queues = append(pic.queues, q)
	}
	var states *redis.SliceCmd
	err = together(ctx, node, func(p redis.Pipeliner) {
		first := func(key int, from, to string, n int64) *redis.ZSliceCmd {
			return p.ZRangeByScoreWithScores(ctx, e.keys[key], &redis.ZRangeBy{Min: from, Max: to, Count: n})
		}
		states = p.HMGet(ctx, e.keys[keySite], fields...)
		pic.meta = p.HGet(ctx, e.keys[keySite], "meta")
		if withAgents {
			pic.agents = p.HGetAll(ctx, e.keys[keyAgents])
		}
		pic.totals = p.HGetAll(ctx, e.keys[keyTotals])
		pic.due = first(keyPromises, "-inf", exclusive(deadlines), 1)
		pic.end = first(keyPromises, inclusive(deadlines), "+inf", 1)
		for i := range pic.queues {
			e.pictureQueue(ctx, p, pic, &pic.queues[i], first)
		}
	})
	if err != nil {
		return nil, err
	}
	byName := map[string]any{}
	for i, state := range states.Val() {
		byName[e.site.Queues[i].Name] = state
	}
	for i := range pic.queues {
		if raw, ok := byName[pic.queues[i].cfg.Name].(string); ok {
			if err := unpack([]byte(raw), &pic.queues[i].view.state); err != nil {
				return nil, err
			}
		}
	}
	return pic, nil
}

func (e *Engine) pictureQueue(ctx context.Context, p redis.Pipeliner, pic *picture, q *queuePicture, first func(int, string, string, int64) *redis.ZSliceCmd) {
	n := q.view.Number
	var cohorts []string
	for _, start := range pic.starts {
		for _, t := range tiering.Tiers {
			cohorts = append(cohorts, cohortField(start, n, int(t)))
		}
	}
	q.cohorts = p.HMGet(ctx, e.keys[keyCohorts], cohorts...)
	q.idle = p.ZLexCount(ctx, e.keys[keyIdle], fmt.Sprintf("[%04x", n), fmt.Sprintf("(%04xg", n))
	q.backs = p.ZCount(ctx, e.keys[keyLines], inclusive(lineBase(n, slotCallback)), exclusive(lineBase(n, slotBlacklist)))
	for s := range q.first {
		// Some callbacks may stand before the first call of the mid tier.
		count := int64(1)
		if s == slotMid {
			count = 256
		}
		q.first[s] = first(keyLines, inclusive(lineBase(n, s)), exclusive(lineBase(n, s+1)), count)
	}
}

func (e *Engine) agentsOf(records map[string]string, byQueue map[string]map[queue.AgentState]int) []queue.Agent {
	var list []queue.Agent
	for _, id := range sortedKeys(records) {
		a, err := readAgent(id, []byte(records[id]))
		if err != nil {
			e.unreadable(keyAgents, id, err)
			continue
		}
		list = append(list, *a)
		for _, s := range a.Services {
			if byQueue[s.Queue] == nil {
				byQueue[s.Queue] = map[queue.AgentState]int{}
			}
			byQueue[s.Queue][a.State]++
		}
	}
	return list
}

type queueTier struct {
	queue string
	tier  tiering.Tier
}

// oldest returns when the oldest waiting or offered call of each queue and tier
// joined: the first of each line, those offered to an agent, those held for one.
func (e *Engine) oldest(ctx context.Context, node *redis.Client, pic *picture, agents []queue.Agent) (map[queueTier]instant.Instant, error) {
	out := map[queueTier]instant.Instant{}
	see := func(name string, t tiering.Tier, at instant.Instant) {
		k := queueTier{name, t}
		if was, ok := out[k]; !ok || at < was {
			out[k] = at
		}
	}
	for i := range pic.queues {
		q := &pic.queues[i]
		for _, t := range tiering.Tiers {
			s := slotOf(t)
			for _, z := range q.first[s].Val() {
				text, _ := z.Member.(string)
				if m, ok := parseMember(text); ok && !m.callback {
					see(q.cfg.Name, t, instant.Instant(int64(z.Score)-lineBase(q.view.Number, s)+lineEpoch))
					break
				}
			}
		}
	}
	var ids []string
	for i := range agents {
		if agents[i].Offer != 0 && agents[i].Call != "" {
			ids = append(ids, agents[i].Call)
		}
	}
	held, err := node.ZRange(ctx, e.keys[keyHeld], 0, -1).Result()
	if err != nil {
		return nil, err
	}
	for _, s := range held {
		if m, ok := parseMember(s[min(len(s), 23):]); ok {
			ids = append(ids, m.id)
		}
	}
	for first := 0; first < len(ids); first += hashStep {
		part := ids[first:min(len(ids), first+hashStep)]
		records, err := node.HMGet(ctx, e.keys[keyCalls], part...).Result()
		if err != nil {
			return nil, err
		}
		for i, raw := range records {
			text, ok := raw.(string)
			if !ok {
				continue
			}
			if c, err := readCall(part[i], []byte(text)); err == nil && (c.State == queue.CallWaiting || c.State == queue.CallOffered) {
				see(c.Queue, c.Tier, c.JoinedAt)
			}
		}
	}
	return out, nil
}

func (e *Engine) queueSnapshot(pic *picture, q *queuePicture, byQueue map[string]map[queue.AgentState]int,
	totals map[queueNumberTier]*queue.Totals, oldest map[queueTier]instant.Instant,
) queue.QueueSnapshot {
	out := queue.QueueSnapshot{
		Name: q.cfg.Name, Open: q.cfg.Hours.Open(pic.now.Time()), Threshold: q.cfg.Threshold, Capacity: q.cfg.Capacity,
		Agents: byQueue[q.cfg.Name], Idle: int(q.idle.Val()), Working: q.view.state.Working,
		CallbacksWaiting: int(q.backs.Val()) + q.view.state.Escalated,
	}
	waiting, late := q.view.state.byTier()
	for i, t := range tiering.Tiers {
		ts := queue.TierSnapshot{Tier: t, Waiting: waiting[i], LateWaiting: late[i], Target: q.cfg.Targets[t]}
		if at, ok := oldest[queueTier{q.cfg.Name, t}]; ok {
			ts.OldestWait = max(0, pic.now.Sub(at))
		}
		if total := totals[queueNumberTier{q.view.Number, int(t)}]; total != nil {
			ts.Totals = *total
			ts.Totals.Queue, ts.Totals.Tier = q.cfg.Name, t
		}
		for n := range pic.starts {
			raw, ok := q.cohorts.Val()[n*len(tiering.Tiers)+i].(string)
			if !ok {
				continue
			}
			var r countsRecord
			if err := unpack([]byte(raw), &r); err != nil {
				e.unreadable(keyCohorts, cohortField(pic.starts[n], q.view.Number, int(t)), err)
				continue
			}
			counts := queue.Counts(r)
			if n == 0 {
				ts.Today = counts
			} else {
				ts.Last30Min.Add(&counts)
			}
		}
		out.Tiers = append(out.Tiers, ts)
	}
	return out
}

// countsRecord is a cohort's counters as count in lua/lib/counts.lua names them.
type countsRecord struct {
	AnsweredInTime  int64 `msgpack:"answered_in_time"`
	AnsweredLate    int64 `msgpack:"answered_late"`
	AbandonedShort  int64 `msgpack:"abandoned_short"`
	AbandonedInTime int64 `msgpack:"abandoned_in_time"`
	AbandonedLate   int64 `msgpack:"abandoned_late"`
	TimedOut        int64 `msgpack:"timed_out"`
	Overflowed      int64 `msgpack:"overflowed"`
	Refused         int64 `msgpack:"refused"`
	LateWaiting     int64 `msgpack:"late_waiting"`
	AnsweredWait    int64 `msgpack:"answered_wait"`
	AbandonedWait   int64 `msgpack:"abandoned_wait"`
}

type queueNumberTier struct{ queue, tier int }

// totalsOf gathers the running totals of each queue and tier.
func totalsOf(fields map[string]string) map[queueNumberTier]*queue.Totals {
	out := map[queueNumberTier]*queue.Totals{}
	for field, text := range fields {
		number, tier, counter, ok := splitTotal(field)
		n, err := strconv.ParseInt(text, 10, 64)
		if !ok || err != nil {
			continue
		}
		k := queueNumberTier{number, tier}
		if out[k] == nil {
			out[k] = &queue.Totals{}
		}
		if where := totalNamed(out[k], counter); where != nil {
			*where = n
		}
	}
	return out
}

func totalNamed(t *queue.Totals, counter string) *int64 {
	c := &t.Counts
	if bucket, ok := strings.CutPrefix(counter, "wait"); ok {
		if i, err := strconv.Atoi(bucket); err == nil && i >= 0 && i < len(t.Waits) {
			return &t.Waits[i]
		}
	}
	return map[string]*int64{
		"answered_in_time": &c.AnsweredInTime, "answered_late": &c.AnsweredLate, "abandoned_short": &c.AbandonedShort,
		"abandoned_in_time": &c.AbandonedInTime, "abandoned_late": &c.AbandonedLate, "timed_out": &c.TimedOut,
		"overflowed": &c.Overflowed, "refused": &c.Refused, "late_waiting": &c.LateWaiting, "answered_wait": &c.AnsweredWait,
		"abandoned_wait": &c.AbandonedWait, "joined": &t.Joined, "completed": &t.Completed, "late": &t.Late, "offers": &t.Offers,
		"talk": &t.Talk,
	}[counter]
}
