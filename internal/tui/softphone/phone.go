package softphone

import (
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/tui"
	pb "greenlane/proto/greenlane/v1"
)

// Link is how the softphone's session with the daemon stands.
type Link uint8

// The states of a link.
const (
	Opening Link = iota // not yet, or again
	Open
	Lost  // it broke, and is opened again by itself
	Taken // another softphone has the agent; it is opened again only when asked
	Out   // the agent is signed out; Phone.Why says why, if it was not asked for
)

// What the line tells, besides the daemon's own messages (*pb.SessionResponse).
type (
	// opening says that the session is being opened.
	opening struct{}
	// lost says that the session broke, and when it will be tried again.
	lost struct {
		err error
		in  time.Duration
	}
	// ended says that the session is over, and is not opened by itself: taken over by
	// another softphone, or the agent is not signed in.
	ended struct {
		err   error
		taken bool
	}
	// done is the answer to a command.
	done struct {
		cmd *command
		*pb.SessionResult
		err error
	}
)

// notice is something that just happened and is worth a line.
type notice struct {
	text  string
	ink   tui.Ink
	until time.Time
}

// How long notices stay.
const (
	briefly = 4 * time.Second
	longer  = 10 * time.Second
)

// past is one call, callback or offer that the agent had.
type past struct {
	at       time.Time
	tier     pb.Tier
	caller   string
	queue    string
	callback bool
	waited   time.Duration // of the caller, until the answer
	talked   time.Duration
	what     string // how it ended; empty while it goes on
	id       string // the call's or callback's
}

// keptPast is how many of them are kept.
const keptPast = 200

// Phone is what an agent's softphone knows. Its methods take what happens, with
// the daemon's instant of it.
type Phone struct {
	site, id string
	link     Link
	why      error
	retryAt  time.Time // by the daemon's clock
	since    time.Time // when the link was lost
	agent    *pb.Agent // as the daemon said last; nil before it said anything
	offer    *pb.Offer // live, and the agent's
	// doubted is the offer that was live when the link broke: whose it is now, only
	// the daemon knows.
	doubted *pb.Offer
	// gone is an offer that is the agent's no longer, as long as it is not clear why.
	gone      *pb.Offer
	call      *pb.Call     // talked on; nil when only its id is known
	callback  *pb.Callback // worked on
	busy      *command     // sent, and not answered yet
	notice    notice
	past      []past // latest last
	answered  int    // calls and callbacks
	declined  int
	missed    int  // offers that ran out
	signedOut bool // as asked
}

// hear takes what the line tells. clock learns from it.
func (p *Phone) hear(msg any, clock *tui.Clock) {
	if m, ok := msg.(*pb.SessionResponse); ok {
		p.said(m, clock)
		return
	}
	now := clock.Now()
	switch m := msg.(type) {
	case opening:
		if p.link != Lost { // a try that may fail as those before did
			p.link = Opening
		}
	case lost:
		p.unsure(now)
		p.link, p.why, p.retryAt = Lost, m.err, now.Add(m.in)
	case ended:
		p.unsure(now)
		if o := p.doubted; o != nil {
			p.doubted = nil
			p.lose(o, "agent_lost", now)
		}
		p.link, p.why, p.busy = Out, m.err, nil
		if m.taken {
			p.link = Taken
		}
	case done:
		p.result(m, now)
	}
}

// unsure takes the offer off the screen: without the session nothing tells whose it
// is by now.
func (p *Phone) unsure(now time.Time) {
	if p.link == Open {
		p.since = now
	}
	if p.offer != nil {
		p.doubted, p.offer = p.offer, nil
	}
}

// said takes one message of the session.
func (p *Phone) said(res *pb.SessionResponse, clock *tui.Clock) {
	switch m := res.GetMessage().(type) {
	case *pb.SessionResponse_Welcome:
		clock.Reset(m.Welcome.GetNow().AsTime())
		p.welcome(m.Welcome.GetAgent(), clock.Now())
	case *pb.SessionResponse_Offer:
		clock.Learn(m.Offer.GetOfferedAt().AsTime())
		p.doubted = nil
		p.offer = m.Offer
	case *pb.SessionResponse_Rescind:
		p.rescinded(m.Rescind, clock.Now())
	case *pb.SessionResponse_Agent:
		p.see(m.Agent)
	case *pb.SessionResponse_CallEnded:
		p.callEnded(m.CallEnded.GetCall(), clock.Now())
	}
}

