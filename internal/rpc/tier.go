package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/instant"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

type tierService struct {
	pb.UnimplementedTierServiceServer
	*Server
}

// Set implements the rpc.
func (s *tierService) Set(ctx context.Context, req *pb.TierServiceSetRequest) (*pb.TierServiceSetResponse, error) {
	return once(ctx, s.Server, "Set", req, &req.RequestId, req.GetSite(), s.set)
}

func (s *tierService) set(ctx context.Context, req *pb.TierServiceSetRequest) (*pb.TierServiceSetResponse, error) {
	var c check
	c.envelope(req.GetRequestId(), req.GetSite())
	change := s.setChange(&c, req.GetCaller(), req.GetTier(), req.GetNote(), req.GetExpiresAt(), s.nowAt(req.GetSite()))
	st, err := s.checked(&c, req.GetSite())
	if err != nil {
		return nil, err
	}
	change.Op = tiering.OpSet
	standing, reranked, err := s.change(ctx, st, change, req.GetRequestId())
	if err != nil {
		return nil, err
	}
	return &pb.TierServiceSetResponse{Tier: toTier(standing.Tier), Reranked: reranked}, nil
}

// setChange reads what Set and an item of BatchSet have in common.
func (s *Server) setChange(c *check, caller string, tier pb.Tier, note string, ends *timestamppb.Timestamp, now instant.Instant) tiering.Change {
	c.enum("tier", int32(tier), pb.Tier_name, true)
	c.note("note", note)
	return tiering.Change{
		Number: c.number(s.opts.Normalizer, caller), Tier: fromTier(tier), Note: note, Ends: c.ahead("expires_at", ends, now),
	}
}

// change makes one change and ranks the caller's waiting calls by it.
func (s *Server) change(ctx context.Context, st *site, change tiering.Change, requestID string) (standing tiering.Standing, reranked int32, err error) {
	before := func() values { return s.tierBefore(ctx, st, change.Number) }
	err = s.recorded(s.tierChange(ctx, st, change, requestID), before, func() (values, error) {
		change.At = st.now()
		entry, err := s.opts.Directory.Set(ctx, st.name, change)
		if err != nil {
			return nil, toError(s.log, err)
		}
		standing = entry.At(st.now())
		reranked, err = s.rerank(ctx, st, change.Number, standing.Tier)
		return standingValues(standing), toError(s.log, err)
	})
	return standing, reranked, err
}

// rerank gives the caller's waiting calls the tier that was set.
func (s *Server) rerank(ctx context.Context, st *site, caller tiering.Number, tier tiering.Tier) (int32, error) {
	res, err := st.engine.Do(ctx, &queue.Rerank{Caller: caller, Tier: tier, AttestedVIP: s.opts.VIPRequiresAttestation})
	return int32(res.Reranked), err
}

// Lookup implements the rpc.
func (s *tierService) Lookup(ctx context.Context, req *pb.TierServiceLookupRequest) (*pb.TierServiceLookupResponse, error) {
	var c check
	c.name("site", req.GetSite(), false)
	caller := c.number(s.opts.Normalizer, req.GetCaller())
	st, err := s.checked(&c, req.GetSite())
	if err != nil {
		return nil, err
	}
	entry, _, err := s.opts.Directory.Lookup(ctx, st.name, caller)
	if err != nil {
		return nil, toError(s.log, err)
	}
	standing := entry.At(st.now())
	out := &pb.TierServiceLookupResponse{Tier: toTier(standing.Tier), Known: standing.Known}
	if standing.Known {
		graded := entry.GradedAt
		if standing.Tier == tiering.Blacklist {
			graded = entry.UpdatedAt
		}
		out.GradedAt, out.ExpiresAt, out.Note = toTime(graded), toTime(standing.Ends), s.viewer(ctx).note(entry.Note)
	}
	return out, nil
}

// Blacklist implements the rpc.
func (s *tierService) Blacklist(ctx context.Context, req *pb.TierServiceBlacklistRequest) (*pb.TierServiceBlacklistResponse, error) {
	return once(ctx, s.Server, "Blacklist", req, &req.RequestId, req.GetSite(), s.blacklist)
}

func (s *tierService) blacklist(ctx context.Context, req *pb.TierServiceBlacklistRequest) (*pb.TierServiceBlacklistResponse, error) {
	var c check
	c.envelope(req.GetRequestId(), req.GetSite())
	c.note("reason", req.GetReason())
	change := tiering.Change{
		Number: c.number(s.opts.Normalizer, req.GetCaller()), Op: tiering.OpSet, Tier: tiering.Blacklist,
		Note: req.GetReason(),
	}
	switch {
	case req.GetRemove():
		change.Op, change.Tier = tiering.OpPardon, tiering.TierUnset
		if req.GetUntil() != nil {
			c.fault("until", "must be absent with remove")
		}
	default:
		change.Ends = c.ahead("until", req.GetUntil(), s.nowAt(req.GetSite()))
		if req.GetReason() == "" {
			c.fault("reason", "must be given when putting a caller on the blacklist")
		}
	}
	st, err := s.checked(&c, req.GetSite())
	if err != nil {
		return nil, err
	}
	standing, reranked, err := s.change(ctx, st, change, req.GetRequestId())
	if err != nil {
		return nil, err
	}
	return &pb.TierServiceBlacklistResponse{
		Tier: toTier(standing.Tier), Blacklisted: standing.Tier == tiering.Blacklist, Reranked: reranked,
	}, nil
}
