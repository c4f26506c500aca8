package rpc_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

func TestSetAndLookup(t *testing.T) {
	r := newRig(t)
	if res := must(r.tier.Lookup(r.ctx(), &pb.TierServiceLookupRequest{Caller: "13800138000"}))(t); res.GetKnown() || res.GetTier() != pb.Tier_TIER_ORDINARY {
		t.Errorf("%v", res)
	}
	r.arrive("c1", "0086 138 0013 8000")
	ends := timestamppb.New(time.Now().Add(time.Hour).Truncate(time.Second))
	set := must(r.tier.Set(r.ctx(), &pb.TierServiceSetRequest{Caller: "+86 138-0013-8000", Tier: pb.Tier_TIER_VIP, Note: "board", ExpiresAt: ends}))(t)
	if set.GetTier() != pb.Tier_TIER_VIP || set.GetReranked() != 1 {
		t.Errorf("%v", set)
	}
	if c := r.call("c1"); c.GetTier() != pb.Tier_TIER_VIP {
		t.Errorf("the waiting call is %v", c.GetTier())
	}
	res := must(r.tier.Lookup(r.ctx(), &pb.TierServiceLookupRequest{Caller: "13800138000"}))(t)
	if !res.GetKnown() || res.GetTier() != pb.Tier_TIER_VIP || res.GetNote() != "board" || res.GetGradedAt() == nil || !res.GetExpiresAt().AsTime().Equal(ends.AsTime()) {
		t.Errorf("%v", res)
	}
}

func TestBlacklistAndPardon(t *testing.T) {
	r := newRig(t)
	must(r.tier.Set(r.ctx(), &pb.TierServiceSetRequest{Caller: "13800138000", Tier: pb.Tier_TIER_MID}))(t)
	r.arrive("c1", "13800138000")
	on := must(r.tier.Blacklist(r.ctx(), &pb.TierServiceBlacklistRequest{Caller: "13800138000", Reason: "threats"}))(t)
	if !on.GetBlacklisted() || on.GetTier() != pb.Tier_TIER_BLACKLIST || on.GetReranked() != 1 {
		t.Errorf("%v", on)
	}
	if res := must(r.tier.Lookup(r.ctx(), &pb.TierServiceLookupRequest{Caller: "13800138000"}))(t); res.GetNote() != "threats" || res.GetGradedAt() == nil {
		t.Errorf("%v", res)
	}
	off := must(r.tier.Blacklist(r.ctx(), &pb.TierServiceBlacklistRequest{Caller: "13800138000", Remove: true}))(t)
	if off.GetBlacklisted() || off.GetTier() != pb.Tier_TIER_MID || r.call("c1").GetTier() != pb.Tier_TIER_MID {
		t.Errorf("%v", off)
	}
}

func TestScore(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		payment, order, profit, score float64
		tier                          pb.Tier
	}{
		{100, 100, 100, 100, pb.Tier_TIER_VIP}, {75, 75, 75, 75, pb.Tier_TIER_VIP}, {60, 60, 60, 60, pb.Tier_TIER_MID},
		{100, 100, 0, 40, pb.Tier_TIER_ORDINARY}, {0, 0, 100, 60, pb.Tier_TIER_MID}, {0, 0, 0, 0, pb.Tier_TIER_ORDINARY},
	} {
		res := must(r.tier.Score(r.ctx(), &pb.TierServiceScoreRequest{PaymentRecord: c.payment, OrderAmount: c.order, ProfitContribution: c.profit}))(t)
		if res.GetScore() != c.score || res.GetTier() != c.tier {
			t.Errorf("%v gives %v", c, res)
		}
	}
}

