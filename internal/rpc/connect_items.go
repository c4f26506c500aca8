package rpc

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

// sided is a body that may say site and switch itself.
type sided interface {
	GetSite() string
	GetSwitchId() string
}

func bodyOf(req *pb.ConnectRequest) sided {
	switch m := req.GetMessage().(type) {
	case *pb.ConnectRequest_Arrived:
		return m.Arrived
	case *pb.ConnectRequest_Abandoned:
		return m.Abandoned
	case *pb.ConnectRequest_Ended:
		return m.Ended
	}
	return nil
}

// trunkOf returns the site and switch of a first message, from the envelope or
// else from the body.
func trunkOf(req *pb.ConnectRequest) (site, switchID string) {
	site, switchID = req.GetSite(), req.GetSwitchId()
	if body := bodyOf(req); body != nil {
		if site == "" {
			site = body.GetSite()
		}
		if switchID == "" {
			switchID = body.GetSwitchId()
		}
	}
	return site, switchID
}

// belongs refuses a message that names another site or switch than the stream's:
// the two sides then don't agree on whose stream it is.
func (cn *connection) belongs(req *pb.ConnectRequest) error {
	var c check
	for _, m := range []sided{req, bodyOf(req)} {
		if m == nil {
			continue
		}
		if s := m.GetSite(); s != "" && s != cn.st.name {
			c.fault("site", "must be the stream's, %s, or empty", quote(cn.st.name))
		}
		if s := m.GetSwitchId(); s != "" && s != cn.id {
			c.fault("switch_id", "must be the stream's, %s, or empty", quote(cn.id))
		}
	}
	return c.err()
}

// take hands one message on to be decided; false means that the stream is over.
func (cn *connection) take(ctx context.Context, req *pb.ConnectRequest, first bool) bool {
	var key string
	var do func(ctx context.Context) (*pb.ConnectResult, error)
	id := req.GetRequestId()
	switch m := req.GetMessage().(type) {
	case *pb.ConnectRequest_Heartbeat:
		return true
	case *pb.ConnectRequest_Hello:
		if first {
			return true
		}
		do = func(context.Context) (*pb.ConnectResult, error) {
			return nil, refuse(codes.InvalidArgument, "INVALID_ARGUMENT", "hello: only the first message may be hello", nil)
		}
	case *pb.ConnectRequest_Arrived:
		cn.adopt(&id, &m.Arrived.RequestId, &m.Arrived.Site, &m.Arrived.SwitchId)
		key, do = m.Arrived.GetCallId(), func(ctx context.Context) (*pb.ConnectResult, error) { return cn.arrived(ctx, m.Arrived) }
	case *pb.ConnectRequest_Abandoned:
		cn.adopt(&id, &m.Abandoned.RequestId, &m.Abandoned.Site, &m.Abandoned.SwitchId)
		key, do = m.Abandoned.GetCallId(), func(ctx context.Context) (*pb.ConnectResult, error) { return cn.abandoned(ctx, m.Abandoned) }
	case *pb.ConnectRequest_Ended:
		cn.adopt(&id, &m.Ended.RequestId, &m.Ended.Site, &m.Ended.SwitchId)
		key, do = m.Ended.GetCallId(), func(ctx context.Context) (*pb.ConnectResult, error) { return cn.ended(ctx, m.Ended) }
	case *pb.ConnectRequest_AgentAnswered:
		key = cn.callOf(m.AgentAnswered.GetOfferId())
		do = func(ctx context.Context) (*pb.ConnectResult, error) {
			return cn.agentAnswered(ctx, id, m.AgentAnswered)
		}
	case *pb.ConnectRequest_AgentFailed:
		key = cn.callOf(m.AgentFailed.GetOfferId())
		do = func(ctx context.Context) (*pb.ConnectResult, error) { return cn.agentFailed(ctx, id, m.AgentFailed) }
	default:
		do = func(context.Context) (*pb.ConnectResult, error) {
			return nil, refuse(codes.InvalidArgument, "INVALID_ARGUMENT",
				"message: one of arrived, abandoned, ended, agent_answered, agent_failed or heartbeat must be given", nil)
		}
	}
	return cn.order.run(ctx.Done(), key, func() {
		cn.s.guarded("connect", cn.out.fail, func() { cn.answer(ctx, id, do) })
	})
}

