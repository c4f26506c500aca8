package softphone

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "greenlane/proto/greenlane/v1"
)

// played is a daemon whose sessions a test plays, one after the other.
type played struct {
	pb.UnimplementedAgentServiceServer
	pb.UnimplementedCallbackServiceServer
	sessions chan *act

	mu      sync.Mutex
	signIns []*pb.SignInRequest
	states  []*pb.SetStateRequest
	outs    []*pb.SignOutRequest
	reports []*pb.CallbackServiceReportRequest
	busy    int // so many reports are not confirmed
}

// act is one session.
type act struct {
	hello  *pb.SessionHello
	stream grpc.BidiStreamingServer[pb.SessionRequest, pb.SessionResponse]
	end    chan error
}

func (p *played) Session(stream grpc.BidiStreamingServer[pb.SessionRequest, pb.SessionResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	a := &act{hello: first.GetHello(), stream: stream, end: make(chan error, 1)}
	select {
	case p.sessions <- a:
	case <-stream.Context().Done():
		return stream.Context().Err()
	}
	select {
	case err := <-a.end:
		return err
	case <-stream.Context().Done():
		return stream.Context().Err()
	}
}

func (p *played) SignIn(_ context.Context, req *pb.SignInRequest) (*pb.SignInResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signIns = append(p.signIns, req)
	return &pb.SignInResponse{}, nil
}

func (p *played) SetState(_ context.Context, req *pb.SetStateRequest) (*pb.SetStateResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.states = append(p.states, req)
	return &pb.SetStateResponse{}, nil
}

func (p *played) SignOut(_ context.Context, req *pb.SignOutRequest) (*pb.SignOutResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.outs = append(p.outs, req)
	return nil, status.Error(codes.NotFound, "never signed in")
}

func (p *played) Report(_ context.Context, req *pb.CallbackServiceReportRequest) (*pb.CallbackServiceReportResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reports = append(p.reports, req)
	if p.busy > 0 {
		p.busy--
		return nil, status.Error(codes.Unavailable, "not confirmed")
	}
	return &pb.CallbackServiceReportResponse{Callback: &pb.Callback{CallbackId: req.GetCallbackId()}}, nil
}

// stage is a line to a played daemon.
type stage struct {
	*played
	t     *testing.T
	line  *line
	heard chan any
	ctx   context.Context
}

func newStage(t *testing.T, change ...func(*Options)) *stage {
	s := &stage{played: &played{sessions: make(chan *act)}, t: t, heard: make(chan any, 100)}
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	pb.RegisterAgentServiceServer(server, s.played)
	pb.RegisterCallbackServiceServer(server, s.played)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	conn, err := grpc.NewClient("passthrough:///daemon", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	opt := Options{Conn: conn, Site: "main", Agent: "7001", Queues: []*pb.AgentQueue{{Queue: "billing", Level: 1}}, Timeout: time.Minute}
	for _, f := range change {
		f(&opt)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.ctx = ctx
	s.line = newLine(opt, func(m any) {
		select {
		case s.heard <- m:
		case <-ctx.Done():
		}
	})
	serving.Go(func() { s.line.run(ctx) })
	t.Cleanup(func() {
		stop()
		conn.Close()
		server.Stop()
		serving.Wait()
	})
	return s
}

// enough is far more than anything takes.
const enough = 60 * time.Second

func receive[T any](s *stage, from <-chan T, what string) T {
	s.t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(enough):
		s.t.Fatalf("no %s came", what)
		panic("unreachable")
	}
}

// hears waits until the line tells something of a type.
func hears[T any](s *stage) T {
	s.t.Helper()
	for {
		if v, ok := receive(s, s.heard, "message").(T); ok {
			return v
		}
	}
}

// opens waits for the next session and welcomes it.
func (s *stage) opens() *act {
	s.t.Helper()
	a := receive(s, s.sessions, "session")
	a.say(s, &pb.SessionResponse{Sequence: 7, Message: &pb.SessionResponse_Welcome{Welcome: &pb.SessionWelcome{
		Agent: ready(), HeartbeatEvery: durationpb.New(time.Minute), Now: timestamppb.New(morning),
	}}})
	hears[*pb.SessionResponse](s)
	return a
}

func (a *act) say(s *stage, m *pb.SessionResponse) {
	s.t.Helper()
	if err := a.stream.Send(m); err != nil {
		s.t.Fatal(err)
	}
}

// gets is the next message of the softphone that is no heartbeat.
func (a *act) gets(s *stage) *pb.SessionRequest {
	s.t.Helper()
	for {
		m, err := a.stream.Recv()
		if err != nil {
			s.t.Fatal(err)
		}
		if m.GetHeartbeat() == nil {
			return m
		}
	}
}

func TestASessionIsResumed(t *testing.T) {
	s := newStage(t, func(o *Options) { o.NotReady, o.NotReadyReason = true, "late" })
	a := s.opens()
	if a.hello.After != nil || a.hello.GetAgentId() != "7001" || a.hello.GetSite() != "main" {
		t.Errorf("hello %v", a.hello)
	}
	if len(s.signIns) != 1 || len(s.states) != 1 || s.states[0].GetReason() != "late" {
		t.Errorf("signed in %d times, then %v", len(s.signIns), s.states)
	}
	a.say(s, &pb.SessionResponse{Sequence: 12, Message: &pb.SessionResponse_Offer{Offer: offerOf("o1", "c1", pb.Tier_TIER_MID, morning, 0)}})
	if ack := a.gets(s).GetAck(); ack.GetOfferId() != "o1" {
		t.Errorf("acknowledged %v", ack)
	}

	// The stream breaks with an accept on the way: it is sent again on the next one,
	// as it was, and the next one goes on after the last message.
	cmd := &command{kind: accept, offer: "o1"}
	s.line.do(s.ctx, cmd)
	first := a.gets(s).GetAccept()
	a.end <- status.Error(codes.Unavailable, "going away")
	if l := hears[lost](s); status.Code(l.err) != codes.Unavailable || l.in <= 0 {
		t.Errorf("lost %+v", l)
	}
	a = s.opens()
	if a.hello.GetAfter() != 12 || a.hello.GetSignIn() != nil || len(s.signIns) != 1 {
		t.Errorf("hello %v after %d sign-ins", a.hello, len(s.signIns))
	}
	again := a.gets(s).GetAccept()
	if again.GetRequestId() == "" || again.GetRequestId() != first.GetRequestId() || again.GetOfferId() != "o1" {
		t.Errorf("first %v, then %v", first, again)
	}

	// Not confirmed: once more. Then it is answered, once.
	answer := func(r *pb.SessionResult) {
		a.say(s, &pb.SessionResponse{Message: &pb.SessionResponse_Result{Result: r}})
	}
	answer(&pb.SessionResult{RequestId: cmd.id, Code: int32(codes.Unavailable)})
	if again := a.gets(s).GetAccept(); again.GetRequestId() != cmd.id {
		t.Errorf("then %v", again)
	}
	answer(&pb.SessionResult{RequestId: cmd.id, Call: &pb.Call{CallId: "c1"}})
	answer(&pb.SessionResult{RequestId: cmd.id, Call: &pb.Call{CallId: "c1"}})
	if d := hears[done](s); d.cmd != cmd || d.err != nil || d.GetCall().GetCallId() != "c1" {
		t.Errorf("done %+v", d)
	}
	cmd = &command{kind: complete, call: "c1"}
	s.line.do(s.ctx, cmd)
	if got := a.gets(s).GetComplete(); got.GetCallId() != "c1" {
		t.Errorf("sent %v", got)
	}
	answer(&pb.SessionResult{RequestId: cmd.id, Code: int32(codes.FailedPrecondition), Message: "not yours"})
	if d := hears[done](s); d.cmd != cmd || status.Code(d.err) != codes.FailedPrecondition {
		t.Errorf("done %+v", d)
	}
}

func TestHowSessionsEnd(t *testing.T) {
	s := newStage(t)
	s.opens().end <- status.Error(codes.OutOfRange, "trimmed")
	a := s.opens()
	if a.hello.After != nil {
		t.Errorf("after the log was trimmed it asks for what comes after %d", a.hello.GetAfter())
	}
	a.end <- status.Error(codes.NotFound, "who?") // the daemon has other data
	a = s.opens()
	if s.mu.Lock(); len(s.signIns) != 2 || a.hello.After != nil {
		t.Errorf("signed in %d times; hello %v", len(s.signIns), a.hello)
	}
	s.mu.Unlock()

	// Another softphone takes over: nothing is opened, and what waits is given up,
	// until the agent wants it back.
	cmd := &command{kind: accept, offer: "o1"}
	s.line.do(s.ctx, cmd)
	a.gets(s)
	a.end <- status.Error(codes.Aborted, "taken over")
	if d := hears[done](s); d.cmd != cmd || d.err == nil {
		t.Errorf("done %+v", d)
	}
	if e := hears[ended](s); !e.taken {
		t.Errorf("ended %+v", e)
	}
	select {
	case <-s.sessions:
		t.Fatal("a session was opened that nobody asked for")
	default:
	}
	s.line.open()
	a = s.opens()
	a.end <- status.Error(codes.FailedPrecondition, "signed out")
	if e := hears[ended](s); e.taken {
		t.Errorf("ended %+v", e)
	}
	s.line.open()
	s.opens()
	if s.mu.Lock(); len(s.signIns) != 3 {
		t.Errorf("signed in %d times", len(s.signIns))
	}
	s.mu.Unlock()
}

func TestASilentDaemonIsLost(t *testing.T) {
	s := newStage(t)
	a := receive(s, s.sessions, "session")
	a.say(s, &pb.SessionResponse{Message: &pb.SessionResponse_Welcome{Welcome: &pb.SessionWelcome{
		Agent: ready(), HeartbeatEvery: durationpb.New(time.Millisecond), Now: timestamppb.New(morning),
	}}})
	if m, err := a.stream.Recv(); err != nil || m.GetHeartbeat() == nil {
		t.Errorf("%v, %v: no heartbeat", m, err)
	}
	if l := hears[lost](s); !errors.Is(l.err, errSilent) {
		t.Errorf("lost %+v", l)
	}
	s.opens()
}

func TestUnaryCommands(t *testing.T) {
	s := newStage(t)
	s.opens()
	s.mu.Lock()
	s.busy = 1
	s.mu.Unlock()
	cmd := &command{kind: report, callback: "cb1", result: pb.CallbackResult_CALLBACK_RESULT_BUSY, note: "later"}
	s.line.do(s.ctx, cmd)
	if d := hears[done](s); d.cmd != cmd || d.err != nil || d.GetCallback().GetCallbackId() != "cb1" {
		t.Errorf("done %+v", d)
	}
	s.mu.Lock()
	if len(s.reports) != 2 || s.reports[0].GetRequestId() != s.reports[1].GetRequestId() || s.reports[1].GetClaimant() != "7001" || s.reports[1].GetNote() != "later" {
		t.Errorf("reported %v", s.reports)
	}
	s.mu.Unlock()
	// Somebody the daemon does not know is signed out already.
	s.line.do(s.ctx, &command{kind: signOut, force: true})
	if d := hears[done](s); d.err != nil {
		t.Errorf("done %+v", d)
	}
	if s.mu.Lock(); len(s.outs) != 1 || !s.outs[0].GetForce() {
		t.Errorf("signed out: %v", s.outs)
	}
	s.mu.Unlock()
}
