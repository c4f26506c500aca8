package rpc_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"greenlane/internal/rpc"
	"greenlane/metrics"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

// busySite has a call in most states there are.
func busySite(t *testing.T) *rig {
	r := newRig(t)
	r.signIn("a")
	r.signIn("b", "billing")
	r.arrive("c1", "13800138000")
	offer := r.next("a", patience)
	must(r.agent.Accept(r.ctx(), &pb.AcceptRequest{AgentId: "a", OfferId: offer.GetOfferId()}))(t)
	r.arrive("c2", "13800138001")
	r.next("b", patience)
	r.arrive("c3", "13800138002")
	must(r.sw.CallAbandoned(r.ctx(), &pb.CallAbandonedRequest{SwitchId: "sw", CallId: "c3"}))(t)
	r.arrive("c4", "13800138003")
	return r
}

func TestGetSnapshot(t *testing.T) {
	r := busySite(t)
	snap := must(r.sup.GetSnapshot(r.ctx(), &pb.GetSnapshotRequest{}))(t)
	if snap.GetSite() != "main" || snap.GetFormula() != metrics.Headline.String() || snap.GetSequence() == 0 || len(snap.GetQueues()) != 2 {
		t.Fatalf("%v", snap)
	}
	if snap.GetShortAbandon().AsDuration() != 5*time.Second || snap.GetZone() != "Asia/Shanghai" {
		t.Errorf("short abandon %v, zone %q", snap.GetShortAbandon(), snap.GetZone())
	}
	q := snap.GetQueues()[1]
	ordinary := q.GetTiers()[2]
	if q.GetQueue() != "default" || !q.GetOpen() || q.GetWaiting() != 2 || q.GetThreshold().AsDuration() != 20*time.Second || len(q.GetTiers()) != 4 {
		t.Errorf("%v", q)
	}
	if ordinary.GetTier() != pb.Tier_TIER_ORDINARY || ordinary.GetWaiting() != 2 || ordinary.GetAnswered() != 1 || ordinary.GetAbandoned() != 1 ||
		ordinary.GetServiceLevel() != 0.5 || ordinary.GetServiceLevelWithoutShortAbandons() != 1 || ordinary.GetTarget() != 0.85 ||
		ordinary.GetTotals().GetJoined() != 4 || ordinary.GetLast_30Min().GetAnswered() != 1 {
		t.Errorf("%v", ordinary)
	}
	if vip := q.GetTiers()[0]; vip.ServiceLevel != nil || vip.OldestWait != nil || vip.GetTarget() != 0.9 {
		t.Errorf("a tier nobody called in: %v", vip)
	}
	if blacklist := q.GetTiers()[3]; blacklist.Target != nil {
		t.Errorf("the blacklist has a target: %v", blacklist)
	}
	counts := q.GetAgents()
	if counts.GetTalking() != 1 || counts.GetOffered() != 1 || counts.GetReady() != 0 {
		t.Errorf("%v", counts)
	}
	if len(snap.GetAgents()) != 2 || snap.GetAgents()[0].GetAgentId() != "a" || snap.GetAgents()[0].GetCallId() != "c1" {
		t.Errorf("%v", snap.GetAgents())
	}
	short := must(r.sup.GetSnapshot(r.ctx(), &pb.GetSnapshotRequest{OmitAgents: true}))(t)
	if len(short.GetAgents()) != 0 || short.GetQueues()[1].GetAgents().GetTalking() != 1 {
		t.Errorf("%v", short)
	}
	zone, _ := time.LoadLocation("Asia/Shanghai")
	if day := snap.GetDayStart().AsTime().In(zone); day.Hour() != 0 || day.Minute() != 0 || day.After(snap.GetTakenAt().AsTime()) {
		t.Errorf("the day begins at %v", day)
	}
}

// TestSnapshotKnowsWhatWasAcknowledged: whoever got OK sees it in the next
// snapshot, although snapshots are shared.
func TestSnapshotKnowsWhatWasAcknowledged(t *testing.T) {
	r := newRig(t)
	done := make(chan struct{})
	stop := make(chan struct{})
	for range 3 {
		go func() {
			defer func() { done <- struct{}{} }()
			for {
				select {
				case <-stop:
					return
				default:
					r.sup.GetSnapshot(context.Background(), &pb.GetSnapshotRequest{})
				}
			}
		}()
	}
	for i := range 50 {
		r.arrive(strings.Repeat("c", i+1), "13800138000")
		snap := must(r.sup.GetSnapshot(r.ctx(), &pb.GetSnapshotRequest{}))(t)
		if n := snap.GetQueues()[1].GetWaiting(); int(n) != i+1 {
			t.Errorf("%d calls were acknowledged, the snapshot has %d", i+1, n)
		}
	}
	close(stop)
	for range 3 {
		<-done
	}
}

