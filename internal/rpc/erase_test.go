package rpc_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"greenlane/internal/rpc"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
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
	if want := (&pb.EraseCallerResponse{Site: "main", Calls: 1, Callbacks: 1, Tier: true, AtEnd: 1}); !proto.Equal(res, want) {
		t.Errorf("%v, want %v", res, want)
	}
	again := must(r.sup.EraseCaller(r.ctx(), req))(t)
	if again.GetCalls() != 1 || again.GetAtEnd() != 1 {
		t.Errorf("the repeated request is answered %v", again)
	}
	ended := []pb.CallState{pb.CallState_CALL_STATE_ABANDONED}
	end := &pb.CallAbandonedRequest{SwitchId: "sw", CallId: "c2", RequestId: "gone"}
	for range 2 { // the second one is answered from what is kept of the first
		if said := must(r.sw.CallAbandoned(r.ctx(), end))(t); said.GetCall().GetCaller() != "" || said.GetCallback() != nil {
			t.Errorf("its end is answered %v", said)
		}
	}
	if calls := must(r.sup.ListCalls(r.ctx(), &pb.ListCallsRequest{Caller: "13800138001", States: ended}))(t).GetCalls(); len(calls) != 0 {
		t.Errorf("over, it is kept with its number: %v", calls)
	}
	res = must(r.sup.EraseCaller(r.ctx(), &pb.EraseCallerRequest{Caller: "13800138001"}))(t)
	if !proto.Equal(res, &pb.EraseCallerResponse{Site: "main"}) {
		t.Errorf("erased again: %v", res)
	}
	if known := must(r.tier.Lookup(r.ctx(), &pb.TierServiceLookupRequest{Caller: "13800138001"}))(t).GetKnown(); known {
		t.Error("the directory knows the caller still")
	}
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

// A caller who was rated and has no tier is erased too, and the answer says so.
func TestErasingRatingsIsTold(t *testing.T) {
	r := newRig(t)
	const caller = "13800138001"
	must(r.tier.Rate(r.ctx(), &pb.TierServiceRateRequest{Caller: caller, Score: 5}))(t)
	for _, want := range []bool{true, false} {
		res := must(r.sup.EraseCaller(r.ctx(), &pb.EraseCallerRequest{Caller: caller}))(t)
		if res.GetRatings() != want || res.GetTier() {
			t.Errorf("ratings %v, tier %v; want %v, false", res.GetRatings(), res.GetTier(), want)
		}
	}
	page, _, err := r.dir.(tiering.Ratings).WalkRatings(r.ctx(), "main", "", 10)
	if err != nil || len(page) != 0 {
		t.Errorf("kept: %v, %v", page, err)
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

// unreadable is a directory that can't read one caller's tier.
type unreadable struct {
	tiering.Directory
	caller tiering.Number
	erased int
}

func (u *unreadable) Lookup(ctx context.Context, site string, n tiering.Number) (tiering.Entry, bool, error) {
	if n == u.caller && u.erased == 0 {
		return tiering.Entry{}, false, tiering.ErrCorrupt
	}
	return u.Directory.Lookup(ctx, site, n)
}

// EraseAside implements tiering.Quarantine.
func (u *unreadable) EraseAside(_ context.Context, _ string, n tiering.Number) (int, error) {
	if n != u.caller || u.erased > 0 {
		return 0, nil
	}
	u.erased = 2
	return u.erased, nil
}

// TestWhatCannotBeReadIsErased, and keeps nothing else from being erased.
func TestWhatCannotBeReadIsErased(t *testing.T) {
	r := newRig(t, func(_ *queue.Site, o *rpc.Options) {
		o.Directory = &unreadable{caller: "+8613800138001"}
	})
	r.arrive("c1", "13800138001")
	must(r.sw.CallAbandoned(r.ctx(), &pb.CallAbandonedRequest{SwitchId: "sw", CallId: "c1"}))(t)
	for _, want := range []*pb.EraseCallerResponse{{Site: "main", Calls: 1, Damaged: 2}, {Site: "main"}} {
		if res := must(r.sup.EraseCaller(r.ctx(), &pb.EraseCallerRequest{Caller: "13800138001"}))(t); !proto.Equal(res, want) {
			t.Errorf("%v, want %v", res, want)
		}
	}
}
