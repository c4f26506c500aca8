package queue_test

import (
	"errors"
	"testing"

	"greenlane/queue"
	"greenlane/queue/queuetest"
)

// twoQueues returns a site with queues a and b, and one with a alone.
func twoQueues() (both, one queue.Site) {
	both = queue.DefaultSite("main")
	both.Queues, both.DefaultQueue = []queue.Queue{queue.DefaultQueue("a"), queue.DefaultQueue("b")}, "a"
	one = both
	one.Queues = both.Queues[:1]
	return both, one
}

func restore(t *testing.T, site queue.Site, m *queue.Machine) *queue.Machine {
	t.Helper()
	out, err := queue.RestoreMachine(site, queuetest.CloneState(m.State()))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func totalOf(m *queue.Machine, name string) (joined int64) {
	for _, r := range m.State().Totals {
		if r.Queue == name {
			joined += r.Joined
		}
	}
	return joined
}

// A queue that is configured no more is served for as long as somebody waits there,
// by those who signed in for it. Then it is gone, and comes back as it was.
func TestAQueueThatIsConfiguredNoMore(t *testing.T) {
	both, one := twoQueues()
	m, err := queue.NewMachine(both)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, m,
		&queue.Arrive{Call: "c1", Queue: "b"},
		&queue.SignIn{Agent: "a1", Services: []queue.Service{{Queue: "a", Level: 1}, {Queue: "b", Level: 2}}, WrapUp: -1},
	)
	m = restore(t, one, m)
	if n := len(m.Warnings()); n != 1 {
		t.Errorf("%d warnings: %q", n, m.Warnings())
	}
	apply(t, m, &queue.Arrive{Call: "c2", Queue: "b"}, &queue.Attach{Agent: "a1", Owner: "d1", Token: "t", Presence: queue.PresentStream})
	offer := func() uint64 {
		t.Helper()
		_, o, err := m.Agent("a1")
		if err != nil || o == nil {
			t.Fatalf("offer %v, %v", o, err)
		}
		return o.Epoch
	}
	for _, call := range []string{"c1", "c2"} {
		apply(t, m, &queue.Accept{Agent: "a1", Offer: offer()}, &queue.Complete{Agent: "a1", Call: call})
	}
	if _, err := m.Apply(queuetest.GenStart, &queue.Arrive{Call: "c3", Queue: "b"}); !errors.Is(err, queue.ErrQueueNotFound) {
		t.Errorf("a call for the queue that is gone: %v", err)
	}
	m.TakeChanges()
	if diff := queue.DiffDerived(m, restore(t, one, m)); diff != "" {
		t.Error(diff)
	}
	if n := totalOf(m, "b"); n != 2 {
		t.Errorf("%d calls are counted in the queue that is gone, want 2", n)
	}

	m = restore(t, both, m)
	apply(t, m, &queue.Arrive{Call: "c4", Queue: "b"}, &queue.Accept{Agent: "a1", Offer: 3})
	if n := totalOf(m, "b"); n != 3 {
		t.Errorf("%d calls are counted in the queue that is back, want 3", n)
	}
}

// A late lookup may earn a caller a callback after the queue is gone: the promise is
// kept there.
func TestACallbackOfAQueueThatIsConfiguredNoMore(t *testing.T) {
	both, one := twoQueues()
	m, err := queue.NewMachine(both)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, m,
		&queue.SignIn{Agent: "a1", Services: []queue.Service{{Queue: "b", Level: 1}}, WrapUp: -1, RingBySwitch: false},
		&queue.Arrive{Call: "c1", Queue: "b", Caller: "+8613800000001", Provisional: true},
		&queue.SetState{Agent: "a1", State: queue.AgentNotReady, Reason: "lunch"},
	)
	late := queuetest.GenStart + 30_000
	if _, err := m.Apply(late, &queue.Abandon{Call: "c1"}); err != nil {
		t.Fatal(err)
	}
	m = restore(t, one, m)
	res, err := m.Apply(late, &queue.Rerank{Call: "c1", Tier: 2, OnlyProvisional: true})
	if err != nil || res.Callback == nil {
		t.Fatalf("%+v, %v", res, err)
	}
	cb := res.Callback.ID
	for _, cmd := range []queue.Command{
		&queue.SetState{Agent: "a1", State: queue.AgentReady},
		&queue.RescheduleCallback{Callback: cb, DueAt: late + 60_000},
	} {
		if _, err := m.Apply(late, cmd); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Apply(late+60_000, &queue.Attach{Agent: "a1", Owner: "d1", Token: "t", Presence: queue.PresentStream}); err != nil {
		t.Fatal(err)
	}
	if _, o, err := m.Agent("a1"); err != nil || o == nil || o.Callback == nil || o.Callback.ID != cb {
		t.Fatalf("offer %+v, %v", o, err)
	}
	m.TakeChanges()
	if diff := queue.DiffDerived(m, restore(t, one, m)); diff != "" {
		t.Error(diff)
	}
}
