package rpc

import (
	"context"
	"maps"
	"slices"

	"greenlane/callback"
	"greenlane/internal/discreet"
	"greenlane/internal/identity"
	"greenlane/internal/instant"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

// viewer is whose eyes a message is for. It decides, and nobody else does, who
// reads a caller's number in full: every call, callback, offer and list of callers
// that leaves this package passes through it. The zero viewer sees none.
type viewer struct {
	full     bool   // sees every number
	agent    string // sees those of its own offers and of the call it has
	trunk    string // a switch: sees those of the calls it reported
	claimant string // sees those of the callbacks it has claimed
}

// viewer returns who looks when ctx's request is answered. The back office works
// with numbers, and sees all of them; so does everybody when nobody is asked who
// they are.
func (s *Server) viewer(ctx context.Context) viewer {
	id := s.who(ctx)
	if id.By == identity.ByNobody && id.Roles.Has(identity.All) || id.Roles.Has(identity.BackOffice) {
		return viewer{full: true}
	}
	v := viewer{claimant: id.Name}
	if id.Roles.Has(identity.Agent) {
		v.agent = id.Name
	}
	if id.Roles.Has(identity.Switch) {
		v.trunk = id.Name
	}
	return v
}

// asAgent is the viewer of a request that acts for an agent, which the table of
// roles has allowed.
func (v viewer) asAgent(agent string) viewer {
	v.agent, v.claimant = agent, agent
	return v
}

// asSwitch is the viewer of a request that speaks for a switch.
func (v viewer) asSwitch(id string) viewer {
	v.trunk = id
	return v
}

// asClaimant is the viewer of a request by whoever claims a callback, in order to
// ring the number.
func (v viewer) asClaimant(claimant string) viewer {
	v.claimant = claimant
	return v
}

// maskedIf sees no number at all when that was asked for.
func (v viewer) maskedIf(asked bool) viewer {
	if asked {
		return viewer{}
	}
	return v
}

func (v viewer) seesCall(c *queue.Call) bool {
	switch {
	case v.full:
		return true
	case v.trunk != "" && c.Switch == v.trunk:
		return true
	}
	return v.agent != "" && c.Agent == v.agent && (c.State == queue.CallOffered || c.State == queue.CallAnswered)
}

func (v viewer) seesCallback(c *callback.Callback) bool {
	return v.full || v.claimant != "" && c.ClaimedBy == v.claimant && c.State == callback.StateClaimed
}

// call converts a call; now is what its wait runs to while it waits.
func (v viewer) call(site string, c *queue.Call, now instant.Instant) *pb.Call {
	p := toCall(site, c, now)
	if p != nil && !v.seesCall(c) {
		maskCall(p)
	}
	return p
}

// maskCall hides the number in a call, and in what its switch says of it.
func maskCall(p *pb.Call) {
	p.Caller, p.Attributes = masked(p.GetCaller()), maskAttributes(p.GetAttributes())
}

// maskAttributes hides numbers in values and in keys. Keys that read the same then
// stay apart by asterisks at their end.
func maskAttributes(in map[string]string) map[string]string {
	if len(in) == 0 {
		return in
	}
	out := make(map[string]string, len(in))
	for _, key := range slices.Sorted(maps.Keys(in)) {
		name := discreet.Words(key)
		for _, taken := out[name]; taken; _, taken = out[name] {
			name += "*"
		}
		out[name] = discreet.Words(in[key])
	}
	return out
}

func maskCallback(p *pb.Callback) {
	p.Caller, p.Note = masked(p.GetCaller()), discreet.Words(p.GetNote())
}

func (v viewer) callback(site string, c *callback.Callback) *pb.Callback {
	p := toCallback(site, c)
	if p != nil && !v.seesCallback(c) {
		maskCallback(p)
	}
	return p
}

// caller returns the number of a caller of whom no more is asked than a list.
func (v viewer) caller(n tiering.Number) string {
	if v.full {
		return string(n)
	}
	return masked(string(n))
}

// note returns what was written about a caller.
func (v viewer) note(text string) string {
	if v.full {
		return text
	}
	return discreet.Words(text)
}

// earned converts the callback that a call earned: it has the same number, and
// whoever sees the one sees the other. The promise may be older, earned by a call of
// another switch: then whose call, who has claimed it and why is not this one's to
// know.
func (v viewer) earned(site string, cb *callback.Callback, c *queue.Call) *pb.Callback {
	foreign := !v.full && cb != nil && (c == nil || cb.CallID != c.ID)
	v.full = v.full || cb != nil && c != nil && cb.Caller == c.Caller && v.seesCall(c)
	p := v.callback(site, cb)
	if foreign {
		p.CallId, p.ClaimedBy, p.Note = "", "", ""
	}
	return p
}

// offer converts an offer. The agent it is made to is about to speak with the
// caller.
func (v viewer) offer(site string, o *queue.Offer, now instant.Instant) *pb.Offer {
	p := toOffer(site, o, now)
	if p == nil || v.agent != "" && o.Agent == v.agent {
		return p
	}
	if p.Call != nil && !v.seesCall(o.Call) {
		maskCall(p.GetCall())
	}
	if p.Callback != nil && !v.seesCallback(o.Callback) {
		maskCallback(p.GetCallback())
	}
	return p
}
