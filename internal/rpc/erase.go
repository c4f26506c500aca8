package rpc

import (
	"context"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

// EraseCaller implements the rpc. The directory comes first: a call that comes in
// between is of nobody who is known.
func (s *supervisorService) EraseCaller(ctx context.Context, req *pb.EraseCallerRequest) (*pb.EraseCallerResponse, error) {
	var c check
	c.envelope(req.GetRequestId(), req.GetSite())
	caller := c.number(s.opts.Normalizer, req.GetCaller())
	st, err := s.checked(&c, req.GetSite())
	if err != nil {
		return nil, err
	}
	_, known, err := s.opts.Directory.Lookup(ctx, st.name, caller)
	if err != nil {
		return nil, toError(s.log, err)
	}
	// Also when it is not known: something may lie aside that could not be read.
	if _, err := s.opts.Directory.Set(ctx, st.name, tiering.Change{Number: caller, Op: tiering.OpForget, At: st.now()}); err != nil {
		return nil, toError(s.log, err)
	}
	req.Site = st.name
	res, err := s.do(ctx, st, &queue.EraseCaller{Request: requestOf(req, &req.RequestId), Caller: caller})
	if err != nil {
		return nil, err
	}
	return &pb.EraseCallerResponse{
		Calls: int32(res.ErasedCalls), Callbacks: int32(res.ErasedCallbacks), Tier: known, Live: int32(res.Live),
	}, nil
}
