package audit

import (
	"cmp"
	"slices"
	"time"

	pb "greenlane/proto/greenlane/v1"
)

// Final is what a daemon says when a client has done.
type Final struct {
	// Calls are all calls the daemon lists, by id. It may have dropped old ones.
	Calls map[string]*pb.Call
	// Callbacks are all callbacks it lists, by id.
	Callbacks map[string]*pb.Callback
	// Before and After are snapshots from before the first call and from now.
	Before, After *pb.GetSnapshotResponse
	// Streams tells that a switch has its orders from a Connect stream.
	Streams func(switchID string) bool
}

// checker holds the record, the log and the daemon's word against each other.
type checker struct {
	*Ledger
	r      *Replay
	fin    Final
	faults *Faults
}

// Check compares the client's record with the log that the replay has followed
// and with what the daemon says. The replay must have seen every event up to
// the snapshot Final.After.
func Check(l *Ledger, r *Replay, fin Final, faults *Faults) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &checker{Ledger: l, r: r, fin: fin, faults: faults}
	for _, e := range l.order {
		if e.acked.IsZero() && e.gaveUpAck.IsZero() {
			continue // Never acknowledged: nothing was promised.
		}
		logged := r.calls[e.ID]
		if logged == nil {
			c.bad(RuleKept, e, "acknowledged as %s, and the event log has no word of it", stateName(e.state))
			continue
		}
		c.ends(e, logged)
		c.clock(e, logged)
		c.orders(e)
		if listed := fin.Calls[e.ID]; listed != nil {
			c.listed(e, listed)
		} else if !terminal(logged.state) {
			c.bad(RuleKept, e, "is %s by the log, and not listed", stateName(logged.state))
		}
	}
	for id, logged := range r.calls {
		if l.calls[id] == nil {
			faults.add(RuleKept, id, 0, "%s in the log, and never sent by this client", stateName(logged.state))
		}
	}
	for id, got := range l.offers {
		if made := r.offerings[id]; made != got {
			faults.add(RuleOneOffer, got.call, 0, "%s was offered to %s (%s); by the log to %q (call %q)", got.call, got.agent, id, made.agent, made.call)
		}
	}
	c.places()
	c.promises()
	c.counters()
}

func (c *checker) bad(rule string, e *Entry, format string, args ...any) {
	c.faults.add(rule, e.ID, 0, format, args...)
}

// ends checks that the log brings the call where the answers said it went.
func (c *checker) ends(e *Entry, logged *call) {
	// A state that was not followed by a later answer may have moved on.
	if rankOf(e.state) > rankOf(logged.state) || terminal(e.state) && e.state != logged.state {
		c.bad(RuleOneEnd, e, "acknowledged as %s; by the log it is %s", stateName(e.state), stateName(logged.state))
	}
	answered := logged.state == pb.CallState_CALL_STATE_COMPLETED || logged.state == pb.CallState_CALL_STATE_ANSWERED
	switch {
	case e.acceptedBy != "" && (!answered || logged.agent != e.acceptedBy):
		c.bad(RuleOneAgent, e, "accept is acknowledged to %s; by the log it is %s, agent %q", e.acceptedBy, stateName(logged.state), logged.agent)
	case answered && e.acceptedBy == "":
		c.bad(RuleOneAgent, e, "is %s with %q by the log; no accept was acknowledged", stateName(logged.state), logged.agent)
	}
	if logged.callback != e.callback {
		c.bad(RuleCallback, e, "earned %q by the log, %q by the answer", logged.callback, e.callback)
	}
}

// clockSlack is what rounding to milliseconds, once at each end, may change.
const clockSlack = 2 * time.Millisecond

// clock checks that the wait the daemon counts lies between the shortest and the
// longest that the client's own clock allows, restarts of the daemon included.
func (c *checker) clock(e *Entry, logged *call) {
	var asked, answered time.Time
	switch {
	case e.state == pb.CallState_CALL_STATE_ABANDONED && !e.gaveUpAck.IsZero():
		asked, answered = e.gaveUp, e.gaveUpAck
	case e.acceptedBy != "":
		asked, answered = e.acceptedAsked, e.acceptedAck
	default:
		return
	}
	if e.acked.IsZero() || asked.Before(e.acked) {
		return // The hang-up overtook the arrival.
	}
	shortest, longest := asked.Sub(e.acked)-clockSlack, answered.Sub(e.sent)+clockSlack
	if logged.wait < shortest || logged.wait > longest {
		c.bad(RuleClock, e, "waited %v by the log, between %v and %v by the client's clock", logged.wait, shortest, longest)
	}
	if logged.wait != e.wait {
		c.bad(RuleClock, e, "waited %v by the log, %v by the answer", logged.wait, e.wait)
	}
}

// orders checks what a switch was told to do with the call.
func (c *checker) orders(e *Entry) {
	if c.fin.Streams == nil || !c.fin.Streams(e.Switch) {
		return
	}
	if e.acceptedBy != "" && e.bridged != e.acceptedBy {
		c.bad(RuleKept, e, "was accepted by %s; the switch was told to connect it with %q", e.acceptedBy, e.bridged)
	}
	if e.toRelease() && e.released == "" {
		c.bad(RuleKept, e, "is %s; the switch was not told to let it go", stateName(e.state))
	}
}

// toRelease reports whether the switch has to let the caller go.
func (e *Entry) toRelease() bool {
	switch e.state {
	case pb.CallState_CALL_STATE_REFUSED, pb.CallState_CALL_STATE_TIMED_OUT, pb.CallState_CALL_STATE_OVERFLOWED:
		return true
	}
	return false
}

