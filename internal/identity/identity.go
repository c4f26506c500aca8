// Package identity says who makes a request: what was proved by a certificate or
// a token, carried in the request's context. It decides nothing; the table of
// who may do what is internal/rpc's.
package identity

import (
	"context"
	"slices"
	"strings"
)

// Role is what an identity may be used for. An identity can have several.
type Role uint8

// The roles. The zero Role is none.
const (
	Switch     Role = 1 << iota // a telephony switch: reports calls
	Agent                       // a softphone: acts for one agent
	Supervisor                  // sees and moves calls
	BackOffice                  // keeps tiers and callbacks
	Metrics                     // reads /metrics
)

// All is every role: what everybody has when a daemon on loopback asks nobody who
// they are.
const All = Switch | Agent | Supervisor | BackOffice | Metrics

var roleNames = []struct {
	role Role
	name string
}{{Switch, "switch"}, {Agent, "agent"}, {Supervisor, "supervisor"}, {BackOffice, "back-office"}, {Metrics, "metrics"}}

// ParseRole reads one role's name, as certificates, tokens and the configuration
// spell it.
func ParseRole(name string) (Role, bool) {
	for _, r := range roleNames {
		if r.name == name {
			return r.role, true
		}
	}
	return 0, false
}

// Names lists the names that ParseRole knows.
func Names() []string {
	var out []string
	for _, r := range roleNames {
		out = append(out, r.name)
	}
	return out
}

// Has reports whether r contains any role of want.
func (r Role) Has(want Role) bool { return r&want != 0 }

// String lists the roles by name: "agent,supervisor"; "none" when there is none.
func (r Role) String() string {
	var out []string
	for _, n := range roleNames {
		if r.Has(n.role) {
			out = append(out, n.name)
		}
	}
	if out == nil {
		return "none"
	}
	return strings.Join(out, ",")
}

// How an identity was proved.
const (
	ByNobody      = "open"        // it was not: the daemon asks nobody
	ByCertificate = "certificate" // mutual TLS
	ByToken       = "token"       // a bearer token
)

// Identity is who makes a request.
type Identity struct {
	// Name is the switch_id of a switch, the agent_id of an agent, and a user's
	// name otherwise. Empty when nobody was asked; AnyName for a gateway.
	Name string
	// Roles are what the identity may be used for, at the sites below.
	Roles Role
	// Sites are those it belongs to; AllSites among them means all.
	Sites []string
	// By is how it was proved: ByCertificate, ByToken or ByNobody.
	By string
}

// AllSites in Identity.Sites stands for every site.
const AllSites = "*"

// AnyName is the name of who may act under every name its roles allow: a gateway
// that carries the softphones of a whole call centre.
const AnyName = "*"

// Open is the identity of everybody when a daemon asks nobody who they are.
func Open() Identity { return Identity{Roles: All, Sites: []string{AllSites}, By: ByNobody} }

// Proved reports whether somebody proved to be this identity.
func (id Identity) Proved() bool { return id.By == ByCertificate || id.By == ByToken }

// At reports whether the identity belongs to a site.
func (id Identity) At(site string) bool {
	return slices.Contains(id.Sites, AllSites) || slices.Contains(id.Sites, site)
}

// Only reports whether the identity is bound to be itself: one who proved a name
// other than AnyName and has the role, and none of the roles that may act for
// others.
func (id Identity) Only(role, others Role) bool {
	return id.By != ByNobody && id.Name != AnyName && id.Roles.Has(role) && !id.Roles.Has(others)
}

type key struct{}

// With returns a context of a request that id makes.
func With(ctx context.Context, id Identity) context.Context { return context.WithValue(ctx, key{}, id) }

// From returns who makes the request of ctx. Without an identity in it the answer
// is nobody, who has no role and no site.
func From(ctx context.Context) Identity {
	id, _ := ctx.Value(key{}).(Identity)
	return id
}
