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
		if f.Queue != "" && c.Queue != f.Queue || f.Tier != 0 && c.Tier != f.Tier ||
			f.Caller != "" && c.Caller != f.Caller || len(f.States) > 0 && !slices.Contains(f.States, c.State) {
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
		cb, err := e.vault.readCallback(id, []byte(raw))
		if err != nil {
			e.unreadable(keyCallbacks, id, err)
			return
		}
		if f.Queue != "" && cb.Queue != f.Queue || f.Caller != "" && cb.Caller != f.Caller || len(f.States) > 0 && !slices.Contains(f.States, cb.State) {
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
	if record.Val() == "" {
		return nil, nil // it has ended meanwhile, and is kept no longer
	}
	if err := unpack([]byte(record.Val()), &r); err != nil || r.Ended != "" {
		return nil, err
	}
	offer := r.offer(a.Offer)
	if raw, err := call.Bytes(); err == nil && r.Call == a.Call && r.Call != "" {
		if offer.Call, err = e.vault.readCall(r.Call, raw); err != nil {
			return nil, err
		}
	} else if raw, err := cb.Bytes(); err == nil && r.Callback == a.Callback {
		if offer.Callback, err = e.vault.readCallback(r.Callback, raw); err != nil {
			return nil, err
		}
	} else {
		return nil, nil
	}
	return offer, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
