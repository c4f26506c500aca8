package load

import (
	"context"

	"google.golang.org/grpc"

	pb "greenlane/proto/greenlane/v1"
)

// line is how one switch reports its calls. Every method repeats its request
// until it is answered, and may be called from many goroutines.
type line interface {
	arrived(context.Context, *pb.CallArrivedRequest) (*pb.Call, error)
	abandoned(context.Context, *pb.CallAbandonedRequest) (*pb.Call, *pb.Callback, error)
	ended(context.Context, *pb.CallEndedRequest) (*pb.Call, error)
}

// unaryLine reports each event by a request of its own.
type unaryLine struct {
	api     pb.SwitchServiceClient
	retries *retries
}

func newUnaryLine(conn *grpc.ClientConn, r *retries) *unaryLine {
	return &unaryLine{api: pb.NewSwitchServiceClient(conn), retries: r}
}

func (l *unaryLine) arrived(ctx context.Context, req *pb.CallArrivedRequest) (*pb.Call, error) {
	res, err := call(ctx, l.retries, l.api.CallArrived, req)
	return res.GetCall(), err
}

func (l *unaryLine) abandoned(ctx context.Context, req *pb.CallAbandonedRequest) (*pb.Call, *pb.Callback, error) {
	res, err := call(ctx, l.retries, l.api.CallAbandoned, req)
	return res.GetCall(), res.GetCallback(), err
}

func (l *unaryLine) ended(ctx context.Context, req *pb.CallEndedRequest) (*pb.Call, error) {
	res, err := call(ctx, l.retries, l.api.CallEnded, req)
	return res.GetCall(), err
}
