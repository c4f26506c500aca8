package audit

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "greenlane/proto/greenlane/v1"
)

// Short names for the events that the tests write.
const (
	joined    = pb.EventType_EVENT_TYPE_CALL_JOINED
	offered   = pb.EventType_EVENT_TYPE_CALL_OFFERED
	returned  = pb.EventType_EVENT_TYPE_OFFER_RETURNED
	answered  = pb.EventType_EVENT_TYPE_CALL_ANSWERED
	completed = pb.EventType_EVENT_TYPE_CALL_COMPLETED
	abandoned = pb.EventType_EVENT_TYPE_CALL_ABANDONED
	cbCreated = pb.EventType_EVENT_TYPE_CALLBACK_CREATED
	cbDue     = pb.EventType_EVENT_TYPE_CALLBACK_DUE
	cbOffered = pb.EventType_EVENT_TYPE_CALLBACK_OFFERED
	cbClaimed = pb.EventType_EVENT_TYPE_CALLBACK_CLAIMED

	vip       = pb.Tier_TIER_VIP
	mid       = pb.Tier_TIER_MID
	ordinary  = pb.Tier_TIER_ORDINARY
	blacklist = pb.Tier_TIER_BLACKLIST
)

// story writes a log and replays it.
type story struct {
	faults Faults
	r      *Replay
	seq    uint64
	now    time.Time
	tiers  map[string]pb.Tier
	joined map[string]time.Time
	held   map[string]string
}

var day0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// newStory begins a log at a site where every agent serves "a" at level 1 and
// "b" at level 2, except "only-b", who serves "b" at level 1.
func newStory() *story {
	s := &story{now: day0, tiers: map[string]pb.Tier{}, joined: map[string]time.Time{}, held: map[string]string{}}
	s.r = NewReplay(0, World{
		Serves: func(agent string) []Service {
			if agent == "only-b" {
				return []Service{{"b", 1}}
			}
			return []Service{{"a", 1}, {"b", 2}}
		},
		Call: func(id string) (string, string, bool) {
			return "+86" + strings.TrimRight(id, "'"), s.held[id], true
		},
		CallbackTiers: []pb.Tier{mid},
		ShortAbandon:  5 * time.Second,
	}, &s.faults)
	return s
}

// event appends an event one second after the last.
func (s *story) event(e *pb.Event) *story {
	s.now = s.now.Add(time.Second)
	s.seq++
	e.Sequence, e.At = s.seq, timestamppb.New(s.now)
	if id := e.GetCallId(); id != "" && e.GetType() <= pb.EventType_EVENT_TYPE_CALL_RELEASED_TO_ALL {
		if e.GetType() == joined {
			s.tiers[id], s.joined[id] = e.GetTier(), s.now
		}
		e.Tier, e.JoinedAt = s.tiers[id], timestamppb.New(s.joined[id])
		e.Wait = durationpb.New(s.now.Sub(s.joined[id]))
	}
	s.r.Observe(e)
	return s
}

func (s *story) join(call, queue string, tier pb.Tier) *story {
	return s.event(&pb.Event{Type: joined, CallId: call, Queue: queue, Tier: tier})
}

func (s *story) call(t pb.EventType, call, agent, offer string) *story {
	return s.event(&pb.Event{Type: t, CallId: call, AgentId: agent, OfferId: offer})
}

// wants fails unless exactly the given rules were broken, in that order.
func (s *story) wants(t *testing.T, rules ...string) {
	t.Helper()
	var got []string
	for _, f := range s.faults.List() {
		got = append(got, f.Rule)
	}
	if strings.Join(got, ",") != strings.Join(rules, ",") {
		t.Errorf("faults %v, want %v:\n%v", got, rules, s.faults.List())
	}
}

