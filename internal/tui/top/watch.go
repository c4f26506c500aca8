package top

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"greenlane/internal/tui"
	pb "greenlane/proto/greenlane/v1"
)

// What the watch tells, besides snapshots.
type (
	// lost says that the stream broke, and when it will be tried again.
	lost struct {
		err error
		in  time.Duration
	}
	// refused says that the daemon does not give what is asked for.
	refused struct{ err error }
)

// watch keeps a stream of snapshots open and tells them, until ctx ends.
func watch(ctx context.Context, opt Options, tell func(any)) {
	var backoff tui.Backoff
	for ctx.Err() == nil {
		err := stream(ctx, opt, func(s *pb.GetSnapshotResponse) {
			backoff.Reset()
			tell(s)
		})
		if ctx.Err() != nil {
			return
		}
		switch status.Code(err) {
		case codes.InvalidArgument, codes.NotFound, codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
			tell(refused{err})
			return
		}
		in := backoff.Next()
		tell(lost{err, in})
		t := time.NewTimer(in)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
}

func stream(ctx context.Context, opt Options, take func(*pb.GetSnapshotResponse)) error {
	s, err := pb.NewSupervisorServiceClient(opt.Conn).Watch(ctx, &pb.WatchRequest{Site: opt.Site, MinInterval: durationpb.New(opt.Interval)})
	for err == nil {
		var res *pb.WatchResponse
		if res, err = s.Recv(); err == nil {
			take(res.GetSnapshot())
		}
	}
	return err
}
