package rpc_test

import (
	"context"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

// TestDrainEndsEveryStream: each open stream and poll ends by itself with a
// clear status, so that a graceful stop does not wait for softphones.
func TestDrainEndsEveryStream(t *testing.T) {
	r := newRig(t)
	phone, _ := r.session(hello("a"))
	sw, _ := r.connect(nil)
	r.signIn("b")
	poll := r.poll(r.ctx(), "b", patience)
	r.attached("b")
	watch := must(r.sup.Watch(r.ctx(), &pb.WatchRequest{}))(t)
	must(recvOne(watch.Recv))(t)
	events := must(r.sup.StreamEvents(r.ctx(), &pb.StreamEventsRequest{}))(t)
	must(recvOne(events.Recv))(t)

	r.server.Drain()
	for name, err := range map[string]error{
		"session": phone.end(), "switch": sw.end(), "watch": recvEnd(t, watch.Recv), "events": recvEnd(t, events.Recv),
	} {
		if codeOf(err) != codes.Unavailable || reasonOf(err) != "STOPPING" {
			t.Errorf("the %s ended with %v", name, err)
		}
	}
	if p := <-poll; p.err != nil || p.res.GetOffer() != nil {
		t.Errorf("the poll ended with %v, %v", p.res, p.err)
	}
	late := must(r.agent.Session(r.ctx()))(t)
	_ = late.Send(&pb.SessionRequest{Message: &pb.SessionRequest_Hello{Hello: hello("c")}}) // it may have been turned away before
	if err := recvEnd(t, late.Recv); codeOf(err) != codes.Unavailable {
		t.Errorf("a session at a daemon that stops: %v", err)
	}
	stopped := make(chan struct{})
	go func() { r.grpc.GracefulStop(); close(stopped) }()
	select {
	case <-stopped:
	case <-time.After(patience):
		t.Fatal("GracefulStop waits although every stream has ended")
	}
}

// TestStopGivesOffersBack: a session's live offer does not wait for its lease.
func TestStopGivesOffersBack(t *testing.T) {
	r := newRig(t)
	phone, _ := r.session(hello("a"))
	r.arrive("c1", "13800138000")
	phone.offer()
	r.server.Drain()
	phone.end()
	r.until("the offer to go back", func(e *queue.Event) bool {
		return e.Type == queue.EventOfferReturned && e.Reason == queue.EndedUndelivered
	})
}

// tight makes flow control bite early, so that a client that does not read is
// noticed after little data.
func tight() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithStaticStreamWindowSize(64 << 10), grpc.WithStaticConnWindowSize(64 << 10)}
}

// cutOff waits until the one stream was opened and ended by the daemon.
func cutOff(t *testing.T, open *atomic.Int64) {
	t.Helper()
	untilOpen(t, open, true)
	untilOpen(t, open, false)
}

// untilOpen waits until the daemon has a stream open, or none.
func untilOpen(t *testing.T, open *atomic.Int64, want bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); (open.Load() > 0) != want; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("a stream is open: %v, want %v: a client that does not read is cut off", !want, want)
		}
	}
}

func TestASlowSwitchIsCutOff(t *testing.T) {
	r := newRig(t, func(_ *queue.Site, o *optsT) { o.SlowReader = 2 })
	conn := r.dial(tight()...)
	defer conn.Close()
	ctx, cancel := context.WithCancel(r.ctx())
	defer cancel()
	stream := must(pb.NewSwitchServiceClient(conn).Connect(ctx))(t)
	big := map[string]string{"k": strings.Repeat("v", 256)}
	m := arrivedMsg("", "c", "13800138000")
	m.SwitchId = "sw"
	m.GetArrived().Attributes = big
	go func() { // each result carries the call with its attributes; none is read
		for stream.Send(m) == nil {
		}
	}()
	cutOff(t, &r.server.Counts().Switches)
	if err := recvEnd(t, stream.Recv); codeOf(err) != codes.ResourceExhausted || reasonOf(err) != "SLOW_READER" {
		t.Errorf("ended with %v", err)
	}
}

