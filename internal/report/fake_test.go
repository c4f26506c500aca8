package report_test

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/report"
	pb "greenlane/proto/greenlane/v1"
)

// site is a daemon that has nothing but a log, and tells it as the API says.
type site struct {
	pb.UnimplementedSupervisorServiceServer
	pb.UnimplementedCallbackServiceServer
	log    []*pb.Event
	now    time.Time
	failed []string // callbacks that used up their attempts

	breakAfter int // streams end with Unavailable after so many events; 0: never

	mu      sync.Mutex // a client may begin a stream before the one it left has ended
	trimmed uint64     // events up to here are not kept
	trimAt  uint64     // after sending this event, everything up to trimTo is trimmed
	trimTo  uint64
	streams int
}

var shanghai = func() *time.Location {
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		panic(err)
	}
	return zone
}()

// nine is nine in the morning of the day that the tests report.
var nine = time.Date(2026, 3, 2, 9, 0, 0, 0, shanghai)

// at returns an instant of that day.
func at(clock string) time.Time {
	t, err := time.Parse("15:04:05", clock)
	if err != nil {
		panic(err)
	}
	return time.Date(2026, 3, 2, t.Hour(), t.Minute(), t.Second(), 0, shanghai)
}

func (s *site) GetSnapshot(context.Context, *pb.GetSnapshotRequest) (*pb.GetSnapshotResponse, error) {
	targets := func() (tiers []*pb.TierSnapshot) {
		for t, target := range []float64{0.9, 0.85, 0.85, 0} {
			tier := &pb.TierSnapshot{Tier: pb.Tier(t + 1)}
			if target > 0 {
				tier.Target = &target
			}
			tiers = append(tiers, tier)
		}
		return tiers
	}
	newest := uint64(0)
	if len(s.log) > 0 {
		newest = s.log[len(s.log)-1].GetSequence()
	}
	return &pb.GetSnapshotResponse{
		Site: "main", TakenAt: timestamppb.New(s.now), DayStart: timestamppb.New(at("00:00:00")), Sequence: max(newest, s.trimmed),
		ShortAbandon: durationpb.New(5 * time.Second), Zone: "Asia/Shanghai",
		Queues: []*pb.QueueSnapshot{
			{Queue: "billing", Threshold: durationpb.New(20 * time.Second), Tiers: targets()},
			{Queue: "orders", Threshold: durationpb.New(20 * time.Second), Tiers: targets()},
		},
	}, nil
}

func (s *site) StreamEvents(req *pb.StreamEventsRequest, out grpc.ServerStreamingServer[pb.StreamEventsResponse]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams++
	after := req.GetAfter()
	if after < s.trimmed && after > 0 {
		refused, err := status.New(codes.OutOfRange, "trimmed").WithDetails(&errdetails.ErrorInfo{Reason: "EVENTS_TRIMMED"})
		if err != nil {
			return err
		}
		return refused.Err()
	}
	n := 0
	for _, e := range s.log {
		if e.GetSequence() <= max(after, s.trimmed) || len(req.GetTypes()) > 0 && !slices.Contains(req.GetTypes(), e.GetType()) {
			continue
		}
		if n == s.breakAfter && n > 0 {
			return status.Error(codes.Unavailable, "the daemon stops")
		}
		if s.trimAt > 0 && len(req.GetTypes()) > 0 && e.GetSequence() > s.trimAt {
			s.trimmed, s.trimAt = s.trimTo, 0
			return status.Error(codes.ResourceExhausted, "cut off")
		}
		if err := out.Send(&pb.StreamEventsResponse{Event: e}); err != nil {
			return err
		}
		n++
	}
	return nil
}

func (s *site) List(_ context.Context, req *pb.CallbackServiceListRequest) (*pb.CallbackServiceListResponse, error) {
	res := new(pb.CallbackServiceListResponse)
	for _, id := range s.failed {
		if req.GetState() == pb.CallbackState_CALLBACK_STATE_FAILED {
			res.Callbacks = append(res.Callbacks, &pb.Callback{CallbackId: id})
		}
	}
	return res, nil
}

// write appends an event.
func (s *site) write(clock string, e *pb.Event) {
	e.Sequence = uint64(len(s.log) + 1)
	e.At = timestamppb.New(at(clock))
	s.log = append(s.log, e)
}

// call writes the life of a call: joined, and ended after a wait.
func (s *site) call(joined, ended string, tier pb.Tier, how pb.EventType) {
	j := timestamppb.New(at(joined))
	s.write(joined, &pb.Event{Type: pb.EventType_EVENT_TYPE_CALL_JOINED, CallId: joined, Queue: "billing", Tier: tier, JoinedAt: j})
	if how == pb.EventType_EVENT_TYPE_UNSPECIFIED {
		return
	}
	wait := at(ended).Sub(at(joined))
	late := wait > 20*time.Second
	if late {
		s.write(at(joined).Add(20*time.Second).Format("15:04:05"), &pb.Event{
			Type: pb.EventType_EVENT_TYPE_CALL_LATE, CallId: joined, Queue: "billing", Tier: tier, JoinedAt: j, Late: true,
		})
	}
	s.write(ended, &pb.Event{Type: how, CallId: joined, Queue: "billing", Tier: tier, JoinedAt: j, Wait: durationpb.New(wait), Late: late})
}

// inOrder puts the log into the order of time, as every log is.
func (s *site) inOrder() *site {
	slices.SortStableFunc(s.log, func(a, b *pb.Event) int { return a.GetAt().AsTime().Compare(b.GetAt().AsTime()) })
	for i, e := range s.log {
		e.Sequence = uint64(i + 1)
	}
	return s
}

func (s *site) serve(t *testing.T) *grpc.ClientConn {
	t.Helper()
	wire := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	pb.RegisterSupervisorServiceServer(server, s)
	pb.RegisterCallbackServiceServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(wire) }()
	conn, err := grpc.NewClient("passthrough:///site", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return wire.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return conn
}

// report makes one from nine to eleven, by half an hour.
func (s *site) report(t *testing.T, change ...func(*report.Options)) *report.Report {
	t.Helper()
	conn := s.serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if s.now.IsZero() {
		s.now = at("23:00:00")
	}
	known, err := report.Look(ctx, conn, "")
	if err != nil {
		t.Fatal(err)
	}
	opt := report.Options{From: nine, To: at("11:00:00"), Interval: 30 * time.Minute, Lead: 12 * time.Hour}
	for _, f := range change {
		f(&opt)
	}
	r, err := report.Make(ctx, conn, known, opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
