package rpc_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

// Beside these: TestASlowSwitchIsCutOff and its like, of results that are asked for
// and not read.

// crowded is a site whose snapshots are larger than what a client that does not
// read has room for.
func crowded(s *queue.Site, o *optsT) {
	for i := range 1500 {
		s.Queues = append(s.Queues, queue.DefaultQueue(fmt.Sprintf("queue-%s-%03d", strings.Repeat("x", 40), i)))
	}
	o.HeartbeatEvery = 200 * time.Millisecond
}

// comeAgain tries until the client is not cut off: one that gets no time to read is
// taken for one that does not, and comes again.
func comeAgain(t *testing.T, try func() error) {
	t.Helper()
	err := try()
	for began := time.Now(); reasonOf(err) == "SLOW_READER" && time.Since(began) < patience; {
		err = try()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestASlowWatcherIsCutOffAndWatchesAgain(t *testing.T) {
	r := newRig(t, crowded)
	conn := r.dial(tight()...)
	defer conn.Close()
	stream := must(pb.NewSupervisorServiceClient(conn).Watch(r.ctx(), &pb.WatchRequest{MinInterval: durationpb.New(100 * time.Millisecond)}))(t)
	r.arrive("c1", "") // somebody waits: every interval brings a snapshot
	cutOff(t, &r.server.Counts().Watchers)
	if err := recvEnd(t, stream.Recv); codeOf(err) != codes.ResourceExhausted || reasonOf(err) != "SLOW_READER" {
		t.Errorf("ended with %v", err)
	}
	waiting := int32(0)
	comeAgain(t, func() error {
		m, err := recvOne(must(r.sup.Watch(r.ctx(), &pb.WatchRequest{}))(t).Recv)
		for _, q := range m.GetSnapshot().GetQueues() {
			waiting += q.GetWaiting()
		}
		return err
	})
	if waiting != 1 {
		t.Errorf("a new watcher sees %d calls", waiting)
	}
}

// A switch that does not read what its calls' fates are is cut off, and told all of
// it when it comes back.
func TestASlowSwitchMissesNoOrder(t *testing.T) {
	const calls = 1500 // some 250 KB of orders
	r := newRig(t, func(s *queue.Site, o *optsT) {
		o.SlowReader, o.HeartbeatEvery = 1, 50*time.Millisecond
		s.Queues[0].Hours = &queue.Hours{Zone: time.UTC} // never open: each call is released
	})
	conn := r.dial(tight()...)
	defer conn.Close()
	ctx, cancel := context.WithCancel(r.ctx())
	defer cancel()
	stream := must(pb.NewSwitchServiceClient(conn).Connect(ctx))(t)
	if err := stream.Send(&pb.ConnectRequest{SwitchId: "sw", Message: &pb.ConnectRequest_Hello{Hello: &pb.SwitchHello{}}}); err != nil {
		t.Fatal(err)
	}
	last := must(recvOne(stream.Recv))(t).GetSequence()
	untilOpen(t, &r.server.Counts().Switches, true) // on a busy machine it is cut off before the last call has come
	id := func(i int) string { return fmt.Sprintf("%s-%04d", strings.Repeat("c", 120), i) }
	for i := range calls {
		if _, err := r.engine.Do(r.ctx(), &queue.Arrive{Call: id(i), Switch: "sw"}); err != nil {
			t.Fatal(err)
		}
	}
	untilOpen(t, &r.server.Counts().Switches, false)
	released := 0
	take := func(m *pb.ConnectResponse) {
		if m.GetRelease() == nil {
			return
		}
		if got := m.GetRelease().GetCallId(); got != id(released) {
			t.Fatalf("released %s, want %s", got, id(released))
		}
		released, last = released+1, m.GetSequence()
	}
	for {
		m, err := recvOne(stream.Recv)
		if err != nil {
			if codeOf(err) != codes.ResourceExhausted || reasonOf(err) != "SLOW_READER" {
				t.Errorf("ended with %v", err)
			}
			break
		}
		take(m)
	}
	if released == calls {
		t.Fatal("it kept up: nothing was left to resume")
	}
	comeAgain(t, func() error {
		again := must(r.sw.Connect(r.ctx()))(t)
		if err := again.Send(&pb.ConnectRequest{SwitchId: "sw", Message: &pb.ConnectRequest_Hello{Hello: &pb.SwitchHello{After: &last}}}); err != nil {
			return err
		}
		for released < calls {
			m, err := recvOne(again.Recv)
			if err != nil {
				return err
			}
			take(m)
		}
		return nil
	})
}

// The half of a Session that the daemon speaks.
func TestASlowListenerIsCutOffAndMissesNoOffer(t *testing.T) {
	r := newRig(t, func(s *queue.Site, o *optsT) {
		o.SlowReader, o.HeartbeatEvery = 4, 50*time.Millisecond
		s.AckTimeout = 0 // the offer comes after thousands of events, one at a time
	})
	r.signIn("a")
	conn := r.dial(tight()...)
	defer conn.Close()
	stream := must(pb.NewAgentServiceClient(conn).Listen(r.ctx(), &pb.ListenRequest{AgentId: "a"}))(t)
	first := must(recvOne(stream.Recv))(t)
	ctx := r.ctx()
	for r.server.Counts().Sessions.Load() > 0 && ctx.Err() == nil { // some 300 KB of news will do
		for _, cmd := range []queue.Command{
			&queue.SetState{Agent: "a", State: queue.AgentNotReady, Reason: strings.Repeat("x", 4000)}, &queue.SetState{Agent: "a", State: queue.AgentReady},
		} {
			if _, err := r.engine.Do(ctx, cmd); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := recvEnd(t, stream.Recv); codeOf(err) != codes.ResourceExhausted || reasonOf(err) != "SLOW_READER" {
		t.Errorf("ended with %v", err)
	}
	r.arrive("c1", "13800138000")
	after := first.GetMessage().GetSequence()
	comeAgain(t, func() error {
		again := must(r.agent.Listen(r.ctx(), &pb.ListenRequest{AgentId: "a", After: &after}))(t)
		for {
			m, err := recvOne(again.Recv)
			if err != nil || m.GetMessage().GetOffer().GetCall().GetCallId() == "c1" {
				return err
			}
		}
	})
}
