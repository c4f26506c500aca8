package redisq

import (
	"cmp"
	"context"
	"slices"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// eraseStep is how many records one script erases.
const eraseStep = 64

// erase removes a person. Whose records they are is found out before, by a look at
// every record kept: a script erases those that still are. It goes in parts, so
// that no script is long; each part is one step.
func (e *Engine) erase(ctx context.Context, now instant.Instant, cmd *queue.EraseCaller) (queue.Result, error) {
	if cmd.Caller == tiering.Withheld {
		return queue.Result{}, &queue.Error{Kind: queue.ErrInvalid, Field: "caller", Detail: "must be a number"}
	}
	list, err := e.recordsOf(ctx, cmd.Caller)
	if err != nil {
		return queue.Result{}, err
	}
	var sofar queue.Result
	for {
		part, more := cut(&list, eraseStep)
		if part == nil {
			part = [][]string{}
		}
		records, err := packed(part)
		if err != nil {
			return queue.Result{}, err
		}
		counts, err := packed([]int{sofar.ErasedCalls, sofar.ErasedCallbacks, sofar.Live})
		if err != nil {
			return queue.Result{}, err
		}
		res, err := e.decide(ctx, now, scripts()["erase_caller"], &cmd.Request, []any{e.vault.index(cmd.Caller), records, asFlag(more), counts})
		if err != nil || res.Duplicate || !more {
			return res, err
		}
		sofar = res
	}
}

// recordsOf lists what is kept of a number as lua/erase_caller.lua reads it:
// callbacks, then calls, each in the order of their sequence, then first answers.
func (e *Engine) recordsOf(ctx context.Context, caller tiering.Number) ([][]string, error) {
	var calls []*queue.Call
	err := e.eachCall(ctx, func(c *queue.Call) {
		if c.Caller == caller {
			calls = append(calls, c)
		}
	})
	if err != nil {
		return nil, err
	}
	var backs []*callback.Callback
	err = e.eachField(ctx, keyCallbacks, func(id, raw string) {
		cb, err := e.vault.readCallback(id, []byte(raw))
		if err != nil {
			e.unreadable(keyCallbacks, id, err)
			return
		}
		if cb.Caller == caller {
			backs = append(backs, cb)
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(calls, func(a, b *queue.Call) int { return cmp.Compare(a.Seq, b.Seq) })
	slices.SortFunc(backs, func(a, b *callback.Callback) int { return cmp.Compare(a.Seq, b.Seq) })
	list := make([][]string, 0, len(calls)+len(backs))
	for _, cb := range backs {
		list = append(list, []string{"b", cb.ID})
	}
	for _, c := range calls {
		list = append(list, []string{"c", c.ID})
	}
	err = e.eachAnswer(ctx, e.vault.eraseFrom(caller), func(field, old, now string) {
		list = append(list, []string{"r", field, old, now})
	})
	return list, err
}
