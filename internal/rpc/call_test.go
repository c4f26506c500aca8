package rpc_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/rpc"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

func TestACallFromArrivalToCompletion(t *testing.T) {
	r := newRig(t)
	r.signIn("a")
	polled := make(chan *pb.Offer, 1)
	go func() { polled <- r.next("a", patience) }()
	r.attached("a")
	call := r.arrive("c1", "13800138000")
	if call.GetCaller() != "+8613800138000" || call.GetQueue() != "default" || call.GetSite() != "main" {
		t.Errorf("arrived as %v", call)
	}
	offer := <-polled
	if offer.GetCall().GetCallId() != "c1" || offer.GetAgentId() != "a" || offer.GetWhy() != queue.WhyLongestIdle {
		t.Fatalf("offered %v", offer)
	}
	accepted := must(r.agent.Accept(r.ctx(), &pb.AcceptRequest{AgentId: "a", OfferId: offer.GetOfferId()}))(t)
	if accepted.GetCall().GetState() != pb.CallState_CALL_STATE_ANSWERED {
		t.Errorf("accepted: %v", accepted)
	}
	done := must(r.agent.Complete(r.ctx(), &pb.CompleteRequest{AgentId: "a", CallId: "c1"}))(t)
	if done.GetCall().GetState() != pb.CallState_CALL_STATE_COMPLETED || done.GetAgent().GetState() != pb.AgentState_AGENT_STATE_READY {
		t.Errorf("completed: %v", done)
	}
	ended := must(r.sw.CallEnded(r.ctx(), &pb.CallEndedRequest{SwitchId: "sw", CallId: "c1"}))(t)
	if ended.GetCall().GetState() != pb.CallState_CALL_STATE_COMPLETED {
		t.Errorf("the switch's report of the end made it %v", ended.GetCall().GetState())
	}
}

func TestPositionAndEstimate(t *testing.T) {
	r := newRig(t)
	r.signIn("a")
	must(r.agent.SetState(r.ctx(), &pb.SetStateRequest{AgentId: "a", State: pb.AgentState_AGENT_STATE_NOT_READY, Reason: "lunch"}))(t)
	r.arrive("c1", "")
	second := must(r.sw.CallArrived(r.ctx(), &pb.CallArrivedRequest{SwitchId: "sw", CallId: "c2"}))(t)
	if second.GetPosition() != 2 || second.EstimatedWait != nil {
		t.Errorf("position %d, estimate %v without anyone at work", second.GetPosition(), second.GetEstimatedWait())
	}
	must(r.agent.SetState(r.ctx(), &pb.SetStateRequest{AgentId: "a", State: pb.AgentState_AGENT_STATE_READY}))(t)
	third := must(r.sw.CallArrived(r.ctx(), &pb.CallArrivedRequest{SwitchId: "sw", CallId: "c3"}))(t)
	if third.GetPosition() != 3 || third.GetEstimatedWait().AsDuration() <= 0 {
		t.Errorf("position %d, estimate %v", third.GetPosition(), third.GetEstimatedWait())
	}
}

func TestARetryGetsTheFirstAnswer(t *testing.T) {
	r := newRig(t)
	req := &pb.CallArrivedRequest{RequestId: "r1", SwitchId: "sw", CallId: "c1", Attributes: map[string]string{"b": "2", "a": "1"}}
	first := must(r.sw.CallArrived(r.ctx(), req))(t)
	must(r.sw.CallEnded(r.ctx(), &pb.CallEndedRequest{SwitchId: "sw", CallId: "c1"}))(t)
	again := must(r.sw.CallArrived(r.ctx(), req))(t)
	if again.GetCall().GetState() != first.GetCall().GetState() {
		t.Errorf("the retry says %v, the first answer was %v", again.GetCall().GetState(), first.GetCall().GetState())
	}
	named := &pb.CallArrivedRequest{RequestId: "r1", Site: "main", SwitchId: "sw", CallId: "c1", Attributes: req.Attributes}
	must(r.sw.CallArrived(r.ctx(), named))(t) // the default site, named, is the same request
	other := &pb.CallArrivedRequest{RequestId: "r1", SwitchId: "sw", CallId: "c2"}
	_, err := r.sw.CallArrived(r.ctx(), other)
	wantCode(t, err, codes.AlreadyExists, "")
	if reasonOf(err) != "REQUEST_ID_REUSED" {
		t.Errorf("reason %q", reasonOf(err))
	}
}

