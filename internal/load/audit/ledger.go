package audit

import (
	"sync"
	"time"

	pb "greenlane/proto/greenlane/v1"
)

// Ledger is a client's own record of its calls: what it told the daemon, and
// every answer that the daemon gave. It is safe for concurrent use.
type Ledger struct {
	faults *Faults

	mu    sync.Mutex
	calls map[string]*Entry
	order []*Entry // by Open
	// ended are the callbacks that ended by a report, with how.
	ended map[string]pb.CallbackState
	// offers are what the softphones got.
	offers map[string]offering
}

// Told is what the client tells of a call when it arrives.
type Told struct {
	ID, Switch, Queue string
	Caller            string // E.164; empty when withheld
	Preferred         string
	Tier              pb.Tier // as the client set it with TierService
}

// Entry is one call in a Ledger. The zero times mean "not yet".
type Entry struct {
	Told
	sent, acked       time.Time // the arrival: first sent, first answered
	gaveUp, gaveUpAck time.Time // the hang-up
	joinedAt          time.Time // as acknowledged
	sequence          uint64
	state             pb.CallState // by the latest answer that said one
	acceptedBy        string
	acceptedAsked     time.Time // when the accept that won was first sent
	acceptedAck       time.Time
	acceptedOffer     string
	callback          string // earned, as acknowledged
	// As the latest answer says.
	queue string
	tier  pb.Tier
	wait  time.Duration
	// provisional: an answer said that the tier was not yet known. One that is repeated
	// may no longer say so of a caller who had given up by then.
	provisional bool
	// From the switch's stream.
	bridged  string // the agent that a bridge order named
	released string // the reason that a release order gave
}

// NewLedger returns an empty record.
func NewLedger(faults *Faults) *Ledger {
	return &Ledger{faults: faults, calls: make(map[string]*Entry), ended: make(map[string]pb.CallbackState), offers: make(map[string]offering)}
}

// Open records a call before its arrival is sent, at now.
func (l *Ledger) Open(told Told, now time.Time) {
	e := &Entry{Told: told, sent: now}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls[told.ID] = e
	l.order = append(l.order, e)
}

// Call returns the caller and the preferred agent of a call; it is World.Call.
func (l *Ledger) Call(id string) (caller, preferred string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.calls[id]
	if e == nil {
		return "", "", false
	}
	return e.Caller, e.Preferred, true
}

// with runs f on a call's entry, which must be open.
func (l *Ledger) with(id string, f func(e *Entry)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.calls[id]; e != nil {
		f(e)
	}
}

// Arrived records the answer to an arrival.
func (l *Ledger) Arrived(c *pb.Call, now time.Time) {
	l.with(c.GetCallId(), func(e *Entry) {
		if e.acked.IsZero() {
			e.acked, e.sequence, e.joinedAt = now, c.GetSequence(), c.GetJoinedAt().AsTime()
		} else if c.GetSequence() != e.sequence || !c.GetJoinedAt().AsTime().Equal(e.joinedAt) {
			l.faults.add(RulePlace, e.ID, 0, "acknowledged with place %d of %v, and then with %d of %v",
				e.sequence, e.joinedAt, c.GetSequence(), c.GetJoinedAt().AsTime())
		}
		l.saw(e, c)
	})
}

// GaveUp records that the hang-up of a call is being sent.
func (l *Ledger) GaveUp(id string, now time.Time) {
	l.with(id, func(e *Entry) { e.gaveUp = now })
}

// HungUp records the answer to a hang-up.
func (l *Ledger) HungUp(c *pb.Call, callback *pb.Callback, now time.Time) {
	l.with(c.GetCallId(), func(e *Entry) {
		e.gaveUpAck = now
		if c.GetCallbackId() != "" {
			e.callback = c.GetCallbackId()
		}
		if id := c.GetCallbackId(); id != "" && callback.GetCallbackId() != id {
			l.faults.add(RuleCallback, e.ID, 0, "earned %s, but the answer has callback %q", id, callback.GetCallbackId())
		}
		l.saw(e, c)
	})
}

// Ended records the answer to a Complete or a CallEnded.
func (l *Ledger) Ended(c *pb.Call) {
	l.with(c.GetCallId(), func(e *Entry) { l.saw(e, c) })
}