func TestLists(t *testing.T) {
	r := busySite(t)
	ids := func(calls []*pb.Call) string {
		var out []string
		for _, c := range calls {
			out = append(out, c.GetCallId())
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		req  *pb.ListCallsRequest
		want string
	}{
		{&pb.ListCallsRequest{}, "c1 c2 c4"},
		{&pb.ListCallsRequest{States: []pb.CallState{pb.CallState_CALL_STATE_ABANDONED, pb.CallState_CALL_STATE_ANSWERED}}, "c1 c3"},
		{&pb.ListCallsRequest{Queue: "billing"}, ""},
		{&pb.ListCallsRequest{Tier: pb.Tier_TIER_VIP}, ""},
	} {
		if got := ids(must(r.sup.ListCalls(r.ctx(), c.req))(t).GetCalls()); got != c.want {
			t.Errorf("%v: %q, want %q", c.req, got, c.want)
		}
	}
	var paged []*pb.Call
	token := ""
	for {
		page := must(r.sup.ListCalls(r.ctx(), &pb.ListCallsRequest{PageSize: 1, PageToken: token}))(t)
		paged = append(paged, page.GetCalls()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if ids(paged) != "c1 c2 c4" {
		t.Errorf("page by page: %q", ids(paged))
	}
	agents := must(r.sup.ListAgents(r.ctx(), &pb.ListAgentsRequest{Queue: "billing"}))(t).GetAgents()
	if len(agents) != 1 || agents[0].GetAgentId() != "b" {
		t.Errorf("%v", agents)
	}
	must(r.agent.SignOut(r.ctx(), &pb.SignOutRequest{AgentId: "b"}))(t)
	if n := len(must(r.sup.ListAgents(r.ctx(), &pb.ListAgentsRequest{}))(t).GetAgents()); n != 1 {
		t.Errorf("%d agents are listed after one has signed out", n)
	}
	out := must(r.sup.ListAgents(r.ctx(), &pb.ListAgentsRequest{States: []pb.AgentState{pb.AgentState_AGENT_STATE_SIGNED_OUT}}))(t)
	if len(out.GetAgents()) != 1 {
		t.Errorf("%v", out)
	}
}

func TestExplainAnswersInSentences(t *testing.T) {
	r := busySite(t)
	for call, want := range map[string][]string{
		"c1": {"Agent a answered it at", "it joined queue default as ordinary", "it was offered to agent a, because the agent came free"},
		"c2": {"It is offered to agent b since", "the caller has waited"},
		"c3": {"The caller hung up at", "without an answer"},
		"c4": {"It waits in queue default as ordinary since", "It is number 1 of its queue: nobody is before it", "2 agents are at work in queue default, and none is free and reachable"},
	} {
		res := must(r.sup.Explain(r.ctx(), &pb.ExplainRequest{CallId: call}))(t)
		text := strings.Join(res.GetReasons(), "\n")
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: want %q in:\n%s", call, w, text)
			}
		}
		if zone := "Times are those of the site's zone, Asia/Shanghai (+08:00)."; strings.Count(text, zone) != 1 {
			t.Errorf("%s: want %q in:\n%s", call, zone, text)
		}
		for _, line := range res.GetReasons() {
			if !strings.HasSuffix(line, ".") || strings.Contains(line, "%!") {
				t.Errorf("%s: no sentence: %q", call, line)
			}
		}
		if len(res.GetEvents()) == 0 {
			t.Errorf("%s: no events", call)
		}
	}
	waiting := must(r.sup.Explain(r.ctx(), &pb.ExplainRequest{CallId: "c4"}))(t)
	if waiting.GetPosition() != 1 || waiting.GetEligibleAgents() != 2 || waiting.GetIdleAgents() != 0 || len(waiting.GetAheadByTier()) == 0 {
		t.Errorf("%v", waiting)
	}
}

func TestMoveCallAndSetTier(t *testing.T) {
	r := busySite(t)
	before := r.call("c4")
	moved := must(r.sup.MoveCall(r.ctx(), &pb.MoveCallRequest{CallId: "c4", Queue: "billing"}))(t).GetCall()
	if moved.GetQueue() != "billing" || moved.GetOverflowedFrom() != "default" || !moved.GetJoinedAt().AsTime().Equal(before.GetJoinedAt().AsTime()) {
		t.Errorf("%v", moved)
	}
	raised := must(r.sup.SetTier(r.ctx(), &pb.SetTierRequest{CallId: "c4", Tier: pb.Tier_TIER_MID}))(t).GetCall()
	if raised.GetTier() != pb.Tier_TIER_MID || raised.GetSequence() != before.GetSequence() {
		t.Errorf("%v", raised)
	}
	_, err := r.sup.MoveCall(r.ctx(), &pb.MoveCallRequest{CallId: "c1", Queue: "billing"})
	wantCode(t, err, codes.FailedPrecondition, "")
	_, err = r.sup.SetTier(r.ctx(), &pb.SetTierRequest{CallId: "c3", Tier: pb.Tier_TIER_VIP})
	wantCode(t, err, codes.FailedPrecondition, "")
}

func TestWatchSendsWhatChanged(t *testing.T) {
	r := newRig(t)
	stream := must(r.sup.Watch(r.ctx(), &pb.WatchRequest{MinInterval: durationpb.New(100 * time.Millisecond)}))(t)
	first := must(recvOne(stream.Recv))(t).GetSnapshot()
	if len(first.GetQueues()) != 2 {
		t.Errorf("%v", first)
	}
	r.arrive("c1", "13800138000")
	next := recvUntil(t, "the call", stream.Recv, func(m *pb.WatchResponse) bool { return m.GetSnapshot().GetQueues()[1].GetWaiting() == 1 })
	// While somebody waits, time alone is a change.
	recvUntil(t, "a longer wait", stream.Recv, func(m *pb.WatchResponse) bool {
		return m.GetSnapshot().GetQueues()[1].GetOldestWait().AsDuration() > next.GetSnapshot().GetQueues()[1].GetOldestWait().AsDuration()
	})
	for _, wrong := range []time.Duration{time.Millisecond, 2 * time.Hour} {
		s := must(r.sup.Watch(r.ctx(), &pb.WatchRequest{MinInterval: durationpb.New(wrong)}))(t)
		_, err := s.Recv()
		wantCode(t, err, codes.InvalidArgument, "min_interval")
	}
	s := must(r.sup.Watch(r.ctx(), &pb.WatchRequest{Site: "west"}))(t)
	_, err := s.Recv()
	wantCode(t, err, codes.NotFound, "")
}

func TestStreamEvents(t *testing.T) {
	r := busySite(t)
	no := false
	all := must(r.sup.StreamEvents(r.ctx(), &pb.StreamEventsRequest{Follow: &no}))(t)
	var seqs []uint64
	var last *pb.Event
	for {
		m, err := recvOne(all.Recv)
		if err != nil {
			if err.Error() != "EOF" {
				t.Fatal(err)
			}
			break
		}
		last = m.GetEvent()
		seqs = append(seqs, last.GetSequence())
	}
	for i, seq := range seqs {
		if seq != uint64(i+1) {
			t.Fatalf("sequences %v", seqs)
		}
	}
	if last.GetCallId() != "c4" || last.GetType() != pb.EventType_EVENT_TYPE_CALL_JOINED {
		t.Errorf("the last event is %v", last)
	}
	// From a cursor, only some types, and on to those to come.
	follow := must(r.sup.StreamEvents(r.ctx(), &pb.StreamEventsRequest{
		After: 3, Types: []pb.EventType{pb.EventType_EVENT_TYPE_CALL_JOINED, pb.EventType_EVENT_TYPE_CALL_ABANDONED},
	}))(t)
	joined := 0
	recvUntil(t, "c4", follow.Recv, func(m *pb.StreamEventsResponse) bool {
		if m.GetEvent().GetSequence() <= 3 {
			t.Errorf("%v is not after the cursor", m)
		}
		if m.GetEvent().GetType() == pb.EventType_EVENT_TYPE_CALL_JOINED {
			joined++
		}
		return m.GetEvent().GetCallId() == "c4"
	})
	r.arrive("c5", "13800138000")
	if m := must(recvOne(follow.Recv))(t); m.GetEvent().GetCallId() != "c5" {
		t.Errorf("%v", m)
	}
	_ = joined
	for name, c := range map[string]struct {
		req   *pb.StreamEventsRequest
		code  codes.Code
		field string
	}{
		"beyond the end": {&pb.StreamEventsRequest{After: 1 << 40}, codes.OutOfRange, ""},
		"no such type":   {&pb.StreamEventsRequest{Types: []pb.EventType{200}}, codes.InvalidArgument, "types[0]"},
		"no such site":   {&pb.StreamEventsRequest{Site: "west"}, codes.NotFound, ""},
	} {
		s := must(r.sup.StreamEvents(r.ctx(), c.req))(t)
		_, err := s.Recv()
		t.Run(name, func(t *testing.T) { wantCode(t, err, c.code, c.field) })
	}
}

func TestStreamEventsFromBeforeWhatIsKept(t *testing.T) {
	r := newRig(t, func(s *queue.Site, _ *optsT) { s.Keep.Events = 1000 })
	r.signIn("a")
	for range 700 { // two events each
		must(r.agent.SetState(r.ctx(), &pb.SetStateRequest{AgentId: "a", State: pb.AgentState_AGENT_STATE_NOT_READY}))(t)
		must(r.agent.SetState(r.ctx(), &pb.SetStateRequest{AgentId: "a", State: pb.AgentState_AGENT_STATE_READY}))(t)
	}
	// The log is trimmed by a checkpoint, which comes within a second.
	ctx := r.ctx()
	var err error
	for err == nil {
		s := must(r.sup.StreamEvents(ctx, &pb.StreamEventsRequest{After: 1}))(t)
		_, err = s.Recv()
	}
	wantCode(t, err, codes.OutOfRange, "")
	if reasonOf(err) != "EVENTS_TRIMMED" {
		t.Errorf("reason %q", reasonOf(err))
	}
	fromOldest := must(r.sup.StreamEvents(r.ctx(), &pb.StreamEventsRequest{}))(t)
	if first := must(recvOne(fromOldest.Recv))(t).GetEvent().GetSequence(); first < 2 {
		t.Errorf("the oldest event kept is %d", first)
	}
}

// registered is what a server registered.
type registered map[string]any

func (r registered) RegisterService(desc *grpc.ServiceDesc, impl any) { r[desc.ServiceName] = impl }

// TestAQueueThatWasTakenOutIsListedWhileItGoesOn: its callers still wait, and somebody
// has to see them.
func TestAQueueThatWasTakenOutIsListedWhileItGoesOn(t *testing.T) {
	r := newRig(t)
	r.signIn("a", "billing")
	must(r.sw.CallArrived(r.ctx(), &pb.CallArrivedRequest{SwitchId: "sw", CallId: "c1", Queue: "billing"}))(t)
	normalizer, err := tiering.NewNormalizer("CN")
	if err != nil {
		t.Fatal(err)
	}
	// A daemon without the queue, over an engine that goes on with it.
	server, err := rpc.New(rpc.Options{
		Sites:      []rpc.Site{{Config: queue.DefaultSite("main"), Engine: r.engine, Feed: r.feed}},
		Normalizer: normalizer, Tiers: r.tiers, Directory: r.dir,
	})
	if err != nil {
		t.Fatal(err)
	}
	services := registered{}
	server.Register(services)
	sup := services["greenlane.v1.SupervisorService"].(pb.SupervisorServiceServer)
	if calls := must(sup.ListCalls(r.ctx(), &pb.ListCallsRequest{Queue: "billing"}))(t).GetCalls(); len(calls) != 1 {
		t.Errorf("%d calls are listed", len(calls))
	}
	if agents := must(sup.ListAgents(r.ctx(), &pb.ListAgentsRequest{Queue: "billing"}))(t).GetAgents(); len(agents) != 1 {
		t.Errorf("%d agents are listed", len(agents))
	}
	must(sup.GetCohorts(r.ctx(), &pb.GetCohortsRequest{Queue: "billing"}))(t)
	back := services["greenlane.v1.CallbackService"].(pb.CallbackServiceServer)
	must(back.List(r.ctx(), &pb.CallbackServiceListRequest{Queue: "billing"}))(t)
	_, err = back.List(r.ctx(), &pb.CallbackServiceListRequest{Queue: "nowhere"})
	wantCode(t, err, codes.NotFound, "")
}
