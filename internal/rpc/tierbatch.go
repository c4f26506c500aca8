package rpc

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/tiering"
)

// rerankers is how many callers of a batch are ranked again at once: enough that
// the engine decides many of them in one turn.
const rerankers = 64

// BatchSet implements the rpc. The whole batch is written in one step when its
// last item has come: a directory writes neighbours together, and the fewer
// steps the better.
func (s *tierService) BatchSet(stream grpc.ClientStreamingServer[pb.TierServiceBatchSetRequest, pb.TierServiceBatchSetResponse]) error {
	b := &batch{s: s.Server, out: &pb.TierServiceBatchSetResponse{}}
	// A client that sends nothing must not keep the stream beyond its credential.
	came := make(chan error, 1)
	go s.guarded("BatchSet", func(err error) { came <- err }, func() { came <- b.receive(stream) })
	var err error
	select {
	case err = <-came:
	case <-stream.Context().Done():
		return toError(s.log, context.Cause(stream.Context()))
	}
	if err == nil {
		err = b.write(stream.Context())
	}
	if err != nil {
		return toError(s.log, err)
	}
	return stream.SendAndClose(b.out)
}

// receive takes all items.
func (b *batch) receive(stream grpc.ClientStreamingServer[pb.TierServiceBatchSetRequest, pb.TierServiceBatchSetResponse]) error {
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = b.add(req)
		}
		if err != nil {
			return err
		}
	}
}

// moves counts callers by the tier before and after.
type moves [len(tiering.Tiers) + 1][len(tiering.Tiers) + 1]int32

// batch is one BatchSet under way.
type batch struct {
	s       *Server
	st      *site
	out     *pb.TierServiceBatchSetResponse
	items   int // how many came
	changes []tiering.Change
	at      []int32 // the item of each change
	moves   moves
	request string // the first item's request_id

	dry, failuresOnly bool
}

// add takes one item. A wrong item is its own result's business; an error ends
// the batch.
func (b *batch) add(req *pb.TierServiceBatchSetRequest) error {
	if b.items >= maxBatch {
		return refuse(codes.ResourceExhausted, "BATCH_TOO_LARGE", "at most 20000 items are allowed in a batch", nil)
	}
	if b.items == 0 {
		b.dry, b.failuresOnly = req.GetDryRun(), req.GetOnlyFailures()
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
	change.Op, change.At, change.Flags = tiering.OpGrade, now, tiering.Flags(req.GetFlags())
	if req.GetFlags() > 255 {
		c.fault("flags", "0 to 255 is allowed")
	}
	item := int32(b.items)
	b.items++
	if err := c.err(); err != nil {
		b.fail(item, change.Number, err)
		return nil
	}
	b.changes = append(b.changes, change)
	b.at = append(b.at, item)
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

func (b *batch) fail(item int32, n tiering.Number, err error) {
	st := status.Convert(toError(b.s.log, err))
	b.out.Failed++
	b.out.Results = append(b.out.Results, &pb.TierBatchResult{
		Index: item, Caller: n.Masked(), Code: int32(st.Code()), Message: st.Message(),
	})
}

// write makes the changes, or in a dry run finds out what they would come to.
func (b *batch) write(ctx context.Context) error {
	if len(b.changes) == 0 {
		return nil
	}
	if b.dry {
		results, err := b.try(ctx)
		if err != nil {
			return err
		}
		return b.tell(ctx, results)
	}
	return b.s.recorded(b.s.batchChange(ctx, b.st, b.changes, b.request), nil, func() (values, error) {
		results := b.s.opts.Directory.SetBatch(ctx, b.st.name, b.changes)
		return batchAfter(results), toError(b.s.log, b.tell(ctx, results))
	})
}

// tell writes the results, and ranks the waiting calls of the callers.
func (b *batch) tell(ctx context.Context, results []tiering.Result) error {
	now := b.st.now()
	// The tier of each caller after the batch: that of the caller's last change.
	tiers := make(map[tiering.Number]tiering.Tier, len(results))
	for i := range results {
		n := b.changes[i].Number
		if err := results[i].Err; err != nil {
			if code := status.Code(toError(b.s.log, err)); code == codes.Unavailable || code == codes.Canceled {
				return err
			}
			b.fail(b.at[i], n, err)
			continue
		}
		from, to := tiering.TierUnset, results[i].Entry.At(now).Tier
		if results[i].Before != (tiering.Entry{}) {
			from = results[i].Before.At(now).Tier
		}
		b.moves[from][to]++
		tiers[n] = to
		b.out.Applied++
		if !b.failuresOnly {
			b.out.Results = append(b.out.Results, &pb.TierBatchResult{Index: b.at[i], Caller: n.Masked(), Ok: true, Tier: toTier(to)})
		}
	}
	slices.SortFunc(b.out.GetResults(), func(x, y *pb.TierBatchResult) int { return cmp.Compare(x.GetIndex(), y.GetIndex()) })
	b.out.Moves = b.moves.all()
	if b.dry {
		return nil
	}
	return b.rerank(ctx, tiers)
}

// try finds out what the changes would come to.
func (b *batch) try(ctx context.Context) ([]tiering.Result, error) {
	numbers := make([]tiering.Number, len(b.changes))
	for i := range b.changes {
		numbers[i] = b.changes[i].Number
	}
	before, err := b.s.opts.Directory.LookupBatch(ctx, b.st.name, numbers)
	if err != nil {
		return nil, err
	}
	after := make(map[tiering.Number]tiering.Entry, len(before))
	results := make([]tiering.Result, len(before))
	for i, c := range b.changes {
		old, again := after[c.Number]
		if !again {
			old = before[i]
		}
		e, _ := c.Apply(old)
		after[c.Number], results[i] = e, tiering.Result{Before: old, Entry: e}
	}
	return results, nil
}

func (m *moves) all() []*pb.TierMove {
	var out []*pb.TierMove
	for from := range m {
		for to, n := range m[from] {
			if n > 0 {
				out = append(out, &pb.TierMove{From: toTier(tiering.Tier(from)), To: toTier(tiering.Tier(to)), Callers: n})
			}
		}
	}
	return out
}

// rerank ranks the waiting calls of the callers again.
func (b *batch) rerank(ctx context.Context, tiers map[tiering.Number]tiering.Tier) error {
	may := b.s.opts.MayWait
	todo := make([]tiering.Number, 0, len(tiers))
	for n := range tiers {
		if may == nil || may(b.st.name, n) {
			todo = append(todo, n)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, reranked atomic.Int32
	var working sync.WaitGroup
	for range min(rerankers, len(todo)) {
		working.Go(func() {
			for at := int(next.Add(1)) - 1; at < len(todo); at = int(next.Add(1)) - 1 {
				n, err := b.s.rerank(ctx, b.st, todo[at], tiers[todo[at]])
				if err != nil {
					cancel(err)
					return
				}
				reranked.Add(n)
			}
		})
	}
	working.Wait()
	b.out.Reranked = reranked.Load()
	return context.Cause(ctx)
}
