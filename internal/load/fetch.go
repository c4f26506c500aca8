package load

import (
	"context"
	"time"

	"greenlane/internal/load/audit"
	pb "greenlane/proto/greenlane/v1"
)

// allStates asks for calls in any state.
var allStates = []pb.CallState{
	pb.CallState_CALL_STATE_WAITING, pb.CallState_CALL_STATE_OFFERED, pb.CallState_CALL_STATE_ANSWERED,
	pb.CallState_CALL_STATE_COMPLETED, pb.CallState_CALL_STATE_ABANDONED, pb.CallState_CALL_STATE_TIMED_OUT,
	pb.CallState_CALL_STATE_OVERFLOWED, pb.CallState_CALL_STATE_REFUSED,
}

// Calls reads every call in the given states, all when there are none, page by
// page: oldest arrival first.
func Calls(ctx context.Context, api pb.SupervisorServiceClient, site string, states ...pb.CallState) ([]*pb.Call, error) {
	if states == nil {
		states = allStates
	}
	var all []*pb.Call
	var r retries
	req := &pb.ListCallsRequest{Site: site, States: states, PageSize: 1000}
	for {
		page, err := call(ctx, &r, api.ListCalls, req)
		if err != nil {
			return nil, err
		}
		all = append(all, page.GetCalls()...)
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			return all, nil
		}
	}
}

// callbacksOf reads every callback that is kept.
func callbacksOf(ctx context.Context, api pb.CallbackServiceClient, site string) (map[string]*pb.Callback, error) {
	all := make(map[string]*pb.Callback)
	var r retries
	req := &pb.CallbackServiceListRequest{Site: site, PageSize: 1000}
	for {
		page, err := call(ctx, &r, api.List, req)
		if err != nil {
			return nil, err
		}
		for _, cb := range page.GetCallbacks() {
			all[cb.GetCallbackId()] = cb
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			return all, nil
		}
	}
}

// ordersWithin is how long the last orders to the switches may take.
const ordersWithin = 15 * time.Second

// awaitOrders waits until the switches have their orders for every call; those
// that do not come are a fault, which the check finds.
func (r *Run) awaitOrders(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, ordersWithin)
	defer cancel()
	for r.ledger.OrdersMissing(r.streams) > 0 && sleep(ctx, 10*time.Millisecond) {
	}
}

// check holds the run's record against what the daemon says of one moment.
func (r *Run) check(ctx context.Context) (*pb.GetSnapshotResponse, error) {
	r.awaitOrders(ctx)
	for {
		fin, err := r.final(ctx)
		if err != nil {
			return nil, err
		}
		seq := fin.After.GetSequence()
		if !r.follower.reach(ctx, seq) {
			return nil, ctx.Err()
		}
		now, err := r.snapshot(ctx)
		if err != nil {
			return nil, err
		}
		same := now.GetSequence() == seq
		r.follower.with(func(replay *audit.Replay) {
			if same = same && replay.Last() == seq; same {
				audit.Check(r.ledger, replay, fin, &r.faults)
			}
		})
		if same {
			return fin.After, nil
		}
		// A timer fired meanwhile: ask again, so that the log, the snapshot and the lists
		// are of one moment.
	}
}

func (r *Run) snapshot(ctx context.Context) (*pb.GetSnapshotResponse, error) {
	return call(ctx, &r.retries, r.supervisor.GetSnapshot, &pb.GetSnapshotRequest{Site: r.opt.Site})
}

// final asks the daemon for all that the record is held against.
func (r *Run) final(ctx context.Context) (fin audit.Final, err error) {
	fin = audit.Final{Calls: make(map[string]*pb.Call), Before: r.before, Streams: r.streams}
	if fin.After, err = r.snapshot(ctx); err != nil {
		return fin, err
	}
	calls, err := Calls(ctx, r.supervisor, r.opt.Site)
	if err != nil {
		return fin, err
	}
	for _, c := range calls {
		fin.Calls[c.GetCallId()] = c
	}
	fin.Callbacks, err = callbacksOf(ctx, r.callbacks, r.opt.Site)
	return fin, err
}
