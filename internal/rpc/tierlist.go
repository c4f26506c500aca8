package rpc

import (
	"context"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/tiering"
)

// The pages of List: larger than those of other lists, since it is for exports.
const (
	maxEntries     = 10_000
	defaultEntries = 1000
	defaultBlack   = 100
)

// Count implements the rpc.
func (s *tierService) Count(ctx context.Context, req *pb.TierServiceCountRequest) (*pb.TierServiceCountResponse, error) {
	var c check
	c.name("site", req.GetSite(), false)
	st, err := s.checked(&c, req.GetSite())
	if err != nil {
		return nil, err
	}
	n, err := s.opts.Directory.Count(ctx, st.name)
	if err != nil {
		return nil, toError(s.log, err)
	}
	return &pb.TierServiceCountResponse{
		Vip: n[tiering.VIP], Mid: n[tiering.Mid], Ordinary: n[tiering.Ordinary], Blacklist: n[tiering.Blacklist],
	}, nil
}

// List implements the rpc.
func (s *tierService) List(ctx context.Context, req *pb.TierServiceListRequest) (*pb.TierServiceListResponse, error) {
	var c check
	c.name("site", req.GetSite(), false)
	size := int(req.GetPageSize())
	if size < 0 || size > maxEntries {
		c.fault("page_size", "0 to %d is allowed; 0 means %d", maxEntries, defaultEntries)
	}
	c.text("page_token", req.GetPageToken(), maxPageToken)
	st, err := s.checked(&c, req.GetSite())
	if err != nil {
		return nil, err
	}
	if size == 0 {
		size = defaultEntries
	}
	items, next, err := s.opts.Directory.Walk(ctx, st.name, tiering.Cursor(req.GetPageToken()), size)
	if err != nil {
		return nil, toError(s.log, err)
	}
	eyes := s.viewer(ctx)
	out := &pb.TierServiceListResponse{Entries: make([]*pb.TierEntry, len(items)), NextPageToken: string(next)}
	for i := range items {
		e := &items[i].Entry
		out.Entries[i] = &pb.TierEntry{
			Caller: eyes.caller(items[i].Number), Grade: toTier(e.Grade), GradedAt: toTime(e.GradedAt), GradeExpiresAt: toTime(e.GradeEnds),
			Blacklisted: e.Blacklisted, BlacklistedUntil: toTime(e.BlacklistEnds), Flags: uint32(e.Flags), Note: e.Note,
		}
	}
	return out, nil
}

// ListBlacklist implements the rpc.
func (s *tierService) ListBlacklist(ctx context.Context, req *pb.TierServiceListBlacklistRequest) (*pb.TierServiceListBlacklistResponse, error) {
	var c check
	c.name("site", req.GetSite(), false)
	size := c.page(req.GetPageSize(), req.GetPageToken())
	st, err := s.checked(&c, req.GetSite())
	if err != nil {
		return nil, err
	}
	if size == 0 {
		size = defaultBlack
	}
	items, next, err := s.opts.Directory.WalkBlacklist(ctx, st.name, tiering.Cursor(req.GetPageToken()), size)
	if err != nil {
		return nil, toError(s.log, err)
	}
	eyes, now := s.viewer(ctx), st.now()
	out := &pb.TierServiceListBlacklistResponse{NextPageToken: string(next)}
	for i := range items {
		e := &items[i].Entry
		if e.At(now).Tier != tiering.Blacklist {
			continue
		}
		out.Callers = append(out.Callers, &pb.BlacklistedCaller{
			Caller: eyes.caller(items[i].Number), Reason: eyes.note(e.Note), Since: toTime(e.UpdatedAt), Until: toTime(e.BlacklistEnds), Grade: toTier(e.Grade),
		})
	}
	return out, nil
}
