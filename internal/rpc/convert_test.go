package rpc

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"greenlane/callback"
	"greenlane/internal/instant"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

// TestEnumsHaveTheSameNumbers: conversion is a change of type, which is only
// right while the two sides count alike.
func TestEnumsHaveTheSameNumbers(t *testing.T) {
	check := func(e protoreflect.EnumDescriptor, name func(uint8) string) {
		values := e.Values()
		prefix := strings.TrimSuffix(string(values.Get(0).Name()), "UNSPECIFIED")
		for i := range values.Len() {
			v := values.Get(i)
			want := strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix))
			got := name(uint8(v.Number()))
			if i == 0 {
				want = "unset"
			}
			if got != want {
				t.Errorf("%s %d is %s in the API and %s in the core", e.Name(), v.Number(), want, got)
			}
		}
		beyond := name(uint8(values.Len()))
		if beyond != "unknown" && !strings.Contains(beyond, "(") {
			t.Errorf("the core's %s %d, %s, is missing in the API", e.Name(), values.Len(), beyond)
		}
	}
	check(pb.Tier(0).Descriptor(), func(n uint8) string { return tiering.Tier(n).String() })
	check(pb.CallState(0).Descriptor(), func(n uint8) string { return queue.CallState(n).String() })
	check(pb.AgentState(0).Descriptor(), func(n uint8) string { return queue.AgentState(n).String() })
	check(pb.EventType(0).Descriptor(), func(n uint8) string { return queue.EventType(n).String() })
	check(pb.CallbackState(0).Descriptor(), func(n uint8) string { return callback.State(n).String() })
	check(pb.CallbackResult(0).Descriptor(), func(n uint8) string { return callback.Result(n).String() })
	check(pb.Attestation(0).Descriptor(), func(n uint8) string { return tiering.Attestation(n).String() })
}

func TestStampsAreExact(t *testing.T) {
	for _, i := range []instant.Instant{1, 999, 1000, 1_700_000_000_123, -1, -1001} {
		if got := toTime(i).AsTime(); got.UnixMilli() != int64(i) || toTime(i).CheckValid() != nil {
			t.Errorf("%d became %v", i, got)
		}
	}
	if toTime(0) != nil {
		t.Error("an instant that is not set became a time")
	}
	if d := toDuration(1500 * time.Millisecond); d.AsDuration() != 1500*time.Millisecond {
		t.Error(d)
	}
	if toDuration(-1) != nil {
		t.Error("no estimate became one")
	}
}

// TestACallIsConvertedWhole fills every field and looks for one that got lost.
func TestACallIsConvertedWhole(t *testing.T) {
	c := &queue.Call{
		ID: "c", Switch: "s", Caller: "+8613800138000", Dialed: "95555", Queue: "billing", Tier: tiering.VIP, Provisional: true,
		Attestation: tiering.AttestationFull, UnattestedVIP: true, State: queue.CallCompleted, Late: true, PreferredAgent: "p",
		Attributes: []queue.Attribute{{Key: "k", Value: "v"}}, Reason: "agent_completed", Seq: 7, ArrivedAt: 1000, JoinedAt: 2000,
		OfferedAt: 3000, AnsweredAt: 4500, EndedAt: 5000, Agent: "a", Offer: 9, Offers: 2, OverflowedFrom: "sales", Callback: "cb-1",
	}
	whole(t, toCall("main", c, 9000).ProtoReflect())
	cb := &callback.Callback{
		ID: "cb-1", Seq: 1, Caller: "+8613800138000", Queue: "q", Tier: tiering.Mid, State: callback.StateDone, CallID: "c", Reason: "r",
		CreatedAt: 1, ArrivedAt: 2, DueAt: 3, Deadline: 4, Attempts: 5, LastResult: callback.ResultBusy, LastAttemptAt: 6, ClaimedBy: "a",
		ClaimEpoch: 1, ClaimUntil: 7, EndedAt: 8, EndReason: "reached", Note: "n", EscalatedAt: 9,
	}
	whole(t, toCallback("main", cb).ProtoReflect())
	a := &queue.Agent{
		ID: "a", Endpoint: "SIP/1", Services: []queue.Service{{Queue: "q", Level: 2}}, State: queue.AgentReady, Reason: "r", Since: 1,
		IdleSince: 2, Call: "c", Callback: "cb", Offer: 3, WrapUp: 4000, WrapUntil: 5, NextPause: true, Presence: queue.PresentRing, RingBySwitch: true,
	}
	whole(t, toAgent("main", a).ProtoReflect())
	o := toOffer("main", &queue.Offer{Epoch: 9, Agent: "a", Call: c, Callback: cb, OfferedAt: 1, ExpiresAt: 2, Why: "longest_idle"}, 9000)
	whole(t, o.ProtoReflect())
	e := &queue.Event{
		Seq: 1, At: 9000, Type: queue.EventCallCompleted, Call: "c", Agent: "a", Queue: "q", FromQueue: "f", Tier: tiering.VIP,
		FromTier: tiering.Mid, Offer: 2, Callback: "cb", AgentState: queue.AgentReady, Reason: "r", Why: "w", Switch: "s", JoinedAt: 1000,
		Wait: time.Second, Late: true, Talk: time.Minute,
	}
	whole(t, toEvent(e).ProtoReflect())
}

// whole reports every field that is not set.
func whole(t *testing.T, m protoreflect.Message) {
	t.Helper()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); !m.Has(f) {
			t.Errorf("%s: the core's value did not arrive", f.FullName())
		}
	}
}

func TestWaitOfAnEvent(t *testing.T) {
	joined := queue.Event{Type: queue.EventCallOffered, At: 5000, JoinedAt: 2000}
	if w := toEvent(&joined).GetWait(); w == nil || w.AsDuration() != 3*time.Second {
		t.Errorf("an offer 3 s after the arrival says %v", w)
	}
	if w := toEvent(&queue.Event{Type: queue.EventAgentSignedIn, At: 5000}).GetWait(); w != nil {
		t.Errorf("an agent's sign-in says that a caller waited %v", w)
	}
	answered := queue.Event{Type: queue.EventCallAnswered, At: 5000, JoinedAt: 5000}
	if w := toEvent(&answered).GetWait(); w == nil || w.AsDuration() != 0 {
		t.Errorf("an answer without a wait says %v", w)
	}
}
