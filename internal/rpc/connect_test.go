package rpc_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

type switchStream struct {
	t      *testing.T
	stream grpc.BidiStreamingClient[pb.ConnectRequest, pb.ConnectResponse]
	cancel context.CancelFunc
}

// connect opens a switch's stream and reads the welcome.
func (r *rig) connect(after *uint64) (*switchStream, *pb.ConnectResponse) {
	r.t.Helper()
	s := r.openSwitch()
	s.send(&pb.ConnectRequest{SwitchId: "sw", Message: &pb.ConnectRequest_Hello{Hello: &pb.SwitchHello{After: after}}})
	first := must(recvOne(s.stream.Recv))(r.t)
	if first.GetWelcome() == nil {
		r.t.Fatalf("the first message is %v", first)
	}
	return s, first
}

func (r *rig) openSwitch() *switchStream {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.ctx())
	r.t.Cleanup(cancel)
	return &switchStream{r.t, must(r.sw.Connect(ctx))(r.t), cancel}
}

func (s *switchStream) send(m *pb.ConnectRequest) {
	s.t.Helper()
	if err := s.stream.Send(m); err != nil {
		s.t.Fatal(err)
	}
}

func (s *switchStream) wait(what string, wanted func(*pb.ConnectResponse) bool) *pb.ConnectResponse {
	s.t.Helper()
	return recvUntil(s.t, what, s.stream.Recv, wanted)
}

func (s *switchStream) result(id string) *pb.ConnectResult {
	s.t.Helper()
	return s.wait("the result of "+id, func(m *pb.ConnectResponse) bool { return m.GetResult() != nil && m.GetResult().GetRequestId() == id }).GetResult()
}

func (s *switchStream) end() error {
	s.t.Helper()
	return recvEnd(s.t, s.stream.Recv)
}

func arrivedMsg(id, call, caller string) *pb.ConnectRequest {
	return &pb.ConnectRequest{RequestId: id, Message: &pb.ConnectRequest_Arrived{Arrived: &pb.CallArrivedRequest{CallId: call, Caller: caller}}}
}

// ringAgent signs an agent in whose phone the switch rings.
func (r *rig) ringAgent(id, endpoint string) {
	r.t.Helper()
	must(r.agent.SignIn(r.ctx(), &pb.SignInRequest{
		AgentId: id, Endpoint: endpoint, RingBySwitch: true, Queues: []*pb.AgentQueue{{Queue: "default"}},
	}))(r.t)
}

func TestConnectRingsAndBridges(t *testing.T) {
	r := newRig(t)
	sw, welcome := r.connect(nil)
	r.ringAgent("a", "SIP/1001")
	sw.send(arrivedMsg("r1", "c1", "13800138000"))
	var ring *pb.ConnectResponse
	var result *pb.ConnectResult
	sw.wait("ring and result", func(m *pb.ConnectResponse) bool {
		if m.GetRing() != nil {
			ring = m
		}
		if m.GetResult().GetRequestId() == "r1" {
			result = m.GetResult()
		}
		return ring != nil && result != nil
	})
	if result.GetCode() != 0 || result.GetCall().GetCallId() != "c1" || result.GetCall().GetSwitchId() != "sw" {
		t.Errorf("result %v", result)
	}
	o := ring.GetRing()
	if o.GetCallId() != "c1" || o.GetAgentId() != "a" || o.GetEndpoint() != "SIP/1001" || o.GetExpiresAt() == nil || ring.GetSequence() <= welcome.GetSequence() {
		t.Errorf("ring %v", ring)
	}
	sw.send(&pb.ConnectRequest{RequestId: "r2", Message: &pb.ConnectRequest_AgentAnswered{AgentAnswered: &pb.AgentAnswered{OfferId: o.GetOfferId()}}})
	var bridge *pb.Bridge
	result = nil
	sw.wait("bridge and result", func(m *pb.ConnectResponse) bool {
		if m.GetBridge() != nil {
			bridge = m.GetBridge()
		}
		if m.GetResult().GetRequestId() == "r2" {
			result = m.GetResult()
		}
		return bridge != nil && result != nil
	})
	if result.GetCall().GetState() != pb.CallState_CALL_STATE_ANSWERED || bridge.GetOfferId() != o.GetOfferId() || bridge.GetEndpoint() != "SIP/1001" {
		t.Errorf("%v, %v", result, bridge)
	}
	must(r.agent.Complete(r.ctx(), &pb.CompleteRequest{AgentId: "a", CallId: "c1"}))(t)
	release := sw.wait("release", func(m *pb.ConnectResponse) bool { return m.GetRelease() != nil }).GetRelease()
	if release.GetCallId() != "c1" || release.GetReason() != queue.ReasonAgentCompleted {
		t.Errorf("%v", release)
	}
}

