package rpc

import (
	"context"
	"time"

	"greenlane/queue"
	"greenlane/tiering"
)

// rank gives an arriving call its tier: what the directory answers in time, else
// ordinary and provisional. The returned late must be told when the call has
// arrived; it is nil when nothing can come late.
func (s *Server) rank(ctx context.Context, st *site, cmd *queue.Arrive) *lateTier {
	cmd.Tier = tiering.Ordinary
	if cmd.Caller == tiering.Withheld {
		return nil
	}
	late := &lateTier{s: s, st: st, call: cmd.Call, attested: cmd.Attestation}
	tier, provisional := s.opts.Tiers.Resolve(ctx, st.name, cmd.Caller, late.answered)
	if provisional {
		cmd.Provisional = true
		return late
	}
	cmd.Tier, cmd.UnattestedVIP = s.served(tier, cmd.Attestation)
	return nil
}

// served applies the rule that a VIP's number must be vouched for.
func (s *Server) served(t tiering.Tier, a tiering.Attestation) (tiering.Tier, bool) {
	return tiering.Served(t, a, s.opts.VIPRequiresAttestation, tiering.AttestationFull)
}

// lateTier is a tier that was not known when the call was queued. The answer
// and the call's own commit come in any order; the second of them re-ranks.
type lateTier struct {
	s        *Server
	st       *site
	call     string
	attested tiering.Attestation
	state    lateState
}

// arrived says that the call is queued, or that it never will be.
func (l *lateTier) arrived(ok bool) {
	if l == nil {
		return
	}
	if tier, both := l.state.queued(ok); both {
		l.rerank(tier)
	}
}

// answered is called by the resolver, from a goroutine of its own.
func (l *lateTier) answered(t tiering.Tier) {
	if l.state.answered(t) {
		l.rerank(t)
	}
}

// rerank must not hold up who calls it.
func (l *lateTier) rerank(t tiering.Tier) {
	s := l.s
	s.work.run(func() {
		ctx, cancel := context.WithTimeout(s.base, 10*time.Second)
		defer cancel()
		tier, unattested := s.served(t, l.attested)
		_, err := l.st.engine.Do(ctx, &queue.Rerank{Call: l.call, Tier: tier, UnattestedVIP: unattested, OnlyProvisional: true})
		if err != nil && s.base.Err() == nil {
			s.log.Warn("a late tier could not be applied: the call stays ordinary", "site", l.st.name, "call", l.call, "error", err)
		}
	})
}
