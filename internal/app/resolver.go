package app

import (
	"context"
	"time"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// resolver looks a caller's tier up within the deadline.
type resolver struct {
	dir      tiering.Directory
	deadline time.Duration
	observe  func(result string, took time.Duration)
}

func (a *App) resolver() *resolver {
	return &resolver{dir: a.tiers, deadline: a.cfg.TierLookupDeadline.D(), observe: a.daemon.Lookup}
}

// Resolve implements rpc.Resolver.
func (r *resolver) Resolve(ctx context.Context, site string, caller tiering.Number, _ func(tiering.Tier)) (tiering.Tier, bool) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, r.deadline)
	defer cancel()
	e, known, err := r.dir.Lookup(ctx, site, caller)
	if err != nil {
		r.observe("failed", time.Since(began))
		return tiering.Ordinary, true
	}
	result := "unknown"
	if known {
		result = "known"
	}
	r.observe(result, time.Since(began))
	return e.At(instant.Of(time.Now())).Tier, false
}
