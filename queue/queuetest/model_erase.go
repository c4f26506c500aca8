package queuetest

import (
	"greenlane/callback"
	"greenlane/queue"
	"greenlane/tiering"
)

// eraseCaller removes what is kept of a person, but for what is under way.
func (m *Model) eraseCaller(c *queue.EraseCaller) (queue.Result, error) {
	if c.Caller == tiering.Withheld {
		return queue.Result{}, refuse(queue.ErrInvalid, "caller")
	}
	var res queue.Result
	for _, cb := range m.callbacks {
		switch {
		case cb.Caller != c.Caller:
			continue
		case cb.State == callback.StateClaimed:
			res.Live++
			continue
		case cb.State.Open():
			if _, err := m.cancelCallback(&queue.CancelCallback{Callback: cb.ID, Reason: queue.ReasonErased}); err != nil {
				return queue.Result{}, err
			}
		}
		cb.Caller, cb.Note = "", ""
		res.ErasedCallbacks++
	}
	for _, call := range m.calls {
		switch {
		case call.Caller != c.Caller:
		case isLive(call):
			res.Live++
		default:
			call.Caller, call.Attributes = "", nil
			res.ErasedCalls++
		}
	}
	for _, r := range m.requests {
		r.Result = r.Result.EraseFrom(c.Caller)
	}
	return res, nil
}
