package app

import (
	"context"
	"time"

	"greenlane/internal/rpc"
	"greenlane/tiering"
	"greenlane/tiering/resolve"
)

// resolver is package resolve as the handlers see it, observed.
type resolver struct {
	resolve *resolve.Resolver
	observe func(result string, took time.Duration)
}

// Resolve implements rpc.Resolver.
func (r *resolver) Resolve(ctx context.Context, site string, caller tiering.Number) rpc.Answer {
	began := time.Now()
	a := r.resolve.Resolve(ctx, site, caller)
	result := "unknown"
	switch {
	case a.Provisional:
		result = "provisional"
	case a.Standing.Known:
		result = "known"
	}
	r.observe(result, time.Since(began))
	out := rpc.Answer{Tier: a.Standing.Tier, Provisional: a.Provisional}
	if a.Provisional {
		out.Later = func(fn func(tiering.Tier)) { a.Later(func(s tiering.Standing) { fn(s.Tier) }) }
	}
	return out
}
