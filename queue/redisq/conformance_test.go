package redisq_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/redistest"
	"greenlane/queue"
	"greenlane/queue/queuetest"
	"greenlane/queue/redisq"
)

var prefixes atomic.Int64

// openForSuite opens engines on one server, each under a prefix of its own. A
// restart closes the engine and opens another one: a daemon holds no state.
func openForSuite(client redis.UniversalClient, opts redisq.Options) queuetest.Factory {
	return func(t testing.TB, site queue.Site, clock *queuetest.Clock) queuetest.Opened {
		t.Helper()
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

func TestConformance(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	t.Run("alone", func(t *testing.T) { queuetest.Run(t, openForSuite(server.Client(), redisq.Options{})) })
	t.Run("together and sealed", func(t *testing.T) {
		queuetest.Run(t, openForSuite(server.Client(), redisq.Options{Keys: keysOf(t, 1, "k1")}.AlwaysTogether()))
	})
}
