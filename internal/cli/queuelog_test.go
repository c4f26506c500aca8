package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "greenlane/proto/greenlane/v1"
)

// TestQueueLogOfRareEvents are those that a short day does not have.
func TestQueueLogOfRareEvents(t *testing.T) {
	start := time.Unix(1000, 0)
	joined := func(call string, tier pb.Tier, after time.Duration) *pb.Event {
		return &pb.Event{Type: pb.EventType_EVENT_TYPE_CALL_JOINED, CallId: call, Queue: "q", Tier: tier, JoinedAt: timestamppb.New(start.Add(after))}
	}
	waited := func(kind pb.EventType, call, queue string, wait time.Duration) *pb.Event {
		return &pb.Event{Type: kind, CallId: call, Queue: queue, Wait: durationpb.New(wait)}
	}
	ringing := func(kind pb.EventType, call, reason string) *pb.Event {
		return &pb.Event{Type: kind, CallId: call, Queue: "q", AgentId: "a", OfferId: "o", Reason: reason, AgentState: pb.AgentState_AGENT_STATE_READY}
	}
	moved := waited(pb.EventType_EVENT_TYPE_CALL_MOVED, "c1", "r", 30*time.Second)
	moved.FromQueue = "q"
	gone := waited(pb.EventType_EVENT_TYPE_CALL_ABANDONED, "older", "q", 99*time.Second)
	answered := waited(pb.EventType_EVENT_TYPE_CALL_ANSWERED, "c0", "q", 70*time.Second)
	answered.AgentId, answered.OfferId = "a", "o-7"
	completed := waited(pb.EventType_EVENT_TYPE_CALL_COMPLETED, "c0", "q", 70*time.Second)
	completed.AgentId, completed.Talk, completed.Reason = "a", durationpb.New(5*time.Second), "agent_completed"
	events := []*pb.Event{
		joined("c1", pb.Tier_TIER_ORDINARY, 0),
		joined("c2", pb.Tier_TIER_ORDINARY, time.Second),
		joined("c3", pb.Tier_TIER_BLACKLIST, 2*time.Second),
		{Type: pb.EventType_EVENT_TYPE_CALL_RERANKED, CallId: "c3", Queue: "q", Tier: pb.Tier_TIER_VIP, FromTier: pb.Tier_TIER_BLACKLIST},
		joined("c0", pb.Tier_TIER_ORDINARY, -time.Second), // joined before them, reported after
		ringing(pb.EventType_EVENT_TYPE_CALL_OFFERED, "c3", ""),
		ringing(pb.EventType_EVENT_TYPE_OFFER_RETURNED, "c3", "preempted"),
		ringing(pb.EventType_EVENT_TYPE_CALL_OFFERED, "c3", ""),
		ringing(pb.EventType_EVENT_TYPE_OFFER_RETURNED, "c3", "declined"),
		moved,
		waited(pb.EventType_EVENT_TYPE_CALL_TIMED_OUT, "c2", "q", 61999*time.Millisecond),
		waited(pb.EventType_EVENT_TYPE_CALL_OVERFLOWED, "c3", "q", 62*time.Second),
		gone,
		{Type: pb.EventType_EVENT_TYPE_CALL_REFUSED, CallId: "c9", Queue: "q", Reason: "queue_full"},
		{Type: pb.EventType_EVENT_TYPE_AGENT_STATE_CHANGED, AgentId: "early", AgentState: pb.AgentState_AGENT_STATE_NOT_READY, Reason: "tea|cake\n"},
		{Type: pb.EventType_EVENT_TYPE_AGENT_SIGNED_OUT, AgentId: "early", AgentState: pb.AgentState_AGENT_STATE_SIGNED_OUT},
		{Type: pb.EventType_EVENT_TYPE_AGENT_SIGNED_OUT, AgentId: "unknown", AgentState: pb.AgentState_AGENT_STATE_SIGNED_OUT},
		ringing(pb.EventType_EVENT_TYPE_CALL_OFFERED, "c0", ""),
		{Type: pb.EventType_EVENT_TYPE_OFFER_ACKNOWLEDGED, CallId: "c0", Queue: "q", AgentId: "a", OfferId: "o-7"},
		answered,
		completed,
	}
	q := &queueLog{
		Calls: map[string]*logCall{}, Agents: map[string]*logAgent{},
		serves: func(_ context.Context, agent string, _ uint64) ([]string, error) {
			return map[string][]string{"early": {"q", "r"}}[agent], nil
		},
		caller: func(context.Context, string) (string, error) { return "", nil },
	}
	var got []string
	for i, ev := range events {
		ev.Sequence, ev.At = uint64(i+1), timestamppb.New(start.Add(time.Duration(i)*time.Second))
		lines, err := q.lines(t.Context(), ev)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, lines...)
	}
	want := []string{
		"1000|c1|q|NONE|ENTERQUEUE|||1",
		"1001|c2|q|NONE|ENTERQUEUE|||2",
		"1002|c3|q|NONE|ENTERQUEUE|||3",
		"1004|c0|q|NONE|ENTERQUEUE|||2",
		"1008|c3|q|a|RINGNOANSWER|1000",
		"1009|c1|q|NONE|EXITWITHTIMEOUT|3|1|30",
		"1009|c1|r|NONE|ENTERQUEUE|||1",
		"1010|c2|q|NONE|EXITWITHTIMEOUT|3|2|61",
		"1011|c3|q|NONE|EXITWITHTIMEOUT|1|3|62",
		"1012|older|q|NONE|ABANDON|0|0|99",
		"1014|NONE|q|early|PAUSE|tea_cake?",
		"1014|NONE|r|early|PAUSE|tea_cake?",
		"1015|NONE|q|early|REMOVEMEMBER|",
		"1015|NONE|r|early|REMOVEMEMBER|",
		"1016|NONE|NONE|unknown|REMOVEMEMBER|",
		"1019|c0|q|a|CONNECT|70|o-7|2",
		"1020|c0|q|a|COMPLETEAGENT|70|5|2",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the log is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(q.Calls) != 1 || len(q.Agents) != 0 {
		t.Errorf("what has ended is kept: %v, %v", q.Calls, q.Agents)
	}
}
