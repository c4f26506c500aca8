package softphone

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"greenlane/internal/tui"
	pb "greenlane/proto/greenlane/v1"
)

// lookup asks the daemon for what the session does not say. An agent may not be
// allowed to know; then the screen does without.
type lookup struct {
	opt        Options
	supervisor pb.SupervisorServiceClient
	callbacks  pb.CallbackServiceClient
}

func newLookup(opt Options) *lookup {
	return &lookup{opt, pb.NewSupervisorServiceClient(opt.Conn), pb.NewCallbackServiceClient(opt.Conn)}
}

// What has been looked up.
type (
	// limits are the answer thresholds of the queues; nil when they are not told.
	limits map[string]time.Duration
	// found is the call or callback that the agent is at, for a softphone that was
	// started in the middle of it.
	found struct {
		call     *pb.Call
		callback *pb.Callback
	}
	// history is what happened with a caller before.
	history struct {
		of    string // the call or callback at hand
		lines []pastLine
		known bool // false: it could not be looked up
	}
	pastLine struct {
		at   time.Time
		text string
	}
)

// The pages that a history reads at most: enough for any caller but a broken
// machine.
const (
	historyPages = 5
	historyLines = 6
	pageSize     = 1000
)

func (l *lookup) do(what func(ctx context.Context) tea.Msg) tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), l.opt.Timeout)
		defer cancel()
		return what(ctx)
	}
}

func (l *lookup) limits() tea.Cmd {
	return l.do(func(ctx context.Context) tea.Msg {
		res, err := l.supervisor.GetSnapshot(ctx, &pb.GetSnapshotRequest{Site: l.opt.Site, OmitAgents: true})
		if err != nil {
			return limits(nil)
		}
		all := limits{}
		for _, q := range res.GetQueues() {
			all[q.GetQueue()] = q.GetThreshold().AsDuration()
		}
		return all
	})
}

// atHand looks up what the agent is at.
func (l *lookup) atHand(a *pb.Agent) tea.Cmd {
	return l.do(func(ctx context.Context) tea.Msg {
		if id := a.GetCallId(); id != "" {
			res, err := l.supervisor.Explain(ctx, &pb.ExplainRequest{Site: l.opt.Site, CallId: id})
			if err != nil {
				return found{}
			}
			return found{call: res.GetCall()}
		}
		all, _ := l.listCallbacks(ctx, &pb.CallbackServiceListRequest{State: pb.CallbackState_CALLBACK_STATE_CLAIMED})
		for _, cb := range all {
			if cb.GetCallbackId() == a.GetCallbackId() {
				return found{callback: cb}
			}
		}
		return found{}
	})
}

// before looks up what happened with the caller of a call or callback before.
func (l *lookup) before(id, caller string) tea.Cmd {
	return l.do(func(ctx context.Context) tea.Msg {
		h := history{of: id}
		calls, err := l.listCalls(ctx, caller)
		if err != nil {
			return h
		}
		callbacks, err := l.listCallbacks(ctx, &pb.CallbackServiceListRequest{Caller: caller})
		if err != nil && status.Code(err) != codes.PermissionDenied {
			return h
		}
		for _, c := range calls {
			if c.GetCallId() != id {
				h.lines = append(h.lines, pastLine{c.GetJoinedAt().AsTime(), callLine(c)})
			}
		}
		for _, cb := range callbacks {
			if cb.GetCallbackId() != id {
				h.lines = append(h.lines, pastLine{cb.GetCreatedAt().AsTime(), callbackLine(cb)})
			}
		}
		slices.SortStableFunc(h.lines, func(a, b pastLine) int { return cmp.Compare(b.at.UnixMilli(), a.at.UnixMilli()) })
		h.lines, h.known = h.lines[:min(len(h.lines), historyLines)], true
		return h
	})
}

var everyCallState = []pb.CallState{
	pb.CallState_CALL_STATE_WAITING, pb.CallState_CALL_STATE_OFFERED, pb.CallState_CALL_STATE_ANSWERED, pb.CallState_CALL_STATE_COMPLETED,
	pb.CallState_CALL_STATE_ABANDONED, pb.CallState_CALL_STATE_TIMED_OUT, pb.CallState_CALL_STATE_OVERFLOWED, pb.CallState_CALL_STATE_REFUSED,
}

func (l *lookup) listCalls(ctx context.Context, caller string) (all []*pb.Call, _ error) {
	req := &pb.ListCallsRequest{Site: l.opt.Site, Caller: caller, States: everyCallState, PageSize: pageSize}
	for range historyPages {
		res, err := l.supervisor.ListCalls(ctx, req)
		if err != nil {
			return nil, err
		}
		all = append(all, res.GetCalls()...)
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	return all, nil
}

func (l *lookup) listCallbacks(ctx context.Context, req *pb.CallbackServiceListRequest) (all []*pb.Callback, _ error) {
	req.Site, req.PageSize = l.opt.Site, pageSize
	for range historyPages {
		res, err := l.callbacks.List(ctx, req)
		if err != nil {
			return all, err
		}
		all = append(all, res.GetCallbacks()...)
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	return all, nil
}

func callLine(c *pb.Call) string {
	words := []string{c.GetQueue() + ":"}
	switch c.GetState() {
	case pb.CallState_CALL_STATE_COMPLETED, pb.CallState_CALL_STATE_ANSWERED:
		words = append(words, tui.CallState(c.GetState()), "by", tui.Clean(c.GetAgentId()))
	case pb.CallState_CALL_STATE_ABANDONED, pb.CallState_CALL_STATE_TIMED_OUT:
		words = append(words, tui.CallState(c.GetState()), "after", tui.Span(c.GetWait().AsDuration()))
	default:
		words = append(words, tui.CallState(c.GetState()))
	}
	return strings.Join(words, " ")
}

var callbackWords = map[pb.CallbackState]string{
	pb.CallbackState_CALLBACK_STATE_PENDING: "promised", pb.CallbackState_CALLBACK_STATE_DUE: "due", pb.CallbackState_CALLBACK_STATE_OFFERED: "ringing",
	pb.CallbackState_CALLBACK_STATE_CLAIMED: "in hand", pb.CallbackState_CALLBACK_STATE_DONE: "done", pb.CallbackState_CALLBACK_STATE_FAILED: "not reached",
	pb.CallbackState_CALLBACK_STATE_MISSED: "missed", pb.CallbackState_CALLBACK_STATE_CANCELLED: "cancelled",
}

func callbackLine(cb *pb.Callback) string {
	text := cb.GetQueue() + ": callback " + callbackWords[cb.GetState()]
	if w := resultWords[cb.GetLastResult()]; w != "" {
		text += ", " + w
	}
	if cb.GetNote() != "" {
		text += ", “" + tui.Clean(cb.GetNote()) + "”"
	}
	return text
}
