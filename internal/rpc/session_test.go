package rpc_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

type softphone struct {
	t      *testing.T
	stream grpc.BidiStreamingClient[pb.SessionRequest, pb.SessionResponse]
	cancel context.CancelFunc
}

// session opens one with the given hello and reads the welcome.
func (r *rig) session(hello *pb.SessionHello) (*softphone, *pb.SessionResponse) {
	r.t.Helper()
	s := r.openSession(hello)
	first := must(recvOne(s.stream.Recv))(r.t)
	if first.GetWelcome() == nil {
		r.t.Fatalf("the first message is %v", first)
	}
	return s, first
}

func (r *rig) openSession(hello *pb.SessionHello) *softphone {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.ctx())
	r.t.Cleanup(cancel)
	stream := must(r.agent.Session(ctx))(r.t)
	s := &softphone{r.t, stream, cancel}
	if hello != nil {
		s.send(&pb.SessionRequest{Message: &pb.SessionRequest_Hello{Hello: hello}})
	}
	return s
}

func hello(agent string) *pb.SessionHello {
	return &pb.SessionHello{AgentId: agent, SignIn: &pb.SignInRequest{Queues: []*pb.AgentQueue{{Queue: "default"}}}}
}

func (s *softphone) send(m *pb.SessionRequest) {
	s.t.Helper()
	if err := s.stream.Send(m); err != nil {
		s.t.Fatal(err)
	}
}

func (s *softphone) wait(what string, wanted func(*pb.SessionResponse) bool) *pb.SessionResponse {
	s.t.Helper()
	return recvUntil(s.t, what, s.stream.Recv, wanted)
}

func (s *softphone) offer() *pb.SessionResponse {
	s.t.Helper()
	return s.wait("an offer", func(m *pb.SessionResponse) bool { return m.GetOffer() != nil })
}

func (s *softphone) result(id string) *pb.SessionResult {
	s.t.Helper()
	return s.wait("the result of "+id, func(m *pb.SessionResponse) bool { return m.GetResult().GetRequestId() == id && m.GetResult() != nil }).GetResult()
}

func (s *softphone) end() error {
	s.t.Helper()
	return recvEnd(s.t, s.stream.Recv)
}

func TestSessionPushesOffersAndCarriesCommands(t *testing.T) {
	r := newRig(t)
	s, welcome := r.session(hello("a"))
	if a := welcome.GetWelcome().GetAgent(); a.GetState() != pb.AgentState_AGENT_STATE_READY || !a.GetAvailable() {
		t.Errorf("welcome %v", welcome)
	}
	r.arrive("c1", "13800138000")
	m := s.offer()
	offer := m.GetOffer()
	if offer.GetCall().GetCallId() != "c1" || m.GetSequence() <= welcome.GetSequence() {
		t.Errorf("offer %v", m)
	}
	s.send(&pb.SessionRequest{Message: &pb.SessionRequest_Ack{Ack: &pb.OfferAcknowledgement{OfferId: offer.GetOfferId()}}})
	r.until("the acknowledgement", func(e *queue.Event) bool { return e.Type == queue.EventOfferAcknowledged })
	s.send(&pb.SessionRequest{Message: &pb.SessionRequest_Accept{Accept: &pb.AcceptRequest{RequestId: "r1", OfferId: offer.GetOfferId()}}})
	if res := s.result("r1"); res.GetCode() != 0 || res.GetCall().GetState() != pb.CallState_CALL_STATE_ANSWERED {
		t.Errorf("accept: %v", res)
	}
	s.send(&pb.SessionRequest{Message: &pb.SessionRequest_SetState{SetState: &pb.SetStateRequest{
		RequestId: "r2", State: pb.AgentState_AGENT_STATE_NOT_READY, Reason: "lunch",
	}}})
	if res := s.result("r2"); res.GetAgent().GetState() != pb.AgentState_AGENT_STATE_TALKING || !res.GetAgent().GetNotReadyAfter() {
		t.Errorf("set_state: %v", res)
	}
	s.send(&pb.SessionRequest{Message: &pb.SessionRequest_Complete{Complete: &pb.CompleteRequest{RequestId: "r3", CallId: "c1"}}})
	var ended, lunch, result bool
	s.wait("end, lunch and result", func(m *pb.SessionResponse) bool {
		ended = ended || m.GetCallEnded().GetCall().GetReason() == queue.ReasonAgentCompleted
		lunch = lunch || m.GetAgent().GetReason() == "lunch"
		result = result || m.GetResult().GetRequestId() == "r3" && m.GetResult().GetCode() == 0
		return ended && lunch && result
	})
}

