package rpc_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "greenlane/proto/greenlane/v1"
)

// good is a request for each unary rpc in which nothing is wrong.
func good() map[string]proto.Message {
	return map[string]proto.Message{
		"SwitchService/CallArrived":   &pb.CallArrivedRequest{SwitchId: "s", CallId: "c"},
		"SwitchService/CallAbandoned": &pb.CallAbandonedRequest{SwitchId: "s", CallId: "c"},
		"SwitchService/CallEnded":     &pb.CallEndedRequest{SwitchId: "s", CallId: "c"},
		"SwitchService/Reconcile":     &pb.ReconcileRequest{SwitchId: "s"},

		"AgentService/SignIn":      &pb.SignInRequest{AgentId: "a", Queues: []*pb.AgentQueue{{Queue: "default"}}},
		"AgentService/NextCall":    &pb.NextCallRequest{AgentId: "a", Wait: &durationpb.Duration{}},
		"AgentService/Accept":      &pb.AcceptRequest{AgentId: "a", OfferId: "o-1"},
		"AgentService/Decline":     &pb.DeclineRequest{AgentId: "a", OfferId: "o-1"},
		"AgentService/Complete":    &pb.CompleteRequest{AgentId: "a", CallId: "c"},
		"AgentService/SetState":    &pb.SetStateRequest{AgentId: "a", State: pb.AgentState_AGENT_STATE_READY},
		"AgentService/SignOut":     &pb.SignOutRequest{AgentId: "a"},
		"AgentService/Acknowledge": &pb.AcknowledgeRequest{AgentId: "a", OfferId: "o-1"},

		"SupervisorService/GetSnapshot": &pb.GetSnapshotRequest{},
		"SupervisorService/GetCohorts":  &pb.GetCohortsRequest{},
		"SupervisorService/ListCalls":   &pb.ListCallsRequest{},
		"SupervisorService/ListAgents":  &pb.ListAgentsRequest{},
		"SupervisorService/Explain":     &pb.ExplainRequest{CallId: "c"},
		"SupervisorService/MoveCall":    &pb.MoveCallRequest{CallId: "c", Queue: "billing"},
		"SupervisorService/EraseCaller": &pb.EraseCallerRequest{Caller: "13800138000"},
		"SupervisorService/SetTier":     &pb.SetTierRequest{CallId: "c", Tier: pb.Tier_TIER_MID},

		"CallbackService/List":       &pb.CallbackServiceListRequest{},
		"CallbackService/Create":     &pb.CallbackServiceCreateRequest{Caller: "13800138000"},
		"CallbackService/Claim":      &pb.CallbackServiceClaimRequest{CallbackId: "cb-1", Claimant: "a"},
		"CallbackService/Report":     &pb.CallbackServiceReportRequest{CallbackId: "cb-1", Claimant: "a", Result: pb.CallbackResult_CALLBACK_RESULT_BUSY},
		"CallbackService/Reschedule": &pb.CallbackServiceRescheduleRequest{CallbackId: "cb-1", DueAt: timestamppb.Now()},
		"CallbackService/Cancel":     &pb.CallbackServiceCancelRequest{CallbackId: "cb-1"},

		"TierService/Set":       &pb.TierServiceSetRequest{Caller: "13800138000", Tier: pb.Tier_TIER_MID},
		"TierService/Lookup":    &pb.TierServiceLookupRequest{Caller: "13800138000"},
		"TierService/Score":     &pb.TierServiceScoreRequest{},
		"TierService/Blacklist": &pb.TierServiceBlacklistRequest{Caller: "13800138000", Reason: "abuse"},

		"TierService/ListBlacklist": &pb.TierServiceListBlacklistRequest{},
		"TierService/List":          &pb.TierServiceListRequest{},
		"TierService/Count":         &pb.TierServiceCountRequest{},
		"TierService/GetGrading":    &pb.TierServiceGetGradingRequest{},
		"TierService/Rate":          &pb.TierServiceRateRequest{Caller: "13800138000", Score: 3},
	}
}

