package rpc

import (
	"context"
	"testing"

	"greenlane/internal/audit"
	"greenlane/internal/identity"
	"greenlane/queue"
)

// TestAgentsWhoActForThemselvesAreNotRecorded: the event log has those; the audit
// record has what others do to them, and who took a callback and came to see its
// number.
func TestAgentsWhoActForThemselvesAreNotRecorded(t *testing.T) {
	log, err := audit.Open(audit.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	st := &site{name: "main"}
	agent := func(name string, roles identity.Role) context.Context {
		return identity.With(context.Background(), identity.Identity{Name: name, Roles: roles, By: identity.ByToken})
	}
	for _, c := range []struct {
		name     string
		ctx      context.Context
		asked    bool
		cmd      queue.Command
		recorded bool
	}{
		{"itself", agent("7001", identity.Agent), true, &queue.SetState{Agent: "7001"}, false},
		{"itself, signing out", agent("7001", identity.Agent), true, &queue.SignOut{Agent: "7001", Force: true}, false},
		{"another agent", agent("7002", identity.Agent), true, &queue.SetState{Agent: "7001"}, true},
		{"a supervisor", agent("anna", identity.Supervisor), true, &queue.SetState{Agent: "7001"}, true},
		{"a supervisor, signing out", agent("anna", identity.Supervisor), true, &queue.SignOut{Agent: "7001"}, true},
		{"a supervisor of the agent's name", agent("7001", identity.Supervisor), true, &queue.SetState{Agent: "7001"}, true},
		{"a gateway of all agents", agent(identity.AnyName, identity.Agent), true, &queue.SetState{Agent: "7001"}, false},
		{"nobody", context.Background(), true, &queue.SetState{Agent: "7001"}, true},
		{"whoever, where nobody is asked", context.Background(), false, &queue.SetState{Agent: "7001"}, false},
		{"whoever, by force", context.Background(), false, &queue.SignOut{Agent: "7001", Force: true}, true},
		{"a call", agent("sw", identity.Switch), true, &queue.Arrive{Call: "c"}, false},
		{"a claim", agent("7001", identity.Agent), true, &queue.ClaimCallback{Callback: "cb"}, true},
		{"a report", agent("7001", identity.Agent), true, &queue.ReportCallback{Callback: "cb"}, true},
	} {
		s := &Server{opts: Options{Audit: log, Authenticated: c.asked}}
		got := s.changeOf(c.ctx, st, c.cmd)
		if (got != nil) != c.recorded {
			t.Errorf("%s: recorded %v, want %v", c.name, got != nil, c.recorded)
		}
		if got != nil && c.asked && got.rec.Who.Name != identity.From(c.ctx).Name {
			t.Errorf("%s: by %+v", c.name, got.rec.Who)
		}
	}
	if s := (&Server{}); s.changeOf(context.Background(), st, &queue.MoveCall{}) != nil {
		t.Error("without a record something is recorded")
	}
}
