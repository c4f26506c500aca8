package top

import (
	"cmp"
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	pb "greenlane/proto/greenlane/v1"
)

// fetched is the answer to one look at what the snapshots do not have.
type fetched struct {
	page      page      // what was asked for
	sequence  uint64    // the site's log was there when it was asked
	at        time.Time // and the site's clock
	calls     []*pb.Call
	more      bool // there are more than were asked for
	explained *pb.ExplainResponse
	callbacks []*pb.Callback
	err       error
}

// The most rows of a list that are asked for: more than anybody scrolls through.
const mostRows = 1000

// fetcher asks for lists and explanations.
type fetcher interface {
	fetch(p page, of *pb.GetSnapshotResponse) tea.Cmd
}

type fetch struct{ opt Options }

func (f fetch) fetch(p page, of *pb.GetSnapshotResponse) tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), f.opt.Timeout)
		defer cancel()
		out := fetched{page: p, sequence: of.GetSequence(), at: of.GetTakenAt().AsTime()}
		switch p.kind {
		case queuePage:
			var res *pb.ListCallsResponse
			res, out.err = pb.NewSupervisorServiceClient(f.opt.Conn).ListCalls(ctx, &pb.ListCallsRequest{
				Site: f.opt.Site, Queue: p.id, Tier: p.tier, PageSize: mostRows, MaskCallers: f.opt.Mask,
				States: []pb.CallState{pb.CallState_CALL_STATE_WAITING, pb.CallState_CALL_STATE_OFFERED},
			})
			out.calls, out.more = res.GetCalls(), res.GetNextPageToken() != ""
			slices.SortStableFunc(out.calls, byPlace)
		case callPage:
			out.explained, out.err = pb.NewSupervisorServiceClient(f.opt.Conn).Explain(ctx, &pb.ExplainRequest{
				Site: f.opt.Site, CallId: p.id, MaskCallers: f.opt.Mask,
			})
		case callbacksPane:
			out.callbacks, out.err = f.open(ctx)
		}
		return out
	}
}

// byPlace is the order in which calls of one queue are served by one agent: tier,
// arrival, the engine's own sequence.
func byPlace(a, b *pb.Call) int {
	return cmp.Or(cmp.Compare(a.GetTier(), b.GetTier()), a.GetJoinedAt().AsTime().Compare(b.GetJoinedAt().AsTime()), cmp.Compare(a.GetSequence(), b.GetSequence()))
}

// open is the callbacks that are still to be made, most urgent first: what may be
// made now by its deadline, what somebody is at, then what is to come.
func (f fetch) open(ctx context.Context) (all []*pb.Callback, _ error) {
	seen := map[string]bool{}
	for _, state := range []pb.CallbackState{
		pb.CallbackState_CALLBACK_STATE_DUE, pb.CallbackState_CALLBACK_STATE_OFFERED,
		pb.CallbackState_CALLBACK_STATE_CLAIMED, pb.CallbackState_CALLBACK_STATE_PENDING,
	} {
		res, err := pb.NewCallbackServiceClient(f.opt.Conn).List(ctx, &pb.CallbackServiceListRequest{Site: f.opt.Site, State: state, PageSize: mostRows})
		if err != nil {
			return nil, err
		}
		for _, cb := range res.GetCallbacks() {
			if !seen[cb.GetCallbackId()] && f.shows(cb.GetQueue()) { // one that changed state meanwhile comes twice
				seen[cb.GetCallbackId()] = true
				all = append(all, cb)
			}
		}
	}
	slices.SortStableFunc(all, byUrgency)
	return all, nil
}

func (f fetch) shows(queue string) bool {
	return len(f.opt.Queues) == 0 || slices.Contains(f.opt.Queues, queue)
}

func byUrgency(a, b *pb.Callback) int {
	rank := func(cb *pb.Callback) int {
		switch cb.GetState() {
		case pb.CallbackState_CALLBACK_STATE_DUE:
			return 0
		case pb.CallbackState_CALLBACK_STATE_PENDING:
			return 2
		}
		return 1
	}
	if d := cmp.Compare(rank(a), rank(b)); d != 0 {
		return d
	}
	if rank(a) == 2 {
		return a.GetDueAt().AsTime().Compare(b.GetDueAt().AsTime())
	}
	return a.GetDeadline().AsTime().Compare(b.GetDeadline().AsTime())
}