// Offered records that an agent's softphone has an offer, of a call or a
// callback.
func (l *Ledger) Offered(o *pb.Offer) {
	what := offering{call: o.GetCall().GetCallId(), agent: o.GetAgentId()}
	if o.GetCallback() != nil {
		what.call = o.GetCallback().GetCallbackId()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, ok := l.offers[o.GetOfferId()]; ok && before != what {
		l.faults.add(RuleOneOffer, what.call, 0, "offer %s came to %s for %s, and to %s", o.GetOfferId(), before.agent, before.call, what.agent)
	}
	l.offers[o.GetOfferId()] = what
}

// Accepted records that an agent's accept of an offer was acknowledged; asked is
// when it was first sent.
func (l *Ledger) Accepted(c *pb.Call, agent, offer string, asked, now time.Time) {
	l.with(c.GetCallId(), func(e *Entry) {
		if e.acceptedBy != "" && (e.acceptedBy != agent || e.acceptedOffer != offer) {
			l.faults.add(RuleOneAgent, e.ID, 0, "accept is acknowledged to %s (%s) and to %s (%s)", e.acceptedBy, e.acceptedOffer, agent, offer)
		}
		e.acceptedBy, e.acceptedOffer, e.acceptedAsked, e.acceptedAck = agent, offer, asked, now
		l.saw(e, c)
	})
}

// Bridged records an order to connect a call with an agent.
func (l *Ledger) Bridged(id, agent string) {
	l.with(id, func(e *Entry) {
		if e.bridged != "" && e.bridged != agent {
			l.faults.add(RuleOneAgent, id, 0, "is to be connected with %s and with %s", e.bridged, agent)
		}
		e.bridged = agent
	})
}

// Released records an order to let a caller go.
func (l *Ledger) Released(id, reason string) {
	l.with(id, func(e *Entry) { e.released = reason })
}

// Reported records the answer to an agent's report of a callback.
func (l *Ledger) Reported(cb *pb.Callback) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id, state := cb.GetCallbackId(), cb.GetState()
	if was, ok := l.ended[id]; ok && was != state {
		l.faults.add(RuleCallback, "", 0, "callback %s is acknowledged as %v and as %v", id, was, state)
	}
	if state >= pb.CallbackState_CALLBACK_STATE_DONE {
		l.ended[id] = state
	}
}

// terminal reports whether a call in this state has ended.
func terminal(s pb.CallState) bool { return s >= pb.CallState_CALL_STATE_COMPLETED }

// rankOf orders the states of a call's life: an answer may come late, so that an
// earlier state does not overwrite a later one.
func rankOf(s pb.CallState) int {
	switch {
	case terminal(s):
		return 3
	case s == pb.CallState_CALL_STATE_ANSWERED:
		return 2
	default:
		return 1
	}
}

// saw takes what one answer says of a call, and checks that answers agree.
func (l *Ledger) saw(e *Entry, c *pb.Call) {
	s := c.GetState()
	if terminal(e.state) && terminal(s) && s != e.state {
		l.faults.add(RuleOneEnd, e.ID, 0, "acknowledged as %s and as %s", stateName(e.state), stateName(s))
	}
	if terminal(s) && s != pb.CallState_CALL_STATE_COMPLETED && e.acceptedBy != "" {
		l.faults.add(RuleOneEnd, e.ID, 0, "acknowledged as %s after %s had accepted it", stateName(s), e.acceptedBy)
	}
	if rankOf(s) >= rankOf(e.state) {
		e.state = s
		e.queue, e.tier, e.wait = c.GetQueue(), c.GetTier(), c.GetWait().AsDuration()
	}
	e.provisional = e.provisional || c.GetProvisional()
}

// State returns a call's state by the latest answer.
func (l *Ledger) State(id string) pb.CallState {
	var s pb.CallState
	l.with(id, func(e *Entry) { s = e.state })
	return s
}

// Counts says how many calls were sent, how many were acknowledged, and how
// many have ended.
func (l *Ledger) Counts() (sent, acked, ended int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.order {
		if !e.acked.IsZero() {
			acked++
		}
		if terminal(e.state) {
			ended++
		}
	}
	return len(l.order), acked, ended
}
