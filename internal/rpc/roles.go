package rpc

import (
	"slices"
	"strings"

	"greenlane/internal/identity"
	pb "greenlane/proto/greenlane/v1"
)

// Rule says who may call one rpc, or ask for one path of HTTP. What no rule names
// is denied.
type Rule struct {
	// Path is an rpc's full name, or a path of HTTP; one that ends with a slash
	// stands for everything below it.
	Path string
	// Open lets everybody in, without any credential.
	Open bool
	// Roles are those of whom one is needed.
	Roles identity.Role
	// Self are the roles that are bound to act under their own name, unless their
	// bearer has another of Roles too; 0: none is.
	Self identity.Role
	// Every says that the identity must belong to every site of the daemon, since
	// what is asked for tells of them all.
	Every bool
	// Note says what else is checked.
	Note string

	// limit checks what the rest of the rule cannot say.
	limit func(id identity.Identity, req any) string
}

// Short names for the table.
const (
	sw    = identity.Switch
	ag    = identity.Agent
	sup   = identity.Supervisor
	back  = identity.BackOffice
	scrap = identity.Metrics
)

// The notes of the table, which docs/security.md shows.
const (
	noteOwnCalls  = "only its own calls"
	noteOwnOffers = "only its own offers"
	noteClaims    = "only what it claimed itself"
	noteOnDuty    = "an agent only when signed in, of the queues it serves"
	noteOmit      = "an agent only with `omit_agents`"
	noteCaller    = "an agent only with `caller`: the history of one"
	noteOwnCall   = "an agent only the call it has"
)