func TestConnectAgentFailed(t *testing.T) {
	for failure, reason := range map[pb.AgentFailure]string{
		pb.AgentFailure_AGENT_FAILURE_BUSY: "busy", pb.AgentFailure_AGENT_FAILURE_NO_ANSWER: "no_answer",
		pb.AgentFailure_AGENT_FAILURE_UNREACHABLE: "unreachable",
	} {
		r := newRig(t)
		sw, _ := r.connect(nil)
		r.ringAgent("a", "SIP/1001")
		sw.send(arrivedMsg("r1", "c1", "13800138000"))
		ring := sw.wait("ring", func(m *pb.ConnectResponse) bool { return m.GetRing() != nil }).GetRing()
		sw.send(&pb.ConnectRequest{RequestId: "r2", Message: &pb.ConnectRequest_AgentFailed{AgentFailed: &pb.AgentFailed{OfferId: ring.GetOfferId(), Reason: failure}}})
		var stopped, result bool
		sw.wait("stop and result", func(m *pb.ConnectResponse) bool {
			stopped = stopped || m.GetStopRinging().GetOfferId() == ring.GetOfferId()
			result = result || m.GetResult().GetRequestId() == "r2" && m.GetResult().GetCode() == 0
			return stopped && result
		})
		if a := r.agentState("a"); a.GetState() != pb.AgentState_AGENT_STATE_NOT_READY || a.GetReason() != reason {
			t.Errorf("%v: the agent is %v", failure, a)
		}
		if c := r.call("c1"); c.GetState() != pb.CallState_CALL_STATE_WAITING {
			t.Errorf("%v", c)
		}
		r.stop()
	}
}

func TestConnectStopsRingingWhenTheCallerHangsUp(t *testing.T) {
	r := newRig(t)
	sw, _ := r.connect(nil)
	r.ringAgent("a", "SIP/1001")
	sw.send(arrivedMsg("r1", "c1", "13800138000"))
	ring := sw.wait("ring", func(m *pb.ConnectResponse) bool { return m.GetRing() != nil }).GetRing()
	sw.send(&pb.ConnectRequest{RequestId: "r2", Message: &pb.ConnectRequest_Abandoned{Abandoned: &pb.CallAbandonedRequest{CallId: "c1"}}})
	stop := sw.wait("stop", func(m *pb.ConnectResponse) bool { return m.GetStopRinging() != nil }).GetStopRinging()
	if stop.GetOfferId() != ring.GetOfferId() || stop.GetReason() != queue.EndedCallerHungUp {
		t.Errorf("%v", stop)
	}
}

