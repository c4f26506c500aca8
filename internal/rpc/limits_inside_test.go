package rpc

import (
	"context"
	"fmt"
	"net"
	"testing"

	"google.golang.org/grpc/peer"

	"greenlane/internal/identity"
)

func TestWhoSharesALimit(t *testing.T) {
	from := func(addr string) context.Context {
		a, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		return peer.NewContext(context.Background(), &peer.Peer{Addr: a})
	}
	agent := identity.Identity{Name: "x", Roles: identity.Agent, By: identity.ByToken}
	same := func(what string, a, b guestKey, want bool) {
		t.Helper()
		if (a == b) != want {
			t.Errorf("%s: %v and %v", what, a, b)
		}
	}
	open := identity.Open()
	key := keyOf(from("10.0.0.1:1000"), open)
	same("one address, two ports", key, keyOf(from("10.0.0.1:2000"), open), true)
	same("two addresses", key, keyOf(from("10.0.0.2:1000"), open), false)
	same("one host's IPv6 network", keyOf(from("[2001:db8::1]:1"), open), keyOf(from("[2001:db8::ffff:1]:1"), open), true)
	same("two IPv6 networks", keyOf(from("[2001:db8::1]:1"), open), keyOf(from("[2001:db8:0:1::1]:1"), open), false)
	same("an IPv4 address written as IPv6", keyOf(from("[::ffff:10.0.0.1]:1"), open), key, true)
	same("an identity at two addresses", keyOf(from("10.0.0.1:1"), agent), keyOf(from("10.0.0.2:1"), agent), true)
	sw := agent
	sw.Roles = identity.Switch
	same("an agent and a switch of one name", keyOf(from("10.0.0.1:1"), agent), keyOf(from("10.0.0.1:1"), sw), false)
	same("who proved nothing", keyOf(from("10.0.0.1:1"), identity.Identity{}), key, false)
	for id, want := range map[identity.Role]string{identity.Agent: "agent", identity.Agent | identity.Switch: "several", 0: "none"} {
		if got := roleLabel(id); got != want {
			t.Errorf("role %v is told as %s", id, got)
		}
	}
}

func TestTheLimitsOfAnIdentity(t *testing.T) {
	l := Limits{
		Roles: map[identity.Role]RoleLimits{
			identity.Agent: {Streams: 2, Rate: 5, Burst: 9, Message: 100}, identity.Switch: {Streams: 7, Rate: 3, Burst: 0, Message: 50},
		},
		Open: RoleLimits{Streams: 99}, Names: map[string]RoleLimits{"gate": {Streams: 10_000}},
	}
	for _, x := range []struct {
		what string
		id   identity.Identity
		want RoleLimits
	}{
		{"nobody is asked", identity.Open(), RoleLimits{Streams: 99}},
		{"one role", identity.Identity{Roles: identity.Agent, By: identity.ByToken}, RoleLimits{Streams: 2, Rate: 5, Burst: 9, Message: 100}},
		{"two roles", identity.Identity{Roles: identity.Agent | identity.Switch, By: identity.ByToken}, RoleLimits{Streams: 7, Rate: 5, Message: 100}},
		{"a role without limits", identity.Identity{Roles: identity.Agent | identity.Metrics, By: identity.ByToken}, RoleLimits{}},
		{"a name", identity.Identity{Name: "gate", Roles: identity.Agent, By: identity.ByCertificate}, RoleLimits{Streams: 10_000}},
		{"nothing proved", identity.Identity{}, RoleLimits{Streams: 2, Rate: 5, Burst: 9, Message: 100}},
	} {
		if got := l.of(x.id); got != x.want {
			t.Errorf("%s: %+v, want %+v", x.what, got, x.want)
		}
	}
}

// One with a stream open keeps its count, however many others come and go.
func TestIdentitiesAreForgottenByIdleness(t *testing.T) {
	l := newLimiter(Limits{Roles: map[identity.Role]RoleLimits{identity.Agent: {Streams: 1}}}, nil)
	named := func(i int) identity.Identity {
		return identity.Identity{Name: fmt.Sprint("a", i), Roles: identity.Agent, By: identity.ByToken}
	}
	ctx := context.Background()
	g, err := l.open(ctx, named(0))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 * guestsKept {
		l.guest(ctx, named(i+1))
	}
	if l.idle.Len() > guestsKept || len(l.busy) != 1 {
		t.Errorf("%d idle ones are remembered, %d busy ones", l.idle.Len(), len(l.busy))
	}
	if _, err := l.open(ctx, named(0)); err == nil {
		t.Error("a second stream of one that may have one")
	}
	l.leave(g)
	if g, err = l.open(ctx, named(0)); err != nil {
		t.Errorf("after the first has ended: %v", err)
	}
	l.leave(g)
	if len(l.busy) != 0 {
		t.Errorf("%d busy ones", len(l.busy))
	}
}

// TestRoomForLargeMessages is shared by all, and nobody has all of it.
func TestRoomForLargeMessages(t *testing.T) {
	l, ctx := newLimiter(Limits{}, nil), context.Background()
	take := func(name string, bytes int64, want bool) *room {
		t.Helper()
		r := &room{l: l, g: l.guestAs(guestKey{openLabel, name}, RoleLimits{})}
		if err := r.hold(ctx, bytes); (err == nil) != want {
			t.Errorf("%s, %d bytes: %v", name, bytes, err)
		}
		return r
	}
	first := take("a", MaxMessage, true)
	take("a", MaxMessage, true)
	take("a", smallMessage+1, false)
	take("a", smallMessage, true)
	take("b", MaxMessage, true)
	other := take("b", MaxMessage, true)
	take("c", smallMessage+1, false) // four of them are all that there is
	if err := first.hold(ctx, smallMessage+1); err != nil {
		t.Errorf("a smaller one after a large one: %v", err)
	}
	take("c", MaxMessage-smallMessage-1, true)
	take("c", smallMessage+1, false)
	other.leave()
	if err := other.hold(ctx, MaxMessage); err == nil {
		t.Error("a request that has ended takes room")
	}
	take("c", MaxMessage, true)
	take("d", MaxMessage+1, false)
	if got := l.large.Load(); got != roomForLarge {
		t.Errorf("%d bytes are held, want %d", got, roomForLarge)
	}
}