func TestSessionIsToldOfARescind(t *testing.T) {
	r := newRig(t)
	s, _ := r.session(hello("a"))
	r.arrive("c1", "13800138000")
	offer := s.offer().GetOffer()
	must(r.tier.Set(r.ctx(), &pb.TierServiceSetRequest{Caller: "13800138009", Tier: pb.Tier_TIER_VIP}))(t)
	r.arrive("vip", "13800138009")
	rescind := s.wait("the rescind", func(m *pb.SessionResponse) bool { return m.GetRescind() != nil })
	if rescind.GetRescind().GetOfferId() != offer.GetOfferId() || rescind.GetRescind().GetReason() != queue.EndedPreempted {
		t.Errorf("%v", rescind)
	}
	if next := s.offer(); next.GetOffer().GetCall().GetTier() != pb.Tier_TIER_VIP || next.GetOffer().GetWhy() != queue.WhyPreemption {
		t.Errorf("%v", next)
	}
	s.send(&pb.SessionRequest{Message: &pb.SessionRequest_Accept{Accept: &pb.AcceptRequest{RequestId: "late", OfferId: offer.GetOfferId()}}})
	if res := s.result("late"); codes.Code(res.GetCode()) != codes.FailedPrecondition || res.GetMessage() == "" {
		t.Errorf("accepting the rescinded offer: %v", res)
	}
}

func TestSessionDisconnectGivesTheOfferBackAtOnce(t *testing.T) {
	r := newRig(t)
	s, _ := r.session(hello("a"))
	r.arrive("c1", "13800138000")
	s.offer()
	s.cancel()
	back := r.until("the call to come back", func(e *queue.Event) bool { return e.Type == queue.EventOfferReturned })
	if back.Reason != queue.EndedUndelivered {
		t.Errorf("%+v", back)
	}
	if c := r.call("c1"); c.GetState() != pb.CallState_CALL_STATE_WAITING {
		t.Errorf("%v", c)
	}
	// And the agent who comes back gets it again: nobody is to blame.
	again, _ := r.session(&pb.SessionHello{AgentId: "a"})
	if again.offer().GetOffer().GetCall().GetCallId() != "c1" {
		t.Error("not offered again")
	}
}

func TestSessionHalfCloseDoesNotEndIt(t *testing.T) {
	r := newRig(t)
	s, _ := r.session(hello("a"))
	if err := s.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	r.arrive("c1", "13800138000")
	if s.offer().GetOffer().GetCall().GetCallId() != "c1" {
		t.Error("no offer after the half-close")
	}
}

func TestSessionShowsTheLiveOfferOnWelcome(t *testing.T) {
	r := newRig(t)
	r.signIn("a")
	r.arrive("c1", "13800138000")
	s, _ := r.session(&pb.SessionHello{AgentId: "a"})
	if s.offer().GetOffer().GetCall().GetCallId() != "c1" {
		t.Error("another offer")
	}
}

func TestSecondSessionTakesOver(t *testing.T) {
	r := newRig(t)
	first, _ := r.session(hello("a"))
	r.arrive("c1", "13800138000")
	offer := first.offer().GetOffer()
	second, _ := r.session(&pb.SessionHello{AgentId: "a"})
	if err := first.end(); codeOf(err) != codes.Aborted {
		t.Errorf("the first session ended with %v", err)
	}
	if again := second.offer().GetOffer(); again.GetOfferId() != offer.GetOfferId() {
		t.Errorf("the live offer is %s, the second session shows %s", offer.GetOfferId(), again.GetOfferId())
	}
}

func TestAPollTakesOverFromASession(t *testing.T) {
	r := newRig(t)
	s, _ := r.session(hello("a"))
	ch := r.poll(r.ctx(), "a", patience)
	if err := s.end(); codeOf(err) != codes.Aborted {
		t.Errorf("the session ended with %v", err)
	}
	r.arrive("c1", "13800138000")
	if p := <-ch; p.err != nil || p.res.GetOffer().GetCall().GetCallId() != "c1" {
		t.Errorf("%v, %v", p.res, p.err)
	}
}