func TestBatchSetAnswersEachItem(t *testing.T) {
	r := newRig(t)
	must(r.tier.Blacklist(r.ctx(), &pb.TierServiceBlacklistRequest{Caller: "13800138002", Reason: "r"}))(t)
	r.arrive("c1", "13800138001")
	stream := must(r.tier.BatchSet(r.ctx()))(t)
	for _, item := range []*pb.TierServiceBatchSetRequest{
		{Caller: "13800138001", Tier: pb.Tier_TIER_VIP},
		{Caller: "no number", Tier: pb.Tier_TIER_VIP},
		{Caller: "13800138002", Tier: pb.Tier_TIER_VIP},
		{Caller: "13800138003", Site: "main"},
		{Caller: "13800138004", Tier: pb.Tier_TIER_MID, ExpiresAt: &timestamppb.Timestamp{Seconds: 1}},
	} {
		if err := stream.Send(item); err != nil {
			t.Fatal(err)
		}
	}
	res := must(stream.CloseAndRecv())(t)
	if res.GetApplied() != 2 || res.GetFailed() != 3 || res.GetReranked() != 1 || len(res.GetResults()) != 5 {
		t.Fatalf("%v", res)
	}
	want := []struct {
		ok   bool
		code codes.Code
		tier pb.Tier
	}{
		{true, codes.OK, pb.Tier_TIER_VIP}, {false, codes.InvalidArgument, 0}, {true, codes.OK, pb.Tier_TIER_BLACKLIST},
		{false, codes.InvalidArgument, 0}, {false, codes.InvalidArgument, 0},
	}
	for i, item := range res.GetResults() {
		if int(item.GetIndex()) != i || item.GetOk() != want[i].ok || codes.Code(item.GetCode()) != want[i].code || item.GetTier() != want[i].tier {
			t.Errorf("item %d: %v", i, item)
		}
		if item.GetCaller() == "+8613800138001" {
			t.Errorf("the number is not masked: %v", item)
		}
	}
}

func TestBatchSetEnds(t *testing.T) {
	r := newRig(t)
	empty := must(r.tier.BatchSet(r.ctx()))(t)
	if res := must(empty.CloseAndRecv())(t); len(res.GetResults()) != 0 {
		t.Errorf("%v", res)
	}
	twoSites := must(r.tier.BatchSet(r.ctx()))(t)
	twoSites.Send(&pb.TierServiceBatchSetRequest{Caller: "13800138001", Tier: pb.Tier_TIER_MID})
	twoSites.Send(&pb.TierServiceBatchSetRequest{Caller: "13800138001", Tier: pb.Tier_TIER_MID, Site: "west"})
	_, err := twoSites.CloseAndRecv()
	wantCode(t, err, codes.InvalidArgument, "site")
	large := must(r.tier.BatchSet(r.ctx()))(t)
	for i := range 20_001 {
		if large.Send(&pb.TierServiceBatchSetRequest{Caller: fmt.Sprintf("138%08d", i), Tier: pb.Tier_TIER_MID}) != nil {
			break
		}
	}
	_, err = large.CloseAndRecv()
	wantCode(t, err, codes.ResourceExhausted, "")
}

// TestALateTierRanksTheWaitingCall: the directory does not answer in time, so
// the call is queued as ordinary and provisional; the late answer gives it its
// tier, by its original arrival.
func TestALateTierRanksTheWaitingCall(t *testing.T) {
	r := newRig(t)
	must(r.tier.Set(r.ctx(), &pb.TierServiceSetRequest{Caller: "13800138000", Tier: pb.Tier_TIER_VIP}))(t)
	answer := r.tiers.hold()
	call := r.arrive("c1", "13800138000")
	if !call.GetProvisional() || call.GetTier() != pb.Tier_TIER_ORDINARY {
		t.Errorf("%v", call)
	}
	answer()
	r.until("the new rank", func(e *queue.Event) bool { return e.Type == queue.EventCallReranked && e.Call == "c1" })
	if c := r.call("c1"); c.GetProvisional() || c.GetTier() != pb.Tier_TIER_VIP || c.GetSequence() != call.GetSequence() {
		t.Errorf("%v", c)
	}
}

