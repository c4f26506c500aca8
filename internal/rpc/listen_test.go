package rpc_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

// listener is a softphone that can only hear.
type listener struct {
	t      *testing.T
	stream grpc.ServerStreamingClient[pb.ListenResponse]
	cancel context.CancelFunc
}

func (r *rig) listen(req *pb.ListenRequest) *listener {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.ctx())
	r.t.Cleanup(cancel)
	return &listener{r.t, must(r.agent.Listen(ctx, req))(r.t), cancel}
}

func (l *listener) wait(what string, wanted func(*pb.SessionResponse) bool) *pb.SessionResponse {
	l.t.Helper()
	return recvUntil(l.t, what, l.stream.Recv, func(m *pb.ListenResponse) bool { return wanted(m.GetMessage()) }).GetMessage()
}

func (l *listener) offer() *pb.Offer {
	l.t.Helper()
	return l.wait("an offer", func(m *pb.SessionResponse) bool { return m.GetOffer() != nil }).GetOffer()
}

func listenAs(agent string) *pb.ListenRequest {
	return &pb.ListenRequest{AgentId: agent, SignIn: &pb.SignInRequest{Queues: []*pb.AgentQueue{{Queue: "default"}}}}
}

func TestListenPushesOffersAndRescinds(t *testing.T) {
	r := newRig(t)
	l := r.listen(listenAs("a"))
	first := must(recvOne(l.stream.Recv))(t).GetMessage()
	if a := first.GetWelcome().GetAgent(); a.GetState() != pb.AgentState_AGENT_STATE_READY || !a.GetAvailable() {
		t.Fatalf("the first message is %v", first)
	}
	if d := time.Since(first.GetWelcome().GetNow().AsTime()); d < 0 || d > time.Minute {
		t.Errorf("the daemon's clock differs by %v", d)
	}
	r.arrive("c1", "13800138000")
	offer := l.offer()
	must(r.agent.Acknowledge(r.ctx(), &pb.AcknowledgeRequest{AgentId: "a", OfferId: offer.GetOfferId()}))(t)
	r.until("the acknowledgement", func(e *queue.Event) bool { return e.Type == queue.EventOfferAcknowledged })
	must(r.tier.Set(r.ctx(), &pb.TierServiceSetRequest{Caller: "13800138009", Tier: pb.Tier_TIER_VIP}))(t)
	r.arrive("vip", "13800138009")
	rescind := l.wait("the rescind", func(m *pb.SessionResponse) bool { return m.GetRescind() != nil }).GetRescind()
	if rescind.GetOfferId() != offer.GetOfferId() || rescind.GetReason() != queue.EndedPreempted {
		t.Errorf("%v", rescind)
	}
	_, err := r.agent.Acknowledge(r.ctx(), &pb.AcknowledgeRequest{AgentId: "a", OfferId: offer.GetOfferId()})
	wantCode(t, err, codes.FailedPrecondition, "")
	vip := l.offer()
	must(r.agent.Accept(r.ctx(), &pb.AcceptRequest{AgentId: "a", OfferId: vip.GetOfferId()}))(t)
	must(r.agent.SetState(r.ctx(), &pb.SetStateRequest{AgentId: "a", State: pb.AgentState_AGENT_STATE_NOT_READY}))(t)
	l.wait("that the agent will not be ready", func(m *pb.SessionResponse) bool { return m.GetAgent().GetNotReadyAfter() })
	must(r.agent.SetState(r.ctx(), &pb.SetStateRequest{AgentId: "a", State: pb.AgentState_AGENT_STATE_READY}))(t)
	l.wait("that the agent will be", func(m *pb.SessionResponse) bool { return m.GetAgent() != nil && !m.GetAgent().GetNotReadyAfter() })
	must(r.agent.Complete(r.ctx(), &pb.CompleteRequest{AgentId: "a", CallId: "vip"}))(t)
	ended := l.wait("the end", func(m *pb.SessionResponse) bool { return m.GetCallEnded() != nil }).GetCallEnded()
	if ended.GetCall().GetCallId() != "vip" || ended.GetCall().GetReason() != queue.ReasonAgentCompleted {
		t.Errorf("%v", ended)
	}
}

func TestListenThatBreaksGivesTheOfferBackAtOnce(t *testing.T) {
	r := newRig(t)
	l := r.listen(listenAs("a"))
	r.arrive("c1", "13800138000")
	offer := l.offer()
	l.cancel()
	back := r.until("the call to come back", func(e *queue.Event) bool { return e.Type == queue.EventOfferReturned })
	if back.Reason != queue.EndedUndelivered {
		t.Errorf("%+v", back)
	}
	again := r.listen(&pb.ListenRequest{AgentId: "a"})
	if next := again.offer(); next.GetCall().GetCallId() != "c1" || next.GetEpoch() <= offer.GetEpoch() {
		t.Errorf("after the return: %v", next)
	}
}

func TestListenAndSessionTakeEachOtherOver(t *testing.T) {
	r := newRig(t)
	l := r.listen(listenAs("a"))
	l.wait("the welcome", func(m *pb.SessionResponse) bool { return m.GetWelcome() != nil })
	s, _ := r.session(&pb.SessionHello{AgentId: "a"})
	if err := recvEnd(t, l.stream.Recv); codeOf(err) != codes.Aborted || reasonOf(err) != "SESSION_TAKEN_OVER" {
		t.Errorf("the listener ended with %v", err)
	}
	r.listen(&pb.ListenRequest{AgentId: "a"})
	if err := s.end(); codeOf(err) != codes.Aborted {
		t.Errorf("the session ended with %v", err)
	}
}