// welcome begins a session anew. An offer from before is back on the screen only
// when the daemon says that the agent has it.
func (p *Phone) welcome(a *pb.Agent, now time.Time) {
	back, o := p.link == Lost, p.doubted
	p.link, p.why, p.doubted = Open, nil, nil
	switch {
	case o == nil && back:
		p.tell(now, tui.Good, briefly, "Connected again after %s", tui.Span(now.Sub(p.since)))
	case o == nil:
	case has(a, o) || talksOn(a, o):
		p.offer = o // or accepted, which see finds
	default:
		p.lose(o, "agent_lost", now)
		p.gone = o // the events to come may know better
	}
	p.see(a)
}

// has reports whether the offer is the agent's, live; talksOn whether it was
// accepted.
func has(a *pb.Agent, o *pb.Offer) bool {
	return a.GetState() == pb.AgentState_AGENT_STATE_OFFERED && a.GetOfferId() == o.GetOfferId()
}

func talksOn(a *pb.Agent, o *pb.Offer) bool {
	return a.GetState() == pb.AgentState_AGENT_STATE_TALKING && a.GetCallId() == o.GetCall().GetCallId() && a.GetCallbackId() == o.GetCallback().GetCallbackId()
}

// rescinded takes an offer off the screen and says why.
func (p *Phone) rescinded(r *pb.OfferRescinded, now time.Time) {
	switch id := r.GetOfferId(); {
	case p.offer != nil && p.offer.GetOfferId() == id:
		o := p.offer
		p.offer = nil
		p.lose(o, r.GetReason(), now)
	case p.gone != nil && p.gone.GetOfferId() == id:
		o := p.gone
		p.gone = nil
		if e := p.lastOf(id); e != nil {
			e.what = reasonWord(r.GetReason())
			p.withdrawn(r.GetReason(), now)
			return
		}
		p.lose(o, r.GetReason(), now)
	}
}

// lose notes an offer that ended without an answer.
func (p *Phone) lose(o *pb.Offer, reason string, now time.Time) {
	e := entryOf(o)
	e.at, e.what, e.id = now, reasonWord(reason), o.GetOfferId()
	p.keep(e)
	if reason == "expired" {
		p.missed++
	}
	p.withdrawn(reason, now)
}

func (p *Phone) withdrawn(reason string, now time.Time) {
	if reason != "declined" { // which the agent knows
		p.tell(now, tui.Soon, longer, "Offer withdrawn: %s", reasonWord(reason))
	}
}

// see takes over what the daemon says of the agent: it alone knows.
func (p *Phone) see(a *pb.Agent) {
	p.agent = a
	if o := p.offer; o != nil && !has(a, o) {
		p.offer, p.gone = nil, o
		if talksOn(a, o) { // the answer to the accept is on its way
			p.call, p.callback, p.gone = o.GetCall(), o.GetCallback(), nil
		}
	}
	talks := p.talking()
	if p.call != nil && (!talks || p.call.GetCallId() != a.GetCallId()) {
		p.call = nil
	}
	if p.callback != nil && (!talks || p.callback.GetCallbackId() != a.GetCallbackId()) {
		p.callback = nil
	}
}

func (p *Phone) callEnded(c *pb.Call, now time.Time) {
	if e := p.lastOf(c.GetCallId()); e != nil && e.what == "" {
		e.what = endWord(c.GetReason())
		e.talked = c.GetEndedAt().AsTime().Sub(c.GetAnsweredAt().AsTime())
	}
	if c.GetReason() != "agent_completed" {
		p.tell(now, tui.Soon, longer, "The call is over: %s", endWord(c.GetReason()))
	}
	if p.call.GetCallId() == c.GetCallId() {
		p.call = nil
	}
}

// tell shows a notice for a while.
func (p *Phone) tell(now time.Time, ink tui.Ink, stay time.Duration, format string, args ...any) {
	p.notice = notice{text: fmt.Sprintf(format, args...), ink: ink, until: now.Add(stay)}
}

// result takes the answer to a command.
func (p *Phone) result(d done, now time.Time) {
	if p.busy == d.cmd {
		p.busy = nil
	}
	if d.err != nil {
		p.failed(d, now)
		return
	}
	switch d.cmd.kind {
	case accept:
		p.accepted(d, now)
	case decline:
		p.declined++
		if p.offer.GetOfferId() == d.cmd.offer {
			p.offer, p.gone = nil, p.offer
		}
	case report:
		p.reported(d.GetCallback(), d.cmd, now)
	case signOut:
		p.link, p.signedOut = Out, true
	}
	// What else it means for the agent, the session says.
}

