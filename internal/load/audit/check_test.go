package audit

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "greenlane/proto/greenlane/v1"
)

// scene is a record of two calls that agrees with the log and with the daemon:
// call 1 was answered by x after 3 s, call 2, mid-tier, gave up after 10 s.
type scene struct {
	*story
	ledger *Ledger
	fin    Final
}

func at(seconds int) time.Time { return day0.Add(time.Duration(seconds) * time.Second) }

func newScene() *scene {
	s := newStory()
	sc := &scene{story: s, ledger: NewLedger(&s.faults)}
	l := sc.ledger
	one := &pb.Call{CallId: "1", Queue: "a", Tier: vip, Sequence: 1, JoinedAt: timestamppb.New(at(1)), State: pb.CallState_CALL_STATE_WAITING}
	two := &pb.Call{CallId: "2", Queue: "a", Tier: mid, Sequence: 2, JoinedAt: timestamppb.New(at(2)), State: pb.CallState_CALL_STATE_WAITING}
	l.Open(Told{ID: "1", Switch: "s", Queue: "a", Caller: "+861", Tier: vip}, at(0))
	l.Arrived(one, at(1))
	l.Open(Told{ID: "2", Switch: "s", Queue: "a", Caller: "+862", Tier: mid}, at(2))
	l.Arrived(two, at(2))
	s.join("1", "a", vip).join("2", "a", mid).
		call(offered, "1", "x", "o-1").call(answered, "1", "x", "o-1").call(completed, "1", "x", "")
	one.State, one.AgentId, one.OfferId, one.Wait = pb.CallState_CALL_STATE_ANSWERED, "x", "o-1", durationpb.New(3*time.Second)
	l.Accepted(one, "x", "o-1", at(4), at(4))
	l.Bridged("1", "x")
	one.State = pb.CallState_CALL_STATE_COMPLETED
	l.Ended(one)
	s.now = at(11)
	s.event(&pb.Event{Type: cbCreated, CallId: "2", CallbackId: "cb-1", Queue: "a", Tier: mid})
	s.now = at(11)
	s.event(&pb.Event{Type: abandoned, CallId: "2", CallbackId: "cb-1", Queue: "a"})
	two.State, two.CallbackId, two.Wait = pb.CallState_CALL_STATE_ABANDONED, "cb-1", durationpb.New(10*time.Second)
	callback := &pb.Callback{CallbackId: "cb-1", CallId: "2", Caller: "+862", Queue: "a", State: pb.CallbackState_CALLBACK_STATE_PENDING}
	l.GaveUp("2", at(12))
	l.HungUp(two, callback, at(12))
	sc.fin = Final{
		Calls:     map[string]*pb.Call{"1": one, "2": two},
		Callbacks: map[string]*pb.Callback{"cb-1": callback},
		Before:    &pb.GetSnapshotResponse{},
		After: &pb.GetSnapshotResponse{
			Queues: []*pb.QueueSnapshot{{Queue: "a", Threshold: durationpb.New(20 * time.Second), Tiers: []*pb.TierSnapshot{
				{Tier: vip, Totals: &pb.TierTotals{Joined: 1, Answered: 1, AnsweredInTime: 1, Completed: 1, Offers: 1, AnsweredWait: durationpb.New(3 * time.Second)}},
				{Tier: mid, Totals: &pb.TierTotals{Joined: 1, Abandoned: 1, AbandonedInTime: 1, AbandonedWait: durationpb.New(10 * time.Second)}},
			}}},
			Callbacks: &pb.CallbackSummary{Totals: &pb.CallbackTotals{Created: 1}},
		},
		Streams: func(string) bool { return true },
	}
	return sc
}

func (sc *scene) totals(tier int) *pb.TierTotals { return sc.fin.After.Queues[0].Tiers[tier].Totals }

func TestAnAgreeingRecordHasNoFaults(t *testing.T) {
	sc := newScene()
	Check(sc.ledger, sc.r, sc.fin, &sc.faults)
	sc.wants(t)
	if sent, acked, ended := sc.ledger.Counts(); sent != 2 || acked != 2 || ended != 2 {
		t.Errorf("%d sent, %d acknowledged, %d ended", sent, acked, ended)
	}
}

// TestACallbackEarnedLate: the caller gave up before the tier was known, and the
// tier, once known, earned a callback; or earned none, and there is one.
func TestACallbackEarnedLate(t *testing.T) {
	for tier, want := range map[pb.Tier][]string{mid: nil, vip: {RuleCallback}} {
		sc := newScene()
		e := sc.ledger.calls["2"]
		e.callback, e.tier, e.provisional, e.Tier = "", ordinary, true, tier
		sc.r.calls["2"].callback, sc.r.calls["2"].tier = "", ordinary
		sc.fin.Calls["2"].Tier = ordinary
		joined := sc.fin.After.Queues[0].Tiers[1]
		joined.Tier = ordinary
		sc.r.joins[lineKey{"a", ordinary}], sc.r.joins[lineKey{"a", mid}] = 1, 0
		Check(sc.ledger, sc.r, sc.fin, &sc.faults)
		sc.wants(t, want...)
	}
}