// rules is the one table of who may do what.
var rules = []Rule{
	{Path: "/greenlane.v1.SwitchService/CallArrived", Roles: sw, Self: sw},
	{Path: "/greenlane.v1.SwitchService/CallAbandoned", Roles: sw, Self: sw, Note: noteOwnCalls},
	{Path: "/greenlane.v1.SwitchService/CallEnded", Roles: sw, Self: sw, Note: noteOwnCalls},
	{Path: "/greenlane.v1.SwitchService/Connect", Roles: sw, Self: sw, Note: noteOwnCalls},
	{Path: "/greenlane.v1.SwitchService/Reconcile", Roles: sw, Self: sw, Note: noteOwnCalls},

	{Path: "/greenlane.v1.AgentService/SignIn", Roles: ag, Self: ag},
	{Path: "/greenlane.v1.AgentService/NextCall", Roles: ag, Self: ag},
	{Path: "/greenlane.v1.AgentService/Accept", Roles: ag, Self: ag, Note: noteOwnOffers},
	{Path: "/greenlane.v1.AgentService/Decline", Roles: ag, Self: ag, Note: noteOwnOffers},
	{Path: "/greenlane.v1.AgentService/Acknowledge", Roles: ag, Self: ag, Note: noteOwnOffers},
	{Path: "/greenlane.v1.AgentService/Complete", Roles: ag, Self: ag, Note: noteOwnCalls},
	{Path: "/greenlane.v1.AgentService/SetState", Roles: ag | sup, Self: ag},
	{Path: "/greenlane.v1.AgentService/SignOut", Roles: ag | sup, Self: ag},
	{Path: "/greenlane.v1.AgentService/Session", Roles: ag, Self: ag},
	{Path: "/greenlane.v1.AgentService/Listen", Roles: ag, Self: ag},

	{Path: "/greenlane.v1.SupervisorService/GetSnapshot", Roles: sup | ag, Note: noteOmit, limit: withoutAgents},
	{Path: "/greenlane.v1.SupervisorService/Watch", Roles: sup},
	{Path: "/greenlane.v1.SupervisorService/GetCohorts", Roles: sup},
	{Path: "/greenlane.v1.SupervisorService/ListCalls", Roles: sup | ag, Note: noteCaller, limit: ofOneCaller},
	{Path: "/greenlane.v1.SupervisorService/ListAgents", Roles: sup},
	{Path: "/greenlane.v1.SupervisorService/Explain", Roles: sup | ag, Note: noteOwnCall},
	{Path: "/greenlane.v1.SupervisorService/MoveCall", Roles: sup},
	{Path: "/greenlane.v1.SupervisorService/SetTier", Roles: sup},
	{Path: "/greenlane.v1.SupervisorService/StreamEvents", Roles: sup},
	{Path: "/greenlane.v1.SupervisorService/EraseCaller", Roles: sup | back},

	{Path: "/greenlane.v1.CallbackService/List", Roles: sup | back | ag},
	{Path: "/greenlane.v1.CallbackService/Create", Roles: sup | back | ag},
	{Path: "/greenlane.v1.CallbackService/Claim", Roles: sup | ag, Self: sup | ag, Note: noteOnDuty},
	{Path: "/greenlane.v1.CallbackService/Report", Roles: sup | ag, Self: sup | ag, Note: noteClaims},
	{Path: "/greenlane.v1.CallbackService/Reschedule", Roles: sup | back},
	{Path: "/greenlane.v1.CallbackService/Cancel", Roles: sup | back},

	{Path: "/greenlane.v1.TierService/Lookup", Roles: back | sup},
	{Path: "/greenlane.v1.TierService/Set", Roles: back | sup},
	{Path: "/greenlane.v1.TierService/BatchSet", Roles: back},
	{Path: "/greenlane.v1.TierService/Score", Roles: back | sup},
	{Path: "/greenlane.v1.TierService/Blacklist", Roles: back | sup},
	{Path: "/greenlane.v1.TierService/ListBlacklist", Roles: back | sup},
	{Path: "/greenlane.v1.TierService/List", Roles: back},
	{Path: "/greenlane.v1.TierService/Count", Roles: back | sup},
	{Path: "/greenlane.v1.TierService/GetGrading", Roles: back | sup},
	{Path: "/greenlane.v1.TierService/Rate", Roles: back | sup | ag},
	{Path: "/greenlane.v1.TierService/ListCare", Roles: back | sup},

	{Path: "/grpc.health.v1.Health/Check", Open: true},
	{Path: "/grpc.health.v1.Health/List", Open: true},
	{Path: "/grpc.health.v1.Health/Watch", Open: true},
	{Path: "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Roles: identity.All},
	{Path: "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Roles: identity.All},

	{Path: "/healthz", Open: true},
	{Path: "/readyz", Open: true},
	{Path: "/metrics", Roles: scrap | sup, Every: true},
	{Path: "/", Roles: sup},
	{Path: "/wallboard/stream", Roles: sup},
	{Path: "/agent", Roles: ag},
	{Path: "/whoami", Roles: identity.All},
	{Path: "/login", Open: true},
	{Path: "/logout", Open: true},
	{Path: "/ui/", Open: true},
}

// Rules returns the table, for documents and tests.
func Rules() []Rule { return slices.Clone(rules) }

var ruleOf = func() map[string]*Rule {
	m := make(map[string]*Rule, len(rules))
	for i := range rules {
		m[rules[i].Path] = &rules[i]
	}
	return m
}()

// ruleOfPath finds the rule of a path of HTTP.
func ruleOfPath(path string) *Rule {
	if r := ruleOf[path]; r != nil {
		return r
	}
	if i := strings.IndexByte(strings.TrimPrefix(path, "/"), '/'); i > 0 {
		return ruleOf[path[:i+2]]
	}
	return nil
}

// withoutAgents lets those who may not see other agents see the queues.
func withoutAgents(id identity.Identity, req any) string {
	shot, ok := req.(*pb.GetSnapshotRequest)
	if ok && !shot.GetOmitAgents() && id.Only(identity.Agent, identity.Supervisor) {
		return "omit_agents: an agent sees the queues, not the other agents"
	}
	return ""
}

// ofOneCaller lets agents see what became of a caller's earlier calls.
func ofOneCaller(id identity.Identity, req any) string {
	list, ok := req.(*pb.ListCallsRequest)
	if ok && list.GetCaller() == "" && id.Only(identity.Agent, identity.Supervisor) {
		return "caller: an agent sees the calls of one caller"
	}
	return ""
}

// subjectOf returns the site that a request is about, and under which name of the
// role self it acts. An empty name is left to the checks of the fields.
func subjectOf(req any, self identity.Role) (site, name string, sited bool) {
	switch m := req.(type) {
	case *pb.SessionRequest:
		req = m.GetHello() // a nil one has no site and no name
	case *pb.ConnectRequest:
		site, name = trunkOf(m)
		return site, name, true
	}
	if r, ok := req.(interface{ GetSite() string }); ok {
		site, sited = r.GetSite(), true
	}
	switch {
	case self == identity.Switch:
		if r, ok := req.(interface{ GetSwitchId() string }); ok {
			name = r.GetSwitchId()
		}
	case self.Has(identity.Agent):
		if r, ok := req.(interface{ GetAgentId() string }); ok {
			name = r.GetAgentId()
		} else if r, ok := req.(interface{ GetClaimant() string }); ok {
			name = r.GetClaimant()
		}
	}
	return site, name, sited
}

// selfField is what the role calls its name in requests.
func selfField(req any, self identity.Role) string {
	if self == identity.Switch {
		return "switch_id"
	}
	if _, ok := req.(interface{ GetClaimant() string }); ok {
		return "claimant"
	}
	return "agent_id"
}
