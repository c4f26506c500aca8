package redisq_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/redistest"
	"greenlane/internal/seal/sealtest"
	"greenlane/queue"
	"greenlane/queue/queuetest"
	"greenlane/queue/redisq"
)

var prefixes atomic.Int64

// openForSuite opens engines on one server, each under a prefix of its own. A
// restart closes the engine and opens another one.
func openForSuite(client redis.UniversalClient, opts redisq.Options) queuetest.Factory {
	return func(t testing.TB, site queue.Site, clock *queuetest.Clock) queuetest.Opened {
		t.Helper()
		opts := opts
		opts.Now, opts.NoTimers, opts.Prefix = clock.Now, true, fmt.Sprint("t", prefixes.Add(1))
		start := func(t testing.TB) *redisq.Engine {
			t.Helper()
			e, err := redisq.Open(context.Background(), client, site, opts)
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		e := start(t)
		t.Cleanup(func() { client.Unlink(context.Background(), e.Keys()...) })
		return queuetest.Opened{Engine: e, Restart: func(t testing.TB) queue.Engine {
			t.Helper()
			if err := e.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			e = start(t)
			return e
		}}
	}
}

// byTurns is two engines on one site that take commands in turns: each finds that
// the other was faster, every time. It is asked like one.
type byTurns struct {
	engines [2]*redisq.Engine
	turn    atomic.Int64
	queue.Engine
}

func (b *byTurns) next() *redisq.Engine { return b.engines[b.turn.Add(1)%2] }

// Do implements queue.Engine.
func (b *byTurns) Do(ctx context.Context, cmd queue.Command) (queue.Result, error) {
	return b.next().Do(ctx, cmd)
}

// Agent implements queue.Engine. An engine shows agents as it knows them; a question
// that must be answered at the head brings it there.
func (b *byTurns) Agent(ctx context.Context, id string) (*queue.Agent, *queue.Offer, error) {
	e := b.next()
	if _, err := e.LastEvent(ctx); err != nil {
		return nil, nil, err
	}
	return e.Agent(ctx, id)
}

// Events implements queue.Engine, likewise.
func (b *byTurns) Events(ctx context.Context, after uint64, limit int) ([]queue.Event, error) {
	if _, err := b.Engine.LastEvent(ctx); err != nil {
		return nil, err
	}
	return b.Engine.Events(ctx, after, limit)
}

// Snapshot implements queue.Engine.
func (b *byTurns) Snapshot(ctx context.Context) (*queue.Snapshot, error) {
	return b.next().Snapshot(ctx)
}

// Calls implements queue.Engine.
func (b *byTurns) Calls(ctx context.Context, f queue.CallFilter) ([]queue.Call, string, error) {
	return b.next().Calls(ctx, f)
}

// Close implements queue.Engine.
func (b *byTurns) Close(ctx context.Context) error {
	err := b.engines[1].Close(ctx)
	if err != nil {
		return err
	}
	return b.engines[0].Close(ctx)
}

// openByTurns opens two engines for each of the suite's.
func openByTurns(client redis.UniversalClient, opts redisq.Options) queuetest.Factory {
	open := openForSuite(client, opts)
	return func(t testing.TB, site queue.Site, clock *queuetest.Clock) queuetest.Opened {
		t.Helper()
		first := open(t, site, clock)
		with := func(t testing.TB, e queue.Engine) *byTurns {
			t.Helper()
			one := e.(*redisq.Engine)
			o := opts
			o.Now, o.NoTimers, o.Prefix = clock.Now, true, one.Prefix()
			two, err := redisq.Open(context.Background(), client, site, o)
			if err != nil {
				t.Fatal(err)
			}
			return &byTurns{engines: [2]*redisq.Engine{one, two}, Engine: one}
		}
		b := with(t, first.Engine)
		return queuetest.Opened{Engine: b, Restart: func(t testing.TB) queue.Engine {
			t.Helper()
			if err := b.engines[1].Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			b = with(t, first.Restart(t))
			return b
		}}
	}
}

func TestConformance(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	t.Run("alone", func(t *testing.T) { queuetest.Run(t, openForSuite(server.Client(), redisq.Options{})) })
	t.Run("by turns and sealed", func(t *testing.T) {
		queuetest.Run(t, openByTurns(server.Client(), redisq.Options{Keys: sealtest.Keys(t, 1, "k1")}.FiringAtMost(1)))
	})
}