// wrong returns values that a field must refuse, by its kind and name.
func wrong(f protoreflect.FieldDescriptor) []protoreflect.Value {
	text := func(s ...string) (out []protoreflect.Value) {
		for _, v := range s {
			out = append(out, protoreflect.ValueOfString(v))
		}
		return out
	}
	switch {
	case f.IsList() || f.IsMap():
		return nil // by hand, below
	case f.Kind() == protoreflect.StringKind:
		long := strings.Repeat("x", 5000)
		if f.FullName() == "greenlane.v1.TierServiceBlacklistRequest.reason" { // kept as the note
			return text(long, "a\x00b", strings.Repeat("y", 501))
		}
		switch f.Name() {
		case "caller":
			return text(long) // and what is no number, below
		case "switch_id", "call_id", "agent_id", "offer_id", "callback_id", "claimant":
			return text(long, "", "a\x00b", "tab\there", strings.Repeat("y", 129))
		case "site", "queue":
			return text(long, "with space", "slash/", strings.Repeat("y", 65))
		case "note":
			return text(long, "a\x00b", strings.Repeat("y", 501))
		}
		return text(long, "a\x01b", "line\nend")
	case f.Kind() == protoreflect.EnumKind:
		return []protoreflect.Value{protoreflect.ValueOfEnum(99), protoreflect.ValueOfEnum(-1)}
	case f.Kind() == protoreflect.Int32Kind:
		return []protoreflect.Value{protoreflect.ValueOfInt32(-1), protoreflect.ValueOfInt32(math.MaxInt32)}
	case f.Kind() == protoreflect.DoubleKind:
		return []protoreflect.Value{
			protoreflect.ValueOfFloat64(-0.1), protoreflect.ValueOfFloat64(100.1), protoreflect.ValueOfFloat64(math.NaN()),
			protoreflect.ValueOfFloat64(math.Inf(1)),
		}
	case f.Kind() == protoreflect.MessageKind && f.Message().FullName() == "google.protobuf.Timestamp":
		return []protoreflect.Value{
			protoreflect.ValueOfMessage((&timestamppb.Timestamp{Seconds: math.MaxInt64}).ProtoReflect()),
			protoreflect.ValueOfMessage((&timestamppb.Timestamp{Seconds: math.MinInt64, Nanos: -5}).ProtoReflect()),
		}
	case f.Kind() == protoreflect.MessageKind && f.Message().FullName() == "google.protobuf.Duration":
		return []protoreflect.Value{
			protoreflect.ValueOfMessage((&durationpb.Duration{Seconds: -1}).ProtoReflect()),
			protoreflect.ValueOfMessage((&durationpb.Duration{Seconds: 10_000_000}).ProtoReflect()),
			protoreflect.ValueOfMessage((&durationpb.Duration{Seconds: 1, Nanos: -1}).ProtoReflect()),
			protoreflect.ValueOfMessage((&durationpb.Duration{Seconds: math.MaxInt64}).ProtoReflect()),
		}
	}
	return nil
}

// free are the fields in which nothing can be wrong.
var free = map[protoreflect.Name]bool{
	"ring_by_switch": true, "force": true, "omit_agents": true, "remove": true, "mask_callers": true,
}

// TestEveryFieldOfEveryRequestIsChecked walks the API itself: a field that is
// added to a request without a check fails here.
func TestEveryFieldOfEveryRequestIsChecked(t *testing.T) {
	r := newRig(t)
	requests := good()
	lists := map[string]bool{
		"CallArrivedRequest.attributes": true, "ReconcileRequest.calls": true, "SignInRequest.queues": true,
		"TierServiceScoreRequest.figures": true,                                   // TestScoreByNames
		"ListCallsRequest.states":         true, "ListAgentsRequest.states": true, // TestWrongItems
	}
	for _, file := range []protoreflect.FileDescriptor{
		pb.File_greenlane_v1_switch_service_proto, pb.File_greenlane_v1_agent_service_proto, pb.File_greenlane_v1_supervisor_service_proto,
		pb.File_greenlane_v1_callback_service_proto, pb.File_greenlane_v1_tier_service_proto,
	} {
		methods := file.Services().Get(0).Methods()
		for i := range methods.Len() {
			m := methods.Get(i)
			if m.IsStreamingClient() || m.IsStreamingServer() {
				continue // TestWrongFirstMessages
			}
			name := string(file.Services().Get(0).Name()) + "/" + string(m.Name())
			base := requests[name]
			if base == nil {
				t.Errorf("no good request is known for %s", name)
				continue
			}
			fields := m.Input().Fields()
			for j := range fields.Len() {
				f := fields.Get(j)
				values := wrong(f)
				if len(values) == 0 && !free[f.Name()] && !lists[string(m.Input().Name())+"."+string(f.Name())] {
					t.Errorf("%s.%s: no wrong value is known", name, f.Name())
				}
				for k, v := range values {
					t.Run(fmt.Sprintf("%s/%s/%d", name, f.Name(), k), func(t *testing.T) {
						req := proto.Clone(base)
						req.ProtoReflect().Set(f, v)
						out := new(emptyAnswer)
						err := r.conn.Invoke(r.ctx(), "/greenlane.v1."+name, req, out)
						wantCode(t, err, codes.InvalidArgument, string(f.Name()))
					})
				}
			}
		}
	}
}

