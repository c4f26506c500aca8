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
		case cb.State == callback.StateClaimed && c.AtEnd:
			cb.EraseAtEnd = true
			res.AtEnd++
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
		case isLive(call) && c.AtEnd:
			call.EraseAtEnd = true
			res.AtEnd++
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

// eraseOver erases what was to be erased when it is over.
func (m *Model) eraseOver() {
	for _, call := range m.calls {
		if call.EraseAtEnd && !isLive(call) {
			call.Erase()
			m.eraseAnswersOf(call.ID, "")
		}
	}
	for _, cb := range m.callbacks {
		if cb.EraseAtEnd && !cb.State.Open() {
			cb.Erase()
			m.eraseAnswersOf("", cb.ID)
		}
	}
}

// eraseAnswersOf erases what first answers tell of one call or callback.
func (m *Model) eraseAnswersOf(callID, callbackID string) {
	erase := func(c *queue.Call, cb *callback.Callback) {
		if c != nil && c.ID == callID {
			c.Erase()
		}
		if cb != nil && cb.ID == callbackID {
			cb.Erase()
		}
	}
	for _, r := range m.requests {
		erase(r.Result.Call, r.Result.Callback)
		if o := r.Result.Offer; o != nil {
			erase(o.Call, o.Callback)
		}
	}
}