func TestAGoodDayHasNoFaults(t *testing.T) {
	s := newStory().
		join("1", "a", ordinary).call(offered, "1", "x", "o-1").
		join("2", "a", vip).
		// The green channel: the offer is taken back for the VIP.
		event(&pb.Event{Type: returned, CallId: "1", AgentId: "x", OfferId: "o-1", Reason: "preempted"}).
		event(&pb.Event{Type: offered, CallId: "2", AgentId: "x", OfferId: "o-2", Why: "preemption"}).
		call(answered, "2", "x", "o-2").
		join("3", "b", mid).join("4", "b", ordinary).
		// Of the same tier the better level is first, before the older call.
		call(offered, "3", "only-b", "o-3").
		call(completed, "2", "x", "").call(offered, "1", "x", "o-4").
		event(&pb.Event{Type: returned, CallId: "1", AgentId: "x", OfferId: "o-4", Reason: "declined"}).
		// Who declined may be offered what comes after.
		call(offered, "4", "x", "o-5").
		event(&pb.Event{Type: returned, CallId: "3", AgentId: "only-b", OfferId: "o-3", Reason: "caller_hung_up"}).
		event(&pb.Event{Type: cbCreated, CallId: "3", CallbackId: "cb-1", Queue: "b", Tier: mid}).
		event(&pb.Event{Type: abandoned, CallId: "3", CallbackId: "cb-1", Queue: "b"})
	s.wants(t)
	if s.r.Preempted != 1 || s.r.Returned != 3 || s.r.Offers != 5 || s.r.Callbacks.Created != 1 || s.r.Waiting() != 2 {
		t.Errorf("%d preempted, %d returned, %d offers, %d callbacks, %d waiting", s.r.Preempted, s.r.Returned, s.r.Offers, s.r.Callbacks.Created, s.r.Waiting())
	}
}

