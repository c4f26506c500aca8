package rpc

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

// hearing is what a Session hears from its softphone.
type hearing struct {
	*session
	recv   func() (*pb.SessionRequest, error)
	hello  chan *pb.SessionHello // the first message; closed when there is none
	badly  error                 // why there is none
	opened chan struct{}         // closed when commands may begin
}

// listen reads what the softphone says until it says no more. Commands wait
// until the session is open.
func (h *hearing) listen() {
	first, err := h.recv()
	if err != nil || first.GetHello() == nil {
		if h.badly = err; err == nil || errors.Is(err, io.EOF) {
			h.badly = refuse(codes.InvalidArgument, "INVALID_ARGUMENT", "message: the first message must be hello", nil)
		}
		close(h.hello)
		return
	}
	h.hello <- first.GetHello()
	select {
	case <-h.opened:
	case <-h.stream.Context().Done():
		return
	}
	for {
		switch req, err := h.recv(); {
		case err == nil:
			h.command(h.stream.Context(), req)
		case isUnreadable(err):
			h.answer("", err, nil)
		default:
			if !errors.Is(err, io.EOF) { // else half-closed: the session goes on
				h.out.fail(err)
			}
			return
		}
	}
}

// greet waits for the first message.
func (h *hearing) greet() (*pb.SessionHello, error) {
	t := time.NewTimer(h.s.opts.HelloTimeout)
	defer t.Stop()
	select {
	case hello, ok := <-h.hello:
		if !ok {
			return nil, h.badly
		}
		return hello, nil
	case <-t.C:
		return nil, refuse(codes.InvalidArgument, "INVALID_ARGUMENT", "message: no hello came in time", nil)
	case <-h.s.stopping:
		return nil, errStopping
	case <-h.stream.Context().Done():
		return nil, h.stream.Context().Err()
	}
}

// command carries out one message of the softphone and answers it.
func (ss *session) command(ctx context.Context, req *pb.SessionRequest) {
	switch m := req.GetMessage().(type) {
	case *pb.SessionRequest_Heartbeat:
	case *pb.SessionRequest_Ack:
		ss.acknowledge(ctx, m.Ack)
	case *pb.SessionRequest_Accept:
		id := m.Accept.GetRequestId()
		err := ss.mine(&m.Accept.Site, &m.Accept.AgentId)
		var res queue.Result
		if err == nil {
			_, res, err = ss.s.accept(ctx, m.Accept)
		}
		ss.answer(id, err, &pb.SessionResult{Call: ss.call(res.Call), Callback: ss.eyes().callback(ss.st.name, res.Callback)})
	case *pb.SessionRequest_Decline:
		id := m.Decline.GetRequestId()
		err := ss.mine(&m.Decline.Site, &m.Decline.AgentId)
		var res queue.Result
		if err == nil {
			_, res, err = ss.s.decline(ctx, m.Decline)
		}
		ss.answer(id, err, &pb.SessionResult{Agent: toAgent(ss.st.name, res.Agent)})
	case *pb.SessionRequest_Complete:
		id := m.Complete.GetRequestId()
		err := ss.mine(&m.Complete.Site, &m.Complete.AgentId)
		var res queue.Result
		if err == nil {
			_, res, err = ss.s.complete(ctx, m.Complete)
		}
		ss.answer(id, err, &pb.SessionResult{Call: ss.call(res.Call), Agent: toAgent(ss.st.name, res.Agent)})
	case *pb.SessionRequest_SetState:
		id := m.SetState.GetRequestId()
		err := ss.mine(&m.SetState.Site, &m.SetState.AgentId)
		var res queue.Result
		if err == nil {
			_, res, err = ss.s.setState(ctx, m.SetState)
		}
		ss.answer(id, err, &pb.SessionResult{Agent: toAgent(ss.st.name, res.Agent)})
	case *pb.SessionRequest_Hello:
		ss.answer("", refuse(codes.InvalidArgument, "INVALID_ARGUMENT", "hello: only the first message may be hello", nil), nil)
	default:
		ss.answer("", refuse(codes.InvalidArgument, "INVALID_ARGUMENT",
			"message: one of ack, accept, decline, complete, set_state or heartbeat must be given", nil), nil)
	}
}

func (ss *session) call(c *queue.Call) *pb.Call { return ss.eyes().call(ss.st.name, c, ss.st.now()) }

// eyes is whom the session's messages are for.
func (ss *session) eyes() viewer { return ss.s.viewer(ss.stream.Context()).asAgent(ss.agent) }

// mine fills site and agent of a command with the session's, and refuses others.
func (ss *session) mine(site, agent *string) error {
	var c check
	if *site != "" && *site != ss.st.name {
		c.fault("site", "must be the session's or empty")
	}
	if *agent != "" && *agent != ss.agent {
		c.fault("agent_id", "must be the session's or empty")
	}
	*site, *agent = ss.st.name, ss.agent
	return c.err()
}

// acknowledge is not answered: an offer that is over by now has been rescinded.
func (ss *session) acknowledge(ctx context.Context, ack *pb.OfferAcknowledgement) {
	epoch, ok := queue.ParseOfferID(ack.GetOfferId())
	if !ok {
		return
	}
	_, err := ss.st.engine.Do(ctx, &queue.Acknowledge{Agent: ss.agent, Offer: epoch})
	if err != nil && ctx.Err() == nil && status.Code(toError(ss.s.log, err)) == codes.Unavailable {
		ss.s.log.Warn("an offer could not be acknowledged", "site", ss.st.name, "agent", ss.agent, "error", err)
	}
}

// answer sends the result of one command.
func (ss *session) answer(requestID string, err error, result *pb.SessionResult) {
	if err != nil {
		st := status.Convert(ss.s.notYours(ss.s.who(ss.stream.Context()), err))
		result = &pb.SessionResult{Code: int32(st.Code()), Message: st.Message()}
	}
	result.RequestId = requestID
	ss.out.put(&pb.SessionResponse{Message: &pb.SessionResponse_Result{Result: result}})
}
