package rpc

import (
	"context"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"greenlane/internal/identity"
	"greenlane/internal/instant"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

// reconcileCommand checks the request. What is wrong with one call becomes that
// call's result, and the others are done.
func (s *Server) reconcileCommand(req *pb.ReconcileRequest) (*site, *queue.Reconcile, error) {
	var c check
	c.envelope(req.GetRequestId(), req.GetSite())
	c.id("switch_id", req.GetSwitchId())
	if len(req.GetCalls()) > maxReconcile {
		c.fault("calls", "at most %d calls are allowed", maxReconcile)
	}
	asOf := c.time("as_of", req.GetAsOf())
	if err := c.err(); err != nil {
		return nil, nil, err
	}
	st, err := s.site(req.GetSite())
	if err != nil {
		return nil, nil, err
	}
	now := st.now()
	asOf = notAhead(asOf, now)
	req.Site = st.name
	cmd := &queue.Reconcile{
		Request: requestOf(req, &req.RequestId), Switch: req.GetSwitchId(), AsOf: asOf,
		Calls: make([]queue.Live, len(req.GetCalls())),
	}
	seen := make(map[string]bool, len(req.GetCalls()))
	for i, call := range req.GetCalls() {
		cmd.Calls[i] = s.live(req.GetSwitchId(), call, asOf, now)
		if id := call.GetCallId(); cmd.Calls[i].Err == nil && seen[id] {
			var c check
			c.fault("call_id", "%q stands in the list twice", id)
			cmd.Calls[i].Err = c.err()
		} else {
			seen[id] = true
		}
	}
	return st, cmd, nil
}

// live reads one call of a switch's list.
func (s *Server) live(switchID string, call *pb.LiveCall, asOf, now instant.Instant) queue.Live {
	var c check
	c.id("call_id", call.GetCallId())
	c.call(call)
	arrived := c.arrived("arrived_at", call.GetArrivedAt(), now)
	answered := c.time("answered_at", call.GetAnsweredAt())
	switch call.GetState() {
	case pb.CallState_CALL_STATE_UNSPECIFIED, pb.CallState_CALL_STATE_WAITING:
		answered = 0
	case pb.CallState_CALL_STATE_ANSWERED:
		c.id("agent_id", call.GetAgentId())
		if answered.IsZero() {
			answered = asOf
		}
	default:
		c.fault("state", "CALL_STATE_WAITING or CALL_STATE_ANSWERED is allowed")
	}
	if arrived.IsZero() {
		arrived = asOf
	}
	return queue.Live{
		Arrive: queue.Arrive{
			Call: call.GetCallId(), Caller: s.caller(call.GetCaller()), Dialed: call.GetDialed(), Queue: call.GetQueue(),
			Attestation: s.attestation(switchID, call.GetAttestation()), PreferredAgent: call.GetPreferredAgent(),
			ArrivedAt: arrived, Attributes: attributes(call.GetAttributes()),
		},
		Err: c.err(), Agent: call.GetAgentId(), AnsweredAt: answered,
	}
}

// rankers is how many callers of a switch's list are looked up at once. One
// after the other, a directory that is slow would take its deadline for each.
const rankers = 64

// rankAll gives every usable call of a list its tier.
func (s *Server) rankAll(ctx context.Context, st *site, calls []queue.Live) []Answer {
	lates := make([]Answer, len(calls))
	next := atomic.Int64{}
	var work sync.WaitGroup
	for range min(rankers, len(calls)) {
		work.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(calls); i = int(next.Add(1)) - 1 {
				if calls[i].Err == nil {
					lates[i] = s.rank(ctx, st, &calls[i].Arrive)
				}
			}
		})
	}
	work.Wait()
	return lates
}

var outcomes = map[string]pb.ReconcileOutcome{
	queue.OutcomeAdded:  pb.ReconcileOutcome_RECONCILE_OUTCOME_ADDED,
	queue.OutcomeKept:   pb.ReconcileOutcome_RECONCILE_OUTCOME_KEPT,
	queue.OutcomeFailed: pb.ReconcileOutcome_RECONCILE_OUTCOME_FAILED,
	queue.OutcomeEnded:  pb.ReconcileOutcome_RECONCILE_OUTCOME_ENDED,
}

// toReconcileResult says what became of one call of a list. A call of another switch
// is refused in the words of notYours.
func (s *Server) toReconcileResult(id identity.Identity, item *queue.Item) *pb.ReconcileResult {
	out := &pb.ReconcileResult{CallId: item.Call, Outcome: outcomes[item.Outcome]}
	switch {
	case item.Err != nil:
		st := status.Convert(s.notYours(id, toError(s.log, item.Err)))
		out.Message = st.Message()
		if item.Outcome == queue.OutcomeFailed {
			out.Code = int32(st.Code())
		}
	case item.Outcome == queue.OutcomeFailed:
		// The first answer to a repeated request is kept without its errors.
		out.Code, out.Message = int32(codes.InvalidArgument), "refused when the request was first made"
	}
	return out
}