func TestConnectBridgesWhatASoftphoneAccepted(t *testing.T) {
	r := newRig(t)
	sw, _ := r.connect(nil)
	r.signIn("a")
	sw.send(arrivedMsg("r1", "c1", "13800138000"))
	offer := r.next("a", patience)
	must(r.agent.Accept(r.ctx(), &pb.AcceptRequest{AgentId: "a", OfferId: offer.GetOfferId()}))(t)
	bridge := sw.wait("bridge", func(m *pb.ConnectResponse) bool {
		if m.GetRing() != nil {
			t.Errorf("rings an agent who has a softphone: %v", m)
		}
		return m.GetBridge() != nil
	}).GetBridge()
	if bridge.GetCallId() != "c1" || bridge.GetAgentId() != "a" {
		t.Errorf("%v", bridge)
	}
}

func TestConnectReleases(t *testing.T) {
	r := newRig(t, func(s *queue.Site, _ *optsT) {
		s.Queues[0].Capacity = 2 // of which ordinary callers may use one
		full, out := queue.DefaultQueue("short"), queue.DefaultQueue("out")
		full.MaxWait = 20 * time.Millisecond
		out.Overflow = queue.Overflow{After: 20 * time.Millisecond, Destination: "SIP/voicemail"}
		s.Queues = append(s.Queues, full, out)
	})
	sw, _ := r.connect(nil)
	sw.send(arrivedMsg("c1", "c1", "13800138000"))
	sw.result("c1") // only now is the queue full
	for _, call := range []string{"c2", "short", "out"} {
		m := arrivedMsg(call, call, "13800138000")
		if call != "c2" {
			m.GetArrived().Queue = call
		}
		sw.send(m)
	}
	got := map[string]*pb.Release{}
	sw.wait("three releases", func(m *pb.ConnectResponse) bool {
		if rel := m.GetRelease(); rel != nil {
			got[rel.GetCallId()] = rel
		}
		return len(got) == 3
	})
	if got["c2"].GetReason() != queue.ReasonQueueFull || got["short"].GetReason() != queue.ReasonMaxWait ||
		got["out"].GetReason() != queue.ReasonOverflow || got["out"].GetDestination() != "SIP/voicemail" {
		t.Errorf("%v", got)
	}
}

func TestConnectAnnouncesWhatChanged(t *testing.T) {
	r := newRig(t, func(_ *queue.Site, o *optsT) { o.AnnounceEvery = 10 * time.Millisecond })
	sw, _ := r.connect(nil)
	r.arrive("c1", "13800138000")
	r.arrive("c2", "13800138002")
	seen := map[string]int32{}
	sw.wait("both places", func(m *pb.ConnectResponse) bool {
		if a := m.GetAnnounce(); a != nil {
			seen[a.GetCallId()] = a.GetPosition()
		}
		return seen["c1"] == 1 && seen["c2"] == 2
	})
	must(r.sw.CallEnded(r.ctx(), &pb.CallEndedRequest{SwitchId: "sw", CallId: "c1"}))(t)
	next := sw.wait("an announcement", func(m *pb.ConnectResponse) bool { return m.GetAnnounce() != nil }).GetAnnounce()
	if next.GetCallId() != "c2" || next.GetPosition() != 1 {
		t.Errorf("%v", next)
	}
}

// TestConnectKeepsTheOrderOfACall floods the stream: each call's arrival and
// hang-up are decided in order, although hundreds are in flight.
func TestConnectKeepsTheOrderOfACall(t *testing.T) {
	r := newRig(t)
	sw, _ := r.connect(nil)
	const calls = 600
	go func() {
		for i := range calls {
			id := fmt.Sprint("c", i)
			sw.stream.Send(arrivedMsg("a"+id, id, "13800138000"))
			sw.stream.Send(&pb.ConnectRequest{RequestId: "e" + id, Message: &pb.ConnectRequest_Ended{Ended: &pb.CallEndedRequest{CallId: id}}})
		}
	}()
	arrived := map[string]bool{}
	n := 0
	sw.wait("all results", func(m *pb.ConnectResponse) bool {
		res := m.GetResult()
		if res == nil {
			return false
		}
		n++
		id := res.GetRequestId()
		switch {
		case res.GetCode() != 0:
			t.Errorf("%v", res)
		case id[0] == 'a':
			arrived[id[1:]] = true
			if s := res.GetCall().GetState(); s != pb.CallState_CALL_STATE_WAITING {
				t.Errorf("%s arrived as %v", id, s)
			}
		case !arrived[id[1:]]:
			t.Errorf("%s ended before it arrived", id[1:])
		}
		return n == 2*calls
	})
}