// accepted puts what was accepted on the desk.
func (p *Phone) accepted(d done, now time.Time) {
	p.answered++
	p.notice = notice{} // of what was before
	e := past{at: now}
	switch c, cb := d.GetCall(), d.GetCallback(); {
	case c != nil:
		e.id, e.tier, e.caller, e.queue, e.waited = c.GetCallId(), c.GetTier(), c.GetCaller(), c.GetQueue(), c.GetWait().AsDuration()
	case cb != nil:
		e.id, e.tier, e.caller, e.queue, e.callback = cb.GetCallbackId(), cb.GetTier(), cb.GetCaller(), cb.GetQueue(), true
	}
	p.keep(e)
	if p.offer.GetOfferId() == d.cmd.offer {
		// The daemon is about to say that the agent talks.
		p.offer = nil
		p.agent = &pb.Agent{
			AgentId: p.id, Queues: p.agent.GetQueues(), State: pb.AgentState_AGENT_STATE_TALKING,
			CallId: d.GetCall().GetCallId(), CallbackId: d.GetCallback().GetCallbackId(), Since: timestamppb.New(now),
		}
	}
	if p.talking() && p.agent.GetCallId() == d.GetCall().GetCallId() && p.agent.GetCallbackId() == d.GetCallback().GetCallbackId() {
		p.call, p.callback = d.GetCall(), d.GetCallback()
	}
}

func (p *Phone) reported(cb *pb.Callback, cmd *command, now time.Time) {
	if e := p.lastOf(cb.GetCallbackId()); e != nil {
		e.what, e.talked = resultWords[cmd.result], now.Sub(e.at)
	}
	switch cb.GetState() {
	case pb.CallbackState_CALLBACK_STATE_PENDING, pb.CallbackState_CALLBACK_STATE_DUE:
		p.tell(now, tui.Good, longer, "Noted. It will be tried again from %s", clockTime(cb.GetDueAt().AsTime(), now))
	case pb.CallbackState_CALLBACK_STATE_FAILED:
		p.tell(now, tui.Soon, longer, "Noted. That was the last attempt")
	default:
		p.tell(now, tui.Good, briefly, "Noted. Thank you")
	}
}

// failed says what the daemon refused, and puts right what the softphone believed.
func (p *Phone) failed(d done, now time.Time) {
	code := status.Code(d.err)
	if p.offer != nil && p.offer.GetOfferId() == d.cmd.offer &&
		(code == codes.FailedPrecondition || code == codes.NotFound) {
		// It is over. A rescind that says why is on its way.
		o := p.offer
		p.offer, p.gone = nil, o
		p.lose(o, "over", now)
	}
	p.tell(now, tui.Bad, longer, "That did not work: %s", message(d.err))
}

// expire takes an offer off the screen whose time is up: the daemon is taking it
// back. It reports whether there was one.
func (p *Phone) expire(now time.Time) bool {
	o := p.offer
	if o == nil || now.Before(o.GetExpiresAt().AsTime()) || p.busy != nil && p.busy.offer == o.GetOfferId() {
		return false
	}
	p.offer = nil
	p.lose(o, "expired", now)
	return true
}

func entryOf(o *pb.Offer) past {
	if c := o.GetCall(); c != nil {
		return past{tier: c.GetTier(), caller: c.GetCaller(), queue: c.GetQueue(), waited: c.GetWait().AsDuration()}
	}
	cb := o.GetCallback()
	return past{tier: cb.GetTier(), caller: cb.GetCaller(), queue: cb.GetQueue(), callback: true}
}

func (p *Phone) keep(e past) {
	p.past = append(p.past, e)
	if len(p.past) > keptPast {
		p.past = append(p.past[:0], p.past[1:]...)
	}
}

func (p *Phone) lastOf(id string) *past {
	for i := len(p.past) - 1; i >= 0; i-- {
		if p.past[i].id == id {
			return &p.past[i]
		}
	}
	return nil
}

// talking reports whether the agent has a call or a callback.
func (p *Phone) talking() bool { return p.agent.GetState() == pb.AgentState_AGENT_STATE_TALKING }
