package rpc_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

func TestEraseCaller(t *testing.T) {
	r := newRig(t, noShortAbandon)
	must(r.tier.Set(r.ctx(), &pb.TierServiceSetRequest{Caller: "13800138001", Tier: pb.Tier_TIER_MID}))(t)
	r.arrive("c1", "13800138001")
	must(r.sw.CallAbandoned(r.ctx(), &pb.CallAbandonedRequest{SwitchId: "sw", CallId: "c1"}))(t)
	r.arrive("c2", "13800138001")
	before := must(r.sup.GetSnapshot(r.ctx(), &pb.GetSnapshotRequest{}))(t).GetQueues()[0].GetTiers()
	req := &pb.EraseCallerRequest{RequestId: "e1", Caller: "138 0013 8001"}
	res := must(r.sup.EraseCaller(r.ctx(), req))(t)
	if want := (&pb.EraseCallerResponse{Calls: 1, Callbacks: 1, Tier: true, Live: 1}); !proto.Equal(res, want) {
		t.Errorf("%v, want %v", res, want)
	}
	again := must(r.sup.EraseCaller(r.ctx(), req))(t)
	if again.GetCalls() != 1 || again.GetLive() != 1 {
		t.Errorf("the repeated request is answered %v", again)
	}
	must(r.sw.CallAbandoned(r.ctx(), &pb.CallAbandonedRequest{SwitchId: "sw", CallId: "c2"}))(t)
	res = must(r.sup.EraseCaller(r.ctx(), &pb.EraseCallerRequest{Caller: "13800138001"}))(t)
	if res.GetCalls() != 1 || res.GetLive() != 0 || res.GetTier() {
		t.Errorf("%v", res)
	}
	if known := must(r.tier.Lookup(r.ctx(), &pb.TierServiceLookupRequest{Caller: "13800138001"}))(t).GetKnown(); known {
		t.Error("the directory knows the caller still")
	}
	ended := []pb.CallState{pb.CallState_CALL_STATE_ABANDONED}
	if calls := must(r.sup.ListCalls(r.ctx(), &pb.ListCallsRequest{Caller: "13800138001", States: ended}))(t).GetCalls(); len(calls) != 0 {
		t.Errorf("%v", calls)
	}
	if backs := must(r.back.List(r.ctx(), &pb.CallbackServiceListRequest{Caller: "13800138001"}))(t).GetCallbacks(); len(backs) != 0 {
		t.Errorf("%v", backs)
	}
	after := must(r.sup.GetSnapshot(r.ctx(), &pb.GetSnapshotRequest{}))(t).GetQueues()[0].GetTiers()
	if !slices.EqualFunc(before, after, func(a, b *pb.TierSnapshot) bool { return a.GetTotals().GetJoined() == b.GetTotals().GetJoined() }) {
		t.Errorf("the counts changed: %v, then %v", before, after)
	}
	r.until("the callback's end", func(e *queue.Event) bool {
		return e.Type == queue.EventCallbackCancelled && e.Reason == queue.ReasonErased
	})
	for field, wrong := range map[string]*pb.EraseCallerRequest{"caller": {Caller: ""}, "site": {Caller: "13800138001", Site: "a b"}} {
		_, err := r.sup.EraseCaller(r.ctx(), wrong)
		wantCode(t, err, codes.InvalidArgument, field)
	}
}

// TestAnErrorQuotesNoNumber: a client may put a number where an id belongs.
func TestAnErrorQuotesNoNumber(t *testing.T) {
	r := newRig(t)
	const number = "+8613912345678"
	for what, err := range map[string]error{
		"call":     second(r.sup.Explain(r.ctx(), &pb.ExplainRequest{CallId: number})),
		"agent":    second(r.agent.SetState(r.ctx(), &pb.SetStateRequest{AgentId: number, State: pb.AgentState_AGENT_STATE_READY})),
		"offer":    second(r.agent.Accept(r.ctx(), &pb.AcceptRequest{AgentId: "a", OfferId: number})),
		"callback": second(r.back.Cancel(r.ctx(), &pb.CallbackServiceCancelRequest{CallbackId: number})),
		"queue":    second(r.sup.ListCalls(r.ctx(), &pb.ListCallsRequest{Queue: "13912345678"})),
		"site":     second(r.sup.ListCalls(r.ctx(), &pb.ListCallsRequest{Site: "13912345678"})),
		"caller":   second(r.tier.Lookup(r.ctx(), &pb.TierServiceLookupRequest{Caller: number + "x9"})),
	} {
		mustHideNumber(t, what, err)
	}
}

func second[T any](_ T, err error) error { return err }

// mustHideNumber looks for the number in an error's message and details.
func mustHideNumber(t *testing.T, what string, err error) {
	t.Helper()
	st, ok := status.FromError(err)
	if !ok || st.Code() == codes.OK {
		t.Errorf("%s: %v is no refusal", what, err)
		return
	}
	if text := st.Proto().String(); strings.Contains(text, "13912345678") {
		t.Errorf("%s: %s", what, text)
	}
}