func TestSessionResumesFromItsCursor(t *testing.T) {
	r := newRig(t)
	s, _ := r.session(hello("a"))
	r.arrive("c1", "13800138000")
	seen := s.offer()
	s.cancel()
	r.until("the call to come back", func(e *queue.Event) bool { return e.Type == queue.EventOfferReturned })
	after := seen.GetSequence()
	again, welcome := r.session(&pb.SessionHello{AgentId: "a", After: &after})
	if welcome.GetSequence() != after {
		t.Errorf("begins after %d, asked for %d", welcome.GetSequence(), after)
	}
	rescind := again.wait("what was missed", func(m *pb.SessionResponse) bool { return m.GetRescind() != nil })
	if rescind.GetRescind().GetOfferId() != seen.GetOffer().GetOfferId() {
		t.Errorf("%v", rescind)
	}
	if offer := again.offer(); offer.GetOffer().GetOfferId() == seen.GetOffer().GetOfferId() {
		t.Errorf("the old offer is shown again: %v", offer)
	}
}

func TestSignOutEndsTheSession(t *testing.T) {
	r := newRig(t)
	s, _ := r.session(hello("a"))
	must(r.agent.SignOut(r.ctx(), &pb.SignOutRequest{AgentId: "a"}))(t)
	if err := s.end(); codeOf(err) != codes.FailedPrecondition {
		t.Errorf("ended with %v", err)
	}
}

// TestSessionOutlivesItsLease: a daemon that was held up for longer than its
// lease finds its agents lost, although their softphones never went away.
func TestSessionOutlivesItsLease(t *testing.T) {
	r := newRig(t)
	s, welcome := r.session(hello("a"))
	a, _, err := r.engine.Agent(r.ctx(), "a")
	if err != nil {
		t.Fatal(err)
	}
	// What the lease's end does, as far as the session sees it: the token is gone.
	if _, err := r.engine.Do(r.ctx(), &queue.Detach{Agent: "a", Token: a.Token}); err != nil {
		t.Fatal(err)
	}
	must(r.agent.SetState(r.ctx(), &pb.SetStateRequest{AgentId: "a", State: pb.AgentState_AGENT_STATE_NOT_READY, Reason: "x"}))(t)
	must(r.agent.SetState(r.ctx(), &pb.SetStateRequest{AgentId: "a", State: pb.AgentState_AGENT_STATE_READY}))(t)
	r.attached("a")
	r.arrive("c1", "13800138000")
	if m := s.offer(); m.GetSequence() <= welcome.GetSequence() {
		t.Error(m)
	}
}

func TestWrongFirstMessages(t *testing.T) {
	r := newRig(t)
	r.signIn("out")
	must(r.agent.SignOut(r.ctx(), &pb.SignOutRequest{AgentId: "out"}))(t)
	ahead := uint64(1 << 40)
	h := func(h *pb.SessionHello) *pb.SessionRequest {
		return &pb.SessionRequest{Message: &pb.SessionRequest_Hello{Hello: h}}
	}
	for _, c := range []struct {
		name  string
		first *pb.SessionRequest
		code  codes.Code
		field string
	}{
		{"nothing", &pb.SessionRequest{}, codes.InvalidArgument, ""},
		{"a command", &pb.SessionRequest{Message: &pb.SessionRequest_Accept{Accept: &pb.AcceptRequest{}}}, codes.InvalidArgument, ""},
		{"no agent", h(&pb.SessionHello{}), codes.InvalidArgument, "hello.agent_id"},
		{"bad site", h(&pb.SessionHello{AgentId: "a", Site: "a b"}), codes.InvalidArgument, "hello.site"},
		{"other site", h(&pb.SessionHello{AgentId: "a", SignIn: &pb.SignInRequest{Site: "west"}}), codes.InvalidArgument, "hello.sign_in.site"},
		{"other agent", h(&pb.SessionHello{AgentId: "a", SignIn: &pb.SignInRequest{AgentId: "b"}}), codes.InvalidArgument, "hello.sign_in.agent_id"},
		{"no queues", h(&pb.SessionHello{AgentId: "a", SignIn: &pb.SignInRequest{}}), codes.InvalidArgument, "queues"},
		{"unknown site", h(&pb.SessionHello{AgentId: "a", Site: "west"}), codes.NotFound, ""},
		{"unknown agent", h(&pb.SessionHello{AgentId: "nobody"}), codes.NotFound, ""},
		{"signed out", h(&pb.SessionHello{AgentId: "out"}), codes.FailedPrecondition, ""},
		{"cursor ahead", h(&pb.SessionHello{AgentId: "out", After: &ahead}), codes.OutOfRange, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := r.openSession(nil)
			s.send(c.first)
			wantCode(t, s.end(), c.code, c.field)
		})
	}
	t.Run("half-closed", func(t *testing.T) {
		s := r.openSession(nil)
		s.stream.CloseSend()
		wantCode(t, s.end(), codes.InvalidArgument, "")
	})
}

