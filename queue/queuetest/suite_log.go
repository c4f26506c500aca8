package queuetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"greenlane/queue"
	"greenlane/tiering"
)

// logCases are the sentences about Events and LastEvent, and what an event is.
var logCases = []testCase{
	{says: "the last event of an empty site is 0", run: func(d *desk) {
		equal(d, "last", d.last(), 0)
		d.arrive("c1")
		equal(d, "last", d.last(), 1)
	}},
	{says: "events after a sequence come oldest first up to a limit", run: func(d *desk) {
		for i := range 9 {
			d.arrive(fmt.Sprint("c", i))
		}
		for _, want := range []struct {
			after uint64
			limit int
			first uint64
			n     int
		}{{0, 4, 1, 4}, {4, 3, 5, 3}, {7, 100, 8, 2}, {0, 100, 1, 9}} {
			events, err := d.e.Events(d.ctx(), want.after, want.limit)
			if err != nil || len(events) != want.n || events[0].Seq != want.first {
				d.Errorf("after %d limit %d: %v events, %v", want.after, want.limit, len(events), err)
				continue
			}
			for i, e := range events {
				equal(d, "sequence", e.Seq, want.first+uint64(i))
			}
		}
	}},
	{says: "events wait until there is one", run: func(d *desk) {
		d.arrive("c1")
		type answer struct {
			events []queue.Event
			err    error
		}
		got := make(chan answer, 1)
		last := d.last()
		go func() {
			events, err := d.e.Events(d.ctx(), last, 10)
			got <- answer{events, err}
		}()
		select {
		case a := <-got:
			d.Fatalf("it did not wait: %+v", a)
		case <-time.After(30 * time.Millisecond):
		}
		d.arrive("c2")
		select {
		case a := <-got:
			if a.err != nil || len(a.events) != 1 || a.events[0].Call != "c2" {
				d.Errorf("got %+v", a)
			}
		case <-time.After(waitLimit):
			d.Fatal("the event did not wake the reader")
		}
	}},
	{says: "events stop waiting when the context ends", run: func(d *desk) {
		ctx, cancel := context.WithTimeout(d.ctx(), 20*time.Millisecond)
		defer cancel()
		if _, err := d.e.Events(ctx, 0, 10); !errors.Is(err, context.DeadlineExceeded) {
			d.Errorf("got %v", err)
		}
	}},
	{says: "close wakes who waits for events", run: func(d *desk) {
		got := make(chan error, 1)
		go func() {
			_, err := d.e.Events(d.ctx(), 0, 10)
			got <- err
		}()
		time.Sleep(20 * time.Millisecond)
		if err := d.e.Close(d.ctx()); err != nil {
			d.Fatal(err)
		}
		select {
		case err := <-got:
			if !errors.Is(err, queue.ErrClosed) {
				d.Errorf("got %v", err)
			}
		case <-time.After(waitLimit):
			d.Fatal("the reader still waits")
		}
	}},
	{says: "a cursor older than what is kept gets ErrTrimmed with the oldest kept", site: func(s *queue.Site) {
		s.Keep.Events = 1000
	}, run: func(d *desk) {
		for i := range 3000 {
			d.do(&queue.SetState{Agent: d.firstOf(i), State: queue.AgentNotReady, Reason: fmt.Sprint("reason ", i)})
		}
		_, err := d.e.Events(d.ctx(), 0, 10)
		refusal, ok := errors.AsType[*queue.Error](err)
		if !ok || !errors.Is(err, queue.ErrTrimmed) || refusal.Oldest < 2 || refusal.Oldest > d.last() {
			d.Fatalf("got %v", err)
		}
		events, err := d.e.Events(d.ctx(), refusal.Oldest-1, 10)
		if err != nil || len(events) == 0 || events[0].Seq != refusal.Oldest {
			d.Errorf("from the oldest: %v, %v", events, err)
		}
	}},
	{says: "every state change writes an event and no change writes none", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.accept("a1")
		d.do(&queue.Complete{Agent: "a1", Call: "c1"})
		d.newEvents()
		d.arrive("c1")
		d.do(&queue.Complete{Agent: "a1", Call: "c1"})
		d.do(&queue.Abandon{Call: "c1", Switch: "s1"})
		d.do(&queue.Accept{Agent: "a1", Offer: 1})
		d.do(&queue.SetState{Agent: "a1", State: queue.AgentReady})
		d.do(&queue.Tick{})
		d.do(&queue.SignIn{Agent: "a1", Services: serving("billing"), WrapUp: -1})
		if events := d.newEvents(); len(events) != 0 {
			d.Errorf("repeats wrote %v", events)
		}
	}},
	{says: "an event says what a reader needs", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1", tier(tiering.Mid))
		joined := d.now()
		d.keepAlive(21 * time.Second)
		d.do(&queue.SetState{Agent: "a1", State: queue.AgentReady})
		d.accept("a1")
		d.pass(5 * time.Second)
		d.do(&queue.Complete{Agent: "a1", Call: "c1"})
		var answered, completed queue.Event
		for _, e := range d.newEvents() {
			switch e.Type {
			case queue.EventCallAnswered:
				answered = e
			case queue.EventCallCompleted:
				completed = e
			}
		}
		equal(d, "answer", answered, queue.Event{
			Seq: answered.Seq, At: joined.Add(21 * time.Second), Type: queue.EventCallAnswered, Call: "c1", Agent: "a1",
			Queue: "billing", Tier: tiering.Mid, Offer: answered.Offer, AgentState: queue.AgentTalking, Switch: "s1",
			JoinedAt: joined, Wait: 21 * time.Second, Late: true,
		})
		equal(d, "end", completed, queue.Event{
			Seq: completed.Seq, At: joined.Add(26 * time.Second), Type: queue.EventCallCompleted, Call: "c1", Agent: "a1",
			Queue: "billing", Tier: tiering.Mid, AgentState: queue.AgentReady, Reason: queue.ReasonAgentCompleted, Switch: "s1",
			JoinedAt: joined, Wait: 21 * time.Second, Late: true, Talk: 5 * time.Second,
		})
	}},
}

// firstOf signs agent a1 in the first time.
func (d *desk) firstOf(i int) string {
	if i == 0 {
		d.signedIn("a1")
	}
	return "a1"
}
