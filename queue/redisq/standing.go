package redisq

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"greenlane/queue"
	"greenlane/tiering"
)

// Call implements queue.Engine.
func (e *Engine) Call(ctx context.Context, id string) (*queue.CallInfo, error) {
	node, err := e.open(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := node.HGet(ctx, e.keys[keyCalls], id).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, &queue.Error{Kind: queue.ErrCallNotFound, Field: "call_id", Detail: fmt.Sprintf("%q is no call this site knows", id)}
	}
	if err != nil {
		return nil, e.asked(ctx, err)
	}
	c, err := e.vault.readCall(id, raw)
	if err != nil {
		return nil, fmt.Errorf("call %q in %s: %w", id, e.keys[keyCalls], err)
	}
	info := &queue.CallInfo{Call: *c, Estimated: -1}
	if c.State == queue.CallWaiting || c.State == queue.CallOffered {
		if err := e.standing(ctx, node, info); err != nil {
			return nil, e.asked(ctx, err)
		}
	}
	info.Events, err = e.only(ctx, node, c.Events)
	return info, err
}

// standing finds out where a waiting call stands, and who could serve it.
func (e *Engine) standing(ctx context.Context, node *redis.Client, info *queue.CallInfo) error {
	c := &info.Call
	q, err := e.readQueue(ctx, node, c.Queue)
	if err != nil {
		return err
	}
	slot, score := slotOf(c.Tier), lineScore(q.Number, slotOf(c.Tier), c.JoinedAt)
	var ahead [slots]*redis.IntCmd
	var tied, mid *redis.StringSliceCmd
	var idle *redis.IntCmd
	err = together(ctx, node, func(p redis.Pipeliner) {
		for s := range ahead[:slot] {
			ahead[s] = p.ZCount(ctx, e.keys[keyLines], inclusive(lineBase(q.Number, s)), exclusive(lineBase(q.Number, s+1)))
		}
		ahead[slot] = p.ZCount(ctx, e.keys[keyLines], inclusive(lineBase(q.Number, slot)), exclusive(score))
		tied = p.ZRangeByScore(ctx, e.keys[keyLines], &redis.ZRangeBy{Min: inclusive(score), Max: inclusive(score)})
		idle = p.ZLexCount(ctx, e.keys[keyIdle], fmt.Sprintf("[%04x", q.Number), fmt.Sprintf("(%04xg", q.Number))
		if q.state.Escalated > 0 && slot >= slotMid {
			last := exclusive(lineBase(q.Number, slotOrdinary))
			if slot == slotMid {
				last = inclusive(score)
			}
			mid = p.ZRangeByScore(ctx, e.keys[keyLines], &redis.ZRangeBy{Min: inclusive(lineBase(q.Number, slotMid)), Max: last})
		}
	})
	if err != nil {
		return err
	}
	info.Working, info.Idle, info.AheadByTier = q.state.Working, int(idle.Val()), map[tiering.Tier]int{}
	if c.State != queue.CallWaiting {
		info.Estimated = millis(q.estimate(0))
		return nil
	}
	count := [slots]int{}
	for s := range ahead[:slot+1] {
		count[s] = int(ahead[s].Val())
	}
	for _, t := range tied.Val() {
		if m, ok := parseMember(t); ok && m.seq < c.Seq {
			count[slot]++
		}
	}
	info.Position = 1
	for _, n := range count {
		info.Position += n
	}
	if ms := q.estimate(info.Position); ms >= 0 {
		info.Estimated = millis(ms)
	}
	if mid != nil {
		info.AheadCallbacks = escalatedAhead(mid.Val(), slot, c.Seq, tied.Val())
	}
	for _, t := range tiering.Tiers {
		if slotOf(t) <= slot {
			info.AheadByTier[t] = count[slotOf(t)]
		}
	}
	info.AheadByTier[tiering.Mid] -= info.AheadCallbacks
	if slotCallback < slot {
		info.AheadCallbacks += count[slotCallback]
	}
	return nil
}