// OrdersMissing returns how many calls of streaming switches have an order to
// come.
func (l *Ledger) OrdersMissing(streams func(switchID string) bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, e := range l.order {
		missing := e.acceptedBy != "" && e.bridged == "" || e.toRelease() && e.released == ""
		if missing && streams(e.Switch) {
			n++
		}
	}
	return n
}

// listed checks the daemon's present word of a call.
func (c *checker) listed(e *Entry, now *pb.Call) {
	if terminal(e.state) && now.GetState() != e.state {
		c.bad(RuleOneEnd, e, "acknowledged as %s; it is listed as %s", stateName(e.state), stateName(now.GetState()))
	}
	if e.acceptedBy != "" && (now.GetAgentId() != e.acceptedBy || now.GetOfferId() != e.acceptedOffer) {
		c.bad(RuleKept, e, "accepted by %s (%s); it is listed with %s (%s)", e.acceptedBy, e.acceptedOffer, now.GetAgentId(), now.GetOfferId())
	}
	if !e.acked.IsZero() && (now.GetSequence() != e.sequence || !now.GetJoinedAt().AsTime().Equal(e.joinedAt)) {
		c.bad(RulePlace, e, "acknowledged with place %d of %v; it is listed with %d of %v",
			e.sequence, e.joinedAt, now.GetSequence(), now.GetJoinedAt().AsTime())
	}
	if logged := c.r.calls[e.ID]; now.GetLate() != logged.late && now.GetState() != pb.CallState_CALL_STATE_REFUSED {
		c.bad(RuleKept, e, "late is %v by the log; it is listed with %v", logged.late, now.GetLate())
	}
	if e.state == pb.CallState_CALL_STATE_ABANDONED && e.provisional && !now.GetProvisional() {
		c.tierTooLate(e, now)
	} else if now.GetTier() != e.Tier && !now.GetProvisional() {
		c.bad(RuleKept, e, "was set to %v; it is listed as %v", e.Tier, now.GetTier())
	}
}

// tierTooLate checks a call whose caller gave up before the tier was known: it
// stays counted under the tier it was served by, and gets the callback that its
// real tier earns.
func (c *checker) tierTooLate(e *Entry, now *pb.Call) {
	if now.GetTier() != e.tier {
		c.bad(RuleKept, e, "ended as %s before its tier was known; it is listed as %s", e.tier, now.GetTier())
	}
	if e.callback != "" {
		return
	}
	e.callback = now.GetCallbackId()
	deserved := slices.Contains(c.r.world.CallbackTiers, e.Tier) && e.wait >= c.r.world.ShortAbandon
	if e.callback != "" && !deserved {
		c.bad(RuleCallback, e, "a %v caller who waited %v earned %s when the tier was known", e.Tier, e.wait, e.callback)
	}
}

// places checks that of two calls, of which one was acknowledged before the
// other was first sent, the former has the lower place.
func (c *checker) places() {
	var known []*Entry
	for _, e := range c.order {
		// A hang-up that overtook its arrival took the place when it came.
		overtook := !e.gaveUp.IsZero() && e.gaveUp.Before(e.acked)
		if !e.acked.IsZero() && e.sequence != 0 && !overtook {
			known = append(known, e)
		}
	}
	slices.SortFunc(known, func(a, b *Entry) int { return cmp.Compare(a.sequence, b.sequence) })
	// From the last place to the first: the earliest answer to any later place.
	var earliest *Entry
	for _, e := range slices.Backward(known) {
		if earliest != nil && earliest.sequence == e.sequence {
			c.bad(RulePlace, e, "has place %d, and so has %s", e.sequence, earliest.ID)
		}
		if earliest != nil && earliest.acked.Before(e.sent) {
			c.bad(RulePlace, e, "has place %d before %s, %d, which was acknowledged %v before this was sent",
				e.sequence, earliest.ID, earliest.sequence, e.sent.Sub(earliest.acked))
		}
		if earliest == nil || e.acked.Before(earliest.acked) {
			earliest = e
		}
	}
}

// promises checks that every callback of an answer is there.
func (c *checker) promises() {
	for _, e := range c.order {
		if e.callback == "" {
			continue
		}
		cb := c.fin.Callbacks[e.callback]
		switch {
		case cb == nil:
			c.bad(RuleCallback, e, "earned %s, which is not listed", e.callback)
		case cb.GetCallId() != e.ID || cb.GetCaller() != e.Caller || cb.GetQueue() != e.queue:
			c.bad(RuleCallback, e, "earned %s for %s in %s; it is listed for call %s, %s in %s",
				e.callback, e.Caller, e.queue, cb.GetCallId(), cb.GetCaller(), cb.GetQueue())
		}
	}
	open := make(map[promiseKey]string)
	for id, cb := range c.fin.Callbacks {
		if cb.GetState() >= pb.CallbackState_CALLBACK_STATE_DONE {
			continue
		}
		k := promiseKey{cb.GetCaller(), cb.GetQueue()}
		if other := open[k]; other != "" {
			c.faults.add(RuleCallback, "", 0, "%s and %s are open for the same caller and queue", id, other)
		}
		open[k] = id
	}
	for id, state := range c.ended {
		if cb := c.fin.Callbacks[id]; cb.GetState() != state {
			c.faults.add(RuleCallback, "", 0, "%s was acknowledged as %v; it is listed as %v", id, state, cb.GetState())
		}
	}
}
