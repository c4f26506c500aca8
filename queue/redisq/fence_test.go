package redisq_test

import (
	"errors"
	"testing"
	"time"

	"greenlane/internal/redistest"
	"greenlane/queue"
	"greenlane/queue/queuetest"
	"greenlane/queue/redisq"
)

// TestADaemonThatSlept: a daemon that was stopped for longer than its lease knows
// nothing of what happened meanwhile. Its clock and its memory are of before, and
// what it sends then must not take a call from whoever has it now.
func TestADaemonThatSlept(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	clock := queuetest.NewClock(time.Now())
	asleep := clock.Now() // the time on the clock of the daemon that sleeps
	lease := func(s *queue.Site) { s.OwnerLease = 10 * time.Second }
	slept := open(t, client, redisq.Options{NoTimers: true, Now: func() time.Time { return asleep }}, lease)
	awake := open(t, client, redisq.Options{NoTimers: true, Now: clock.Now}, lease)
	onDuty(t, slept, "a1") // owner d1, whose lease nobody renews
	do(t, slept, arrive("c1"))
	old := offerOf(t, slept, "a1").Epoch

	clock.Advance(time.Minute)
	do(t, awake, &queue.Tick{})
	do(t, awake, &queue.SignIn{Agent: "a2", Services: []queue.Service{{Queue: "default", Level: 1}}, WrapUp: -1})
	do(t, awake, &queue.Attach{Agent: "a2", Owner: "d2", Token: "a2", Presence: queue.PresentStream})
	offer := offerOf(t, awake, "a2")
	if offer.Call.ID != "c1" || offer.Epoch <= old {
		t.Fatalf("call %s, epoch %d after %d", offer.Call.ID, offer.Epoch, old)
	}

	for _, late := range []queue.Command{
		&queue.Accept{Request: queue.Request{ID: "late accept", Print: 1}, Agent: "a1", Offer: old},
		&queue.Accept{Agent: "a1", Offer: offer.Epoch}, // not his
		&queue.Decline{Agent: "a1", Offer: old},
		&queue.Acknowledge{Agent: "a1", Offer: old},
		&queue.Complete{Agent: "a1", Call: "c1"},
	} {
		if _, err := slept.Do(ctxOf(t), late); err == nil || errors.Is(err, queue.ErrUnavailable) {
			t.Errorf("%s by the daemon that slept: %v", late.Kind(), err)
		}
	}
	if got := offerOf(t, awake, "a2"); got.Epoch != offer.Epoch {
		t.Fatalf("the offer is another one: %d, was %d", got.Epoch, offer.Epoch)
	}
	if res := do(t, awake, &queue.Accept{Agent: "a2", Offer: offer.Epoch}); res.Call.ID != "c1" {
		t.Errorf("accepted %s", res.Call.ID)
	}
	if _, err := slept.Do(ctxOf(t), &queue.Accept{Agent: "a1", Offer: old}); err == nil {
		t.Error("the call was answered twice")
	}
	if now, before := slept.Now().Time(), asleep; !now.After(before) {
		t.Errorf("after Redis has told it better, its time is %v", now)
	}
}