// escalatedAhead counts the callbacks among the members of the mid-tier line
// that stand before a call; of those tied with it only the earlier ones do.
func escalatedAhead(members []string, slot int, seq uint64, tied []string) int {
	n := 0
	for _, s := range members {
		m, ok := parseMember(s)
		if !ok || !m.callback || slot == slotMid && m.seq > seq && slices.Contains(tied, s) {
			continue
		}
		n++
	}
	return n
}

func slotOf(t tiering.Tier) int {
	switch t {
	case tiering.VIP:
		return slotVIP
	case tiering.Mid:
		return slotMid
	case tiering.Blacklist:
		return slotBlacklist
	default:
		return slotOrdinary
	}
}

// only reads the given events, leaving out those that are trimmed.
func (e *Engine) only(ctx context.Context, node *redis.Client, seqs []uint64) ([]queue.Event, error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	p := node.Pipeline()
	for _, seq := range seqs {
		p.XRangeN(ctx, e.keys[keyLog], entryID(seq), entryID(seq), 1)
	}
	cmds, err := p.Exec(ctx)
	if err != nil {
		return nil, e.asked(ctx, err)
	}
	var events []queue.Event
	for _, c := range cmds {
		if list, ok := c.(*redis.XMessageSliceCmd); ok {
			found, err := e.eventsOf(list.Val())
			if err != nil {
				return nil, err
			}
			events = append(events, found...)
		}
	}
	return events, nil
}

// Positions implements queue.Engine: queue by queue in the order of service, then
// the calls that wait for one agent.
func (e *Engine) Positions(ctx context.Context, switchID string) ([]queue.Position, error) {
	node, err := e.open(ctx)
	if err != nil {
		return nil, err
	}
	var out []queue.Position
	for i := range e.site.Queues {
		if out, err = e.queuePositions(ctx, node, e.site.Queues[i].Name, switchID, out); err != nil {
			return nil, e.asked(ctx, err)
		}
	}
	held, err := node.ZRange(ctx, e.keys[keyHeld], 0, -1).Result()
	if err != nil {
		return nil, e.asked(ctx, err)
	}
	for _, s := range held {
		m, ok := parseMember(s[min(len(s), 23):])
		if !ok {
			continue
		}
		info, err := e.Call(ctx, m.id)
		if errors.Is(err, queue.ErrCallNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if info.Call.Switch == switchID && info.Position > 0 {
			out = append(out, queue.Position{Call: m.id, Position: info.Position, EstimatedWait: info.Estimated})
		}
	}
	return out, nil
}

func (e *Engine) queuePositions(ctx context.Context, node *redis.Client, name, switchID string, out []queue.Position) ([]queue.Position, error) {
	q, err := e.readQueue(ctx, node, name)
	if err != nil {
		return nil, err
	}
	members, err := node.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: e.keys[keyLines], ByScore: true, Start: inclusive(lineBase(q.Number, 0)), Stop: exclusive(lineBase(q.Number, slots)),
	}).Result()
	if err != nil {
		return nil, err
	}
	for first := 0; first < len(members); first += hashStep {
		part := members[first:min(len(members), first+hashStep)]
		ids := make([]string, 0, len(part))
		for _, s := range part {
			m, _ := parseMember(s)
			ids = append(ids, m.id)
		}
		records, err := node.HMGet(ctx, e.keys[keyCalls], ids...).Result()
		if err != nil {
			return nil, err
		}
		for i, raw := range records {
			text, ok := raw.(string)
			if !ok {
				continue // a callback, or gone meanwhile
			}
			c, err := e.vault.readCall(ids[i], []byte(text))
			if err != nil || c.Switch != switchID {
				continue
			}
			p := queue.Position{Call: c.ID, Position: first + i + 1, EstimatedWait: -1}
			if ms := q.estimate(p.Position); ms >= 0 {
				p.EstimatedWait = millis(ms)
			}
			out = append(out, p)
		}
	}
	return out, nil
}
