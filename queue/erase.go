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
// What is under way is left alone: a call that waits, is offered or talks, and a
// callback that somebody has claimed. With AtEnd it is counted in Result.AtEnd and
// erased in the step that ends it: the call earns no callback, and the callback is
// not tried again. Without, it is counted in Result.Live, and repeating the command
// once it is over erases it too. Repeating the command is harmless in any case. An
// engine that cannot erase at the end counts Live whatever is asked.
// Errors: ErrInvalid for no number.
type EraseCaller struct {
	Request
	Caller tiering.Number
	AtEnd  bool
}

// Kind implements Command.
func (*EraseCaller) Kind() string { return "erase_caller" }

// ReasonErased is the reason of a callback that ended because its caller was erased.
const ReasonErased = callback.EndErased

// Erase takes out of a record what tells of a person.
func (c *Call) Erase() { c.Caller, c.Attributes, c.EraseAtEnd = tiering.Withheld, nil, false }

// eraseCaller implements EraseCaller.
func (m *Machine) eraseCaller(cmd *EraseCaller) (Result, error) {
	if cmd.Caller == tiering.Withheld {
		return Result{}, refuse(ErrInvalid, "caller", "must be a number")
	}
	var res Result
	m.eraseCallbacks(cmd, &res)
	m.eraseCalls(cmd, &res)
	m.eraseAnswers(cmd.Caller)
	return res, nil
}

func (m *Machine) eraseCallbacks(cmd *EraseCaller, res *Result) {
	var list []*cbRecord
	for _, cb := range m.callbacks {
		if cb.Caller == cmd.Caller {
			list = append(list, cb)
		}
	}
	slices.SortFunc(list, func(a, b *cbRecord) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, cb := range list {
		if cb.State == callback.StateClaimed {
			if !cmd.AtEnd {
				res.Live++
				continue
			}
			cb.EraseAtEnd = true
			m.touchCallback(cb)
			res.AtEnd++
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

func (m *Machine) eraseCalls(cmd *EraseCaller, res *Result) {
	// Those that are erased leave the list that is gone through. Its order depends on
	// what was taken back; that of the changes must not.
	list := slices.SortedFunc(m.callsOf(cmd.Caller), func(a, b *call) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, c := range list {
		switch {
		case c.State.Terminal():
			m.eraseCall(c)
			res.ErasedCalls++
		case cmd.AtEnd:
			c.own().EraseAtEnd = true
			m.touchCall(c)
			res.AtEnd++
		default:
			res.Live++
		}
	}
}

func (m *Machine) eraseCall(c *call) {
	m.unlinkCaller(c)
	c.Caller = tiering.Withheld
	if c.rare != nil {
		c.rare.Attributes, c.rare.EraseAtEnd = nil, false
	}
	m.touchCall(c)
}

// eraseAnswers takes the number out of first answers. Somebody may be reading the
// old ones, so they are replaced.
func (m *Machine) eraseAnswers(caller tiering.Number) {
	m.eraseFromAnswers(theCaller(caller))
}

func (m *Machine) eraseFromAnswers(whose person) {
	for i, r := range m.requestList.all() {
		if !r.Result.tellsOf(whose) {
			continue
		}
		fresh := *r
		fresh.Result = r.Result.erased(whose)
		m.requests[requestKey{r.Kind, r.ID}], m.requestList.all()[i] = &fresh, &fresh
		m.changes.Requests = append(m.changes.Requests, &fresh)
	}
}

// overdue is what has ended of callers who were erased before.
type overdue struct {
	calls     []*call
	callbacks []*cbRecord
}

// eraseOver erases what is overdue, and takes it out of the answer to the command
// that has ended it; nil: time has.
func (m *Machine) eraseOver(res *Result) {
	if len(m.overdue.calls) == 0 && len(m.overdue.callbacks) == 0 {
		return
	}
	ids := map[string]bool{}
	for _, c := range m.overdue.calls {
		m.eraseCall(c)
		ids["call "+c.ID] = true
	}
	for _, cb := range m.overdue.callbacks {
		cb.Erase()
		m.touchCallback(cb)
		ids["callback "+cb.ID] = true
	}
	m.overdue = overdue{}
	whose := person{
		call:     func(c *Call) bool { return ids["call "+c.ID] },
		callback: func(cb *callback.Callback) bool { return ids["callback "+cb.ID] },
	}
	m.eraseFromAnswers(whose)
	if res != nil && res.tellsOf(whose) {
		*res = res.erased(whose)
	}
	m.changes.Erased = true
}

// person tells which records are to be erased.
type person struct {
	call     func(*Call) bool
	callback func(*callback.Callback) bool
}

func theCaller(n tiering.Number) person {
	return person{
		call:     func(c *Call) bool { return c.Caller == n },
		callback: func(cb *callback.Callback) bool { return cb.Caller == n },
	}
}

func (p person) is(c *Call, cb *callback.Callback) bool {
	return c != nil && p.call(c) || cb != nil && p.callback(cb)
}

func (r *Result) tellsOf(whose person) bool {
	return whose.is(r.Call, r.Callback) || r.Offer != nil && whose.is(r.Offer.Call, r.Offer.Callback)
}

// EraseFrom returns the result without what it tells of a person: a copy, which
// lasts.
func (r *Result) EraseFrom(caller tiering.Number) Result {
	if !r.tellsOf(theCaller(caller)) {
		return *r
	}
	return r.erased(theCaller(caller))
}

func (r *Result) erased(whose person) Result {
	out := *r
	out.lasting = false
	out = out.Clone()
	erase := func(c *Call, cb *callback.Callback) {
		if c != nil && whose.call(c) {
			c.Erase()
		}
		if cb != nil && whose.callback(cb) {
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
