package redisq

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"greenlane/internal/instant"
	"greenlane/queue"
)

// reconcileStep is how many calls one script brings onto record, or closes.
const reconcileStep = 32

// reconcile brings the site in line with a switch's calls. The list goes to Redis
// in parts, oldest arrival first, so that no script is long; each part is one
// step. Which calls are lost is found out before: a script closes those of them
// that still are.
func (e *Engine) reconcile(ctx context.Context, now instant.Instant, cmd *queue.Reconcile) (queue.Result, error) {
	listed := make(map[string]bool, len(cmd.Calls))
	order := make([]int, 0, len(cmd.Calls))
	items := make([]queue.Item, len(cmd.Calls))
	for i := range cmd.Calls {
		live := &cmd.Calls[i]
		listed[live.Call] = true
		items[i] = queue.Item{Call: live.Call, Outcome: queue.OutcomeFailed, Err: live.Err}
		if live.Err == nil {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(cmd.Calls[a].ArrivedAt, cmd.Calls[b].ArrivedAt) })
	lost, err := e.lostCalls(ctx, cmd, listed)
	if err != nil {
		return queue.Result{}, err
	}
	var total queue.Result
	for {
		part, more := cut(&order, reconcileStep)
		var gone []string
		if !more {
			var moreGone bool
			gone, moreGone = cut(&lost, reconcileStep)
			more = moreGone
		}
		res, err := e.reconcilePart(ctx, now, cmd, part, gone, more, &total)
		if err != nil {
			return queue.Result{}, err
		}
		if res.Duplicate {
			if all := slices.Concat(part, order); !isWhole(&res) || len(all) < len(cmd.Calls) {
				res.Items = firstItems(cmd, all, res.Items)
			}
			return res, nil
		}
		slices.Sort(part) // as the outcomes are
		for n, i := range part {
			items[i] = res.Items[n]
		}
		res.Items = nil
		total = res
		if !more {
			total.Items = items
			return total, nil
		}
	}
}

// cut takes up to n elements off the front of a list and says whether some are left.
func cut[T any](list *[]T, n int) (part []T, more bool) {
	n = min(n, len(*list))
	part, *list = (*list)[:n], (*list)[n:]
	return part, len(*list) > 0
}

func (e *Engine) reconcilePart(ctx context.Context, now instant.Instant, cmd *queue.Reconcile, part []int, gone []string, more bool, sofar *queue.Result) (queue.Result, error) {
	list := make([]fields, 0, len(part))
	for _, i := range part {
		live := &cmd.Calls[i]
		f := fields{"id": live.Call, "place": i, "name": e.routeOf(&live.Arrive), "said": e.vault.said(&live.Arrive)}
		f.nonZero("answered_at", int64(live.AnsweredAt))
		if live.Agent != "" {
			f["agent"] = live.Agent
		}
		list = append(list, f)
	}
	calls, err := packed(list)
	if err != nil {
		return queue.Result{}, err
	}
	if gone == nil {
		gone = []string{}
	}
	ids, err := packed(gone)
	if err != nil {
		return queue.Result{}, err
	}
	counts, err := packed([]int{sofar.Added, sofar.Kept, sofar.Closed})
	if err != nil {
		return queue.Result{}, err
	}
	res, err := e.decide(ctx, now, scripts()["reconcile"], &cmd.Request, []any{cmd.Switch, int64(cmd.AsOf), calls, ids, asFlag(more), counts})
	if err != nil {
		return queue.Result{}, err
	}
	if !res.Duplicate && len(res.Items) != len(part) {
		return queue.Result{}, fmt.Errorf("%w: %d outcomes for %d calls", queue.ErrUnavailable, len(res.Items), len(part))
	}
	return res, nil
}

// isWhole reports whether a remembered answer has the outcome of every call, and
// not of the last part only: the counts are those of all parts.
func isWhole(res *queue.Result) bool {
	n := 0
	for _, item := range res.Items {
		if item.Outcome != queue.OutcomeFailed {
			n++
		}
	}
	return n == res.Added+res.Kept
}

// firstItems are the outcomes of a request that is repeated; order is that of its
// calls. Of a long list only those of the last part are remembered; the calls of
// the others are on record.
func firstItems(cmd *queue.Reconcile, order []int, remembered []queue.Item) []queue.Item {
	items := make([]queue.Item, len(cmd.Calls))
	for i := range cmd.Calls {
		items[i] = queue.Item{Call: cmd.Calls[i].Call, Outcome: queue.OutcomeKept}
		if err := cmd.Calls[i].Err; err != nil {
			items[i].Outcome, items[i].Err = queue.OutcomeFailed, err
		}
	}
	if len(remembered) > len(order) {
		return remembered // the request has other contents now, and gets what was answered
	}
	last := order[len(order)-len(remembered):]
	slices.Sort(last)
	for n, item := range remembered {
		if items[last[n]].Call != item.Call {
			return remembered
		}
		items[last[n]] = item
	}
	return items
}

// lostCalls lists the live calls of the switch that are not in its list, oldest
// first.
func (e *Engine) lostCalls(ctx context.Context, cmd *queue.Reconcile, listed map[string]bool) ([]string, error) {
	var found []*queue.Call
	err := e.eachCall(ctx, func(c *queue.Call) {
		if c.Switch == cmd.Switch && !c.State.Terminal() && !listed[c.ID] {
			found = append(found, c)
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b *queue.Call) int { return cmp.Compare(a.Seq, b.Seq) })
	ids := make([]string, 0, len(found))
	for _, c := range found {
		ids = append(ids, c.ID)
	}
	return ids, nil
}