func TestWrongCommandsAreAnsweredAndDoNotEndTheSession(t *testing.T) {
	r := newRig(t)
	s, _ := r.session(hello("a"))
	for _, c := range []struct {
		m    *pb.SessionRequest
		id   string
		code codes.Code
	}{
		{&pb.SessionRequest{}, "", codes.InvalidArgument},
		{&pb.SessionRequest{Message: &pb.SessionRequest_Hello{Hello: hello("a")}}, "", codes.InvalidArgument},
		{&pb.SessionRequest{Message: &pb.SessionRequest_Accept{Accept: &pb.AcceptRequest{RequestId: "1", OfferId: "o-9"}}}, "1", codes.NotFound},
		{&pb.SessionRequest{Message: &pb.SessionRequest_Accept{Accept: &pb.AcceptRequest{RequestId: "2"}}}, "2", codes.InvalidArgument},
		{&pb.SessionRequest{Message: &pb.SessionRequest_Accept{Accept: &pb.AcceptRequest{RequestId: "3", AgentId: "b", OfferId: "o-9"}}}, "3", codes.InvalidArgument},
		{&pb.SessionRequest{Message: &pb.SessionRequest_Decline{Decline: &pb.DeclineRequest{RequestId: "4", Site: "west", OfferId: "o-9"}}}, "4", codes.InvalidArgument},
		{&pb.SessionRequest{Message: &pb.SessionRequest_Complete{Complete: &pb.CompleteRequest{RequestId: "5", CallId: "none"}}}, "5", codes.NotFound},
		{&pb.SessionRequest{Message: &pb.SessionRequest_SetState{SetState: &pb.SetStateRequest{RequestId: "6"}}}, "6", codes.InvalidArgument},
	} {
		s.send(c.m)
		if res := s.result(c.id); codes.Code(res.GetCode()) != c.code || res.GetMessage() == "" || res.GetAgent() != nil || res.GetCall() != nil {
			t.Errorf("%v: %v, want %v", c.m, res, c.code)
		}
	}
	s.send(&pb.SessionRequest{Message: &pb.SessionRequest_Heartbeat{Heartbeat: &pb.Heartbeat{}}})
	s.send(&pb.SessionRequest{Message: &pb.SessionRequest_Ack{Ack: &pb.OfferAcknowledgement{OfferId: "o-9"}}})
	s.send(&pb.SessionRequest{Message: &pb.SessionRequest_Ack{Ack: &pb.OfferAcknowledgement{OfferId: "junk"}}})
	r.arrive("c1", "13800138000")
	s.offer()
}

// TestManySessionsOfOneAgent: whatever the order in which they come, one is left
// in the end, and it gets the offers.
func TestManySessionsOfOneAgent(t *testing.T) {
	r := newRig(t)
	r.signIn("a")
	const n = 20
	offered := make(chan string, n)
	ended := make(chan error, n)
	for range n {
		s := r.openSession(&pb.SessionHello{AgentId: "a"})
		go func() {
			for {
				m, err := s.stream.Recv()
				if err != nil {
					ended <- err
					return
				}
				if o := m.GetOffer(); o != nil {
					offered <- o.GetCall().GetCallId()
				}
			}
		}()
	}
	for range n - 1 {
		if err := <-ended; codeOf(err) != codes.Aborted {
			t.Fatalf("a session that was taken over ended with %v", err)
		}
	}
	r.arrive("c1", "13800138000")
	if call := <-offered; call != "c1" {
		t.Errorf("offered %q", call)
	}
}
