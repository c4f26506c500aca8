package app

import (
	"maps"
	"slices"

	"greenlane/internal/config"
	"greenlane/internal/identity"
	"greenlane/internal/rpc"
	"greenlane/queue"
)

// limit gives the handlers the limits of the configuration, and tells the metrics
// what was refused for them.
func (a *App) limit(opts *rpc.Options) {
	r := &a.cfg.Limits.Roles
	opts.Limits = rpc.Limits{
		Roles: map[identity.Role]rpc.RoleLimits{
			identity.Switch: rpc.RoleLimits(r.Switch), identity.Agent: rpc.RoleLimits(r.Agent),
			identity.Supervisor: rpc.RoleLimits(r.Supervisor), identity.BackOffice: rpc.RoleLimits(r.BackOffice),
			identity.Metrics: rpc.RoleLimits(r.Metrics),
		},
		Open:  rpc.RoleLimits(r.Open),
		Names: map[string]rpc.RoleLimits{},
	}
	for _, n := range a.cfg.Limits.Names {
		opts.Limits.Names[n.Name] = rpc.RoleLimits(n.Use)
	}
	opts.Arrivals = rpc.ArrivalLimits(a.cfg.Limits.Arrivals)
	opts.Switches = switchesOf(a.cfg.Switches)
	ids := slices.AppendSeq([]string{config.OtherSwitches}, maps.Keys(opts.Switches))
	for _, site := range a.cfg.Sites {
		a.daemon.ExpectCalls(site.Name, ids, []string{queue.ReasonNumberFlood, queue.ReasonSwitchFlood})
	}
	opts.Tell = rpc.Tell{Limit: a.daemon.LimitReached, Flood: a.daemon.Flood, VIPClaim: a.daemon.VIPClaimRefused}
}

func switchesOf(list []config.Switch) map[string]rpc.Switch {
	out := map[string]rpc.Switch{}
	for _, s := range list {
		out[s.ID] = rpc.Switch{Trust: s.Trusted(), Arrivals: s.Arrivals}
	}
	return out
}
