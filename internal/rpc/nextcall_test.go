package rpc_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

type polled struct {
	res *pb.NextCallResponse
	err error
}

// poll calls NextCall in the background.
func (r *rig) poll(ctx context.Context, agent string, wait time.Duration) <-chan polled {
	ch := make(chan polled, 1)
	go func() {
		res, err := r.agent.NextCall(ctx, &pb.NextCallRequest{AgentId: agent, Wait: durationpb.New(wait)})
		ch <- polled{res, err}
	}()
	return ch
}

func TestNextCallReturnsTheLiveOfferAtOnce(t *testing.T) {
	r := newRig(t)
	r.signIn("a")
	r.arrive("c1", "13800138000")
	first := r.next("a", patience)
	again := r.next("a", patience)
	if first.GetOfferId() == "" || again.GetOfferId() != first.GetOfferId() {
		t.Errorf("%v, then %v", first.GetOfferId(), again.GetOfferId())
	}
}

func TestNextCallWithoutACallWaitsAndReturns(t *testing.T) {
	r := newRig(t)
	r.signIn("a")
	for _, wait := range []time.Duration{0, 20 * time.Millisecond} {
		began := time.Now()
		res := must(r.agent.NextCall(r.ctx(), &pb.NextCallRequest{AgentId: "a", Wait: durationpb.New(wait)}))(t)
		if res.GetOffer() != nil || res.GetAgent().GetState() != pb.AgentState_AGENT_STATE_READY {
			t.Errorf("%v", res)
		}
		if took := time.Since(began); took < wait {
			t.Errorf("returned after %v, before %v had passed", took, wait)
		}
	}
}

func TestNextCallIsHeldUntilTheAgentIsFree(t *testing.T) {
	r := newRig(t)
	r.signIn("a")
	must(r.agent.SetState(r.ctx(), &pb.SetStateRequest{AgentId: "a", State: pb.AgentState_AGENT_STATE_NOT_READY, Reason: "lunch"}))(t)
	r.arrive("c1", "13800138000")
	ch := r.poll(r.ctx(), "a", patience)
	r.attached("a")
	must(r.agent.SetState(r.ctx(), &pb.SetStateRequest{AgentId: "a", State: pb.AgentState_AGENT_STATE_READY}))(t)
	if p := <-ch; p.err != nil || p.res.GetOffer().GetCall().GetCallId() != "c1" {
		t.Errorf("%v, %v", p.res, p.err)
	}
}

func TestTheNewerPollWins(t *testing.T) {
	r := newRig(t)
	r.signIn("a")
	older := r.poll(r.ctx(), "a", patience)
	r.attached("a")
	newer := r.poll(r.ctx(), "a", patience)
	if p := <-older; p.err != nil || p.res.GetOffer() != nil {
		t.Errorf("the older poll got %v, %v", p.res, p.err)
	}
	r.arrive("c1", "13800138000")
	if p := <-newer; p.err != nil || p.res.GetOffer() == nil {
		t.Errorf("the newer poll got %v, %v", p.res, p.err)
	}
}

