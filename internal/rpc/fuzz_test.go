package rpc

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"greenlane/internal/feed"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/queue/embedded"
	"greenlane/tiering"
	"greenlane/tiering/filedir"
)

// fuzzed is a server without a socket: requests are handed to its handlers as
// bytes.
type fuzzed struct {
	*Server
	methods []method
}

type method struct {
	name string
	call func(ctx context.Context, dec func(any) error) (any, error)
}

// RegisterService implements grpc.ServiceRegistrar.
func (f *fuzzed) RegisterService(desc *grpc.ServiceDesc, impl any) {
	for _, m := range desc.Methods {
		f.methods = append(f.methods, method{desc.ServiceName + "/" + m.MethodName, func(ctx context.Context, dec func(any) error) (any, error) {
			return m.Handler(impl, ctx, dec, nil)
		}})
	}
}

type always struct{}

func (always) Resolve(context.Context, string, tiering.Number) Answer {
	return Answer{Tier: tiering.Mid}
}

func newFuzzed(tb testing.TB) *fuzzed {
	tb.Helper()
	fatal := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	data := tb.TempDir()
	site := queue.DefaultSite("main")
	site.Keep.Calls, site.MaxWaiting = 100, 1000
	engine, err := embedded.Open(data, site, embedded.Options{NoSync: true})
	fatal(err)
	dir, err := filedir.Open(data, filedir.Options{Log: slog.New(slog.DiscardHandler)})
	fatal(err)
	events := feed.New(engine, feed.Options{})
	fatal(events.Start(context.Background()))
	normalizer, err := tiering.NewNormalizer("CN")
	fatal(err)
	s, err := New(Options{
		Sites:      []Site{{Config: site, Engine: engine, Feed: events}},
		Normalizer: normalizer, Tiers: always{}, Directory: dir, Scheme: tiering.DefaultScheme(),
	})
	fatal(err)
	f := &fuzzed{Server: s}
	s.Register(f)
	tb.Cleanup(func() {
		s.Stop(context.Background())
		events.Stop()
		engine.Close(context.Background())
		dir.Close()
	})
	return f
}

// wrongAnswer reports a code that no bytes of a client may earn.
func wrongAnswer(err error) bool {
	code := status.Code(err)
	return code == codes.Internal || code == codes.Unknown || code == codes.DataLoss
}

// FuzzUnary: whatever the bytes, a request is answered, or refused with a code
// that says what is wrong.
func FuzzUnary(f *testing.F) {
	server := newFuzzed(f)
	for i := range server.methods {
		f.Add(uint8(i), []byte{})
		f.Add(uint8(i), []byte("\x0a\x02r1\x12\x04main\x1a\x02sw\x22\x02c1\x2a\x0b13800138000"))
	}
	f.Fuzz(func(t *testing.T, n uint8, wire []byte) {
		m := server.methods[int(n)%len(server.methods)]
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		res, err := m.call(ctx, func(v any) error {
			err := proto.Unmarshal(wire, v.(proto.Message))
			if err != nil {
				return status.Error(codes.InvalidArgument, err.Error())
			}
			if poll, ok := v.(*pb.NextCallRequest); ok && poll.GetWait().IsValid() {
				poll.Wait = &durationpb.Duration{}
			} else if ok && poll.Wait == nil {
				poll.Wait = &durationpb.Duration{}
			}
			return nil
		})
		if wrongAnswer(err) {
			t.Fatalf("%s: %v", m.name, err)
		}
		if err == nil {
			if _, err := proto.Marshal(res.(proto.Message)); err != nil {
				t.Fatalf("%s: the answer can't be sent: %v", m.name, err)
			}
		}
	})
}

// script is a stream whose client sends some messages and then goes away.
type script[Req, Res any] struct {
	grpc.ServerStream
	ctx    context.Context
	cancel context.CancelFunc
	mu     sync.Mutex
	in     []*Req
	bad    error
}

