package redisq

import (
	"context"
	"fmt"
	"testing"
	"time"

	"greenlane/internal/redistest"
	"greenlane/queue"
)

// promised opens an engine for a test of what is promised under load.
func promised(t *testing.T, opts Options, change func(*queue.Site)) (e *Engine, do func(queue.Command) queue.Result) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	site := queue.DefaultSite("main")
	site.Queues[0].Capacity = 10_000
	change(&site)
	e, err := Open(ctx, redistest.Start(t, redistest.Options{}).Client(), site, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return e, func(cmd queue.Command) queue.Result {
		t.Helper()
		res, err := e.Do(ctx, cmd)
		if err != nil {
			t.Fatalf("%s: %v", cmd.Kind(), err)
		}
		return res
	}
}

// TestAReaderThatDoesNotRead costs a daemon no memory: what it keeps of the log is
// bounded, and who comes late reads the rest from Redis, all of it and in order.
func TestAReaderThatDoesNotRead(t *testing.T) {
	const recent, calls = 64, 1000
	e, do := promised(t, Options{RecentEvents: recent}, func(*queue.Site) {})
	for i := range calls {
		do(&queue.Arrive{Call: fmt.Sprint("c", i), Switch: "s1"})
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if events, older, _, _ := e.log.look(0, 1); len(events) > 0 || !older {
		t.Errorf("the first event is still held in memory, of which %d are kept for readers", recent)
	}
	for cursor := uint64(0); cursor < calls; {
		events, err := e.Events(ctx, cursor, 50)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range events {
			if ev.Seq != cursor+1 {
				t.Fatalf("event %d follows event %d", ev.Seq, cursor)
			}
			cursor = ev.Seq
		}
	}
}

// TestAgentsOfADeadDaemon: when the lease of a daemon ends, every one of its agents
// is lost, however many they are, and every call that was offered waits again; who
// is talking goes on.
func TestAgentsOfADeadDaemon(t *testing.T) {
	const agents, offered = 200, 150
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	e, do := promised(t, Options{NoTimers: true, Now: func() time.Time { return now }}, func(s *queue.Site) {
		s.OwnerLease, s.AckTimeout = 10*time.Second, 0
	})
	for i := range agents {
		agent := fmt.Sprint("a", i)
		do(&queue.SignIn{Agent: agent, Services: []queue.Service{{Queue: "default", Level: 1}}})
		do(&queue.Attach{Agent: agent, Owner: "d1", Token: "t", Presence: queue.PresentStream})
	}
	for i := range offered {
		do(&queue.Arrive{Call: fmt.Sprint("c", i), Switch: "s1"})
	}
	ctx := context.Background()
	_, talking, err := e.Agent(ctx, "a0")
	if err != nil || talking == nil {
		t.Fatalf("a0 has no offer: %v", err)
	}
	do(&queue.Accept{Agent: "a0", Offer: talking.Epoch})

	now = now.Add(11 * time.Second)
	do(&queue.Tick{})
	for i := range agents {
		a, offer, err := e.Agent(ctx, fmt.Sprint("a", i))
		if err != nil || offer != nil {
			t.Fatalf("a%d: offer %+v, %v", i, offer, err)
		}
		want := queue.AgentNotReady
		if i == 0 {
			want = queue.AgentTalking
		}
		if a.State != want {
			t.Errorf("a%d is %v, want %v", i, a.State, want)
		}
	}
	for i := range offered {
		info, err := e.Call(ctx, fmt.Sprint("c", i))
		want := queue.CallWaiting
		if info.Call.ID == talking.Call.ID {
			want = queue.CallAnswered
		}
		if err != nil || info.Call.State != want {
			t.Errorf("c%d is %v, want %v; %v", i, info.Call.State, want, err)
		}
	}
}