func TestUnattestedVIPIsServedAsOrdinary(t *testing.T) {
	r := newRig(t, func(_ *queue.Site, o *optsT) { o.VIPRequiresAttestation = true })
	must(r.tier.Set(r.ctx(), &pb.TierServiceSetRequest{Caller: "13800138000", Tier: pb.Tier_TIER_VIP}))(t)
	arrive := func(id string, a pb.Attestation) *pb.Call {
		return must(r.sw.CallArrived(r.ctx(), &pb.CallArrivedRequest{SwitchId: "sw", CallId: id, Caller: "13800138000", Attestation: a}))(t).GetCall()
	}
	if c := arrive("forged", pb.Attestation_ATTESTATION_GATEWAY); c.GetTier() != pb.Tier_TIER_ORDINARY || !c.GetUnattestedVip() {
		t.Errorf("%v", c)
	}
	if c := arrive("true", pb.Attestation_ATTESTATION_FULL); c.GetTier() != pb.Tier_TIER_VIP || c.GetUnattestedVip() {
		t.Errorf("%v", c)
	}
	answer := r.tiers.hold()
	arrive("late", pb.Attestation_ATTESTATION_UNSPECIFIED)
	answer()
	r.until("the late answer", func(e *queue.Event) bool { return e.Type == queue.EventCallReranked && e.Call == "late" })
	if c := r.call("late"); c.GetTier() != pb.Tier_TIER_ORDINARY || !c.GetUnattestedVip() || c.GetProvisional() {
		t.Errorf("%v", c)
	}
}

func TestCallbacksByHand(t *testing.T) {
	r := newRig(t, func(s *queue.Site, _ *optsT) { s.Callback.WindowFrom, s.Callback.WindowTo = 0, 24*time.Hour })
	cb := must(r.back.Create(r.ctx(), &pb.CallbackServiceCreateRequest{Caller: "13800138000", Tier: pb.Tier_TIER_MID, Note: "call me"}))(t).GetCallback()
	if cb.GetState() != pb.CallbackState_CALLBACK_STATE_PENDING || cb.GetQueue() != "default" || cb.GetNote() != "call me" || cb.GetTier() != pb.Tier_TIER_MID {
		t.Errorf("%v", cb)
	}
	_, err := r.back.Create(r.ctx(), &pb.CallbackServiceCreateRequest{Caller: "13800138000"})
	wantCode(t, err, codes.AlreadyExists, "")
	claim := func(who string) error {
		_, err := r.back.Claim(r.ctx(), &pb.CallbackServiceClaimRequest{CallbackId: cb.GetCallbackId(), Claimant: who})
		return err
	}
	if err := claim("tool"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, claim("other"), codes.FailedPrecondition, "")
	_, err = r.back.Report(r.ctx(), &pb.CallbackServiceReportRequest{CallbackId: cb.GetCallbackId(), Claimant: "other", Result: pb.CallbackResult_CALLBACK_RESULT_BUSY})
	wantCode(t, err, codes.FailedPrecondition, "")
	report := must(r.back.Report(r.ctx(), &pb.CallbackServiceReportRequest{
		CallbackId: cb.GetCallbackId(), Claimant: "tool", Result: pb.CallbackResult_CALLBACK_RESULT_BUSY,
	}))(t).GetCallback()
	if report.GetState() != pb.CallbackState_CALLBACK_STATE_PENDING || report.GetAttempts() != 1 || report.GetLastAttemptAt() == nil {
		t.Errorf("%v", report)
	}
	later := timestamppb.New(report.GetDueAt().AsTime().Add(time.Minute))
	moved := must(r.back.Reschedule(r.ctx(), &pb.CallbackServiceRescheduleRequest{CallbackId: cb.GetCallbackId(), DueAt: later}))(t).GetCallback()
	if !moved.GetDueAt().AsTime().Equal(later.AsTime()) {
		t.Errorf("%v", moved)
	}
	_, err = r.back.Reschedule(r.ctx(), &pb.CallbackServiceRescheduleRequest{CallbackId: cb.GetCallbackId(), DueAt: timestamppb.New(time.Now().Add(1000 * time.Hour))})
	wantCode(t, err, codes.InvalidArgument, "due_at")
	open := must(r.back.List(r.ctx(), &pb.CallbackServiceListRequest{State: pb.CallbackState_CALLBACK_STATE_PENDING}))(t)
	if len(open.GetCallbacks()) != 1 {
		t.Errorf("%v", open)
	}
	ended := must(r.back.Cancel(r.ctx(), &pb.CallbackServiceCancelRequest{CallbackId: cb.GetCallbackId()}))(t).GetCallback()
	if ended.GetState() != pb.CallbackState_CALLBACK_STATE_CANCELLED || ended.GetEndReason() != "cancelled" {
		t.Errorf("%v", ended)
	}
	_, err = r.back.Cancel(r.ctx(), &pb.CallbackServiceCancelRequest{CallbackId: cb.GetCallbackId()})
	wantCode(t, err, codes.FailedPrecondition, "")
}
