package rpc

import (
	"context"
	"slices"
	"strings"

	"greenlane/internal/instant"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

type switchService struct {
	pb.UnimplementedSwitchServiceServer
	*Server
}

// CallArrived implements the rpc.
func (s *switchService) CallArrived(ctx context.Context, req *pb.CallArrivedRequest) (*pb.CallArrivedResponse, error) {
	st, res, err := s.arrived(ctx, req)
	if err != nil {
		return nil, err
	}
	out := &pb.CallArrivedResponse{Call: s.viewer(ctx).asSwitch(req.GetSwitchId()).call(st.name, res.Call, st.now()), Position: int32(res.Position)}
	if res.Position > 0 {
		out.EstimatedWait = toDuration(res.EstimatedWait)
	}
	return out, nil
}

// CallAbandoned implements the rpc.
func (s *switchService) CallAbandoned(ctx context.Context, req *pb.CallAbandonedRequest) (*pb.CallAbandonedResponse, error) {
	st, res, err := s.abandoned(ctx, req)
	if err != nil {
		return nil, err
	}
	eyes := s.viewer(ctx).asSwitch(req.GetSwitchId())
	return &pb.CallAbandonedResponse{Call: eyes.call(st.name, res.Call, st.now()), Callback: eyes.earned(st.name, res.Callback, res.Call)}, nil
}

// CallEnded implements the rpc.
func (s *switchService) CallEnded(ctx context.Context, req *pb.CallEndedRequest) (*pb.CallEndedResponse, error) {
	st, res, err := s.ended(ctx, req)
	if err != nil {
		return nil, err
	}
	return &pb.CallEndedResponse{Call: s.viewer(ctx).asSwitch(req.GetSwitchId()).call(st.name, res.Call, st.now())}, nil
}

// arrived queues a call: for the rpc and for Connect alike.
func (s *Server) arrived(ctx context.Context, req *pb.CallArrivedRequest) (*site, queue.Result, error) {
	st, cmd, err := s.arriveCommand(req)
	if err != nil {
		return nil, queue.Result{}, err
	}
	late := s.rank(ctx, st, cmd)
	took, flood := s.arrivals.admit(st.name, cmd)
	cmd.Refuse = flood
	res, err := s.do(ctx, st, cmd)
	if err != nil || res.Duplicate {
		s.arrivals.forget(took)
	} else {
		s.tellArrival(st, cmd, res.Call)
	}
	if err == nil {
		s.rankLater(st, late, cmd)
	}
	return st, res, err
}

// tellArrival tells of a call that was not known before.
func (s *Server) tellArrival(st *site, cmd *queue.Arrive, call *queue.Call) {
	if cmd.Refuse != "" && call.State == queue.CallRefused && call.Reason == cmd.Refuse && s.opts.Tell.Flood != nil {
		name, _ := s.arrivals.configured(cmd.Switch)
		s.opts.Tell.Flood(st.name, name, cmd.Refuse)
	}
	if cmd.UnattestedVIP {
		s.ClaimRefused(st.name, cmd.Switch, 1)
	}
}

// ClaimRefused tells of calls of a switch that are not served as a VIP's though
// their number is one's.
func (s *Server) ClaimRefused(site, switchID string, calls int) {
	if s.opts.Tell.VIPClaim != nil && calls > 0 {
		name, _ := s.arrivals.configured(switchID)
		s.opts.Tell.VIPClaim(site, name, calls)
	}
}

// arriveCommand checks the request and makes the command, but for the tier.
func (s *Server) arriveCommand(req *pb.CallArrivedRequest) (*site, *queue.Arrive, error) {
	var c check
	c.envelope(req.GetRequestId(), req.GetSite())
	c.id("switch_id", req.GetSwitchId())
	c.id("call_id", req.GetCallId())
	c.call(req)
	now := s.nowAt(req.GetSite())
	arrived := c.arrived("arrived_at", req.GetArrivedAt(), now)
	st, err := s.checked(&c, req.GetSite())
	if err != nil {
		return nil, nil, err
	}
	if arrived.IsZero() {
		arrived = now
	}
	req.Site = st.name
	return st, &queue.Arrive{
		Request: requestOf(req, &req.RequestId),
		Call:    req.GetCallId(), Switch: req.GetSwitchId(), Caller: s.caller(req.GetCaller()), Dialed: req.GetDialed(),
		Queue: req.GetQueue(), Attestation: s.attestation(req.GetSwitchId(), req.GetAttestation()), PreferredAgent: req.GetPreferredAgent(),
		ArrivedAt: arrived, Attributes: attributes(req.GetAttributes()),
	}, nil
}

// caller reads a caller's number as far as it goes: no call is lost for it.
func (s *Server) caller(raw string) tiering.Number {
	n, _ := s.opts.Normalizer.NormalizeLenient(raw)
	return n
}

// attestation reads how far a switch trusts a number, by how far the switch is
// trusted itself.
func (s *Server) attestation(switchID string, said pb.Attestation) tiering.Attestation {
	return s.arrivals.worth(switchID, fromAttestation(said))
}

// callFields are what CallArrived and an item of Reconcile say of a call.
type callFields interface {
	GetCaller() string
	GetDialed() string
	GetQueue() string
	GetAttestation() pb.Attestation
	GetPreferredAgent() string
	GetAttributes() map[string]string
}

func (c *check) call(f callFields) {
	if len(f.GetCaller()) > maxCaller {
		c.fault("caller", "at most %d bytes are allowed", maxCaller)
	}
	c.text("dialed", f.GetDialed(), maxDialed)
	c.name("queue", f.GetQueue(), false)
	c.enum("attestation", int32(f.GetAttestation()), pb.Attestation_name, false)
	c.text("preferred_agent", f.GetPreferredAgent(), maxID)
	c.attributes(f.GetAttributes())
}

func (c *check) attributes(m map[string]string) {
	if len(m) > maxAttributes {
		c.fault("attributes", "at most %d entries are allowed", maxAttributes)
		return
	}
	keys, values := true, true
	for key, value := range m {
		keys = keys && key != "" && len(key) <= maxAttributeKey && printable(key)
		values = values && len(value) <= maxAttribute
	}
	if !keys {
		c.fault("attributes", "keys of 1 to %d bytes without control characters are allowed", maxAttributeKey)
	}
	if !values {
		c.fault("attributes", "values of at most %d bytes are allowed", maxAttribute)
	}
}

// envelope checks what every changing request has.
func (c *check) envelope(requestID, site string) {
	c.text("request_id", requestID, maxID)
	c.name("site", site, false)
}

func attributes(m map[string]string) []queue.Attribute {
	if len(m) == 0 {
		return nil
	}
	out := make([]queue.Attribute, 0, len(m))
	for key, value := range m {
		out = append(out, queue.Attribute{Key: key, Value: value})
	}
	slices.SortFunc(out, func(a, b queue.Attribute) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// hangUp is what CallAbandoned and CallEnded have in common.
type hangUp interface {
	identified
	GetSite() string
	GetSwitchId() string
	GetCallId() string
}

func (s *Server) abandoned(ctx context.Context, req *pb.CallAbandonedRequest) (*site, queue.Result, error) {
	var c check
	at := c.time("at", req.GetAt())
	st, err := s.hangUp(&c, req)
	if err != nil {
		return nil, queue.Result{}, err
	}
	req.Site = st.name
	res, err := s.do(ctx, st, &queue.Abandon{
		Request: requestOf(req, &req.RequestId), Call: req.GetCallId(), Switch: req.GetSwitchId(), At: notAhead(at, st.now()),
	})
	return st, res, err
}

func (s *Server) ended(ctx context.Context, req *pb.CallEndedRequest) (*site, queue.Result, error) {
	var c check
	at := c.time("at", req.GetAt())
	st, err := s.hangUp(&c, req)
	if err != nil {
		return nil, queue.Result{}, err
	}
	req.Site = st.name
	res, err := s.do(ctx, st, &queue.End{
		Request: requestOf(req, &req.RequestId), Call: req.GetCallId(), Switch: req.GetSwitchId(), At: notAhead(at, st.now()),
	})
	return st, res, err
}

func (s *Server) hangUp(c *check, req hangUp) (*site, error) {
	c.envelope(req.GetRequestId(), req.GetSite())
	c.id("switch_id", req.GetSwitchId())
	c.id("call_id", req.GetCallId())
	if err := c.err(); err != nil {
		return nil, err
	}
	return s.site(req.GetSite())
}

// notAhead reads a switch's time of hanging up: absent and future ones are now.
func notAhead(at, now instant.Instant) instant.Instant {
	if at.IsZero() || at > now {
		return now
	}
	return at
}

// Reconcile implements the rpc.
func (s *switchService) Reconcile(ctx context.Context, req *pb.ReconcileRequest) (*pb.ReconcileResponse, error) {
	st, cmd, err := s.reconcileCommand(req)
	if err != nil {
		return nil, err
	}
	lates := s.rankAll(ctx, st, cmd.Calls)
	res, err := s.do(ctx, st, cmd)
	if err != nil {
		return nil, err
	}
	claims := 0
	for i, late := range lates {
		s.rankLater(st, late, &cmd.Calls[i].Arrive)
		if cmd.Calls[i].UnattestedVIP && !res.Duplicate && res.Items[i].Outcome == queue.OutcomeAdded {
			claims++
		}
	}
	s.ClaimRefused(st.name, cmd.Switch, claims)
	out := &pb.ReconcileResponse{Added: int32(res.Added), Closed: int32(res.Closed), Kept: int32(res.Kept)}
	for i := range res.Items {
		if res.Items[i].Outcome == queue.OutcomeEnded {
			out.Ended++
		}
		out.Results = append(out.Results, s.toReconcileResult(s.who(ctx), &res.Items[i]))
	}
	return out, nil
}
