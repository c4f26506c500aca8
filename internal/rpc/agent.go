package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"

	"greenlane/internal/discreet"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

type agentService struct {
	pb.UnimplementedAgentServiceServer
	*Server
}

// SignIn implements the rpc.
func (s *agentService) SignIn(ctx context.Context, req *pb.SignInRequest) (*pb.SignInResponse, error) {
	st, cmd, err := s.signInCommand(req)
	if err != nil {
		return nil, err
	}
	res, err := s.do(ctx, st, cmd)
	if err != nil {
		return nil, err
	}
	return &pb.SignInResponse{Agent: toAgent(st.name, res.Agent)}, nil
}

func (s *Server) signInCommand(req *pb.SignInRequest) (*site, *queue.SignIn, error) {
	var c check
	c.envelope(req.GetRequestId(), req.GetSite())
	c.id("agent_id", req.GetAgentId())
	c.text("endpoint", req.GetEndpoint(), maxEndpoint)
	if req.GetRingBySwitch() && req.GetEndpoint() == "" {
		c.fault("endpoint", "must be given with ring_by_switch")
	}
	services := c.services(req.GetQueues())
	wrapUp := c.duration("wrap_up", req.GetWrapUp(), 0, maxWrapUp, -1)
	if wrapUp >= 0 {
		wrapUp = wrapUp.Truncate(time.Millisecond)
	}
	if err := c.err(); err != nil {
		return nil, nil, err
	}
	st, err := s.site(req.GetSite())
	if err != nil {
		return nil, nil, err
	}
	req.Site = st.name
	return st, &queue.SignIn{
		Request: requestOf(req, &req.RequestId), Agent: req.GetAgentId(), Endpoint: req.GetEndpoint(), Services: services,
		WrapUp: wrapUp, RingBySwitch: req.GetRingBySwitch(),
	}, nil
}

func (c *check) services(queues []*pb.AgentQueue) []queue.Service {
	if len(queues) == 0 || len(queues) > maxQueues {
		c.fault("queues", "1 to %d queues are allowed", maxQueues)
		return nil
	}
	out := make([]queue.Service, len(queues))
	for i, q := range queues {
		if name := q.GetQueue(); name == "" || len(name) > maxName || !nameLike(name) {
			c.name(index("queues", i, "queue"), name, true)
		}
		if q.GetLevel() < 0 || q.GetLevel() > maxLevel {
			c.fault(index("queues", i, "level"), "1 to %d is allowed; 0 means 1", maxLevel)
		}
		for _, earlier := range queues[:i] {
			if earlier.GetQueue() == q.GetQueue() {
				c.fault(index("queues", i, "queue"), "%q stands in the list twice", q.GetQueue())
				break
			}
		}
		out[i] = queue.Service{Queue: q.GetQueue(), Level: max(1, int(q.GetLevel()))}
	}
	return out
}

// agentRequest is what most requests of a softphone have in common.
type agentRequest interface {
	identified
	GetSite() string
	GetAgentId() string
}

// ofAgent checks the common part and finds the site.
func (s *Server) ofAgent(c *check, req agentRequest) (*site, error) {
	c.envelope(req.GetRequestId(), req.GetSite())
	c.id("agent_id", req.GetAgentId())
	if err := c.err(); err != nil {
		return nil, err
	}
	return s.site(req.GetSite())
}

// offer reads an offer's id. One that no offer can have is unknown, not wrong.
func (c *check) offer(id string) (uint64, error) {
	c.id("offer_id", id)
	if err := c.err(); err != nil {
		return 0, err
	}
	epoch, ok := queue.ParseOfferID(id)
	if !ok {
		return 0, refuse(codes.NotFound, "OFFER_NOT_FOUND", "offer_id: "+quote(id)+" is no offer", nil)
	}
	return epoch, nil
}

// Accept implements the rpc.
func (s *agentService) Accept(ctx context.Context, req *pb.AcceptRequest) (*pb.AcceptResponse, error) {
	st, res, err := s.accept(ctx, req)
	if err != nil {
		return nil, err
	}
	eyes := s.viewer(ctx).asAgent(req.GetAgentId())
	return &pb.AcceptResponse{Call: eyes.call(st.name, res.Call, st.now()), Callback: eyes.callback(st.name, res.Callback)}, nil
}

func (s *Server) accept(ctx context.Context, req *pb.AcceptRequest) (*site, queue.Result, error) {
	var c check
	c.id("offer_id", req.GetOfferId())
	st, err := s.ofAgent(&c, req)
	if err != nil {
		return nil, queue.Result{}, err
	}
	epoch, err := c.offer(req.GetOfferId())
	if err != nil {
		return nil, queue.Result{}, err
	}
	req.Site = st.name
	res, err := s.do(ctx, st, &queue.Accept{Request: requestOf(req, &req.RequestId), Agent: req.GetAgentId(), Offer: epoch})
	return st, res, err
}