func TestANumberNobodyCanReadLosesNoCall(t *testing.T) {
	r := newRig(t)
	for call, want := range map[string]struct{ raw, number string }{
		"withheld":  {"anonymous", ""},
		"empty":     {"", ""},
		"extension": {"8001", "8001"},
		"words":     {"Li Wei", ""},
		"sip":       {`"Li" <sip:+8613800138000@example.com>`, "+8613800138000"},
	} {
		if got := r.arrive(call, want.raw); got.GetCaller() != want.number || got.GetState() != pb.CallState_CALL_STATE_WAITING {
			t.Errorf("%s: kept as %q, %v", call, got.GetCaller(), got.GetState())
		}
	}
}

func TestHangUpBeforeTheArrival(t *testing.T) {
	r := newRig(t)
	gone := must(r.sw.CallAbandoned(r.ctx(), &pb.CallAbandonedRequest{SwitchId: "sw", CallId: "c1"}))(t)
	if gone.GetCall().GetState() != pb.CallState_CALL_STATE_ABANDONED {
		t.Errorf("%v", gone)
	}
	if late := r.arrive("c1", "13800138000"); late.GetState() != pb.CallState_CALL_STATE_ABANDONED {
		t.Errorf("the late arrival is %v", late.GetState())
	}
}

func TestAbandonedMidTierCallerGetsACallback(t *testing.T) {
	r := newRig(t, func(s *queue.Site, _ *rpc.Options) { s.ShortAbandon, s.Callback.ShortAbandon = 0, 0 })
	must(r.tier.Set(r.ctx(), &pb.TierServiceSetRequest{Caller: "13800138001", Tier: pb.Tier_TIER_MID}))(t)
	r.arrive("c1", "13800138001")
	gone := must(r.sw.CallAbandoned(r.ctx(), &pb.CallAbandonedRequest{SwitchId: "sw", CallId: "c1", At: timestamppb.Now()}))(t)
	if gone.GetCallback().GetCaller() != "+8613800138001" || gone.GetCallback().GetState() != pb.CallbackState_CALLBACK_STATE_PENDING {
		t.Errorf("callback %v", gone.GetCallback())
	}
}

func TestNotFound(t *testing.T) {
	r := newRig(t)
	r.signIn("a")
	for reason, do := range map[string]func() error{
		"SITE_NOT_FOUND": func() error { _, err := r.sup.GetSnapshot(r.ctx(), &pb.GetSnapshotRequest{Site: "west"}); return err },
		"QUEUE_NOT_FOUND": func() error {
			_, err := r.sw.CallArrived(r.ctx(), &pb.CallArrivedRequest{SwitchId: "s", CallId: "c", Queue: "none"})
			return err
		},
		"AGENT_NOT_FOUND": func() error { _, err := r.agent.NextCall(r.ctx(), &pb.NextCallRequest{AgentId: "nobody"}); return err },
		"OFFER_NOT_FOUND": func() error {
			_, err := r.agent.Accept(r.ctx(), &pb.AcceptRequest{AgentId: "a", OfferId: "o-77"})
			return err
		},
		"CALL_NOT_FOUND": func() error { _, err := r.sup.Explain(r.ctx(), &pb.ExplainRequest{CallId: "none"}); return err },
		"CALLBACK_NOT_FOUND": func() error {
			_, err := r.back.Cancel(r.ctx(), &pb.CallbackServiceCancelRequest{CallbackId: "none"})
			return err
		},
	} {
		err := do()
		wantCode(t, err, codes.NotFound, "")
		if reasonOf(err) != reason {
			t.Errorf("reason %q, want %q (%v)", reasonOf(err), reason, err)
		}
	}
	for _, id := range []string{"7", "o-", "o-x", "o-01", "offer"} {
		_, err := r.agent.Decline(r.ctx(), &pb.DeclineRequest{AgentId: "a", OfferId: id})
		wantCode(t, err, codes.NotFound, "")
	}
	for _, q := range []func() error{
		func() error { _, err := r.sup.ListCalls(r.ctx(), &pb.ListCallsRequest{Queue: "none"}); return err },
		func() error { _, err := r.sup.ListAgents(r.ctx(), &pb.ListAgentsRequest{Queue: "none"}); return err },
		func() error {
			_, err := r.back.List(r.ctx(), &pb.CallbackServiceListRequest{Queue: "none"})
			return err
		},
	} {
		wantCode(t, q(), codes.NotFound, "")
	}
}

