package queuetest

import (
	"fmt"
	"reflect"

	"greenlane/internal/instant"
	"greenlane/queue"
)

// Model is the rules of the design, written a second time so that they can be
// read: every question is answered by a scan over slices, nothing is indexed
// and nothing is remembered that could be worked out again. It forgets nothing
// either: compare it with a machine whose Site.Keep is generous.
//
// Results point at copies. A Model is not safe for concurrent use.
type Model struct {
	site queue.Site
	now  instant.Instant

	callSeq, epoch, ord uint64

	calls     []*queue.Call
	agents    []*queue.Agent
	offers    []*queue.OfferRecord
	callbacks []*promise
	owners    []*queue.OwnerRecord
	switches  []*queue.SwitchRecord
	requests  []*queue.RequestRecord

	cohorts        []*queue.Cohort
	totals         []*queue.Totals
	callbackTotals queue.CallbackTotals
	violations     int64

	events []queue.Event
}

// NewModel returns the model of an empty site.
func NewModel(site queue.Site) (*Model, error) {
	if err := site.Validate(); err != nil {
		return nil, err
	}
	return &Model{site: site}, nil
}

// Apply decides one command, as queue.Machine.Apply does.
func (m *Model) Apply(now instant.Instant, cmd queue.Command) (queue.Result, error) {
	m.now = max(m.now, now)
	m.fireTimers()
	m.eraseOver()

	req := requestOf(cmd)
	if req.ID != "" {
		for _, r := range m.requests {
			if r.Kind != cmd.Kind() || r.ID != req.ID {
				continue
			}
			if r.Print != req.Print {
				return queue.Result{}, refuse(queue.ErrRequestReused, "request_id")
			}
			again := r.Result.Clone()
			again.Duplicate = true
			return again, nil
		}
	}
	res, err := m.decide(cmd)
	if err != nil {
		return queue.Result{}, err
	}
	m.settle()
	m.eraseOver()
	res = m.refreshed(cmd, res)
	if req.ID != "" {
		m.requests = append(m.requests, &queue.RequestRecord{
			Kind: cmd.Kind(), ID: req.ID, Print: req.Print, At: m.now, Result: res.Clone(),
		})
	}
	return res.Clone(), nil
}

// decide hands a command to the function that knows it.
func (m *Model) decide(cmd queue.Command) (queue.Result, error) {
	switch c := cmd.(type) {
	case *queue.Arrive:
		return m.arrive(c)
	case *queue.Abandon:
		return m.hangUp(c.Call, c.Switch, c.At, queue.ReasonCallerHungUp)
	case *queue.End:
		return m.hangUp(c.Call, c.Switch, c.At, queue.ReasonSwitchEnded)
	case *queue.Reconcile:
		return m.reconcile(c)
	case *queue.AttachSwitch:
		return m.attachSwitch(c)
	case *queue.DetachSwitch:
		return m.detachSwitch(c)
	case *queue.SignIn:
		return m.signIn(c)
	case *queue.SignOut:
		return m.signOut(c)
	case *queue.SetState:
		return m.setState(c)
	case *queue.Attach:
		return m.attach(c)
	case *queue.Detach:
		return m.detach(c)
	case *queue.RenewOwner:
		return m.renew(c)
	case *queue.Acknowledge:
		return m.acknowledge(c)
	case *queue.Accept:
		return m.accept(c)
	case *queue.Decline:
		return m.decline(c)
	case *queue.Complete:
		return m.complete(c)
	case *queue.MoveCall:
		return m.moveCall(c)
	case *queue.Rerank:
		return m.rerank(c)
	case *queue.CreateCallback:
		return m.createCallback(c)
	case *queue.ClaimCallback:
		return m.claimCallback(c)
	case *queue.ReportCallback:
		return m.reportCallback(c)
	case *queue.RescheduleCallback:
		return m.rescheduleCallback(c)
	case *queue.CancelCallback:
		return m.cancelCallback(c)
	case *queue.EraseCaller:
		return m.eraseCaller(c)
	case *queue.Tick:
		return queue.Result{}, nil
	}
	return queue.Result{}, refuse(queue.ErrInvalid, "command")
}

// refuse makes a refusal of one kind; the model has no words for people.
func refuse(kind error, field string) error {
	return &queue.Error{Kind: kind, Field: field, Detail: kind.Error()}
}

// requestOf returns the command's request id and print.
func requestOf(cmd queue.Command) queue.Request {
	v := reflect.ValueOf(cmd).Elem().FieldByName("Request")
	r, ok := v.Interface().(queue.Request)
	if !ok {
		panic(fmt.Sprintf("%T has no Request", cmd))
	}
	return r
}

// The finders scan; nil means that there is none.

func (m *Model) call(id string) *queue.Call {
	for _, c := range m.calls {
		if c.ID == id {
			return c
		}
	}
	return nil
}

func (m *Model) agent(id string) *queue.Agent {
	for _, a := range m.agents {
		if a.ID == id {
			return a
		}
	}
	return nil
}

func (m *Model) offer(epoch uint64) *queue.OfferRecord {
	for _, o := range m.offers {
		if o.Epoch == epoch {
			return o
		}
	}
	return nil
}

// liveOffer returns the offer the agent has and has not answered.
func (m *Model) liveOffer(a *queue.Agent) *queue.OfferRecord {
	for _, o := range m.offers {
		if o.Agent == a.ID && o.Ended == "" {
			return o
		}
	}
	return nil
}

func (m *Model) callbackByID(id string) *promise {
	for _, cb := range m.callbacks {
		if cb.ID == id {
			return cb
		}
	}
	return nil
}

func (m *Model) queueOf(name string) *queue.Queue {
	for i := range m.site.Queues {
		if m.site.Queues[i].Name == name {
			return &m.site.Queues[i]
		}
	}
	return nil
}

// isAttached reports whether a switch's event stream is open somewhere.
func (m *Model) isAttached(name string) bool {
	for _, s := range m.switches {
		if s.Switch == name {
			return true
		}
	}
	return false
}

// refreshed points a result at the records as they stand after everything that
// the command set off.
func (m *Model) refreshed(cmd queue.Command, res queue.Result) queue.Result {
	if res.Call != nil {
		res.Call = m.call(res.Call.ID)
		switch cmd.(type) {
		case *queue.Arrive, *queue.Abandon, *queue.End, *queue.MoveCall, *queue.Rerank:
			res.Position = m.position(res.Call)
		}
	}
	if res.Agent != nil {
		if a := m.agent(res.Agent.ID); a != nil {
			res.Agent = a
		}
	}
	if res.Callback != nil {
		if cb := m.callbackByID(res.Callback.ID); cb != nil {
			res.Callback = &cb.Callback
		}
	}
	return res
}
