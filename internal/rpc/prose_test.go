package rpc_test

import (
	"strings"
	"testing"
	"time"

	pb "greenlane/proto/greenlane/v1"
)

// Events are kept in clear and are never erased: no reason that a person gives may
// bring a number into one.
func TestReasonsBringNoNumberIntoEvents(t *testing.T) {
	const digits = "3700137"
	r := newRig(t)
	r.signIn("a")
	r.arrive("c1", "13800138000")
	offer := r.next("a", time.Minute)
	must(r.agent.Decline(r.ctx(), &pb.DeclineRequest{AgentId: "a", OfferId: offer.GetOfferId(), Reason: "knows 137 0013 7002"}))(t)
	agent := must(r.agent.SetState(r.ctx(), &pb.SetStateRequest{
		AgentId: "a", State: pb.AgentState_AGENT_STATE_NOT_READY, Reason: "calling 13700137002",
	}))(t).GetAgent()
	if agent.GetReason() != "calling ***********" {
		t.Errorf("the agent is not ready for %q", agent.GetReason())
	}
	made := must(r.back.Create(r.ctx(), &pb.CallbackServiceCreateRequest{Caller: "13800138001", Queue: "default"}))(t)
	gone := must(r.back.Cancel(r.ctx(), &pb.CallbackServiceCancelRequest{
		CallbackId: made.GetCallback().GetCallbackId(), Reason: "now reached at +8613700137002",
	}))(t).GetCallback()
	if gone.GetEndReason() != "now reached at +*************" {
		t.Errorf("the callback ended for %q", gone.GetEndReason())
	}

	// Over a stream, too.
	r.signIn("b")
	stream := must(r.agent.Session(r.ctx()))(t)
	send := func(m *pb.SessionRequest) {
		t.Helper()
		if err := stream.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	send(&pb.SessionRequest{Message: &pb.SessionRequest_Hello{Hello: &pb.SessionHello{AgentId: "b"}}})
	send(&pb.SessionRequest{Message: &pb.SessionRequest_SetState{SetState: &pb.SetStateRequest{
		RequestId: "r", State: pb.AgentState_AGENT_STATE_NOT_READY, Reason: "(137) 0013-7002 again",
	}}})
	recvUntil(t, "the result", stream.Recv, func(m *pb.SessionResponse) bool { return m.GetResult().GetRequestId() == "r" })

	reasons := 0
	events := must(r.engine.Events(r.ctx(), 0, 1000))(t)
	for i := range events {
		plain := strings.NewReplacer(" ", "", "-", "", "(", "", ")", "").Replace(events[i].Reason + events[i].Why)
		if strings.Contains(plain, digits) {
			t.Errorf("%v has the reason %q", events[i].Type, events[i].Reason)
		}
		if strings.Contains(plain, "*****") {
			reasons++
		}
	}
	if reasons < 3 {
		t.Errorf("%d of the events have a reason that was given, want 3 and more", reasons)
	}
}
