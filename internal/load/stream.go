package load

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "greenlane/proto/greenlane/v1"
)

// orders is what a switch does when its stream tells it to.
type orders interface {
	ring(*streamLine, *pb.Ring)
	stopRinging(*pb.StopRinging)
	bridge(*pb.Bridge)
	release(*pb.Release)
}

// streamLine is a switch on a Connect stream.
type streamLine struct {
	link[pb.ConnectRequest, pb.ConnectResponse]
	site, id string
	orders   orders
	faulty   func(format string, args ...any)
	after    atomic.Pointer[uint64] // the last order dealt with; nil: begin now
}

// newStreamLine returns a switch whose orders begin after an event. Its run
// method keeps the stream open.
func newStreamLine(conn *grpc.ClientConn, site, id string, after uint64, o orders, r *retries, faulty func(string, ...any)) *streamLine {
	l := &streamLine{site: site, id: id, orders: o, faulty: faulty}
	l.after.Store(&after)
	api := pb.NewSwitchServiceClient(conn)
	l.link = link[pb.ConnectRequest, pb.ConnectResponse]{
		open: func(ctx context.Context) (grpc.BidiStreamingClient[pb.ConnectRequest, pb.ConnectResponse], error) {
			return api.Connect(ctx)
		},
		hello: func() *pb.ConnectRequest {
			return &pb.ConnectRequest{Site: site, SwitchId: id, Message: &pb.ConnectRequest_Hello{
				Hello: &pb.SwitchHello{After: l.after.Load()},
			}}
		},
		beat: &pb.ConnectRequest{Message: &pb.ConnectRequest_Heartbeat{Heartbeat: &pb.Heartbeat{}}},
		welcome: func(res *pb.ConnectResponse) (time.Duration, bool) {
			return res.GetWelcome().GetHeartbeatEvery().AsDuration(), res.GetWelcome() != nil
		},
		result: func(res *pb.ConnectResponse) result {
			if r := res.GetResult(); r != nil {
				return r
			}
			return nil
		},
		take: l.take, lost: l.lost, retries: r,
	}
	return l
}

func (l *streamLine) arrived(ctx context.Context, req *pb.CallArrivedRequest) (*pb.Call, error) {
	res, err := l.do(ctx, req.GetRequestId(), &pb.ConnectRequest{
		RequestId: req.GetRequestId(), Message: &pb.ConnectRequest_Arrived{Arrived: req},
	})
	return res.GetResult().GetCall(), err
}

func (l *streamLine) abandoned(ctx context.Context, req *pb.CallAbandonedRequest) (*pb.Call, *pb.Callback, error) {
	res, err := l.do(ctx, req.GetRequestId(), &pb.ConnectRequest{
		RequestId: req.GetRequestId(), Message: &pb.ConnectRequest_Abandoned{Abandoned: req},
	})
	return res.GetResult().GetCall(), res.GetResult().GetCallback(), err
}

func (l *streamLine) ended(ctx context.Context, req *pb.CallEndedRequest) (*pb.Call, error) {
	res, err := l.do(ctx, req.GetRequestId(), &pb.ConnectRequest{
		RequestId: req.GetRequestId(), Message: &pb.ConnectRequest_Ended{Ended: req},
	})
	return res.GetResult().GetCall(), err
}

// answered reports that the agent whose phone was rung picked up.
func (l *streamLine) answered(ctx context.Context, request, offer string) (*pb.Call, error) {
	res, err := l.do(ctx, request, &pb.ConnectRequest{RequestId: request, Message: &pb.ConnectRequest_AgentAnswered{
		AgentAnswered: &pb.AgentAnswered{OfferId: offer},
	}})
	return res.GetResult().GetCall(), err
}

// failed reports that the agent's phone was not picked up.
func (l *streamLine) failed(ctx context.Context, request, offer string, why pb.AgentFailure) error {
	_, err := l.do(ctx, request, &pb.ConnectRequest{RequestId: request, Message: &pb.ConnectRequest_AgentFailed{
		AgentFailed: &pb.AgentFailed{OfferId: offer, Reason: why},
	}})
	return err
}

// lost notes why a stream ended, when that is not the daemon's absence.
func (l *streamLine) lost(err error) (again bool) {
	switch status.Code(err) {
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded:
		return true
	case codes.OutOfRange:
		l.faulty("switch %s: orders are gone: %v", l.id, err)
		l.after.Store(nil)
		return true
	}
	l.faulty("switch %s: the stream ended: %v", l.id, err)
	return true
}

// take does what one order says.
func (l *streamLine) take(res *pb.ConnectResponse) {
	switch m := res.GetMessage().(type) {
	case *pb.ConnectResponse_Ring:
		l.orders.ring(l, m.Ring)
	case *pb.ConnectResponse_StopRinging:
		l.orders.stopRinging(m.StopRinging)
	case *pb.ConnectResponse_Bridge:
		l.orders.bridge(m.Bridge)
	case *pb.ConnectResponse_Release:
		l.orders.release(m.Release)
	}
	if seq := res.GetSequence(); seq > 0 {
		l.after.Store(&seq)
	}
}