// answer decides one message and sends the result.
func (cn *connection) answer(ctx context.Context, id string, do func(context.Context) (*pb.ConnectResult, error)) {
	result, err := do(ctx)
	if ctx.Err() != nil {
		return // nobody is there to be told
	}
	if err != nil {
		st := status.Convert(cn.s.notYours(cn.s.who(ctx), err))
		result = &pb.ConnectResult{Code: int32(st.Code()), Message: st.Message()}
	}
	result.RequestId = id
	cn.out.put(&pb.ConnectResponse{Message: &pb.ConnectResponse_Result{Result: result}})
}

// adopt gives a body what the envelope and the stream say, so that the same
// request over the unary rpc is the same request.
func (cn *connection) adopt(envelope, requestID, site, switchID *string) {
	if *envelope == "" {
		*envelope = *requestID
	}
	*requestID, *site, *switchID = *envelope, cn.st.name, cn.id
}

func (cn *connection) arrived(ctx context.Context, req *pb.CallArrivedRequest) (*pb.ConnectResult, error) {
	st, res, err := cn.s.arrived(ctx, req)
	if err != nil {
		return nil, err
	}
	out := &pb.ConnectResult{Call: cn.eyes(ctx).call(st.name, res.Call, st.now()), Position: int32(res.Position)}
	if res.Position > 0 {
		out.EstimatedWait = toDuration(res.EstimatedWait)
	}
	return out, nil
}

func (cn *connection) abandoned(ctx context.Context, req *pb.CallAbandonedRequest) (*pb.ConnectResult, error) {
	st, res, err := cn.s.abandoned(ctx, req)
	if err != nil {
		return nil, err
	}
	return &pb.ConnectResult{Call: cn.eyes(ctx).call(st.name, res.Call, st.now()), Callback: cn.eyes(ctx).earned(st.name, res.Callback, res.Call)}, nil
}

func (cn *connection) ended(ctx context.Context, req *pb.CallEndedRequest) (*pb.ConnectResult, error) {
	st, res, err := cn.s.ended(ctx, req)
	if err != nil {
		return nil, err
	}
	return &pb.ConnectResult{Call: cn.eyes(ctx).call(st.name, res.Call, st.now())}, nil
}

// agentAnswered accepts for the agent whose phone the switch rang.
func (cn *connection) agentAnswered(ctx context.Context, id string, m *pb.AgentAnswered) (*pb.ConnectResult, error) {
	var c check
	c.envelope(id, "")
	epoch, err := c.offer(m.GetOfferId())
	if err != nil {
		return nil, err
	}
	if err := cn.mine(ctx, epoch); err != nil {
		return nil, err
	}
	res, err := cn.s.do(ctx, cn.st, &queue.Accept{Request: queue.Request{ID: id, Print: epoch}, Offer: epoch})
	if err == nil {
		err = cn.answers(ctx, res.Call) // an offer that was accepted long ago is no live one
	}
	if err != nil {
		return nil, err
	}
	eyes := cn.eyes(ctx)
	if res.Callback != nil {
		eyes = eyes.asClaimant(res.Callback.ClaimedBy) // the switch is about to ring the number for this agent
	}
	return &pb.ConnectResult{Call: eyes.call(cn.st.name, res.Call, cn.st.now()), Callback: eyes.callback(cn.st.name, res.Callback)}, nil
}

// failures are the engine's words for why a phone was not picked up.
var failures = map[pb.AgentFailure]string{
	pb.AgentFailure_AGENT_FAILURE_BUSY:        queue.ReasonBusy,
	pb.AgentFailure_AGENT_FAILURE_NO_ANSWER:   queue.ReasonNoAnswer,
	pb.AgentFailure_AGENT_FAILURE_UNREACHABLE: queue.ReasonUnreachable,
}

// agentFailed declines for the agent whose phone was not picked up.
func (cn *connection) agentFailed(ctx context.Context, id string, m *pb.AgentFailed) (*pb.ConnectResult, error) {
	var c check
	c.envelope(id, "")
	c.enum("reason", int32(m.GetReason()), pb.AgentFailure_name, true)
	epoch, err := c.offer(m.GetOfferId())
	if err != nil {
		return nil, err
	}
	if err := cn.mine(ctx, epoch); err != nil {
		return nil, err
	}
	_, err = cn.s.do(ctx, cn.st, &queue.Decline{
		Request: queue.Request{ID: id, Print: fnv64a(fmt.Appendf(nil, "%d %d", epoch, m.GetReason()))},
		Offer:   epoch, Reason: failures[m.GetReason()], NotReady: true,
	})
	return &pb.ConnectResult{}, err
}

// eyes is whom the switch's results are for.
func (cn *connection) eyes(ctx context.Context) viewer { return cn.s.viewer(ctx).asSwitch(cn.id) }