// TestASlowSoftphoneIsCutOff: results that it asked for and does not read.
func TestASlowSoftphoneIsCutOff(t *testing.T) {
	r := newRig(t, func(_ *queue.Site, o *optsT) { o.SlowReader = 4 })
	r.signIn("a")
	conn := r.dial(tight()...)
	defer conn.Close()
	ctx, cancel := context.WithCancel(r.ctx())
	defer cancel()
	stream := must(pb.NewAgentServiceClient(conn).Session(ctx))(t)
	stream.Send(&pb.SessionRequest{Message: &pb.SessionRequest_Hello{Hello: hello("a")}})
	go func() {
		for stream.Send(&pb.SessionRequest{Message: &pb.SessionRequest_Accept{Accept: &pb.AcceptRequest{OfferId: "o-9"}}}) == nil {
		}
	}()
	cutOff(t, &r.server.Counts().Sessions)
	if err := recvEnd(t, stream.Recv); codeOf(err) != codes.ResourceExhausted {
		t.Errorf("ended with %v", err)
	}
	// Its agent is free for another session at once.
	r.session(hello("a"))
}

// TestASlowEventReaderIsCutOffAndResumes: nothing is lost, since the log has it.
func TestASlowEventReaderResumes(t *testing.T) {
	r := newRig(t, func(_ *queue.Site, o *optsT) { o.SlowReader, o.HeartbeatEvery = 1, 5*time.Millisecond })
	conn := r.dial(tight()...)
	defer conn.Close()
	stream := must(pb.NewSupervisorServiceClient(conn).StreamEvents(r.ctx(), &pb.StreamEventsRequest{}))(t)
	r.signIn("a")
	must(recvOne(stream.Recv))(t)
	for range 2000 {
		r.engine.Do(r.ctx(), &queue.SetState{Agent: "a", State: queue.AgentNotReady, Reason: strings.Repeat("x", 60)})
		r.engine.Do(r.ctx(), &queue.SetState{Agent: "a", State: queue.AgentReady})
	}
	last := uint64(1)
	for {
		m, err := recvOne(stream.Recv)
		if err != nil {
			if codeOf(err) != codes.ResourceExhausted {
				t.Fatalf("ended with %v", err)
			}
			break
		}
		if m.GetEvent().GetSequence() != last+1 {
			t.Fatalf("%d after %d", m.GetEvent().GetSequence(), last)
		}
		if last++; last == 4001 {
			return // it kept up after all
		}
	}
	comeAgain(t, func() error {
		m, err := recvOne(must(r.sup.StreamEvents(r.ctx(), &pb.StreamEventsRequest{After: last}))(t).Recv)
		if err == nil && m.GetEvent().GetSequence() != last+1 {
			t.Errorf("resumed at %d after %d", m.GetEvent().GetSequence(), last)
		}
		return err
	})
}

// TestADeadPeerIsNoticed: the cable is cut, so that no close arrives; the offer
// must not wait for its time-out.
func TestADeadPeerIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the keepalive: eight seconds")
	}
	r := newRig(t, func(s *queue.Site, _ *optsT) { s.AckTimeout = 0 })
	cut := make(chan struct{})
	conn := r.dial(grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		return &cuttable{Conn: c, cut: cut}, err
	}))
	defer conn.Close()
	defer close(cut)
	stream := must(pb.NewAgentServiceClient(conn).Session(r.ctx()))(t)
	stream.Send(&pb.SessionRequest{Message: &pb.SessionRequest_Hello{Hello: hello("a")}})
	r.until("the agent", func(e *queue.Event) bool { return e.Type == queue.EventAgentSignedIn })
	r.attached("a")
	r.arrive("c1", "13800138000")
	cut <- struct{}{}
	back := r.until("the offer to go back", func(e *queue.Event) bool { return e.Type == queue.EventOfferReturned })
	if back.Reason != queue.EndedUndelivered {
		t.Errorf("it went back for %q", back.Reason)
	}
}

// cuttable is a connection whose reads block for ever once it is cut.
type cuttable struct {
	net.Conn
	cut chan struct{}
}