func TestAFullQueueAnswersWithARefusedCall(t *testing.T) {
	r := newRig(t, func(s *queue.Site, _ *rpc.Options) { s.Queues[0].Capacity = 1 })
	r.arrive("c1", "13800138000")
	if c := r.arrive("c2", "13800138002"); c.GetState() != pb.CallState_CALL_STATE_REFUSED || c.GetReason() != queue.ReasonQueueFull {
		t.Errorf("%v %q", c.GetState(), c.GetReason())
	}
}

func TestOfferThatIsOverSaysHow(t *testing.T) {
	r := newRig(t)
	r.signIn("a")
	r.arrive("c1", "13800138000")
	offer := r.next("a", time.Second)
	must(r.sw.CallAbandoned(r.ctx(), &pb.CallAbandonedRequest{SwitchId: "sw", CallId: "c1"}))(t)
	_, err := r.agent.Accept(r.ctx(), &pb.AcceptRequest{AgentId: "a", OfferId: offer.GetOfferId()})
	wantCode(t, err, codes.FailedPrecondition, "")
	if want := "caller_hung_up"; !contains(err, want) {
		t.Errorf("%v does not say %s", err, want)
	}
}

func TestReconcileAddsKeepsCloses(t *testing.T) {
	r := newRig(t)
	r.signIn("a")
	r.arrive("kept", "13800138000")
	r.arrive("gone", "13800138001")
	must(r.sw.CallAbandoned(r.ctx(), &pb.CallAbandonedRequest{SwitchId: "sw", CallId: "gone"}))(t)
	dead := r.arrive("dead", "13800138002")
	for !r.engine.Now().Time().After(dead.GetJoinedAt().AsTime()) { // a call of the same millisecond may be newer than the list
		runtime.Gosched()
	}
	arrived := timestamppb.New(time.Now().Add(-time.Minute).Truncate(time.Millisecond))
	res := must(r.sw.Reconcile(r.ctx(), &pb.ReconcileRequest{SwitchId: "sw", Calls: []*pb.LiveCall{
		{CallId: "kept"},
		{CallId: "added", Caller: "13800138003", ArrivedAt: arrived},
		{CallId: "talking", State: pb.CallState_CALL_STATE_ANSWERED, AgentId: "a", AnsweredAt: timestamppb.Now()},
		{CallId: "bad", Queue: "no such"},
		{CallId: "kept"},
		{CallId: "lost", Queue: "none"},
		{CallId: "ended", State: pb.CallState_CALL_STATE_COMPLETED},
		{CallId: "gone"},
	}}))(t)
	if res.GetAdded() != 2 || res.GetKept() != 1 || res.GetClosed() != 1 || res.GetEnded() != 1 {
		t.Errorf("added %d, kept %d, closed %d, ended %d", res.GetAdded(), res.GetKept(), res.GetClosed(), res.GetEnded())
	}
	want := []struct {
		outcome pb.ReconcileOutcome
		code    codes.Code
	}{
		{pb.ReconcileOutcome_RECONCILE_OUTCOME_KEPT, codes.OK}, {pb.ReconcileOutcome_RECONCILE_OUTCOME_ADDED, codes.OK},
		{pb.ReconcileOutcome_RECONCILE_OUTCOME_ADDED, codes.OK}, {pb.ReconcileOutcome_RECONCILE_OUTCOME_FAILED, codes.InvalidArgument},
		{pb.ReconcileOutcome_RECONCILE_OUTCOME_FAILED, codes.InvalidArgument}, {pb.ReconcileOutcome_RECONCILE_OUTCOME_FAILED, codes.NotFound},
		{pb.ReconcileOutcome_RECONCILE_OUTCOME_FAILED, codes.InvalidArgument}, {pb.ReconcileOutcome_RECONCILE_OUTCOME_ENDED, codes.OK},
	}
	for i, item := range res.GetResults() {
		told := want[i].code != codes.OK || want[i].outcome == pb.ReconcileOutcome_RECONCILE_OUTCOME_ENDED
		if item.GetOutcome() != want[i].outcome || codes.Code(item.GetCode()) != want[i].code || (item.GetMessage() != "") != told {
			t.Errorf("item %d: %v", i, item)
		}
	}
	added := r.call("added")
	if !added.GetJoinedAt().AsTime().Equal(arrived.AsTime()) || added.GetWait().AsDuration() < time.Minute {
		t.Errorf("the added call joined at %v and waits %v; it arrived at %v", added.GetJoinedAt().AsTime(), added.GetWait().AsDuration(), arrived.AsTime())
	}
	if c := r.call("dead"); c.GetState() != pb.CallState_CALL_STATE_ABANDONED || c.GetReason() != queue.ReasonReconciled {
		t.Errorf("%v", c)
	}
}

