package embedded

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"greenlane/internal/instant"
	"greenlane/queue"
)

// Timers fire by themselves, at their instant, and after a restart those that
// came due meanwhile fire at once.
func TestTimersFire(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		site := queue.DefaultSite("main")
		e := openSite(t, dir, site, Options{NoSync: true})
		mustDo(t, e, &queue.SignIn{Agent: "anna", Services: []queue.Service{{Queue: "default", Level: 1}}, WrapUp: -1})
		mustDo(t, e, &queue.Attach{Agent: "anna", Owner: "d1", Token: "t", Presence: queue.PresentPoll, Wait: time.Minute})
		res := mustDo(t, e, arrive("c1"))
		if res.Call.State != queue.CallOffered {
			t.Fatalf("the call is %v", res.Call.State)
		}
		begin := e.Now()
		after, _ := e.LastEvent(ctx)
		late := waitFor(t, e, after, queue.EventCallLate)
		returned := waitFor(t, e, after, queue.EventOfferReturned)
		if got := returned.At.Sub(begin); got != 20*time.Second {
			t.Errorf("the offer came back after %v", got)
		}
		if got := late.At.Sub(begin); got != 20*time.Second+time.Millisecond {
			t.Errorf("the call was late after %v", got)
		}

		mustDo(t, e, &queue.SetState{Agent: "anna", State: queue.AgentReady})
		again := mustDo(t, e, &queue.Attach{Agent: "anna", Owner: "d1", Token: "t2", Presence: queue.PresentPoll, Wait: time.Minute})
		if again.Offer == nil {
			t.Fatal("no offer")
		}
		shut(t, e)
		time.Sleep(10 * time.Minute)
		e = openSite(t, dir, site, Options{NoSync: true})
		info, err := e.Call(ctx, "c1")
		if err != nil || info.Call.State != queue.CallWaiting || info.Call.JoinedAt != res.Call.JoinedAt {
			t.Errorf("after the restart: %+v, %v", info, err)
		}
		shut(t, e)
	})
}

// A wall clock that is set forward brings timers nearer; they fire soon, not
// when the time they were set for has passed.
func TestClockSetForward(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		e := openSite(t, dir, queue.DefaultSite("main"), Options{NoSync: true, Now: now})
		mustDo(t, e, arrive("c1"))
		ahead.Store(int64(time.Hour))
		begin := time.Now()
		waitFor(t, e, 0, queue.EventCallLate)
		if took := time.Since(begin); took > longestTimer {
			t.Errorf("it took %v", took)
		}
		shut(t, e)
	})
}

func waitFor(t *testing.T, e *Engine, after uint64, what queue.EventType) queue.Event {
	t.Helper()
	for {
		events, err := e.Events(context.Background(), after, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range events {
			if ev.Type == what {
				return ev
			}
			after = ev.Seq
		}
	}
}

// Time goes on when the clock is set back, and does not wait for it.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	wall := newTestClock()
	c := newClock(wall.Now, 0)
	start := c.Now()
	wall.move(time.Second)
	if got := c.Now() - start; got != 1000 {
		t.Errorf("after a second %d ms have passed", got)
	}
	wall.move(-time.Hour)
	if got := c.Now() - start; got != 1000 {
		t.Errorf("set back: %d ms", got)
	}
	for range 2500 {
		wall.move(400 * time.Microsecond) // less than the resolution
		c.Now()
	}
	if got := c.Now() - start; got != 2000 {
		t.Errorf("a second after being set back: %d ms", got)
	}
	wall.move(2 * time.Hour)
	if got, want := c.Now(), instant.Of(wall.Now()); got != want && got < want {
		t.Errorf("after catching up: %d, the wall clock says %d", got, want)
	}

	floor := instant.Of(wall.Now()) + 5000
	ahead := newClock(wall.Now, floor)
	if got := ahead.Now(); got != floor {
		t.Errorf("started at %d, the last command was at %d", got, floor)
	}
	wall.move(time.Second)
	if got := ahead.Now(); got != floor+1000 {
		t.Errorf("a second later %d ms have passed", got-floor)
	}
}