func TestEveryDisagreementIsSeen(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(sc *scene)
		want  []string
	}{
		{"an acknowledged call is gone", func(sc *scene) {
			sc.ledger.Open(Told{ID: "3"}, at(5))
			sc.ledger.Arrived(&pb.Call{CallId: "3", Sequence: 3, Queue: "a", Tier: vip, State: pb.CallState_CALL_STATE_REFUSED}, at(6))
			sc.totals(0).Refused = 1
		}, []string{RuleKept}},
		{"a call nobody sent", func(sc *scene) { sc.join("9", "b", vip) }, []string{RuleKept}},
		{"listed in another state", func(sc *scene) {
			sc.fin.Calls["1"] = &pb.Call{CallId: "1", Tier: vip, Sequence: 1, JoinedAt: timestamppb.New(at(1)), AgentId: "x", OfferId: "o-1"}
		}, []string{RuleOneEnd}},
		{"listed with another agent", func(sc *scene) { sc.fin.Calls["1"].AgentId = "y" }, []string{RuleKept}},
		{"another place", func(sc *scene) { sc.fin.Calls["1"].Sequence = 7 }, []string{RulePlace}},
		{"another tier", func(sc *scene) { sc.fin.Calls["1"].Tier = ordinary }, []string{RuleKept}},
		{"places against the acknowledgements", func(sc *scene) {
			sc.ledger.calls["1"].sequence, sc.fin.Calls["1"].Sequence = 2, 2
			sc.ledger.calls["2"].sequence, sc.fin.Calls["2"].Sequence = 1, 1
		}, []string{RulePlace}},
		{"one place twice", func(sc *scene) {
			sc.ledger.calls["2"].sequence, sc.fin.Calls["2"].Sequence = 1, 1
		}, []string{RulePlace}},
		{"accepted twice", func(sc *scene) {
			sc.ledger.Accepted(sc.fin.Calls["1"], "y", "o-2", at(4), at(4))
			sc.ledger.calls["1"].acceptedBy, sc.ledger.calls["1"].acceptedOffer = "x", "o-1"
		}, []string{RuleOneAgent}},
		{"connected with another agent", func(sc *scene) { sc.ledger.Bridged("1", "z"); sc.ledger.calls["1"].bridged = "x" }, []string{RuleOneAgent}},
		{"never connected", func(sc *scene) { sc.ledger.calls["1"].bridged = "" }, []string{RuleKept}},
		{"the clock began too late", func(sc *scene) {
			sc.ledger.calls["2"].gaveUp, sc.ledger.calls["2"].gaveUpAck = at(30), at(30)
		}, []string{RuleClock}},
		{"the clock ran on", func(sc *scene) {
			sc.ledger.calls["2"].gaveUp, sc.ledger.calls["2"].gaveUpAck = at(5), at(5)
		}, []string{RuleClock}},
		{"two answers, two ends", func(sc *scene) {
			sc.ledger.Ended(&pb.Call{CallId: "2", State: pb.CallState_CALL_STATE_COMPLETED, Queue: "a", Tier: mid, Wait: durationpb.New(10 * time.Second)})
			sc.ledger.calls["2"].state = pb.CallState_CALL_STATE_ABANDONED
		}, []string{RuleOneEnd}},
		{"the callback is not listed", func(sc *scene) { delete(sc.fin.Callbacks, "cb-1") }, []string{RuleCallback}},
		{"two open callbacks", func(sc *scene) {
			sc.fin.Callbacks["cb-2"] = &pb.Callback{CallbackId: "cb-2", Caller: "+862", Queue: "a", State: pb.CallbackState_CALLBACK_STATE_DUE}
		}, []string{RuleCallback}},
		{"a callback that ended otherwise", func(sc *scene) {
			sc.ledger.Reported(&pb.Callback{CallbackId: "cb-1", State: pb.CallbackState_CALLBACK_STATE_DONE})
		}, []string{RuleCallback}},
		{"a callback that ended twice", func(sc *scene) {
			sc.ledger.Reported(&pb.Callback{CallbackId: "cb-1", State: pb.CallbackState_CALLBACK_STATE_FAILED})
			sc.ledger.Reported(&pb.Callback{CallbackId: "cb-1", State: pb.CallbackState_CALLBACK_STATE_DONE})
			sc.fin.Callbacks["cb-1"].State = pb.CallbackState_CALLBACK_STATE_DONE
		}, []string{RuleCallback}},
		{"a counter too high", func(sc *scene) { sc.totals(0).Answered = 2 }, []string{RuleCounters}},
		{"a wait not counted", func(sc *scene) { sc.totals(1).AbandonedWait = nil }, []string{RuleCounters}},
		{"an offer not counted", func(sc *scene) { sc.totals(0).Offers = 0 }, []string{RuleCounters}},
		{"a violation it counts itself", func(sc *scene) { sc.fin.After.GreenChannelViolations = 1 }, []string{RuleGreenChannel}},
		{"a waiting call too many", func(sc *scene) { sc.fin.After.Queues[0].Waiting = 1 }, []string{RuleCounters}},
		{"a callback too many", func(sc *scene) { sc.fin.After.Callbacks.Totals.Created = 2 }, []string{RuleCounters, RuleCounters}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc := newScene()
			c.spoil(sc)
			Check(sc.ledger, sc.r, sc.fin, &sc.faults)
			sc.wants(t, c.want...)
		})
	}
}
