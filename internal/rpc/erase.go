package rpc

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"greenlane/internal/audit"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

// EraseCaller implements the rpc. The first answer is kept without the other sites,
// which are those of whoever asks.
func (s *supervisorService) EraseCaller(ctx context.Context, req *pb.EraseCallerRequest) (*pb.EraseCallerResponse, error) {
	out, err := once(ctx, s.Server, "EraseCaller", req, &req.RequestId, req.GetSite(), s.eraseCaller)
	if err != nil {
		return nil, err
	}
	out.OtherSites = s.others(ctx, out.GetSite())
	return out, nil
}

func (s *supervisorService) eraseCaller(ctx context.Context, req *pb.EraseCallerRequest) (*pb.EraseCallerResponse, error) {
	var c check
	c.envelope(req.GetRequestId(), req.GetSite())
	caller := c.number(s.opts.Normalizer, req.GetCaller())
	st, err := s.checked(&c, req.GetSite())
	if err != nil {
		return nil, err
	}
	req.Site = st.name
	cmd := &queue.EraseCaller{Request: requestOf(req, &req.RequestId), Caller: caller, AtEnd: true}
	masked, keyed := s.opts.Audit.Caller(st.name, caller)
	rec := audit.Record{
		Action: "caller.erase", Site: st.name, Who: s.whoOf(ctx), RequestID: cmd.Request.ID,
		Object: &audit.Object{Caller: masked, CallerKey: keyed},
	}
	var out *pb.EraseCallerResponse
	err = s.recorded(rec, nil, func() (values, error) {
		if out, err = s.erase(ctx, st, cmd); err != nil {
			return nil, err
		}
		n := func(v int32) string { return strconv.Itoa(int(v)) }
		return values{
			"calls": n(out.GetCalls()), "callbacks": n(out.GetCallbacks()), "live": n(out.GetLive()),
			"at_end": n(out.GetAtEnd()), "tier": strconv.FormatBool(out.GetTier()), "damaged": n(out.GetDamaged()),
			"ratings": strconv.FormatBool(out.GetRatings()),
		}, nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// others are the sites of the daemon beside one, as far as who makes the request of
// ctx belongs to them.
func (s *Server) others(ctx context.Context, site string) []string {
	who := s.who(ctx)
	var names []string
	for name := range s.sites {
		if name != site && who.At(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// erase forgets the caller's tier, then erases the site's records. The directory
// comes first: a call that comes in between is of nobody who is known.
func (s *Server) erase(ctx context.Context, st *site, cmd *queue.EraseCaller) (*pb.EraseCallerResponse, error) {
	rated, err := s.forgetRatings(ctx, st, cmd.Caller)
	if err != nil {
		return nil, toError(s.log, err)
	}
	known, damaged, err := s.forget(ctx, st, cmd.Caller)
	if err != nil {
		return nil, toError(s.log, err)
	}
	res, err := st.engine.Do(ctx, cmd)
	if err != nil {
		return nil, toError(s.log, err)
	}
	return &pb.EraseCallerResponse{
		Calls: int32(res.ErasedCalls), Callbacks: int32(res.ErasedCallbacks), Tier: known, Live: int32(res.Live),
		AtEnd: int32(res.AtEnd), Damaged: int32(damaged), Ratings: rated, Site: st.name,
	}, nil
}

// forgetRatings removes what a caller's ratings have left, and returns whether
// there were any.
func (s *Server) forgetRatings(ctx context.Context, st *site, n tiering.Number) (rated bool, err error) {
	if s.opts.Ratings == nil {
		return false, nil
	}
	_, err = s.opts.Ratings.UpdateRatings(ctx, st.name, n, func(was tiering.Satisfaction) tiering.Satisfaction {
		rated = was != tiering.Satisfaction{}
		return tiering.Satisfaction{}
	})
	return rated, err
}

// forget removes what the directory has of a caller, and returns whether it was
// known, and how much lay aside that could not be read.
func (s *Server) forget(ctx context.Context, st *site, n tiering.Number) (known bool, damaged int, err error) {
	_, known, err = s.opts.Directory.Lookup(ctx, st.name, n)
	if err != nil && !errors.Is(err, tiering.ErrCorrupt) { // which is aside by now
		return false, 0, err
	}
	if q, ok := s.opts.Directory.(tiering.Quarantine); ok {
		if damaged, err = q.EraseAside(ctx, st.name, n); err != nil {
			return false, 0, err
		}
	}
	_, err = s.opts.Directory.Set(ctx, st.name, tiering.Change{Number: n, Op: tiering.OpForget, At: st.now()})
	return known, damaged, err
}