func TestEveryBrokenRuleIsSeen(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(s *story)
		want []string
	}{
		{"a lower tier while a VIP waits", func(s *story) {
			s.join("1", "a", ordinary).join("2", "a", vip).call(offered, "1", "x", "o-1")
		}, []string{RuleGreenChannel}},
		{"a VIP of another queue that the agent serves", func(s *story) {
			s.join("1", "a", mid).join("2", "b", vip).call(offered, "1", "x", "o-1")
		}, []string{RuleGreenChannel}},
		{"ordinary before mid", func(s *story) {
			s.join("1", "a", mid).join("2", "a", ordinary).call(offered, "2", "x", "o-1")
		}, []string{RuleOrder}},
		{"level 2 before level 1", func(s *story) {
			s.join("1", "b", mid).join("2", "a", mid).call(offered, "1", "x", "o-1")
		}, []string{RuleOrder}},
		{"a younger one first", func(s *story) {
			s.join("1", "a", mid).join("2", "a", mid).call(offered, "2", "x", "o-1")
		}, []string{RuleOrder}},
		{"a returned call that lost its place", func(s *story) {
			s.join("1", "a", mid).join("2", "a", mid).call(offered, "1", "x", "o-1").
				event(&pb.Event{Type: returned, CallId: "1", AgentId: "x", OfferId: "o-1", Reason: "agent_lost"}).
				call(offered, "2", "y", "o-2")
		}, []string{RuleOrder}},
		{"an agent who does not serve the queue", func(s *story) {
			s.join("1", "a", mid).call(offered, "1", "only-b", "o-1")
		}, []string{RuleOrder}},
		{"a call held for another agent", func(s *story) {
			s.held["1"] = "y"
			s.join("1", "a", vip).join("2", "a", mid).call(offered, "2", "x", "o-1")
			s.event(&pb.Event{Type: pb.EventType_EVENT_TYPE_CALL_RELEASED_TO_ALL, CallId: "1", Queue: "a"}).
				join("3", "a", mid).call(offered, "3", "z", "o-2")
		}, []string{RuleGreenChannel}},
		{"two agents at a time", func(s *story) {
			s.join("1", "a", mid).call(offered, "1", "x", "o-1").call(offered, "1", "y", "o-2")
		}, []string{RuleOneOffer}},
		{"two calls at a time", func(s *story) {
			s.join("1", "a", mid).call(offered, "1", "x", "o-1").join("2", "a", mid).call(offered, "2", "x", "o-2")
		}, []string{RuleOneOffer}},
		{"another agent answers", func(s *story) {
			s.join("1", "a", mid).call(offered, "1", "x", "o-1").call(answered, "1", "y", "o-1")
		}, []string{RuleOneOffer}},
		{"an answer without an offer", func(s *story) {
			s.join("1", "a", mid).call(answered, "1", "y", "o-1")
		}, []string{RuleOneEnd}},
		{"abandoned after the answer", func(s *story) {
			s.join("1", "a", ordinary).call(offered, "1", "x", "o-1").call(answered, "1", "x", "o-1").call(abandoned, "1", "", "")
		}, []string{RuleOneEnd}},
		{"ended twice", func(s *story) {
			s.join("1", "a", ordinary).call(abandoned, "1", "", "").call(abandoned, "1", "", "")
		}, []string{RuleOneEnd}},
		{"joined twice", func(s *story) { s.join("1", "a", mid).join("1", "a", mid) }, []string{RuleOneEnd}},
		{"a gap in the log", func(s *story) {
			s.join("1", "a", mid)
			s.seq++
			s.join("2", "a", mid)
		}, []string{RuleLog}},
		{"time runs back", func(s *story) {
			s.join("1", "a", mid)
			s.now = s.now.Add(-time.Hour)
			s.join("2", "a", mid)
		}, []string{RuleLog}},
		{"an unknown call", func(s *story) { s.call(abandoned, "9", "", "") }, []string{RuleLog}},
		{"a callback that was not earned", func(s *story) {
			s.join("1", "a", ordinary)
			s.now = s.now.Add(time.Minute)
			s.event(&pb.Event{Type: abandoned, CallId: "1", CallbackId: "cb-1", Queue: "a"})
		}, []string{RuleCallback}},
		{"a short abandon that earned one", func(s *story) {
			s.join("1", "a", mid).event(&pb.Event{Type: abandoned, CallId: "1", CallbackId: "cb-1", Queue: "a"})
		}, []string{RuleCallback}},
		{"an earned callback that is not there", func(s *story) {
			s.join("1", "a", mid)
			s.now = s.now.Add(time.Minute)
			s.call(abandoned, "1", "", "")
		}, []string{RuleCallback}},
		{"two open callbacks of one caller", func(s *story) {
			s.event(&pb.Event{Type: cbCreated, CallId: "1", CallbackId: "cb-1", Queue: "a", Tier: mid}).
				event(&pb.Event{Type: cbCreated, CallId: "1'", CallbackId: "cb-2", Queue: "a", Tier: mid})
		}, []string{RuleCallback}},
		{"a callback before a caller", func(s *story) {
			s.event(&pb.Event{Type: cbCreated, CallId: "1", CallbackId: "cb-1", Queue: "a", Tier: mid}).
				event(&pb.Event{Type: cbDue, CallbackId: "cb-1"}).join("2", "a", ordinary).
				event(&pb.Event{Type: cbOffered, CallbackId: "cb-1", AgentId: "x", OfferId: "o-1"})
		}, []string{RuleOrder}},
		{"a blacklisted caller before a callback", func(s *story) {
			s.event(&pb.Event{Type: cbCreated, CallId: "1", CallbackId: "cb-1", Queue: "a", Tier: mid}).
				event(&pb.Event{Type: cbDue, CallbackId: "cb-1"}).
				join("2", "a", blacklist).call(offered, "2", "x", "o-1")
		}, []string{RuleOrder}},
		{"a callback claimed twice", func(s *story) {
			s.event(&pb.Event{Type: cbCreated, CallId: "1", CallbackId: "cb-1", Queue: "a", Tier: mid}).
				event(&pb.Event{Type: cbDue, CallbackId: "cb-1"}).
				event(&pb.Event{Type: cbClaimed, CallbackId: "cb-1", AgentId: "x"}).
				event(&pb.Event{Type: cbClaimed, CallbackId: "cb-1", AgentId: "y"})
		}, []string{RuleCallback}},
		{"a callback claimed after its end", func(s *story) {
			s.event(&pb.Event{Type: cbCreated, CallId: "1", CallbackId: "cb-1", Queue: "a", Tier: mid}).
				event(&pb.Event{Type: pb.EventType_EVENT_TYPE_CALLBACK_MISSED, CallbackId: "cb-1"}).
				event(&pb.Event{Type: cbClaimed, CallbackId: "cb-1", AgentId: "y"})
		}, []string{RuleCallback}},
		{"a callback to a caller who was answered", func(s *story) {
			s.event(&pb.Event{Type: cbCreated, CallId: "1", CallbackId: "cb-1", Queue: "a", Tier: mid}).
				event(&pb.Event{Type: cbDue, CallbackId: "cb-1"}).
				join("1'", "a", mid).call(offered, "1'", "x", "o-1").call(answered, "1'", "x", "o-1").
				event(&pb.Event{Type: cbOffered, CallbackId: "cb-1", AgentId: "y", OfferId: "o-2"})
		}, []string{RuleCallback}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStory()
			c.run(s)
			s.wants(t, c.want...)
		})
	}
}
