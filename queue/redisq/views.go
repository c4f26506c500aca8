package redisq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

const (
	defaultPage = 100
	largestPage = 1000
)

func pageSize(limit int) int {
	if limit <= 0 {
		return defaultPage
	}
	return min(limit, largestPage)
}

// known refuses a queue that the site does not have; "" means any.
func (e *Engine) known(name string) error {
	if name == "" || slices.ContainsFunc(e.site.Queues, func(q queue.Queue) bool { return q.Name == name }) {
		return nil
	}
	return &queue.Error{Kind: queue.ErrQueueNotFound, Field: "queue", Detail: fmt.Sprintf("%q is no queue of site %s", name, e.site.Name)}
}

// open returns the server to ask, or why nothing is answered.
func (e *Engine) open(ctx context.Context) (*redis.Client, error) {
	if err := e.over(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	node, err := e.node(ctx)
	if err != nil {
		return nil, e.unavailable(err)
	}
	return node, nil
}

// rank is a place in a listing: by instant, then sequence.
type rank struct {
	at  instant.Instant
	seq uint64
}

func (r rank) compare(o rank) int { return cmp.Or(cmp.Compare(r.at, o.at), cmp.Compare(r.seq, o.seq)) }

func (r rank) token() string {
	return strconv.FormatInt(int64(r.at), 36) + "." + strconv.FormatUint(r.seq, 36)
}

func parseRank(token string) (rank, error) {
	if token == "" {
		return rank{at: -1}, nil
	}
	at, seq, ok := strings.Cut(token, ".")
	a, err1 := strconv.ParseInt(at, 36, 64)
	s, err2 := strconv.ParseUint(seq, 36, 64)
	if !ok || err1 != nil || err2 != nil {
		return rank{}, &queue.Error{Kind: queue.ErrInvalid, Field: "page_token", Detail: fmt.Sprintf("%q is not the token of a page before", token)}
	}
	return rank{instant.Instant(a), s}, nil
}

// page keeps the first n of what is offered to it, in order of rank.
type page[T any] struct {
	n    int
	from rank
	list []ranked[T]
	more bool
}

type ranked[T any] struct {
	rank
	item T
}

func (p *page[T]) offer(r rank, item T) {
	if p.from.compare(r) >= 0 {
		return
	}
	p.list = append(p.list, ranked[T]{r, item})
	if len(p.list) >= 4*p.n+64 {
		p.shorten()
	}
}

func (p *page[T]) shorten() {
	slices.SortFunc(p.list, func(a, b ranked[T]) int { return a.compare(b.rank) })
	if len(p.list) > p.n {
		p.list, p.more = p.list[:p.n], true
	}
}

func (p *page[T]) take() (items []T, next string) {
	p.shorten()
	for _, x := range p.list {
		items = append(items, x.item)
	}
	if p.more {
		next = p.list[len(p.list)-1].token()
	}
	return items, next
}

// Calls implements queue.Engine. Every call kept is looked at, a part at a time: a
// page is no picture of one instant.
func (e *Engine) Calls(ctx context.Context, f queue.CallFilter) ([]queue.Call, string, error) {
	if _, err := e.open(ctx); err != nil {
		return nil, "", err
	}
	from, err := parseRank(f.After)
	if err != nil {
		return nil, "", err
	}
	if err := e.known(f.Queue); err != nil {
		return nil, "", err
	}
	p := page[queue.Call]{n: pageSize(f.Limit), from: from}
	err = e.eachCall(ctx, func(c *queue.Call) {
		if f.Queue != "" && c.Queue != f.Queue || f.Tier != 0 && c.Tier != f.Tier || len(f.States) > 0 && !slices.Contains(f.States, c.State) {
			return
		}
		p.offer(rank{c.JoinedAt, c.Seq}, *c)
	})
	if err != nil {
		return nil, "", err
	}
	calls, next := p.take()
	return calls, next, nil
}

// Callbacks implements queue.Engine; as for Calls, a page is no picture of one
// instant.
func (e *Engine) Callbacks(ctx context.Context, f queue.CallbackFilter) ([]callback.Callback, string, error) {
	if _, err := e.open(ctx); err != nil {
		return nil, "", err
	}
	from, err := parseRank(f.After)
	if err != nil {
		return nil, "", err
	}
	p := page[callback.Callback]{n: pageSize(f.Limit), from: from}
	err = e.eachField(ctx, keyCallbacks, func(id, raw string) {
		cb, err := readCallback(id, []byte(raw))
		if err != nil {
			e.unreadable(keyCallbacks, id, err)
			return
		}
		if f.Queue != "" && cb.Queue != f.Queue || len(f.States) > 0 && !slices.Contains(f.States, cb.State) {
			return
		}
		p.offer(rank{cb.DueAt, cb.Seq}, *cb)
	})
	if err != nil {
		return nil, "", err
	}
	list, next := p.take()
	return list, next, nil
}

// Agents implements queue.Engine.
func (e *Engine) Agents(ctx context.Context, f queue.AgentFilter) ([]queue.Agent, string, error) {
	if _, err := e.open(ctx); err != nil {
		return nil, "", err
	}
	if err := e.known(f.Queue); err != nil {
		return nil, "", err
	}
	var list []queue.Agent
	err := e.eachField(ctx, keyAgents, func(id, raw string) {
		a, err := readAgent(id, []byte(raw))
		if err != nil {
			e.unreadable(keyAgents, id, err)
			return
		}
		serves := func(s queue.Service) bool { return s.Queue == f.Queue }
		if id <= f.After && f.After != "" || len(f.States) > 0 && !slices.Contains(f.States, a.State) ||
			f.Queue != "" && !slices.ContainsFunc(a.Services, serves) {
			return
		}
		list = append(list, *a)
	})
	if err != nil {
		return nil, "", err
	}
	slices.SortFunc(list, func(a, b queue.Agent) int { return cmp.Compare(a.ID, b.ID) })
	next := ""
	if n := pageSize(f.Limit); len(list) > n {
		list, next = list[:n:n], list[n-1].ID
	}
	return list, next, nil
}

// Agent implements queue.Engine. An offer that ends between the two looks is not
// shown.
func (e *Engine) Agent(ctx context.Context, id string) (*queue.Agent, *queue.Offer, error) {
	node, err := e.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	raw, err := node.HGet(ctx, e.keys[keyAgents], id).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil, &queue.Error{Kind: queue.ErrAgentNotFound, Field: "agent_id", Detail: fmt.Sprintf("%q has not signed in", id)}
	}
	if err != nil {
		return nil, nil, e.asked(ctx, err)
	}
	a, err := readAgent(id, raw)
	if err != nil || a.Offer == 0 {
		return a, nil, err
	}
	offer, err := e.offerOf(ctx, node, a)
	return a, offer, err
}