func (c *cuttable) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	select {
	case <-c.cut:
		<-c.cut // until the test is over
	default:
	}
	return n, err
}

func TestLimits(t *testing.T) {
	r := newRig(t)
	// Headers beyond 64 KiB.
	_, err := r.sup.GetSnapshot(metadata.AppendToOutgoingContext(r.ctx(), "x", strings.Repeat("h", 80<<10)), &pb.GetSnapshotRequest{})
	if err == nil {
		t.Error("80 KiB of headers were taken")
	}
	// A method path without its slash, and one that is not there.
	for _, path := range []string{"greenlane.v1.SupervisorService/GetSnapshot", "/greenlane.v1.SupervisorService/None"} {
		if err := r.conn.Invoke(r.ctx(), path, &pb.GetSnapshotRequest{}, &pb.Heartbeat{}); err == nil {
			t.Errorf("%s was served", path)
		}
	}
	// A message beyond 16 MiB. A busy machine takes long for these lists, under the race
	// detector above all.
	ctx, cancel := context.WithTimeout(t.Context(), 10*patience)
	defer cancel()
	calls := make([]*pb.LiveCall, 50_000)
	for i := range calls {
		calls[i] = &pb.LiveCall{CallId: "c", Attributes: map[string]string{"k": strings.Repeat("v", 400)}}
	}
	_, err = r.sw.Reconcile(ctx, &pb.ReconcileRequest{SwitchId: "sw", Calls: calls})
	wantCode(t, err, codes.ResourceExhausted, "")
	// As many calls as are allowed fit, and one more is refused.
	for i := range calls {
		calls[i] = &pb.LiveCall{CallId: "\x00"} // each one is reported, none is added
	}
	res := must(r.sw.Reconcile(ctx, &pb.ReconcileRequest{SwitchId: "sw", Calls: calls}, grpc.MaxCallRecvMsgSize(64<<20)))(t)
	if len(res.GetResults()) != len(calls) {
		t.Errorf("%d results", len(res.GetResults()))
	}
	_, err = r.sw.Reconcile(ctx, &pb.ReconcileRequest{SwitchId: "sw", Calls: make([]*pb.LiveCall, len(calls)+1)})
	wantCode(t, err, codes.InvalidArgument, "calls")
}

func TestSessionHeartbeats(t *testing.T) {
	r := newRig(t, func(_ *queue.Site, o *optsT) { o.HeartbeatEvery = 100 * time.Millisecond })
	s, welcome := r.session(hello("a"))
	if welcome.GetWelcome().GetHeartbeatEvery().AsDuration() != 100*time.Millisecond {
		t.Errorf("%v", welcome)
	}
	s.wait("a heartbeat", func(m *pb.SessionResponse) bool { return m.GetHeartbeat() != nil })
	sw, _ := r.connect(nil)
	sw.wait("a heartbeat", func(m *pb.ConnectResponse) bool { return m.GetHeartbeat() != nil })
}

func TestAStreamThatSaysNothingIsEnded(t *testing.T) {
	r := newRig(t, func(_ *queue.Site, o *optsT) { o.HelloTimeout = 10 * time.Millisecond })
	if err := r.openSession(nil).end(); codeOf(err) != codes.InvalidArgument {
		t.Errorf("session: %v", err)
	}
	if err := r.openSwitch().end(); codeOf(err) != codes.InvalidArgument {
		t.Errorf("connect: %v", err)
	}
}

// TestOwnersLeaseIsRenewed: agents with an open session outlive the lease many
// times over.
func TestOwnersLeaseIsRenewed(t *testing.T) {
	r := newRig(t, func(s *queue.Site, _ *optsT) { s.OwnerLease, s.AckTimeout = 2*time.Second, 0 })
	s, _ := r.session(hello("a"))
	r.signIn("b")
	r.next("b", 4*time.Second) // longer than the lease
	r.until("b to be there", func(e *queue.Event) bool { return e.Agent == "b" })
	r.arrive("c1", "13800138000")
	if s.offer().GetOffer() == nil {
		t.Error("no offer")
	}
	_ = durationpb.New(0)
}