// TestAPollThatIsCancelledGivesItsOfferBack: nobody reads the answer, so the
// call must not wait for the offer to run out.
func TestAPollThatIsCancelledGivesItsOfferBack(t *testing.T) {
	r := newRig(t)
	r.signIn("a")
	ctx, cancel := context.WithCancel(r.ctx())
	ch := r.poll(ctx, "a", patience)
	r.attached("a")
	cancel()
	if p := <-ch; codeOf(p.err) != codes.Canceled {
		t.Fatal(p)
	}
	for { // the daemon hears of it a moment later
		a, _, err := r.engine.Agent(r.ctx(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if a.Presence == queue.Absent {
			break
		}
	}
	r.arrive("c1", "13800138000")
	if c := r.call("c1"); c.GetState() != pb.CallState_CALL_STATE_WAITING {
		t.Errorf("offered to an agent who is gone: %v", c)
	}
}

// TestAnOfferTakenBackBeforeItWasSeen: the poll is used up by the offer, and
// must make the agent available again.
func TestAnOfferTakenBackBeforeItWasSeen(t *testing.T) {
	r := newRig(t)
	r.signIn("a")
	ch := r.poll(r.ctx(), "a", patience)
	r.attached("a")
	done := make(chan error, 1)
	// Both are in the mailbox together, so that the poll looks after the second.
	go func() {
		_, err := r.engine.Do(r.ctx(), &queue.Arrive{Call: "c1", Switch: "sw", Queue: "default"})
		done <- err
	}()
	if _, err := r.engine.Do(r.ctx(), &queue.Abandon{Call: "c1", Switch: "sw"}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for r.presence("a") != queue.PresentPoll {
		select {
		case p := <-ch: // seen in time: the offer was live then
			if p.err != nil {
				t.Fatal(p.err)
			}
			ch = r.poll(r.ctx(), "a", patience)
		default:
		}
	}
	r.arrive("c2", "13800138000")
	if p := <-ch; p.err != nil || p.res.GetOffer().GetCall().GetCallId() != "c2" && p.res.GetOffer().GetCall().GetCallId() != "c1" {
		t.Errorf("%v, %v", p.res, p.err)
	}
}

func TestSigningOutEndsAPoll(t *testing.T) {
	r := newRig(t)
	r.signIn("a")
	ch := r.poll(r.ctx(), "a", patience)
	r.attached("a")
	must(r.agent.SignOut(r.ctx(), &pb.SignOutRequest{AgentId: "a"}))(t)
	if p := <-ch; p.err != nil || p.res.GetOffer() != nil || p.res.GetAgent().GetState() != pb.AgentState_AGENT_STATE_SIGNED_OUT {
		t.Errorf("%v, %v", p.res, p.err)
	}
}

func TestStoppingEndsPollsWithoutAnOffer(t *testing.T) {
	r := newRig(t)
	r.signIn("a")
	ch := r.poll(r.ctx(), "a", patience)
	r.attached("a")
	r.server.Drain()
	if p := <-ch; p.err != nil || p.res.GetOffer() != nil {
		t.Errorf("%v, %v", p.res, p.err)
	}
}

func TestADueCallbackIsOfferedLikeACall(t *testing.T) {
	r := newRig(t, noShortAbandon, func(s *queue.Site, _ *optsT) {
		s.Callback.Delay, s.Callback.WindowFrom, s.Callback.WindowTo = 0, 0, 24*time.Hour
	})
	cb := must(r.back.Create(r.ctx(), &pb.CallbackServiceCreateRequest{Caller: "13800138001", Note: "asked for it"}))(t).GetCallback()
	r.until("the callback to be due", func(e *queue.Event) bool { return e.Type == queue.EventCallbackDue })
	r.signIn("a")
	offer := r.next("a", patience)
	if offer.GetCallback().GetCallbackId() != cb.GetCallbackId() || offer.GetCall() != nil {
		t.Fatalf("%v", offer)
	}
	res := must(r.agent.Accept(r.ctx(), &pb.AcceptRequest{AgentId: "a", OfferId: offer.GetOfferId()}))(t)
	if res.GetCallback().GetState() != pb.CallbackState_CALLBACK_STATE_CLAIMED || res.GetCallback().GetClaimedBy() != "a" {
		t.Errorf("%v", res)
	}
	done := must(r.back.Report(r.ctx(), &pb.CallbackServiceReportRequest{
		CallbackId: cb.GetCallbackId(), Claimant: "a", Result: pb.CallbackResult_CALLBACK_RESULT_REACHED, Note: "all well",
	}))(t).GetCallback()
	if done.GetState() != pb.CallbackState_CALLBACK_STATE_DONE || done.GetEndReason() != "reached" || done.GetNote() != "all well" {
		t.Errorf("%v", done)
	}
}
