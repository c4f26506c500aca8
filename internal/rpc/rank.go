package rpc

import (
	"context"
	"time"

	"greenlane/queue"
	"greenlane/tiering"
)

// Resolver says who a caller is without ever holding a call up: package
// tiering/resolve.
type Resolver interface {
	// Resolve returns within its deadline, with a provisional answer if need be.
	Resolve(ctx context.Context, site string, caller tiering.Number) Answer
}

// Answer is what is known of a caller by the deadline.
type Answer struct {
	Tier        tiering.Tier // ordinary while Provisional
	Provisional bool
	// Later, set while Provisional, has fn called with the real tier as soon as
	// that is known: from any goroutine, or before Later returns, or never.
	Later func(fn func(tiering.Tier))
}

// rank gives an arriving call its tier: what the directory answers in time, else
// ordinary and provisional. When the call has been queued, and not before, the
// returned late must be told, so that the late answer can't overtake the call.
func (s *Server) rank(ctx context.Context, st *site, cmd *queue.Arrive) (late Answer) {
	if cmd.Caller == tiering.Withheld {
		cmd.Tier = tiering.Ordinary
		return Answer{}
	}
	a := s.opts.Tiers.Resolve(ctx, st.name, cmd.Caller)
	if a.Provisional {
		cmd.Tier, cmd.Provisional = tiering.Ordinary, true
		return a
	}
	cmd.Tier, cmd.UnattestedVIP = s.served(a.Tier, cmd.Attestation)
	return Answer{}
}

// served applies the rule that a VIP's number must be vouched for.
func (s *Server) served(t tiering.Tier, a tiering.Attestation) (tiering.Tier, bool) {
	return tiering.Served(t, a, s.opts.VIPRequiresAttestation, tiering.AttestationFull)
}

// rankLater ranks a queued call again when the late answer comes.
func (s *Server) rankLater(st *site, late Answer, cmd *queue.Arrive) {
	if late.Later == nil {
		return
	}
	call, switchID, attested := cmd.Call, cmd.Switch, cmd.Attestation
	late.Later(func(t tiering.Tier) {
		// Whoever tells the answer must not be held up.
		s.work.run(func() { s.rerankLate(st, call, switchID, t, attested) })
	})
}

func (s *Server) rerankLate(st *site, call, switchID string, t tiering.Tier, attested tiering.Attestation) {
	ctx, cancel := context.WithTimeout(s.base, 10*time.Second)
	defer cancel()
	tier, unattested := s.served(t, attested)
	res, err := st.engine.Do(ctx, &queue.Rerank{Call: call, Tier: tier, UnattestedVIP: unattested, OnlyProvisional: true})
	if unattested {
		s.ClaimRefused(st.name, switchID, res.Reranked)
	}
	if err != nil && s.base.Err() == nil {
		s.log.Warn("a late tier could not be applied: the call stays ordinary", "site", st.name, "call", call, "error", err)
	}
}