func TestConnectAndUnaryAreTheSameRequest(t *testing.T) {
	r := newRig(t)
	sw, _ := r.connect(nil)
	sw.send(arrivedMsg("r1", "c1", "13800138000"))
	sw.result("r1")
	_, err := r.sw.CallArrived(r.ctx(), &pb.CallArrivedRequest{RequestId: "r1", SwitchId: "sw", CallId: "c1", Caller: "13800138000"})
	if err != nil {
		t.Errorf("the same request by the unary rpc: %v", err)
	}
}

func TestConnectDisconnectGivesRingsBack(t *testing.T) {
	r := newRig(t)
	sw, welcome := r.connect(nil)
	r.ringAgent("a", "SIP/1001")
	sw.send(arrivedMsg("r1", "c1", "13800138000"))
	ring := sw.wait("ring", func(m *pb.ConnectResponse) bool { return m.GetRing() != nil }).GetRing()
	sw.cancel()
	r.until("the switch to be gone", func(e *queue.Event) bool { return e.Type == queue.EventSwitchDisconnected })
	if c := r.call("c1"); c.GetState() != pb.CallState_CALL_STATE_WAITING {
		t.Errorf("%v", c)
	}
	// It resumes from where it was: the old ring is taken back, a new one comes.
	after := welcome.GetSequence()
	again, _ := r.connect(&after)
	var stopped bool
	next := again.wait("a new ring", func(m *pb.ConnectResponse) bool {
		stopped = stopped || m.GetStopRinging().GetOfferId() == ring.GetOfferId()
		return m.GetRing() != nil
	}).GetRing()
	if !stopped || next.GetOfferId() == ring.GetOfferId() || next.GetCallId() != "c1" {
		t.Errorf("stopped %v, new ring %v", stopped, next)
	}
}

func TestConnectFirstMessageMayBeAnEvent(t *testing.T) {
	r := newRig(t)
	s := r.openSwitch()
	m := arrivedMsg("r1", "c1", "13800138000")
	m.GetArrived().SwitchId = "sw"
	s.send(m)
	if res := s.result("r1"); res.GetCode() != 0 || res.GetCall().GetSwitchId() != "sw" {
		t.Errorf("%v", res)
	}
	s.stream.CloseSend()
	r.signIn("a")
	offer := r.next("a", patience)
	must(r.agent.Accept(r.ctx(), &pb.AcceptRequest{AgentId: "a", OfferId: offer.GetOfferId()}))(t)
	s.wait("bridge after the half-close", func(m *pb.ConnectResponse) bool { return m.GetBridge() != nil })
}