func (s *script[Req, Res]) Context() context.Context { return s.ctx }

func (s *script[Req, Res]) Recv() (*Req, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.in) == 0 {
		s.cancel()
		return nil, io.EOF
	}
	m := s.in[0]
	s.in = s.in[1:]
	return m, nil
}

func (s *script[Req, Res]) RecvMsg(m any) error {
	in, err := s.Recv()
	if err == nil {
		proto.Merge(m.(proto.Message), any(in).(proto.Message))
	}
	return err
}

func (s *script[Req, Res]) Send(m *Res) error {
	if _, err := proto.Marshal(any(m).(proto.Message)); err != nil {
		s.mu.Lock()
		s.bad = err
		s.mu.Unlock()
	}
	return nil
}

// messages cuts the bytes into messages of the stream.
func messages[Req any](wire []byte) (out []*Req) {
	for len(wire) > 0 && len(out) < 20 {
		n := min(int(wire[0]), len(wire)-1)
		m := new(Req)
		if proto.Unmarshal(wire[1:1+n], any(m).(proto.Message)) == nil {
			out = append(out, m)
		}
		wire = wire[1+n:]
	}
	return out
}

func frames(ms ...proto.Message) (wire []byte) {
	for _, m := range ms {
		b, err := proto.Marshal(m)
		if err != nil || len(b) > 255 {
			panic(err)
		}
		wire = append(append(wire, byte(len(b))), b...)
	}
	return wire
}

func FuzzStreams(f *testing.F) {
	server := newFuzzed(f)
	f.Add(false, frames(
		&pb.SessionRequest{Message: &pb.SessionRequest_Hello{Hello: &pb.SessionHello{AgentId: "a", SignIn: &pb.SignInRequest{Queues: []*pb.AgentQueue{{Queue: "default"}}}}}},
		&pb.SessionRequest{Message: &pb.SessionRequest_Accept{Accept: &pb.AcceptRequest{RequestId: "1", OfferId: "o-1"}}},
		&pb.SessionRequest{Message: &pb.SessionRequest_Ack{Ack: &pb.OfferAcknowledgement{OfferId: "o-1"}}},
		&pb.SessionRequest{Message: &pb.SessionRequest_SetState{SetState: &pb.SetStateRequest{State: 1}}},
	))
	f.Add(true, frames(
		&pb.ConnectRequest{SwitchId: "sw", Message: &pb.ConnectRequest_Hello{Hello: &pb.SwitchHello{}}},
		&pb.ConnectRequest{RequestId: "1", Message: &pb.ConnectRequest_Arrived{Arrived: &pb.CallArrivedRequest{CallId: "c"}}},
		&pb.ConnectRequest{RequestId: "2", Message: &pb.ConnectRequest_AgentAnswered{AgentAnswered: &pb.AgentAnswered{OfferId: "o-1"}}},
		&pb.ConnectRequest{RequestId: "3", Message: &pb.ConnectRequest_AgentFailed{AgentFailed: &pb.AgentFailed{OfferId: "o-1", Reason: 1}}},
		&pb.ConnectRequest{RequestId: "4", Message: &pb.ConnectRequest_Ended{Ended: &pb.CallEndedRequest{CallId: "c"}}},
	))
	f.Fuzz(func(t *testing.T, isSwitch bool, wire []byte) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		var err, bad error
		if isSwitch {
			s := &script[pb.ConnectRequest, pb.ConnectResponse]{ctx: ctx, cancel: cancel, in: messages[pb.ConnectRequest](wire)}
			err = (&switchService{Server: server.Server}).Connect(s)
			bad = s.bad
		} else {
			s := &script[pb.SessionRequest, pb.SessionResponse]{ctx: ctx, cancel: cancel, in: messages[pb.SessionRequest](wire)}
			err = (&agentService{Server: server.Server}).Session(s)
			bad = s.bad
		}
		if wrongAnswer(err) || bad != nil {
			t.Fatalf("%v, %v", err, bad)
		}
	})
}
