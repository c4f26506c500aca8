package app

import (
	"context"
	"time"

	"greenlane/internal/instant"
	"greenlane/internal/rpc"
	"greenlane/tiering"
	"greenlane/tiering/resolve"
)

// resolver is package resolve as the handlers see it, observed.
//
// A directory in a file of this machine is asked directly first. It answers from
// mapped memory and waits for nobody, so a deadline would only guard against
// this process having no processor time, and then take a VIP for an ordinary
// caller just when it is busy. When it fails, package resolve asks again.
type resolver struct {
	local   tiering.Directory                        // nil: the directory is not on this machine
	arrived func(site string, caller tiering.Number) // told every caller
	now     func() time.Time
	resolve *resolve.Resolver
	observe func(result string, took time.Duration)
}

// Resolve implements rpc.Resolver.
func (r *resolver) Resolve(ctx context.Context, site string, caller tiering.Number) rpc.Answer {
	began := time.Now()
	r.arrived(site, caller)
	a := r.ask(ctx, site, caller)
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

func (r *resolver) ask(ctx context.Context, site string, caller tiering.Number) resolve.Answer {
	if r.local != nil {
		if e, _, err := r.local.Lookup(ctx, site, caller); err == nil {
			return resolve.Answer{Standing: e.At(instant.Of(r.now()))}
		}
	}
	return r.resolve.Resolve(ctx, site, caller)
}
