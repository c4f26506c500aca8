package rpc_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/feed"
	"greenlane/internal/rpc"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/queue/embedded"
	"greenlane/tiering"
	"greenlane/tiering/filedir"
	"greenlane/tiering/resolve"
)

// benchClients is how many clients, each with a connection of its own, load the
// server.
const benchClients = 64

// BenchmarkUnary compares a durable CallArrived with a bare echo of messages of
// the same size: what everything but gRPC itself costs.
func BenchmarkUnary(b *testing.B) {
	b.Run("echo", func(b *testing.B) { benchUnary(b, echoServer(b)) })
	b.Run("arrived", func(b *testing.B) { benchUnary(b, realServer(b)) })
}

func arrivedRequest(n uint64) *pb.CallArrivedRequest {
	return &pb.CallArrivedRequest{
		RequestId: fmt.Sprint("request-", n), SwitchId: "switch-1", CallId: fmt.Sprint("call-", n), Caller: fmt.Sprintf("138%08d", n%100_000_000),
		Attributes: map[string]string{"menu": "2"},
	}
}

func benchUnary(b *testing.B, addr string) {
	var n atomic.Uint64
	var clients []pb.SwitchServiceClient
	for range benchClients {
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		c := pb.NewSwitchServiceClient(conn)
		if _, err := c.CallArrived(context.Background(), arrivedRequest(n.Add(1))); err != nil {
			b.Fatal(err)
		}
		clients = append(clients, c)
	}
	var next atomic.Uint64
	b.SetParallelism(benchClients / max(1, parallel()))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		c := clients[int(next.Add(1))%benchClients]
		for p.Next() {
			if _, err := c.CallArrived(context.Background(), arrivedRequest(n.Add(1))); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rpc/s")
}

func serveBench(b *testing.B, srv *grpc.Server) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go srv.Serve(l)
	b.Cleanup(srv.Stop)
	return l.Addr().String()
}

type echo struct {
	pb.UnimplementedSwitchServiceServer
	res *pb.CallArrivedResponse
}

func (e echo) CallArrived(context.Context, *pb.CallArrivedRequest) (*pb.CallArrivedResponse, error) {
	return e.res, nil
}

func echoServer(b *testing.B) string {
	now := newBenchNow()
	srv := grpc.NewServer()
	pb.RegisterSwitchServiceServer(srv, echo{res: &pb.CallArrivedResponse{
		Call: &pb.Call{
			CallId: "call-1234567", Site: "main", SwitchId: "switch-1", Caller: "+8613800138000", Queue: "default", Tier: pb.Tier_TIER_ORDINARY,
			Attributes: map[string]string{"menu": "2"}, State: pb.CallState_CALL_STATE_WAITING, ArrivedAt: now, JoinedAt: now, Sequence: 1234567,
		},
		Position: 123456,
	}})
	return serveBench(b, srv)
}

func realServer(b *testing.B) string {
	data := b.TempDir()
	site := queue.DefaultSite("main")
	engine, err := embedded.Open(data, site, embedded.Options{})
	if err != nil {
		b.Fatal(err)
	}
	dir, err := filedir.Open(data, filedir.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	events := feed.New(engine, feed.Options{})
	if err := events.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	normalizer, err := tiering.NewNormalizer("CN")
	if err != nil {
		b.Fatal(err)
	}
	resolver := resolve.New(resolve.Config{Directory: dir})
	s, err := rpc.New(rpc.Options{
		Sites: []rpc.Site{{Config: site, Engine: engine, Feed: events}}, Normalizer: normalizer, Directory: dir,
		Tiers: benchTiers{resolver}, Scheme: tiering.DefaultScheme(),
	})
	if err != nil {
		b.Fatal(err)
	}
	srv := grpc.NewServer(s.ServerOptions(nil, nil)...)
	s.Register(srv)
	s.Start()
	b.Cleanup(func() {
		s.Stop(context.Background())
		resolver.Close(context.Background())
		events.Stop()
		engine.Close(context.Background())
		dir.Close()
	})
	return serveBench(b, srv)
}

type benchTiers struct{ *resolve.Resolver }

func (r benchTiers) Resolve(ctx context.Context, site string, n tiering.Number) rpc.Answer {
	a := r.Resolver.Resolve(ctx, site, n)
	return rpc.Answer{Tier: a.Standing.Tier, Provisional: a.Provisional}
}

func parallel() int { return runtime.GOMAXPROCS(0) }

func newBenchNow() *timestamppb.Timestamp { return timestamppb.Now() }

// BenchmarkSessions is whole calls: arrival, offer, acknowledgement, accept and
// completion, each durable, by agents in sessions.
func BenchmarkSessions(b *testing.B) {
	addr := realServer(b)
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	ctx, cancel := context.WithCancel(context.Background())
	b.Cleanup(cancel)
	done := make(chan struct{}, benchClients)
	for i := range benchClients {
		s, err := pb.NewAgentServiceClient(conn).Session(ctx)
		if err != nil {
			b.Fatal(err)
		}
		s.Send(&pb.SessionRequest{Message: &pb.SessionRequest_Hello{Hello: hello(fmt.Sprint("agent", i))}})
		if _, err := s.Recv(); err != nil {
			b.Fatal(err)
		}
		go func() {
			for {
				m, err := s.Recv()
				if err != nil {
					return
				}
				if o := m.GetOffer(); o != nil {
					s.Send(&pb.SessionRequest{Message: &pb.SessionRequest_Ack{Ack: &pb.OfferAcknowledgement{OfferId: o.GetOfferId()}}})
					s.Send(&pb.SessionRequest{Message: &pb.SessionRequest_Accept{Accept: &pb.AcceptRequest{RequestId: o.GetOfferId(), OfferId: o.GetOfferId()}}})
					s.Send(&pb.SessionRequest{Message: &pb.SessionRequest_Complete{Complete: &pb.CompleteRequest{CallId: o.GetCall().GetCallId()}}})
				}
				if m.GetCallEnded() != nil {
					done <- struct{}{}
				}
			}
		}()
	}
	sw := pb.NewSwitchServiceClient(conn)
	room := make(chan struct{}, benchClients)
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		for n := range uint64(b.N) {
			room <- struct{}{}
			go func() {
				if _, err := sw.CallArrived(ctx, arrivedRequest(n+1)); err != nil {
					b.Error(err)
				}
			}()
		}
	}()
	for range b.N {
		<-done
		<-room
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
