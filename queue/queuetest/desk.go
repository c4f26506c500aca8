package queuetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"greenlane/internal/instant"
	"greenlane/queue"
)

// Factory opens an engine of an empty site that reads the given clock.
type Factory func(t testing.TB, site queue.Site, clock *Clock) Opened

// Opened is an engine, and how to take it through a restart.
type Opened struct {
	Engine queue.Engine
	// Restart ends the engine (as a crash would, if it can) and opens it again
	// over the same store. nil for an engine that forgets.
	Restart func(t testing.TB) queue.Engine
}

// MemoryFactory opens a Memory.
func MemoryFactory(t testing.TB, site queue.Site, clock *Clock) Opened {
	t.Helper()
	e, err := NewMemory(site, clock)
	if err != nil {
		t.Fatal(err)
	}
	return Opened{Engine: e, Restart: func(t testing.TB) queue.Engine {
		t.Helper()
		if err := e.Restart(); err != nil {
			t.Fatal(err)
		}
		return e
	}}
}

// opening is when cases and transcripts begin: 10:00 in Shanghai, inside the
// window of callbacks.
var opening = time.Date(2026, 11, 21, 10, 0, 0, 0, time.FixedZone("UTC+8", 8*60*60))

// waitLimit bounds what has to happen in real time: an answer, an event.
const waitLimit = time.Minute

// desk is one case at work: an engine, its clock and who complains.
type desk struct {
	testing.TB
	e       queue.Engine
	clock   *Clock
	restart func(testing.TB) queue.Engine
	seen    uint64 // the last event that newEvents returned
}

// newDesk opens an engine and sees to its end.
func newDesk(t testing.TB, open Factory, site queue.Site) *desk {
	t.Helper()
	d := &desk{TB: t, clock: NewClock(opening)}
	opened := open(t, site, d.clock)
	d.e, d.restart = opened.Engine, opened.Restart
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
		defer cancel()
		if err := d.e.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

func (d *desk) ctx() context.Context { return d.Context() }

// do gives a command that must be accepted.
func (d *desk) do(cmd queue.Command) queue.Result {
	d.Helper()
	res, err := d.e.Do(d.ctx(), cmd)
	if err != nil {
		d.Fatalf("%s: %v", FormatCommand(cmd), err)
	}
	return res
}

// refused gives a command that must be turned down, for that reason, and must
// have changed nothing.
func (d *desk) refused(kind error, cmd queue.Command) {
	d.Helper()
	last := d.last()
	res, err := d.e.Do(d.ctx(), cmd)
	if !errors.Is(err, kind) {
		d.Fatalf("%s: got %+v and error %v, want %v", FormatCommand(cmd), res, err, kind)
	}
	if now := d.last(); now != last {
		d.Fatalf("%s was refused and wrote events %d to %d", FormatCommand(cmd), last+1, now)
	}
}

func (d *desk) last() uint64 {
	d.Helper()
	last, err := d.e.LastEvent(d.ctx())
	if err != nil {
		d.Fatal(err)
	}
	return last
}

// pass lets time pass and fires what is due.
func (d *desk) pass(span time.Duration) {
	d.Helper()
	d.clock.Advance(span)
	d.do(&queue.Tick{})
}

// now is the engine's instant.
func (d *desk) now() instant.Instant { return d.e.Now() }

func (d *desk) call(id string) *queue.CallInfo {
	d.Helper()
	info, err := d.e.Call(d.ctx(), id)
	if err != nil {
		d.Fatalf("call %s: %v", id, err)
	}
	return info
}

// state is a call's state.
func (d *desk) state(id string) queue.CallState { d.Helper(); return d.call(id).Call.State }

func (d *desk) agent(id string) *queue.Agent {
	d.Helper()
	a, _, err := d.e.Agent(d.ctx(), id)
	if err != nil {
		d.Fatalf("agent %s: %v", id, err)
	}
	return a
}

// offer is the agent's live offer; nil when there is none.
func (d *desk) offer(id string) *queue.Offer {
	d.Helper()
	_, o, err := d.e.Agent(d.ctx(), id)
	if err != nil {
		d.Fatalf("agent %s: %v", id, err)
	}
	return o
}

// mustOffer is the agent's live offer of that call.
func (d *desk) mustOffer(agent, call string) *queue.Offer {
	d.Helper()
	o := d.offer(agent)
	if o == nil || o.Call == nil || o.Call.ID != call {
		d.Fatalf("agent %s is offered %+v, want call %s", agent, o, call)
	}
	return o
}

// noOffer says that the agent is offered nothing.
func (d *desk) noOffer(agent string) {
	d.Helper()
	if o := d.offer(agent); o != nil {
		d.Fatalf("agent %s is offered %+v, want nothing", agent, o)
	}
}

// newEvents returns the events since it was asked last.
func (d *desk) newEvents() []queue.Event {
	d.Helper()
	var out []queue.Event
	for last := d.last(); d.seen < last; {
		events, err := d.e.Events(d.ctx(), d.seen, 100)
		if err != nil {
			d.Fatalf("events after %d: %v", d.seen, err)
		}
		out = append(out, events...)
		d.seen = out[len(out)-1].Seq
	}
	return out
}

// count returns how many of the given events are of that type.
func count(events []queue.Event, what queue.EventType) int {
	n := 0
	for _, e := range events {
		if e.Type == what {
			n++
		}
	}
	return n
}

// equal says that two values are the same.
func equal[T comparable](d *desk, what string, got, want T) {
	d.Helper()
	if got != want {
		d.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// Commands as cases write them. Queues are served at level 1 unless a case says
// otherwise.

func serving(queues ...string) []queue.Service {
	var out []queue.Service
	for _, q := range queues {
		out = append(out, queue.Service{Queue: q, Level: 1})
	}
	return out
}

// onDuty signs an agent in and opens a stream at daemon d1.
func (d *desk) onDuty(agent string, queues ...string) {
	d.Helper()
	d.do(&queue.SignIn{Agent: agent, Services: serving(queues...), WrapUp: -1})
	d.do(&queue.Attach{Agent: agent, Owner: "d1", Token: "t-" + agent, Presence: queue.PresentStream})
}

// keepAlive lets time pass without daemon d1 being thought dead.
func (d *desk) keepAlive(span time.Duration) {
	d.Helper()
	for step := 5 * time.Second; span > 0; span -= step {
		d.clock.Advance(min(step, span))
		d.do(&queue.RenewOwner{Owner: "d1"})
	}
}