// Acknowledge implements the rpc.
func (s *agentService) Acknowledge(ctx context.Context, req *pb.AcknowledgeRequest) (*pb.AcknowledgeResponse, error) {
	var c check
	c.name("site", req.GetSite(), false)
	c.id("agent_id", req.GetAgentId())
	epoch, err := c.offer(req.GetOfferId())
	if err != nil {
		return nil, err
	}
	st, err := s.site(req.GetSite())
	if err != nil {
		return nil, err
	}
	if _, err := s.do(ctx, st, &queue.Acknowledge{Agent: req.GetAgentId(), Offer: epoch}); err != nil {
		return nil, err
	}
	return &pb.AcknowledgeResponse{}, nil
}

// Decline implements the rpc.
func (s *agentService) Decline(ctx context.Context, req *pb.DeclineRequest) (*pb.DeclineResponse, error) {
	st, res, err := s.decline(ctx, req)
	if err != nil {
		return nil, err
	}
	return &pb.DeclineResponse{Agent: toAgent(st.name, res.Agent)}, nil
}

func (s *Server) decline(ctx context.Context, req *pb.DeclineRequest) (*site, queue.Result, error) {
	var c check
	c.id("offer_id", req.GetOfferId())
	c.text("reason", req.GetReason(), maxReason)
	st, err := s.ofAgent(&c, req)
	if err != nil {
		return nil, queue.Result{}, err
	}
	epoch, err := c.offer(req.GetOfferId())
	if err != nil {
		return nil, queue.Result{}, err
	}
	req.Site = st.name
	res, err := s.do(ctx, st, &queue.Decline{
		Request: requestOf(req, &req.RequestId), Agent: req.GetAgentId(), Offer: epoch, Reason: discreet.Prose(req.GetReason()),
	})
	return st, res, err
}

// Complete implements the rpc.
func (s *agentService) Complete(ctx context.Context, req *pb.CompleteRequest) (*pb.CompleteResponse, error) {
	st, res, err := s.complete(ctx, req)
	if err != nil {
		return nil, err
	}
	return &pb.CompleteResponse{Call: s.viewer(ctx).asAgent(req.GetAgentId()).call(st.name, res.Call, st.now()), Agent: toAgent(st.name, res.Agent)}, nil
}

func (s *Server) complete(ctx context.Context, req *pb.CompleteRequest) (*site, queue.Result, error) {
	var c check
	c.id("call_id", req.GetCallId())
	st, err := s.ofAgent(&c, req)
	if err != nil {
		return nil, queue.Result{}, err
	}
	req.Site = st.name
	res, err := s.do(ctx, st, &queue.Complete{Request: requestOf(req, &req.RequestId), Agent: req.GetAgentId(), Call: req.GetCallId()})
	return st, res, err
}

// SetState implements the rpc.
func (s *agentService) SetState(ctx context.Context, req *pb.SetStateRequest) (*pb.SetStateResponse, error) {
	st, res, err := s.setState(ctx, req)
	if err != nil {
		return nil, err
	}
	return &pb.SetStateResponse{Agent: toAgent(st.name, res.Agent)}, nil
}

func (s *Server) setState(ctx context.Context, req *pb.SetStateRequest) (*site, queue.Result, error) {
	var c check
	reason := discreet.Prose(req.GetReason()) // events have no numbers
	switch req.GetState() {
	case pb.AgentState_AGENT_STATE_READY:
		reason = ""
	case pb.AgentState_AGENT_STATE_NOT_READY:
		if reason == "" {
			reason = "not_ready"
		}
	default:
		c.fault("state", "AGENT_STATE_READY or AGENT_STATE_NOT_READY is allowed")
	}
	c.text("reason", req.GetReason(), maxReason)
	st, err := s.ofAgent(&c, req)
	if err != nil {
		return nil, queue.Result{}, err
	}
	req.Site = st.name
	res, err := s.do(ctx, st, &queue.SetState{
		Request: requestOf(req, &req.RequestId), Agent: req.GetAgentId(), State: fromAgentState(req.GetState()), Reason: reason,
	})
	return st, res, err
}

// SignOut implements the rpc.
func (s *agentService) SignOut(ctx context.Context, req *pb.SignOutRequest) (*pb.SignOutResponse, error) {
	var c check
	st, err := s.ofAgent(&c, req)
	if err != nil {
		return nil, err
	}
	req.Site = st.name
	res, err := s.do(ctx, st, &queue.SignOut{Request: requestOf(req, &req.RequestId), Agent: req.GetAgentId(), Force: req.GetForce()})
	if err != nil {
		return nil, err
	}
	return &pb.SignOutResponse{Agent: toAgent(st.name, res.Agent)}, nil
}
