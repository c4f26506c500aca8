package rpc

import (
	"context"

	"greenlane/callback"
	"greenlane/internal/discreet"
	"greenlane/internal/identity"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

type callbackService struct {
	pb.UnimplementedCallbackServiceServer
	*Server
}

// List implements the rpc.
func (s *callbackService) List(ctx context.Context, req *pb.CallbackServiceListRequest) (*pb.CallbackServiceListResponse, error) {
	var c check
	c.name("site", req.GetSite(), false)
	c.name("queue", req.GetQueue(), false)
	c.enum("state", int32(req.GetState()), pb.CallbackState_name, false)
	caller := c.anyNumber(s.opts.Normalizer, req.GetCaller())
	size := c.page(req.GetPageSize(), req.GetPageToken())
	if err := c.err(); err != nil {
		return nil, err
	}
	st, err := s.queueOf(ctx, req.GetSite(), req.GetQueue())
	if err != nil {
		return nil, err
	}
	f := queue.CallbackFilter{Queue: req.GetQueue(), Caller: caller, Limit: size, After: req.GetPageToken()}
	if req.GetState() != pb.CallbackState_CALLBACK_STATE_UNSPECIFIED {
		f.States = []callback.State{fromCallbackState(req.GetState())}
	}
	page, next, err := st.engine.Callbacks(ctx, f)
	if err != nil {
		return nil, toError(s.log, err)
	}
	out := &pb.CallbackServiceListResponse{Callbacks: make([]*pb.Callback, len(page)), NextPageToken: next}
	eyes := s.viewer(ctx)
	for i := range page {
		out.Callbacks[i] = eyes.callback(st.name, &page[i])
	}
	return out, nil
}

// Create implements the rpc.
func (s *callbackService) Create(ctx context.Context, req *pb.CallbackServiceCreateRequest) (*pb.CallbackServiceCreateResponse, error) {
	var c check
	c.envelope(req.GetRequestId(), req.GetSite())
	caller := c.number(s.opts.Normalizer, req.GetCaller())
	c.name("queue", req.GetQueue(), false)
	c.enum("tier", int32(req.GetTier()), pb.Tier_name, false)
	due := c.time("due_at", req.GetDueAt())
	c.note("note", req.GetNote())
	if err := c.err(); err != nil {
		return nil, err
	}
	st, err := s.site(req.GetSite())
	if err != nil {
		return nil, err
	}
	req.Site = st.name
	tier := fromTier(req.GetTier())
	if tier == tiering.TierUnset {
		// A directory that does not answer in time leaves the caller ordinary.
		tier = s.opts.Tiers.Resolve(ctx, st.name, caller).Tier
	}
	res, err := s.do(ctx, st, &queue.CreateCallback{
		Request: requestOf(req, &req.RequestId), Caller: caller, Queue: req.GetQueue(), Tier: tier, DueAt: due, Note: req.GetNote(),
	})
	if err != nil {
		return nil, err
	}
	// Whoever asks for it has just given the number.
	return &pb.CallbackServiceCreateResponse{Callback: viewer{full: true}.callback(st.name, res.Callback)}, nil
}

// anyNumber reads a number by which a list is selected; an empty one selects
// nothing.
func (c *check) anyNumber(z *tiering.Normalizer, raw string) tiering.Number {
	if raw == "" {
		return ""
	}
	return c.number(z, raw)
}

// number reads a number that must be one.
func (c *check) number(z *tiering.Normalizer, raw string) tiering.Number {
	if len(raw) > maxCaller {
		c.fault("caller", "at most %d bytes are allowed", maxCaller)
		return tiering.Withheld
	}
	n, err := z.Normalize(raw)
	switch {
	case err != nil:
		c.fault("caller", "%s", err.Error())
	case n == tiering.Withheld:
		c.fault("caller", "a phone number is needed: E.164 (plus, country code, number), or as dialled inside the country")
	}
	return n
}

// callbackRequest is what the requests about one callback have in common.
type callbackRequest interface {
	identified
	GetSite() string
	GetCallbackId() string
}

func (s *Server) ofCallback(c *check, req callbackRequest) (*site, error) {
	c.envelope(req.GetRequestId(), req.GetSite())
	c.id("callback_id", req.GetCallbackId())
	if err := c.err(); err != nil {
		return nil, err
	}
	return s.site(req.GetSite())
}

// claimant returns who claims or reports, by default whoever asks: under another
// name only a gateway does, and everybody where nobody is asked.
func (s *Server) claimant(ctx context.Context, named string) string {
	if id := s.who(ctx); named == "" && id.Proved() && id.Name != identity.AnyName {
		return id.Name
	}
	return named
}

// Claim implements the rpc.
func (s *callbackService) Claim(ctx context.Context, req *pb.CallbackServiceClaimRequest) (*pb.CallbackServiceClaimResponse, error) {
	var c check
	req.Claimant = s.claimant(ctx, req.GetClaimant())
	c.id("claimant", req.GetClaimant())
	st, err := s.ofCallback(&c, req)
	if err != nil {
		return nil, err
	}
	req.Site = st.name
	res, err := s.do(ctx, st, &queue.ClaimCallback{
		Request: requestOf(req, &req.RequestId), Callback: req.GetCallbackId(), Claimant: req.GetClaimant(), OnDuty: s.asAgentOnly(ctx),
	})
	if err != nil {
		return nil, err
	}
	return &pb.CallbackServiceClaimResponse{Callback: s.viewer(ctx).asClaimant(req.GetClaimant()).callback(st.name, res.Callback)}, nil
}

// asAgentOnly reports whether who makes the request of ctx has proved to be an agent,
// or to speak for agents, and nobody who takes callbacks from outside the queues.
func (s *Server) asAgentOnly(ctx context.Context) bool {
	id := s.who(ctx)
	return id.Proved() && id.Roles.Has(identity.Agent) && !id.Roles.Has(identity.Supervisor|identity.BackOffice)
}

// Report implements the rpc.
func (s *callbackService) Report(ctx context.Context, req *pb.CallbackServiceReportRequest) (*pb.CallbackServiceReportResponse, error) {
	var c check
	req.Claimant = s.claimant(ctx, req.GetClaimant())
	c.id("claimant", req.GetClaimant())
	c.enum("result", int32(req.GetResult()), pb.CallbackResult_name, true)
	c.note("note", req.GetNote())
	st, err := s.ofCallback(&c, req)
	if err != nil {
		return nil, err
	}
	req.Site = st.name
	res, err := s.do(ctx, st, &queue.ReportCallback{
		Request: requestOf(req, &req.RequestId), Callback: req.GetCallbackId(), Claimant: req.GetClaimant(),
		Result: fromCallbackResult(req.GetResult()), Note: req.GetNote(),
	})
	if err != nil {
		return nil, err
	}
	return &pb.CallbackServiceReportResponse{Callback: s.viewer(ctx).asClaimant(req.GetClaimant()).callback(st.name, res.Callback)}, nil
}

// Reschedule implements the rpc.
func (s *callbackService) Reschedule(ctx context.Context, req *pb.CallbackServiceRescheduleRequest) (*pb.CallbackServiceRescheduleResponse, error) {
	var c check
	due := c.time("due_at", req.GetDueAt())
	if req.GetDueAt() == nil {
		c.fault("due_at", "a time must be given")
	}
	st, err := s.ofCallback(&c, req)
	if err != nil {
		return nil, err
	}
	req.Site = st.name
	res, err := s.do(ctx, st, &queue.RescheduleCallback{
		Request: requestOf(req, &req.RequestId), Callback: req.GetCallbackId(), DueAt: due,
	})
	if err != nil {
		return nil, err
	}
	return &pb.CallbackServiceRescheduleResponse{Callback: s.viewer(ctx).callback(st.name, res.Callback)}, nil
}

// Cancel implements the rpc.
func (s *callbackService) Cancel(ctx context.Context, req *pb.CallbackServiceCancelRequest) (*pb.CallbackServiceCancelResponse, error) {
	var c check
	c.text("reason", req.GetReason(), maxReason)
	st, err := s.ofCallback(&c, req)
	if err != nil {
		return nil, err
	}
	req.Site = st.name
	cmd := &queue.CancelCallback{
		Request: requestOf(req, &req.RequestId), Callback: req.GetCallbackId(), Reason: discreet.Prose(req.GetReason()),
	}
	if cmd.Reason == "" {
		cmd.Reason = "cancelled"
	}
	res, err := s.do(ctx, st, cmd)
	if err != nil {
		return nil, err
	}
	return &pb.CallbackServiceCancelResponse{Callback: s.viewer(ctx).callback(st.name, res.Callback)}, nil
}
