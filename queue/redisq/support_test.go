package redisq_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/queue"
	"greenlane/queue/redisq"
	"greenlane/tiering"
)

// limit bounds what has to happen in real time.
const limit = time.Minute

func ctxOf(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func open(t testing.TB, client redis.UniversalClient, opts redisq.Options, change ...func(*queue.Site)) *redisq.Engine {
	t.Helper()
	site := queue.DefaultSite("main")
	// A slow machine must not lose agents and offers: no test that opens one so is about that.
	site.AckTimeout, site.OwnerLease, site.Queues[0].OfferTimeout = 0, time.Hour, 10*time.Minute
	for _, f := range change {
		f(&site)
	}
	e := answered(t, func(ctx context.Context) (*redisq.Engine, error) { return redisq.Open(ctx, client, site, opts) })
	t.Cleanup(func() {
		if err := e.Close(ctxOf(t)); err != nil {
			t.Error(err)
		}
	})
	return e
}

func do(t testing.TB, e queue.Engine, cmd queue.Command) queue.Result {
	t.Helper()
	res, err := e.Do(ctxOf(t), cmd)
	if err != nil {
		t.Fatalf("%s: %v", cmd.Kind(), err)
	}
	return res
}

// again repeats a command with its request id until it is answered.
func again(t testing.TB, e queue.Engine, cmd queue.Command) queue.Result {
	t.Helper()
	for ctx := ctxOf(t); ; {
		res, err := e.Do(ctx, cmd)
		if err == nil {
			return res
		}
		if !errors.Is(err, queue.ErrUnavailable) {
			t.Fatalf("%s: %v", cmd.Kind(), err)
		}
	}
}

func arrive(id string) *queue.Arrive {
	return &queue.Arrive{Request: queue.Request{ID: "arrive " + id, Print: 1}, Call: id, Switch: "s1", Tier: tiering.Ordinary}
}

func onDuty(t testing.TB, e queue.Engine, agent string) {
	t.Helper()
	do(t, e, &queue.SignIn{Agent: agent, Services: []queue.Service{{Queue: "default", Level: 1}}, WrapUp: -1})
	do(t, e, &queue.Attach{Agent: agent, Owner: "d1", Token: agent, Presence: queue.PresentStream})
}

func offerOf(t testing.TB, e queue.Engine, agent string) *queue.Offer {
	t.Helper()
	o := answered(t, func(ctx context.Context) (*queue.Offer, error) {
		_, o, err := e.Agent(ctx, agent)
		return o, err
	})
	if o == nil {
		t.Fatalf("agent %s has no offer", agent)
	}
	return o
}

// answered asks until there is an answer.
func answered[T any](t testing.TB, ask func(ctx context.Context) (T, error)) T {
	t.Helper()
	ctx := ctxOf(t)
	got, err := ask(ctx)
	for errors.Is(err, queue.ErrUnavailable) && ctx.Err() == nil {
		got, err = ask(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// callOf asks for a call until there is an answer.
func callOf(t testing.TB, e queue.Engine, call string) *queue.CallInfo {
	t.Helper()
	return answered(t, func(ctx context.Context) (*queue.CallInfo, error) { return e.Call(ctx, call) })
}
