package rpc_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"greenlane/internal/identity"
	"greenlane/internal/rpc"
	pb "greenlane/proto/greenlane/v1"
)

// said makes a request and returns all that the first answer says: its message, or
// its error with the details.
func said(ctx context.Context, t *testing.T, conn *grpc.ClientConn, path string, m protoreflect.MethodDescriptor, ids map[string]string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in := must(protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName()))(t).New()
	out := must(protoregistry.GlobalTypes.FindMessageByName(m.Output().FullName()))(t).New()
	fill(in, "", ids)
	for _, name := range []protoreflect.Name{"omit_agents"} {
		if f := m.Input().Fields().ByName(name); f != nil {
			in.Set(f, protoreflect.ValueOfBool(true))
		}
	}
	if f := m.Input().Fields().ByName("wait"); f != nil {
		in.Mutable(f)
	}
	if f := m.Input().Fields().ByName("hello"); f != nil { // of a stream
		fill(in.Mutable(f).Message(), "", ids)
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, path)
	if err == nil {
		err = stream.SendMsg(in.Interface())
	}
	if err == nil && (!m.IsStreamingClient() || !m.IsStreamingServer()) {
		err = stream.CloseSend()
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = stream.RecvMsg(out.Interface())
	}
	if err != nil {
		return status.Convert(err).Proto().String()
	}
	return prototext.Format(out.Interface())
}

// TestNobodyLearnsOfOthers: whatever a switch or an agent asks about what is
// another's, no answer names whose it is, or what is known of it.
func TestNobodyLearnsOfOthers(t *testing.T) {
	l := newLocked(t, noShortAbandon)
	ctx := l.ctx()
	sw := pb.NewSwitchServiceClient(l.as(l.token(identity.Switch, "pbx-secret", "main"), nil))
	anna := pb.NewAgentServiceClient(l.as(l.token(identity.Agent, "anna-secret", "main"), nil))
	back := pb.NewCallbackServiceClient(l.as(l.token(identity.BackOffice, "crm", "main"), nil))
	const number = "13800138000"
	arrive := func(id, caller string) {
		t.Helper()
		must(sw.CallArrived(ctx, &pb.CallArrivedRequest{SwitchId: "pbx-secret", CallId: id, Caller: caller, RequestId: "used"}))(t)
	}
	arrive("c1", number)
	must(anna.SignIn(ctx, &pb.SignInRequest{AgentId: "anna-secret", Queues: []*pb.AgentQueue{{Queue: "default"}}}))(t)
	offer := must(anna.NextCall(ctx, &pb.NextCallRequest{AgentId: "anna-secret"}))(t).GetOffer().GetOfferId()
	// A promise to another caller, with a note, that somebody has claimed.
	cb := must(back.Create(ctx, &pb.CallbackServiceCreateRequest{Caller: "13900139000", Note: "note-secret"}))(t).GetCallback().GetCallbackId()
	must(back.Create(ctx, &pb.CallbackServiceCreateRequest{Caller: "13700137000", Note: "note-secret"}))(t)
	boss := pb.NewCallbackServiceClient(l.as(l.token(identity.Supervisor, "boss-secret", "main"), nil))
	must(boss.Claim(ctx, &pb.CallbackServiceClaimRequest{CallbackId: cb, Claimant: "boss-secret"}))(t)

	// The agents' rpcs that are there to tell of others.
	tells := map[string]bool{
		"/greenlane.v1.CallbackService/List": true, "/greenlane.v1.SupervisorService/ListCalls": true,
		"/greenlane.v1.CallbackService/Claim": true, "/greenlane.v1.CallbackService/Report": true, // of a callback that List shows
	}
	asked := 0
	for role, name := range map[identity.Role]string{identity.Switch: "pbx-2", identity.Agent: "ben"} {
		conn := l.as(l.token(role, name, "main"), nil)
		for _, rule := range rpc.Rules() {
			m := methods(t)[rule.Path]
			if m == nil || tells[rule.Path] || !rule.Roles.Has(role) {
				continue
			}
			asked++
			for _, request := range []string{"", "used"} {
				answer := said(ctx, t, conn, rule.Path, m, map[string]string{
					"switch_id": "pbx-2", "agent_id": "ben", "claimant": "ben", "call_id": "c1", "offer_id": offer, "callback_id": cb,
					"caller": number, "request_id": request,
				})
				if strings.Contains(answer, "secret") {
					t.Errorf("%s by a %s says %s", rule.Path, role, answer)
				}
			}
		}
	}
	if asked < 15 {
		t.Errorf("only %d rpcs were asked", asked)
	}

	two := pb.NewSwitchServiceClient(l.as(l.token(identity.Switch, "pbx-2", "main"), nil))
	res := must(two.Reconcile(ctx, &pb.ReconcileRequest{SwitchId: "pbx-2", Calls: []*pb.LiveCall{{CallId: "c1"}, {CallId: "own"}}}))(t)
	if r := res.GetResults()[0]; codes.Code(r.GetCode()) != codes.PermissionDenied || strings.Contains(r.String(), "secret") {
		t.Errorf("another's call on a list: %v", r)
	}
	if r := res.GetResults()[1]; codes.Code(r.GetCode()) != codes.OK {
		t.Errorf("one's own call on the same list: %v", r)
	}

	// Each of two promises stands already; a call that would have earned it is told no more of it.
	tiers := pb.NewTierServiceClient(l.as(l.token(identity.BackOffice, "crm", "main"), nil))
	for id, caller := range map[string]string{"c2": "13900139000", "c3": "13700137000"} {
		must(tiers.Set(ctx, &pb.TierServiceSetRequest{Caller: caller, Tier: pb.Tier_TIER_MID}))(t)
		must(two.CallArrived(ctx, &pb.CallArrivedRequest{SwitchId: "pbx-2", CallId: id, Caller: caller}))(t)
		earned := must(two.CallAbandoned(ctx, &pb.CallAbandonedRequest{SwitchId: "pbx-2", CallId: id}))(t).GetCallback()
		if earned == nil || strings.Contains(earned.String(), "secret") || earned.GetCallId() != "" {
			t.Errorf("a promise that stood already is told as %v", earned)
		}
	}
}
