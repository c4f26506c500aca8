package rpc_test

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"greenlane/internal/identity"
	pb "greenlane/proto/greenlane/v1"
)

// TestNobodyClaimsInTheNameOfAnother: a claim shows the number, and is its
// claimant's alone.
func TestNobodyClaimsInTheNameOfAnother(t *testing.T) {
	l := newLocked(t)
	as := func(role identity.Role, name string) *grpc.ClientConn { return l.as(l.token(role, name, "main"), nil) }
	boss, anna := as(identity.Supervisor, "boss"), as(identity.Agent, "7003")
	gateway := as(identity.Agent, identity.AnyName)
	promise := func(caller string) string {
		res := must(pb.NewCallbackServiceClient(boss).Create(l.ctx(), &pb.CallbackServiceCreateRequest{Caller: caller, Queue: "default"}))(t)
		return res.GetCallback().GetCallbackId()
	}
	id := promise("13800138000")
	claim := func(conn *grpc.ClientConn, by string) (*pb.Callback, error) {
		res, err := pb.NewCallbackServiceClient(conn).Claim(l.ctx(), &pb.CallbackServiceClaimRequest{CallbackId: id, Claimant: by})
		return res.GetCallback(), err
	}
	report := func(conn *grpc.ClientConn, by string) error {
		_, err := pb.NewCallbackServiceClient(conn).Report(l.ctx(), &pb.CallbackServiceReportRequest{
			CallbackId: id, Claimant: by, Result: pb.CallbackResult_CALLBACK_RESULT_NO_ANSWER,
		})
		return err
	}
	signIn := func(queue string) {
		t.Helper()
		must(pb.NewAgentServiceClient(anna).SignIn(l.ctx(), &pb.SignInRequest{AgentId: "7003", Queues: []*pb.AgentQueue{{Queue: queue}}}))(t)
	}
	refused := func(what string, err error, code codes.Code, reason string) {
		t.Helper()
		if codeOf(err) != code || reasonOf(err) != reason {
			t.Errorf("%s: %v, want %v %s", what, err, code, reason)
		}
	}
	_, err := claim(anna, "7003")
	refused("an agent who is not signed in", err, codes.FailedPrecondition, "WRONG_STATE")
	_, err = claim(gateway, "7003")
	refused("an agent who is not signed in, through a gateway", err, codes.FailedPrecondition, "WRONG_STATE")
	signIn("billing")
	_, err = claim(anna, "7003")
	refused("an agent of another queue", err, codes.FailedPrecondition, "WRONG_STATE")
	signIn("default")
	cb := must(claim(anna, ""))(t)
	if cb.GetClaimedBy() != "7003" || cb.GetCaller() != "+8613800138000" {
		t.Errorf("claimed by %q, the caller is %q", cb.GetClaimedBy(), cb.GetCaller())
	}
	_, err = claim(boss, "7003")
	refused("a supervisor with an agent's name", err, codes.PermissionDenied, "NOT_YOURS")
	refused("a supervisor's report with an agent's name", report(boss, "7003"), codes.PermissionDenied, "NOT_YOURS")
	_, err = claim(boss, "")
	refused("a supervisor, of what another has", err, codes.FailedPrecondition, "CALLBACK_CLAIMED")
	refused("a report under another name", report(anna, "7004"), codes.PermissionDenied, "NOT_YOURS")
	if err := report(gateway, "7003"); err != nil {
		t.Errorf("a gateway reports for its agent: %v", err)
	}
	if cb := must(claim(boss, ""))(t); cb.GetClaimedBy() != "boss" {
		t.Errorf("a supervisor's claim is %q's", cb.GetClaimedBy())
	}
	if err := report(boss, "boss"); err != nil {
		t.Errorf("a supervisor reports: %v", err)
	}
	_, err = claim(gateway, "")
	wantCode(t, err, codes.InvalidArgument, "claimant")
}
