package identity_test

import (
	"context"
	"testing"

	"greenlane/internal/identity"
)

func TestNobodyMayNothing(t *testing.T) {
	id := identity.From(context.Background())
	if id.Roles.Has(identity.All) || id.At("main") || id.At("") {
		t.Errorf("a context without an identity has roles %s and sites %q", id.Roles, id.Sites)
	}
}

func TestAnIdentityIsCarried(t *testing.T) {
	want := identity.Identity{Name: "7001", Roles: identity.Agent, Sites: []string{"main"}, By: identity.ByToken}
	got := identity.From(identity.With(context.Background(), want))
	if got.Name != want.Name || got.Roles != want.Roles || !got.At("main") || got.At("other") {
		t.Errorf("carried %+v, got %+v", want, got)
	}
	if !got.Only(identity.Agent, identity.Supervisor) {
		t.Error("an agent by token must act only as itself")
	}
	if identity.Open().Only(identity.Agent, identity.Supervisor) {
		t.Error("where nobody is asked, nobody is bound")
	}
}

func TestRolesAreReadByTheNamesTheyPrint(t *testing.T) {
	for _, name := range identity.Names() {
		role, ok := identity.ParseRole(name)
		if !ok || role.String() != name {
			t.Errorf("ParseRole(%q) = %s, %t", name, role, ok)
		}
	}
	if role, ok := identity.ParseRole("root"); ok || role != 0 {
		t.Errorf("ParseRole(root) = %s, %t; want none", role, ok)
	}
	if got := (identity.Agent | identity.Supervisor).String(); got != "agent,supervisor" {
		t.Errorf("two roles print %q", got)
	}
}