func TestListenRefusesByItsOwnFieldNames(t *testing.T) {
	r := newRig(t)
	for field, req := range map[string]*pb.ListenRequest{
		"site":             {Site: "a b", AgentId: "a"},
		"agent_id":         {},
		"sign_in.agent_id": {AgentId: "a", SignIn: &pb.SignInRequest{AgentId: "b"}},
		"queues":           {AgentId: "a", SignIn: &pb.SignInRequest{}},
	} {
		wantCode(t, recvEnd(t, r.listen(req).stream.Recv), codes.InvalidArgument, field)
	}
	wantCode(t, recvEnd(t, r.listen(&pb.ListenRequest{AgentId: "nobody"}).stream.Recv), codes.NotFound, "")
	_, err := r.agent.Acknowledge(r.ctx(), &pb.AcknowledgeRequest{AgentId: "a", OfferId: "o-77"})
	wantCode(t, err, codes.NotFound, "")
}

func TestGetCohorts(t *testing.T) {
	r := newRig(t, noShortAbandon)
	l := r.listen(listenAs("a"))
	r.arrive("c1", "13800138000")
	offer := l.offer()
	must(r.agent.Accept(r.ctx(), &pb.AcceptRequest{AgentId: "a", OfferId: offer.GetOfferId()}))(t)
	r.arrive("c2", "13800138001")
	must(r.sw.CallAbandoned(r.ctx(), &pb.CallAbandonedRequest{SwitchId: "sw", CallId: "c2"}))(t)
	res := must(r.sup.GetCohorts(r.ctx(), &pb.GetCohortsRequest{Queue: "default"}))(t)
	var answered, abandoned int32
	for _, k := range res.GetCohorts() { // two, when an interval ended meanwhile
		if k.GetQueue() != "default" || k.GetTier() != pb.Tier_TIER_ORDINARY {
			t.Errorf("%v", k)
		}
		answered += k.GetCounts().GetAnsweredInTime()
		abandoned += k.GetCounts().GetAbandoned()
	}
	if answered != 1 || abandoned != 1 || res.GetInterval().AsDuration() != 5*time.Minute || res.GetFormula() == "" {
		t.Errorf("%v", res)
	}
	if res := must(r.sup.GetCohorts(r.ctx(), &pb.GetCohortsRequest{Queue: "billing"}))(t); len(res.GetCohorts()) != 0 {
		t.Errorf("another queue: %v", res)
	}
	_, err := r.sup.GetCohorts(r.ctx(), &pb.GetCohortsRequest{From: timestamppb.New(time.Now().Add(-8 * 24 * time.Hour))})
	wantCode(t, err, codes.InvalidArgument, "to")
	_, err = r.sup.GetCohorts(r.ctx(), &pb.GetCohortsRequest{Queue: "nowhere"})
	wantCode(t, err, codes.NotFound, "")
}

func TestListsOfOneCaller(t *testing.T) {
	r := newRig(t, noShortAbandon)
	must(r.tier.Set(r.ctx(), &pb.TierServiceSetRequest{Caller: "13800138001", Tier: pb.Tier_TIER_MID}))(t)
	r.arrive("c1", "13800138000")
	r.arrive("c2", "13800138001")
	must(r.sw.CallAbandoned(r.ctx(), &pb.CallAbandonedRequest{SwitchId: "sw", CallId: "c2"}))(t)
	ended := []pb.CallState{pb.CallState_CALL_STATE_ABANDONED}
	calls := must(r.sup.ListCalls(r.ctx(), &pb.ListCallsRequest{Caller: "138 0013 8001", States: ended, MaskCallers: true}))(t).GetCalls()
	if len(calls) != 1 || calls[0].GetCallId() != "c2" || calls[0].GetCaller() != "+86*******8001" {
		t.Errorf("%v", calls)
	}
	if calls := must(r.sup.ListCalls(r.ctx(), &pb.ListCallsRequest{Caller: "13800138001"}))(t).GetCalls(); len(calls) != 0 {
		t.Errorf("live ones: %v", calls)
	}
	backs := must(r.back.List(r.ctx(), &pb.CallbackServiceListRequest{Caller: "+8613800138001"}))(t).GetCallbacks()
	if len(backs) != 1 || backs[0].GetCallId() != "c2" {
		t.Errorf("%v", backs)
	}
	if backs := must(r.back.List(r.ctx(), &pb.CallbackServiceListRequest{Caller: "13800138000"}))(t).GetCallbacks(); len(backs) != 0 {
		t.Errorf("%v", backs)
	}
	explained := must(r.sup.Explain(r.ctx(), &pb.ExplainRequest{CallId: "c2", MaskCallers: true}))(t)
	if explained.GetCall().GetCaller() != "+86*******8001" || !slices.ContainsFunc(explained.GetReasons(), func(s string) bool { return s != "" }) {
		t.Errorf("%v", explained)
	}
	_, err := r.sup.ListCalls(r.ctx(), &pb.ListCallsRequest{Caller: "not a number"})
	wantCode(t, err, codes.InvalidArgument, "caller")
}
