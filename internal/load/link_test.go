package load

import (
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "greenlane/proto/greenlane/v1"
)

// fickleSwitch is a daemon whose streams break.
type fickleSwitch struct {
	pb.UnimplementedSwitchServiceServer
	// streams serve the first, the second, ... stream.
	streams []func(s grpc.BidiStreamingServer[pb.ConnectRequest, pb.ConnectResponse], hello *pb.ConnectRequest) error
	mu      sync.Mutex
	opened  int
}

func (f *fickleSwitch) Connect(s grpc.BidiStreamingServer[pb.ConnectRequest, pb.ConnectResponse]) error {
	f.mu.Lock()
	n := f.opened
	f.opened++
	f.mu.Unlock()
	hello, err := s.Recv()
	if err != nil {
		return err
	}
	if n >= len(f.streams) {
		<-s.Context().Done()
		return s.Context().Err()
	}
	if err := s.Send(&pb.ConnectResponse{Message: &pb.ConnectResponse_Welcome{Welcome: &pb.SwitchWelcome{HeartbeatEvery: durationpb.New(time.Hour)}}}); err != nil {
		return err
	}
	return f.streams[n](s, hello)
}

// serve serves a fake daemon and returns a connection to it.
func serve(t *testing.T, register func(*grpc.Server)) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	register(srv)
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	conn, err := Dial(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); srv.Stop(); <-done })
	return conn
}

// noOrders ignores orders but bridges.
type noOrders struct{ bridged chan *pb.Bridge }

func (noOrders) ring(*streamLine, *pb.Ring)  {}
func (noOrders) stopRinging(*pb.StopRinging) {}
func (o noOrders) bridge(b *pb.Bridge)       { o.bridged <- b }
func (noOrders) release(*pb.Release)         {}

func resultOf(id string, code codes.Code) *pb.ConnectResponse {
	return &pb.ConnectResponse{Message: &pb.ConnectResponse_Result{Result: &pb.ConnectResult{
		RequestId: id, Code: int32(code), Call: &pb.Call{CallId: id},
	}}}
}

func TestWhatABrokenStreamLeftIsSentAgainInOrder(t *testing.T) {
	var again []string
	var cursor uint64
	fake := &fickleSwitch{}
	fake.streams = []func(grpc.BidiStreamingServer[pb.ConnectRequest, pb.ConnectResponse], *pb.ConnectRequest) error{
		func(s grpc.BidiStreamingServer[pb.ConnectRequest, pb.ConnectResponse], _ *pb.ConnectRequest) error {
			// Three arrivals come; the first is answered, an order goes out, and the
			// stream breaks.
			for i := range 3 {
				req, err := s.Recv()
				if err != nil {
					return err
				}
				if i == 0 {
					_ = s.Send(resultOf(req.GetRequestId(), codes.OK))
				}
			}
			_ = s.Send(&pb.ConnectResponse{Sequence: 7, Message: &pb.ConnectResponse_Bridge{Bridge: &pb.Bridge{CallId: "0"}}})
			return status.Error(codes.Unavailable, "going down")
		},
		func(s grpc.BidiStreamingServer[pb.ConnectRequest, pb.ConnectResponse], hello *pb.ConnectRequest) error {
			cursor = hello.GetHello().GetAfter()
			for range 2 {
				req, err := s.Recv()
				if err != nil {
					return err
				}
				again = append(again, req.GetRequestId())
			}
			// The answers come the other way round, and one is not final.
			_ = s.Send(resultOf(again[1], codes.Unavailable))
			_ = s.Send(resultOf(again[0], codes.OK))
			req, err := s.Recv()
			if err != nil {
				return err
			}
			_ = s.Send(resultOf(req.GetRequestId(), codes.OK))
			<-s.Context().Done()
			return nil
		},
	}
	conn := serve(t, func(s *grpc.Server) { pb.RegisterSwitchServiceServer(s, fake) })
	orders := noOrders{bridged: make(chan *pb.Bridge, 1)}
	var r retries
	line := newStreamLine(conn, "main", "switch-1", 3, orders, &r, t.Errorf)
	ctx := t.Context()
	var running sync.WaitGroup
	running.Go(func() { line.run(ctx) })
	t.Cleanup(running.Wait)
	var all sync.WaitGroup
	var first []string
	for i := range 3 {
		id := strconv.Itoa(i)
		first = append(first, id)
		started := make(chan struct{})
		all.Go(func() {
			close(started)
			got, err := line.arrived(ctx, &pb.CallArrivedRequest{RequestId: id, CallId: id})
			if err != nil || got.GetCallId() != id {
				t.Errorf("call %s: %v, %v", id, got, err)
			}
		})
		<-started
	}
	all.Wait()
	if b := <-orders.bridged; b.GetCallId() != "0" {
		t.Errorf("bridged %v", b)
	}
	if cursor != 7 {
		t.Errorf("the second stream resumed after %d, the last order was 7", cursor)
	}
	if len(again) != 2 || r.n.Load() == 0 {
		t.Errorf("sent again: %v of %v, %d counted", again, first, r.n.Load())
	}
}

func TestARefusedRequestIsNotRepeated(t *testing.T) {
	fake := &fickleSwitch{}
	fake.streams = []func(grpc.BidiStreamingServer[pb.ConnectRequest, pb.ConnectResponse], *pb.ConnectRequest) error{
		func(s grpc.BidiStreamingServer[pb.ConnectRequest, pb.ConnectResponse], _ *pb.ConnectRequest) error {
			req, err := s.Recv()
			if err != nil {
				return err
			}
			_ = s.Send(resultOf(req.GetRequestId(), codes.FailedPrecondition))
			<-s.Context().Done()
			return nil
		},
	}
	conn := serve(t, func(s *grpc.Server) { pb.RegisterSwitchServiceServer(s, fake) })
	var r retries
	line := newStreamLine(conn, "main", "switch-1", 0, noOrders{}, &r, t.Errorf)
	var running sync.WaitGroup
	ctx := t.Context()
	running.Go(func() { line.run(ctx) })
	t.Cleanup(running.Wait)
	if _, err := line.answered(ctx, "1", "o-1"); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("the error is %v", err)
	}
	if r.n.Load() != 0 {
		t.Errorf("%d requests were repeated", r.n.Load())
	}
}