func TestSignInQueuesAndWrapUp(t *testing.T) {
	r := newRig(t)
	res := must(r.agent.SignIn(r.ctx(), &pb.SignInRequest{
		AgentId: "a", Endpoint: "SIP/1001", WrapUp: durationpb.New(90 * time.Second),
		Queues: []*pb.AgentQueue{{Queue: "default", Level: 3}, {Queue: "billing"}},
	}))(t).GetAgent()
	if res.GetState() != pb.AgentState_AGENT_STATE_READY || res.GetAvailable() || res.GetWrapUp().AsDuration() != 90*time.Second ||
		len(res.GetQueues()) != 2 || res.GetQueues()[0].GetQueue() != "billing" || res.GetQueues()[0].GetLevel() != 1 || res.GetQueues()[1].GetLevel() != 3 {
		t.Errorf("%v", res)
	}
	r.signIn("b")
	if b := must(r.sup.ListAgents(r.ctx(), &pb.ListAgentsRequest{Queue: "default"}))(t).GetAgents(); len(b) != 2 || b[1].WrapUp != nil {
		t.Errorf("%v", b)
	}
	out := must(r.agent.SignOut(r.ctx(), &pb.SignOutRequest{AgentId: "b"}))(t).GetAgent()
	if out.GetState() != pb.AgentState_AGENT_STATE_SIGNED_OUT {
		t.Errorf("%v", out)
	}
	_, err := r.agent.NextCall(r.ctx(), &pb.NextCallRequest{AgentId: "b"})
	wantCode(t, err, codes.FailedPrecondition, "")
}

// TestWrongClocksRefuseNoCall: what a switch's clock says of an arrival is taken to
// be within a day, and not ahead.
func TestWrongClocksRefuseNoCall(t *testing.T) {
	r := newRig(t)
	day := 24 * time.Hour
	for i, c := range []struct{ said, least, most time.Duration }{
		{said: 6 * time.Minute}, {said: 1000 * day}, {said: -time.Hour, least: -time.Hour, most: -time.Hour},
		{said: -25 * time.Hour, least: -day, most: -day}, {said: -10_000 * day, least: -day, most: -day},
	} {
		id := fmt.Sprint("c", i)
		before := r.engine.Now().Time()
		said := timestamppb.New(before.Add(c.said))
		call := must(r.sw.CallArrived(r.ctx(), &pb.CallArrivedRequest{SwitchId: "sw", CallId: id, ArrivedAt: said}))(t).GetCall()
		list := must(r.sw.Reconcile(r.ctx(), &pb.ReconcileRequest{SwitchId: "sw" + id, Calls: []*pb.LiveCall{{CallId: "l" + id, ArrivedAt: said}}}))(t)
		after := r.engine.Now().Time()
		if list.GetAdded() != 1 {
			t.Errorf("%v: %v", c.said, list)
		}
		for _, got := range []time.Time{call.GetArrivedAt().AsTime(), r.call("l" + id).GetArrivedAt().AsTime()} {
			if got.Before(before.Add(c.least)) || got.After(after.Add(c.most)) {
				t.Errorf("said %v from now, it arrived at %v, between %v and %v", c.said, got, before, after)
			}
		}
	}
}
