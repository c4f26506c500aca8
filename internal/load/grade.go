package load

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"greenlane/internal/load/day"
	pb "greenlane/proto/greenlane/v1"
)

// batch is how many callers go on one BatchSet stream.
const batch = 5000

// grade tells the daemon every caller's tier.
func (r *Run) grade(ctx context.Context) error {
	for chunk := range slices.Chunk(r.opt.Day.Callers, batch) {
		if err := r.gradeBatch(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

// gradeBatch sets the tiers of some callers. One who is on the blacklist from an
// earlier day stays there in a batch, and is set by hand.
func (r *Run) gradeBatch(ctx context.Context, callers []day.Caller) error {
	var pause pause
	for {
		res, err := r.batchSet(ctx, callers)
		if err != nil {
			if !again(err) || !pause.wait(ctx) {
				return fmt.Errorf("setting tiers: %w", err)
			}
			continue
		}
		for _, item := range res.GetResults() {
			if codes.Code(item.GetCode()) != codes.OK {
				return fmt.Errorf("setting the tier of %s: %w", item.GetCaller(), status.Error(codes.Code(item.GetCode()), item.GetMessage()))
			}
			if c := callers[item.GetIndex()]; item.GetTier() != tierOf(c.Tier) {
				if err := r.setTier(ctx, c); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func (r *Run) batchSet(ctx context.Context, callers []day.Caller) (*pb.TierServiceBatchSetResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := r.tiers.BatchSet(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range callers {
		// An error of Send is told by CloseAndRecv.
		if stream.Send(&pb.TierServiceBatchSetRequest{Site: r.opt.Site, Caller: c.Number, Tier: tierOf(c.Tier)}) != nil {
			break
		}
	}
	return stream.CloseAndRecv()
}

// setTier sets one caller's tier by hand.
func (r *Run) setTier(ctx context.Context, c day.Caller) error {
	r.graded++
	_, err := call(ctx, &r.retries, r.tiers.Set, &pb.TierServiceSetRequest{
		RequestId: r.opt.Name + "/tier/" + strconv.Itoa(r.graded), Site: r.opt.Site, Caller: c.Number, Tier: tierOf(c.Tier),
		Note: "synthetic day",
	})
	return err
}