// emptyAnswer takes any answer: unknown fields are kept and not looked at.
type emptyAnswer = pb.Heartbeat

// TestGoodRequestsAreNotRefused makes sure that the test above finds what it
// planted, and nothing else.
func TestGoodRequestsAreNotRefused(t *testing.T) {
	r := newRig(t)
	all := good()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		err := r.conn.Invoke(r.ctx(), "/greenlane.v1."+name, all[name], new(emptyAnswer))
		if code := codeOf(err); code == codes.InvalidArgument && name != "CallbackService/Reschedule" || code == codes.Internal || code == codes.Unknown {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWrongItems(t *testing.T) {
	r := newRig(t)
	attributes := func(n int, key, value string) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprintf("%s%d", key, i)] = value
		}
		return m
	}
	arrived := func(change func(*pb.CallArrivedRequest)) func(context.Context) error {
		return func(ctx context.Context) error {
			req := &pb.CallArrivedRequest{SwitchId: "s", CallId: "c"}
			change(req)
			_, err := r.sw.CallArrived(ctx, req)
			return err
		}
	}
	queues := func(qs ...*pb.AgentQueue) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := r.agent.SignIn(ctx, &pb.SignInRequest{AgentId: "a", Queues: qs})
			return err
		}
	}
	now := timestamppb.Now()
	many := make([]*pb.AgentQueue, 101)
	for i := range many {
		many[i] = &pb.AgentQueue{Queue: fmt.Sprint("q", i)}
	}
	for _, c := range []struct {
		name, field string
		do          func(context.Context) error
	}{
		{"too many attributes", "attributes", arrived(func(q *pb.CallArrivedRequest) { q.Attributes = attributes(33, "k", "v") })},
		{"long attribute", "attributes", arrived(func(q *pb.CallArrivedRequest) { q.Attributes = attributes(1, "k", strings.Repeat("v", 257)) })},
		{"long key", "attributes", arrived(func(q *pb.CallArrivedRequest) { q.Attributes = attributes(1, strings.Repeat("k", 64), "v") })},
		{"empty key", "attributes", arrived(func(q *pb.CallArrivedRequest) { q.Attributes = map[string]string{"": "v"} })},
		{"arrived before 1970", "arrived_at", arrived(func(q *pb.CallArrivedRequest) { q.ArrivedAt = &timestamppb.Timestamp{Seconds: -1} })},
		{"arrived at no time", "arrived_at", arrived(func(q *pb.CallArrivedRequest) { q.ArrivedAt = &timestamppb.Timestamp{Nanos: -1} })},
		{"no queues", "queues", queues()},
		{"too many queues", "queues", queues(many...)},
		{"queue twice", "queues[1].queue", queues(&pb.AgentQueue{Queue: "default"}, &pb.AgentQueue{Queue: "default"})},
		{"queue without a name", "queues[0].queue", queues(&pb.AgentQueue{})},
		{"level too high", "queues[0].level", queues(&pb.AgentQueue{Queue: "default", Level: 101})},
		{"level negative", "queues[0].level", queues(&pb.AgentQueue{Queue: "default", Level: -1})},
		{"ring without a phone", "endpoint", func(ctx context.Context) error {
			_, err := r.agent.SignIn(ctx, &pb.SignInRequest{AgentId: "a", RingBySwitch: true, Queues: []*pb.AgentQueue{{Queue: "default"}}})
			return err
		}},
		{"call state", "states[1]", func(ctx context.Context) error {
			_, err := r.sup.ListCalls(ctx, &pb.ListCallsRequest{States: []pb.CallState{pb.CallState_CALL_STATE_WAITING, 77}})
			return err
		}},
		{"agent state", "states[0]", func(ctx context.Context) error {
			_, err := r.sup.ListAgents(ctx, &pb.ListAgentsRequest{States: []pb.AgentState{pb.AgentState_AGENT_STATE_UNSPECIFIED}})
			return err
		}},
		{"state that nobody sets", "state", func(ctx context.Context) error {
			_, err := r.agent.SetState(ctx, &pb.SetStateRequest{AgentId: "a", State: pb.AgentState_AGENT_STATE_TALKING})
			return err
		}},
		{"page token", "page_token", func(ctx context.Context) error {
			_, err := r.sup.ListCalls(ctx, &pb.ListCallsRequest{PageToken: "not one"})
			return err
		}},
		{"callback page token", "page_token", func(ctx context.Context) error {
			_, err := r.back.List(ctx, &pb.CallbackServiceListRequest{PageToken: "not one"})
			return err
		}},
		{"tier without a number", "caller", func(ctx context.Context) error {
			_, err := r.tier.Set(ctx, &pb.TierServiceSetRequest{Tier: pb.Tier_TIER_MID})
			return err
		}},
		{"tier of a word", "caller", func(ctx context.Context) error {
			_, err := r.tier.Lookup(ctx, &pb.TierServiceLookupRequest{Caller: "Li Wei"})
			return err
		}},
		{"tier that ended", "expires_at", func(ctx context.Context) error {
			_, err := r.tier.Set(ctx, &pb.TierServiceSetRequest{Caller: "13800138000", Tier: pb.Tier_TIER_MID, ExpiresAt: &timestamppb.Timestamp{Seconds: 1}})
			return err
		}},
		{"no tier", "tier", func(ctx context.Context) error {
			_, err := r.tier.Set(ctx, &pb.TierServiceSetRequest{Caller: "13800138000"})
			return err
		}},
		{"blacklist without a reason", "reason", func(ctx context.Context) error {
			_, err := r.tier.Blacklist(ctx, &pb.TierServiceBlacklistRequest{Caller: "13800138000"})
			return err
		}},
		{"pardon with an end", "until", func(ctx context.Context) error {
			_, err := r.tier.Blacklist(ctx, &pb.TierServiceBlacklistRequest{Caller: "13800138000", Remove: true, Until: now})
			return err
		}},
		{"blacklist that ended", "until", func(ctx context.Context) error {
			_, err := r.tier.Blacklist(ctx, &pb.TierServiceBlacklistRequest{Caller: "13800138000", Reason: "r", Until: &timestamppb.Timestamp{Seconds: 1}})
			return err
		}},
		{"callback to nobody", "caller", func(ctx context.Context) error {
			_, err := r.back.Create(ctx, &pb.CallbackServiceCreateRequest{Caller: "anonymous"})
			return err
		}},
		{"callback in the past", "due_at", func(ctx context.Context) error {
			_, err := r.back.Create(ctx, &pb.CallbackServiceCreateRequest{Caller: "13800138000", DueAt: &timestamppb.Timestamp{Seconds: 1}})
			return err
		}},
		{"no result", "result", func(ctx context.Context) error {
			_, err := r.back.Report(ctx, &pb.CallbackServiceReportRequest{CallbackId: "cb-1", Claimant: "a"})
			return err
		}},
		{"reschedule to no time", "due_at", func(ctx context.Context) error {
			_, err := r.back.Reschedule(ctx, &pb.CallbackServiceRescheduleRequest{CallbackId: "cb-1"})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) { wantCode(t, c.do(r.ctx()), codes.InvalidArgument, c.field) })
	}
}

// TestAllFaultsAtOnce: one answer names every wrong field.
func TestAllFaultsAtOnce(t *testing.T) {
	r := newRig(t)
	_, err := r.sw.CallArrived(r.ctx(), &pb.CallArrivedRequest{Site: "a b", Queue: "c d", Attestation: 9})
	for _, field := range []string{"site", "switch_id", "call_id", "queue", "attestation"} {
		wantCode(t, err, codes.InvalidArgument, field)
	}
}
