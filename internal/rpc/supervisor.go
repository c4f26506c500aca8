package rpc

import (
	"context"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

type supervisorService struct {
	pb.UnimplementedSupervisorServiceServer
	*Server
}

// GetSnapshot implements the rpc.
func (s *supervisorService) GetSnapshot(ctx context.Context, req *pb.GetSnapshotRequest) (*pb.GetSnapshotResponse, error) {
	st, err := s.siteOf(req)
	if err != nil {
		return nil, err
	}
	shot, err := st.shots.get(ctx, st, 0)
	if err != nil {
		return nil, toError(s.log, err)
	}
	return shot.message(req.GetOmitAgents()), nil
}

// siteOf checks and finds the site of a request that needs no further check.
func (s *Server) siteOf(req interface{ GetSite() string }) (*site, error) {
	var c check
	c.name("site", req.GetSite(), false)
	if err := c.err(); err != nil {
		return nil, err
	}
	return s.site(req.GetSite())
}

// liveCalls are the calls that ListCalls returns when it is not told which.
var liveCalls = []queue.CallState{queue.CallWaiting, queue.CallOffered, queue.CallAnswered}

// ListCalls implements the rpc.
func (s *supervisorService) ListCalls(ctx context.Context, req *pb.ListCallsRequest) (*pb.ListCallsResponse, error) {
	var c check
	c.name("site", req.GetSite(), false)
	c.name("queue", req.GetQueue(), false)
	c.enum("tier", int32(req.GetTier()), pb.Tier_name, false)
	states := make([]queue.CallState, 0, len(req.GetStates()))
	for i, state := range req.GetStates() {
		if len(c.faults) > 0 {
			break
		}
		c.enum(index("states", i, ""), int32(state), pb.CallState_name, true)
		states = append(states, fromCallState(state))
	}
	caller := c.anyNumber(s.opts.Normalizer, req.GetCaller())
	size := c.page(req.GetPageSize(), req.GetPageToken())
	if err := c.err(); err != nil {
		return nil, err
	}
	st, err := s.queueOf(ctx, req.GetSite(), req.GetQueue())
	if err != nil {
		return nil, err
	}
	if len(states) == 0 {
		states = liveCalls
	}
	page, next, err := st.engine.Calls(ctx, queue.CallFilter{
		Queue: req.GetQueue(), Tier: fromTier(req.GetTier()), Caller: caller, States: states, Limit: size, After: req.GetPageToken(),
	})
	if err != nil {
		return nil, toError(s.log, err)
	}
	out := &pb.ListCallsResponse{Calls: make([]*pb.Call, len(page)), NextPageToken: next}
	now, eyes := st.now(), s.viewer(ctx).maskedIf(req.GetMaskCallers())
	for i := range page {
		out.Calls[i] = eyes.call(st.name, &page[i], now)
	}
	return out, nil
}

// queueOf finds the site and makes sure that it has the queue, if one is named. One that
// was taken out of the configuration is the engine's for as long as it goes on.
func (s *Server) queueOf(ctx context.Context, siteName, queueName string) (*site, error) {
	st, err := s.site(siteName)
	if err != nil || queueName == "" {
		return st, err
	}
	for i := range st.config.Queues {
		if st.config.Queues[i].Name == queueName {
			return st, nil
		}
	}
	if _, _, err := st.engine.Calls(ctx, queue.CallFilter{Queue: queueName, States: []queue.CallState{queue.CallOffered}, Limit: 1}); err != nil {
		return nil, toError(s.log, err)
	}
	return st, nil
}

// signedIn are the agents that ListAgents returns when it is not told which.
var signedIn = []queue.AgentState{queue.AgentReady, queue.AgentNotReady, queue.AgentOffered, queue.AgentTalking, queue.AgentWrapUp}

// ListAgents implements the rpc.
func (s *supervisorService) ListAgents(ctx context.Context, req *pb.ListAgentsRequest) (*pb.ListAgentsResponse, error) {
	var c check
	c.name("site", req.GetSite(), false)
	c.name("queue", req.GetQueue(), false)
	states := make([]queue.AgentState, 0, len(req.GetStates()))
	for i, state := range req.GetStates() {
		if len(c.faults) > 0 {
			break
		}
		c.enum(index("states", i, ""), int32(state), pb.AgentState_name, true)
		states = append(states, fromAgentState(state))
	}
	size := c.page(req.GetPageSize(), req.GetPageToken())
	if err := c.err(); err != nil {
		return nil, err
	}
	st, err := s.queueOf(ctx, req.GetSite(), req.GetQueue())
	if err != nil {
		return nil, err
	}
	if len(states) == 0 {
		states = signedIn
	}
	page, next, err := st.engine.Agents(ctx, queue.AgentFilter{
		Queue: req.GetQueue(), States: states, Limit: size, After: req.GetPageToken(),
	})
	if err != nil {
		return nil, toError(s.log, err)
	}
	out := &pb.ListAgentsResponse{Agents: make([]*pb.Agent, len(page)), NextPageToken: next}
	for i := range page {
		out.Agents[i] = toAgent(st.name, &page[i])
	}
	return out, nil
}

// callRequest is what MoveCall and SetTier have in common.
type callRequest interface {
	identified
	GetSite() string
	GetCallId() string
}

func (s *Server) ofCall(c *check, req callRequest) (*site, error) {
	c.envelope(req.GetRequestId(), req.GetSite())
	c.id("call_id", req.GetCallId())
	if err := c.err(); err != nil {
		return nil, err
	}
	return s.site(req.GetSite())
}

// MoveCall implements the rpc.
func (s *supervisorService) MoveCall(ctx context.Context, req *pb.MoveCallRequest) (*pb.MoveCallResponse, error) {
	var c check
	c.name("queue", req.GetQueue(), true)
	st, err := s.ofCall(&c, req)
	if err != nil {
		return nil, err
	}
	req.Site = st.name
	res, err := s.do(ctx, st, &queue.MoveCall{
		Request: requestOf(req, &req.RequestId), Call: req.GetCallId(), Queue: req.GetQueue(), By: "moved",
	})
	if err != nil {
		return nil, err
	}
	return &pb.MoveCallResponse{Call: s.viewer(ctx).call(st.name, res.Call, st.now())}, nil
}

// SetTier implements the rpc.
func (s *supervisorService) SetTier(ctx context.Context, req *pb.SetTierRequest) (*pb.SetTierResponse, error) {
	var c check
	c.enum("tier", int32(req.GetTier()), pb.Tier_name, true)
	st, err := s.ofCall(&c, req)
	if err != nil {
		return nil, err
	}
	req.Site = st.name
	res, err := s.do(ctx, st, &queue.Rerank{
		Request: requestOf(req, &req.RequestId), Call: req.GetCallId(), Tier: fromTier(req.GetTier()),
	})
	if err != nil {
		return nil, err
	}
	return &pb.SetTierResponse{Call: s.viewer(ctx).call(st.name, res.Call, st.now())}, nil
}
