package queue

import (
	"cmp"
	"slices"

	"greenlane/callback"
	"greenlane/tiering"
)

// EraseCaller removes what is kept of a person: the number, the attributes and the
// notes of calls and callbacks that are over, and of the first answers kept for
// retries. An open callback is cancelled first, with ReasonErased. The records
// themselves stay, without a number, and so do events and counters, which have none.
//
// What is under way is left alone and counted in Result.Live: a call that waits, is
// offered or talks, and a callback that somebody has claimed. Repeating the command
// once they are over erases them too; repeating it is harmless in any case.
// Errors: ErrInvalid for no number.
type EraseCaller struct {
	Request
	Caller tiering.Number
}

// Kind implements Command.
func (*EraseCaller) Kind() string { return "erase_caller" }

// ReasonErased is the reason of a callback that ended because its caller was erased.
const ReasonErased = "erased"

// Erase takes out of a record what tells of a person.
func (c *Call) Erase() { c.Caller, c.Attributes = tiering.Withheld, nil }

// eraseCaller implements EraseCaller.
func (m *Machine) eraseCaller(cmd *EraseCaller) (Result, error) {
	if cmd.Caller == tiering.Withheld {
		return Result{}, refuse(ErrInvalid, "caller", "must be a number")
	}
	var res Result
	m.eraseCallbacks(cmd.Caller, &res)
	m.eraseCalls(cmd.Caller, &res)
	m.eraseAnswers(cmd.Caller)
	return res, nil
}

func (m *Machine) eraseCallbacks(caller tiering.Number, res *Result) {
	var list []*cbRecord
	for _, cb := range m.callbacks {
		if cb.Caller == caller {
			list = append(list, cb)
		}
	}
	slices.SortFunc(list, func(a, b *cbRecord) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, cb := range list {
		if cb.State == callback.StateClaimed {
			res.Live++
			continue
		}
		if cb.State.Open() {
			_, err := m.cancelCallback(&CancelCallback{Callback: cb.ID, Reason: ReasonErased})
			m.mustCallback(err)
		}
		cb.Erase()
		m.touchCallback(cb)
		res.ErasedCallbacks++
	}
}

func (m *Machine) eraseCalls(caller tiering.Number, res *Result) {
	// Those that are erased leave the list that is gone through. Its order depends on
	// what was taken back; that of the changes must not.
	list := slices.SortedFunc(m.callsOf(caller), func(a, b *call) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, c := range list {
		if !c.State.Terminal() {
			res.Live++
			continue
		}
		m.unlinkCaller(c)
		c.Caller = tiering.Withheld
		if c.rare != nil {
			c.rare.Attributes = nil
		}
		m.touchCall(c)
		res.ErasedCalls++
	}
}

// eraseAnswers takes the number out of first answers. Somebody may be reading the
// old ones, so they are replaced.
func (m *Machine) eraseAnswers(caller tiering.Number) {
	for i, r := range m.requestList.all() {
		if !r.Result.tellsOf(caller) {
			continue
		}
		fresh := *r
		fresh.Result = r.Result.erased(caller)
		m.requests[requestKey{r.Kind, r.ID}], m.requestList.all()[i] = &fresh, &fresh
		m.changes.Requests = append(m.changes.Requests, &fresh)
	}
}

func (r *Result) tellsOf(caller tiering.Number) bool {
	is := func(c *Call, cb *callback.Callback) bool {
		return c != nil && c.Caller == caller || cb != nil && cb.Caller == caller
	}
	return is(r.Call, r.Callback) || r.Offer != nil && is(r.Offer.Call, r.Offer.Callback)
}

// EraseFrom returns the result without what it tells of a person: a copy, which
// lasts.
func (r *Result) EraseFrom(caller tiering.Number) Result {
	if !r.tellsOf(caller) {
		return *r
	}
	return r.erased(caller)
}

func (r *Result) erased(caller tiering.Number) Result {
	out := *r
	out.lasting = false
	out = out.Clone()
	erase := func(c *Call, cb *callback.Callback) {
		if c != nil && c.Caller == caller {
			c.Erase()
		}
		if cb != nil && cb.Caller == caller {
			cb.Erase()
		}
	}
	erase(out.Call, out.Callback)
	if out.Offer != nil {
		erase(out.Offer.Call, out.Offer.Callback)
	}
	out.lasting = r.lasting
	return out
}
