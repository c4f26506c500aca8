package rpc

import (
	"context"
	"errors"
	"io"
	"math"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
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
		out.GradedAt, out.ExpiresAt, out.Note = toTime(graded), toTime(standing.Ends), entry.Note
	}
	return out, nil
}

// Score implements the rpc.
func (s *tierService) Score(_ context.Context, req *pb.TierServiceScoreRequest) (*pb.TierServiceScoreResponse, error) {
	var c check
	for _, f := range []struct {
		field string
		value float64
	}{
		{"payment_record", req.GetPaymentRecord()},
		{"order_amount", req.GetOrderAmount()},
		{"profit_contribution", req.GetProfitContribution()},
	} {
		if math.IsNaN(f.value) || f.value < 0 || f.value > 100 {
			c.fault(f.field, "0 to 100 is allowed")
		}
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	score, tier, err := s.opts.Scheme.Grade(tiering.Figures{
		PaymentRecord: req.GetPaymentRecord(), OrderAmount: req.GetOrderAmount(), ProfitContribution: req.GetProfitContribution(),
	})
	if err != nil {
		return nil, toError(s.log, err)
	}
	return &pb.TierServiceScoreResponse{Score: score, Tier: toTier(tier)}, nil
}

// Blacklist implements the rpc.
func (s *tierService) Blacklist(ctx context.Context, req *pb.TierServiceBlacklistRequest) (*pb.TierServiceBlacklistResponse, error) {
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

// batchStep is how many items are written in one step.
const batchStep = 1000

// BatchSet implements the rpc. Items are written while others still come in, so
// that a large batch needs no large memory.
func (s *tierService) BatchSet(stream grpc.ClientStreamingServer[pb.TierServiceBatchSetRequest, pb.TierServiceBatchSetResponse]) error {
	b := &batch{s: s.Server, out: &pb.TierServiceBatchSetResponse{Results: []*pb.TierBatchResult{}}}
	for {
		req, err := stream.Recv()
		if err == nil {
			err = b.add(stream.Context(), req)
		}
		if errors.Is(err, io.EOF) {
			if err := b.write(stream.Context()); err != nil {
				return toError(s.log, err)
			}
			return stream.SendAndClose(b.out)
		}
		if err != nil {
			return toError(s.log, err)
		}
	}
}

// batch is one BatchSet under way.
type batch struct {
	s       *Server
	st      *site
	out     *pb.TierServiceBatchSetResponse
	changes []tiering.Change
	at      []int // index in out.Results of each change
	request string
}

// add takes one item. A wrong item is its own result's business; an error ends
// the batch.
func (b *batch) add(ctx context.Context, req *pb.TierServiceBatchSetRequest) error {
	if len(b.out.GetResults()) >= maxBatch {
		return refuse(codes.ResourceExhausted, "BATCH_TOO_LARGE", "at most 20000 items are allowed in a batch", nil)
	}
	if err := b.siteOf(req.GetSite()); err != nil {
		return err
	}
	var c check
	c.text("request_id", req.GetRequestId(), maxID)
	if b.request == "" && len(c.faults) == 0 {
		b.request = req.GetRequestId()
	}
	now := b.st.now()
	change := b.s.setChange(&c, req.GetCaller(), req.GetTier(), req.GetNote(), req.GetExpiresAt(), now)
	change.Op, change.At = tiering.OpGrade, now
	result := &pb.TierBatchResult{Index: int32(len(b.out.GetResults())), Caller: change.Number.Masked()}
	b.out.Results = append(b.out.Results, result)
	if err := c.err(); err != nil {
		b.fail(result, err)
		return nil
	}
	b.changes = append(b.changes, change)
	b.at = append(b.at, int(result.GetIndex()))
	if len(b.changes) >= batchStep {
		return b.write(ctx)
	}
	return nil
}

func (b *batch) siteOf(name string) error {
	if b.st == nil || name != "" && name != b.st.name {
		var c check
		c.name("site", name, false)
		if b.st != nil {
			c.fault("site", "must be the batch's, %s, or empty", b.st.name)
		}
		if err := c.err(); err != nil {
			return err
		}
		st, err := b.s.site(name)
		b.st = st
		return err
	}
	return nil
}

func (b *batch) fail(result *pb.TierBatchResult, err error) {
	st := status.Convert(toError(b.s.log, err))
	result.Code, result.Message = int32(st.Code()), st.Message()
	b.out.Failed++
}

// write makes the changes at hand and ranks the waiting calls of their callers.
func (b *batch) write(ctx context.Context) error {
	if len(b.changes) == 0 {
		return nil
	}
	return b.s.recorded(b.s.batchChange(ctx, b.st, b.changes, b.request), nil, func() (values, error) {
		results := b.s.opts.Directory.SetBatch(ctx, b.st.name, b.changes)
		err := b.tell(ctx, results)
		b.changes, b.at = b.changes[:0], b.at[:0]
		return batchAfter(results), toError(b.s.log, err)
	})
}

// tell writes the results of a step, and ranks the waiting calls of its callers.
func (b *batch) tell(ctx context.Context, results []tiering.Result) error {
	now := b.st.now()
	for i := range results {
		result := b.out.GetResults()[b.at[i]]
		if err := results[i].Err; err != nil {
			if code := status.Code(toError(b.s.log, err)); code == codes.Unavailable || code == codes.Canceled {
				return err
			}
			b.fail(result, err)
			continue
		}
		tier := results[i].Entry.At(now).Tier
		result.Ok, result.Tier = true, toTier(tier)
		b.out.Applied++
		n, err := b.s.rerank(ctx, b.st, b.changes[i].Number, tier)
		if err != nil {
			return err
		}
		b.out.Reranked += n
	}
	return nil
}
