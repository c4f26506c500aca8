package load

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"greenlane/internal/load/audit"
	pb "greenlane/proto/greenlane/v1"
)

// agent is one person with a phone.
type agent struct {
	run    *Run
	id     string
	serves []audit.Service
	phone  phone
	desk   *desk
	signIn *pb.SignInRequest // nil when the phone signs in by itself
	chance *rand.Rand
	freed  time.Time // since when the agent is free, after a call or a break; zero when it is not so
	wrapUp time.Duration
}

// work takes calls until the shift ends, and brings the last one to its end.
func (a *agent) work(ctx, shift context.Context) {
	err := a.comeIn(shift)
	a.run.ready.Done()
	if err != nil {
		a.run.unwanted(shift, "", "SignIn", err)
		return
	}
	for {
		h, state, err := a.phone.next(shift)
		switch {
		case h != nil:
			a.serve(ctx, shift, h)
		case shift.Err() != nil:
			return
		case err != nil:
			a.run.unwanted(ctx, "", "NextCall", err)
			return
		case state.GetReason() == "lost":
			// Ready again by itself, as soon as the daemon sees the phone.
		default:
			a.comeBack(shift, a.run.opt.Manners.Recover)
		}
	}
}

// comeIn signs the agent in, or waits until the phone has.
func (a *agent) comeIn(shift context.Context) error {
	if p, ok := a.phone.(*sessionPhone); ok {
		select {
		case <-p.welcomed:
			return p.refused
		case <-shift.Done():
			return shift.Err()
		}
	}
	return a.desk.signIn(shift, a.signIn)
}

// comeBack makes the agent ready again after a while.
func (a *agent) comeBack(shift context.Context, after time.Duration) {
	if !a.run.clock.sleep(shift, after) {
		return
	}
	if err := a.phone.setState(shift, pb.AgentState_AGENT_STATE_READY, ""); err != nil {
		a.run.unwanted(shift, "", "SetState", err)
	}
	a.freed = time.Now()
}

// serve does with one offer what the agent's manners say.
func (a *agent) serve(ctx, shift context.Context, h *held) {
	m := &a.run.opt.Manners
	a.run.ledger.Offered(h.Offer)
	a.run.figures.offered(a, h)
	a.freed = time.Time{}
	reaction := time.Duration(float64(m.Reaction) * (0.3 + 0.7*a.chance.ExpFloat64()))
	what := a.chance.Float64()
	if what < m.Ignore {
		// The daemon takes the offer back and makes the agent not ready.
		select {
		case <-h.gone:
		case <-time.After(a.run.ignoreFor(h)):
		case <-shift.Done():
		}
		return
	}
	if !a.react(ctx, h, reaction) {
		return
	}
	if what < m.Ignore+m.Decline {
		if err := a.phone.decline(ctx, h); err != nil && status.Code(err) != codes.FailedPrecondition {
			a.run.unwanted(ctx, h.GetCall().GetCallId(), "Decline", err)
		}
		return
	}
	a.take(ctx, h)
	if m := &a.run.opt.Manners; a.chance.Float64() < m.Break {
		a.rest(shift)
	}
}

// react lets the agent's reaction time pass. It returns false when the offer is
// gone by then and the agent saw it.
func (a *agent) react(ctx context.Context, h *held, reaction time.Duration) bool {
	t := time.NewTimer(a.run.clock.real(reaction))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-h.gone:
		return a.chance.Float64() < a.run.opt.Manners.Hurried
	case <-ctx.Done():
		return false
	}
}

// take accepts an offer, and works on what it brings.
func (a *agent) take(ctx context.Context, h *held) {
	asked := time.Now()
	c, cb, err := a.phone.accept(ctx, h)
	switch {
	case status.Code(err) == codes.FailedPrecondition:
		a.run.figures.tooLate()
		return // Expired, or rescinded: another was first.
	case err != nil:
		a.run.unwanted(ctx, h.GetCall().GetCallId(), "Accept", err)
		return
	case cb != nil:
		a.callBack(ctx, cb)
	default:
		now := time.Now()
		a.run.ledger.Accepted(c, a.id, h.GetOfferId(), asked, now)
		a.run.figures.answered(c)
		a.talk(ctx, c)
	}
	a.freed = time.Now()
}

// talk lasts as long as the caller wants, and ends by the one or the other.
func (a *agent) talk(ctx context.Context, got *pb.Call) {
	c := a.run.callerOf(got.GetCallId())
	if c == nil {
		return // The caller hung up in this moment.
	}
	c.setAnswered()
	if c.bySwitch {
		select {
		case <-c.over:
		case <-ctx.Done():
		}
		return
	}
	if !a.run.talkFor(ctx, c.drawn.Service, c.over) {
		return
	}
	done, err := a.phone.complete(ctx, got.GetCallId())
	if err != nil {
		a.run.unwanted(ctx, got.GetCallId(), "Complete", err)
		return
	}
	a.run.ledger.Ended(done)
	c.setOver()
}

// talkFor lets a conversation pass. It returns false when it was over before.
func (r *Run) talkFor(ctx context.Context, service time.Duration, over <-chan struct{}) bool {
	t := time.NewTimer(r.clock.real(service))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.closing:
		return true
	case <-over:
		return false
	case <-ctx.Done():
		return false
	}
}

// onBreak is why a resting agent is not ready.
const onBreak = "break"

// rest takes a break.
func (a *agent) rest(shift context.Context) {
	if err := a.phone.setState(shift, pb.AgentState_AGENT_STATE_NOT_READY, onBreak); err != nil {
		a.run.unwanted(shift, "", "SetState", err)
		return
	}
	a.comeBack(shift, a.run.opt.Manners.BreakFor)
}

// outcomes are what comes of an attempt to call back, with their chances.
var outcomes = []struct {
	result pb.CallbackResult
	chance float64
}{
	{pb.CallbackResult_CALLBACK_RESULT_REACHED, 0.70},
	{pb.CallbackResult_CALLBACK_RESULT_NO_ANSWER, 0.20},
	{pb.CallbackResult_CALLBACK_RESULT_BUSY, 0.08},
	{pb.CallbackResult_CALLBACK_RESULT_REFUSED, 1},
}

// callBack works on a callback and reports what came of it.
func (a *agent) callBack(ctx context.Context, cb *pb.Callback) {
	if !a.run.talkFor(ctx, a.run.opt.Manners.Callback, nil) {
		return
	}
	u, result := a.chance.Float64(), pb.CallbackResult_CALLBACK_RESULT_REACHED
	for _, o := range outcomes {
		if result = o.result; u < o.chance {
			break
		}
		u -= o.chance
	}
	id := cb.GetCallbackId()
	res, err := call(ctx, &a.run.retries, a.run.callbacks.Report, &pb.CallbackServiceReportRequest{
		RequestId: a.desk.request("report"), Site: a.run.opt.Site, CallbackId: id, Claimant: a.id, Result: result,
	})
	if status.Code(err) == codes.FailedPrecondition {
		return // The claim ran out, or the deadline passed; the log says whether rightly.
	}
	if err != nil {
		a.run.unwanted(ctx, "", "Report", err)
		return
	}
	a.run.ledger.Reported(res.GetCallback())
}