func (e *Engine) offerOf(ctx context.Context, node *redis.Client, a *queue.Agent) (*queue.Offer, error) {
	var record, call, cb *redis.StringCmd
	err := together(ctx, node, func(p redis.Pipeliner) {
		record = p.HGet(ctx, e.keys[keyOffers], strconv.FormatUint(a.Offer, 10))
		call = p.HGet(ctx, e.keys[keyCalls], a.Call)
		cb = p.HGet(ctx, e.keys[keyCallbacks], a.Callback)
	})
	if err != nil {
		return nil, e.asked(ctx, err)
	}
	var r offerRecord
	if record.Err() != nil {
		return nil, nil // it has ended meanwhile, and is kept no longer
	}
	if err := unpack([]byte(record.Val()), &r); err != nil || r.Ended != "" {
		return nil, err
	}
	offer := r.offer(a.Offer)
	if raw, err := call.Bytes(); err == nil && r.Call == a.Call && r.Call != "" {
		if offer.Call, err = readCall(r.Call, raw); err != nil {
			return nil, err
		}
	} else if raw, err := cb.Bytes(); err == nil && r.Callback == a.Callback {
		if offer.Callback, err = readCallback(r.Callback, raw); err != nil {
			return nil, err
		}
	} else {
		return nil, nil
	}
	return offer, nil
}

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
	c, err := readCall(id, raw)
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
			c, err := readCall(ids[i], []byte(text))
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

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