func TestConnectWrongMessages(t *testing.T) {
	r := newRig(t)
	ahead := uint64(1 << 40)
	for name, first := range map[string]struct {
		m    *pb.ConnectRequest
		code codes.Code
	}{
		"no switch":    {&pb.ConnectRequest{}, codes.InvalidArgument},
		"bad site":     {&pb.ConnectRequest{SwitchId: "sw", Site: "a b"}, codes.InvalidArgument},
		"no such site": {&pb.ConnectRequest{SwitchId: "sw", Site: "west"}, codes.NotFound},
		"cursor ahead": {&pb.ConnectRequest{SwitchId: "sw", Message: &pb.ConnectRequest_Hello{Hello: &pb.SwitchHello{After: &ahead}}}, codes.OutOfRange},
	} {
		s := r.openSwitch()
		s.send(first.m)
		if err := s.end(); codeOf(err) != first.code {
			t.Errorf("%s: %v, want %v", name, err, first.code)
		}
	}
	s, _ := r.connect(nil)
	for id, c := range map[string]struct {
		m    *pb.ConnectRequest
		code codes.Code
	}{
		"empty":  {&pb.ConnectRequest{}, codes.InvalidArgument},
		"hello":  {&pb.ConnectRequest{Message: &pb.ConnectRequest_Hello{Hello: &pb.SwitchHello{}}}, codes.InvalidArgument},
		"call":   {arrivedMsg("", "", ""), codes.InvalidArgument},
		"offer":  {&pb.ConnectRequest{Message: &pb.ConnectRequest_AgentAnswered{AgentAnswered: &pb.AgentAnswered{OfferId: "o-9"}}}, codes.NotFound},
		"nooffr": {&pb.ConnectRequest{Message: &pb.ConnectRequest_AgentAnswered{AgentAnswered: &pb.AgentAnswered{}}}, codes.InvalidArgument},
		"failed": {&pb.ConnectRequest{Message: &pb.ConnectRequest_AgentFailed{AgentFailed: &pb.AgentFailed{OfferId: "o-9", Reason: 1}}}, codes.NotFound},
		"reason": {&pb.ConnectRequest{Message: &pb.ConnectRequest_AgentFailed{AgentFailed: &pb.AgentFailed{OfferId: "o-9"}}}, codes.InvalidArgument},
	} {
		c.m.RequestId = id
		s.send(c.m)
		if res := s.result(id); codes.Code(res.GetCode()) != c.code || res.GetMessage() == "" || strings.Contains(res.GetMessage(), `""`) || res.GetCall() != nil {
			t.Errorf("%s: %v, want %v", id, res, c.code)
		}
	}
	s.send(&pb.ConnectRequest{SwitchId: "another", Message: &pb.ConnectRequest_Heartbeat{Heartbeat: &pb.Heartbeat{}}})
	wantCode(t, s.end(), codes.InvalidArgument, "switch_id")
	s, _ = r.connect(nil)
	s.send(&pb.ConnectRequest{Site: "another", Message: &pb.ConnectRequest_Heartbeat{Heartbeat: &pb.Heartbeat{}}})
	wantCode(t, s.end(), codes.InvalidArgument, "site")
}

// TestTwoStreamsOfOneSwitch: the switch is connected until the last has ended.
func TestTwoStreamsOfOneSwitch(t *testing.T) {
	r := newRig(t)
	first, _ := r.connect(nil)
	second, _ := r.connect(nil)
	r.ringAgent("a", "SIP/1001")
	second.cancel()
	for r.server.Counts().Switches.Load() > 1 {
		runtime.Gosched()
	}
	first.send(arrivedMsg("r1", "c1", "13800138000"))
	first.wait("a ring", func(m *pb.ConnectResponse) bool { return m.GetRing().GetCallId() == "c1" })
	first.cancel()
	r.until("the switch to be gone", func(e *queue.Event) bool { return e.Type == queue.EventSwitchDisconnected })
}

// TestASwitchThatTheEngineForgot is known again by the stream that stands.
func TestASwitchThatTheEngineForgot(t *testing.T) {
	r := newRig(t)
	sw, _ := r.connect(nil)
	r.ringAgent("a", "SIP/1001")
	// What a stream at another daemon does that comes and goes.
	for _, cmd := range []queue.Command{
		&queue.AttachSwitch{Switch: "sw", Owner: "other", Token: "t"}, &queue.DetachSwitch{Switch: "sw", Token: "t"},
	} {
		if _, err := r.engine.Do(r.ctx(), cmd); err != nil {
			t.Fatal(err)
		}
	}
	sw.send(arrivedMsg("r1", "c1", "13800138000"))
	sw.wait("a ring", func(m *pb.ConnectResponse) bool { return m.GetRing().GetCallId() == "c1" })
}
