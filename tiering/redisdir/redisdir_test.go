package redisdir

import (
	"cmp"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"greenlane/internal/redisconn"
	"greenlane/internal/redistest"
	"greenlane/internal/seal"
	"greenlane/tiering"
	"greenlane/tiering/tieringtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// store is a Redis of some kind, as the tests use it.
type store struct {
	options redisconn.Options
	servers []*redistest.Server
}

func single(t *testing.T) store {
	s := redistest.Start(t, redistest.Options{AOF: true})
	return store{s.Options(), []*redistest.Server{s}}
}

// client returns a client that does not wait long, unless the options say more.
func (s store) client(t *testing.T) redis.UniversalClient {
	t.Helper()
	o := s.options
	o.ReplyTimeout, o.DialTimeout = cmp.Or(o.ReplyTimeout, 4*time.Second), 4*time.Second
	c, err := redisconn.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (s store) open(t *testing.T, o Options) *Directory {
	t.Helper()
	if o.Log == nil {
		o.Log = quiet
	}
	d, err := Open(t.Context(), s.client(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// flush empties the store, with a client that waits until that is done.
func (s store) flush(t *testing.T) {
	t.Helper()
	c, err := redisconn.New(s.options)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	flush := func(ctx context.Context, c *redis.Client) error { return c.FlushAll(ctx).Err() }
	if cluster, ok := c.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(t.Context(), flush)
	} else {
		err = c.FlushAll(t.Context()).Err()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s store) subject(t *testing.T) tieringtest.Subject { return s.subjectWith(t, nil) }

func (s store) subjectWith(t *testing.T, keys *seal.Keys) tieringtest.Subject {
	t.Helper()
	s.flush(t)
	d := s.open(t, Options{Keys: keys})
	client := s.client(t)
	return tieringtest.Subject{
		Directory: d,
		Reopen: func() tiering.Directory {
			d.Close()
			return s.open(t, Options{Keys: keys})
		},
		Corrupt: func(site string, n tiering.Number) {
			p := d.layout.placeOf(n)
			if err := client.HSet(t.Context(), bucketKey(site, p.bucket), p.field, "garbage").Err(); err != nil {
				t.Fatal(err)
			}
			d.cache.drop(site, n, p) // nobody was told
		},
		Cut: func() (away tiering.Directory, mend func()) {
			hasty := s
			hasty.options.ReplyTimeout = 300 * time.Millisecond // each request waits for as long
			away = hasty.open(t, Options{Keys: keys})
			for _, server := range s.servers {
				server.Pause()
			}
			return away, func() {
				for _, server := range s.servers {
					server.Resume()
				}
			}
		},
	}
}

func TestSuiteSingle(t *testing.T) {
	s := single(t)
	tieringtest.Run(t, s.subject)
}

func TestSuiteSentinel(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	s := redistest.StartSentinel(t, redistest.SentinelOptions{DownAfter: time.Minute})
	tieringtest.Run(t, store{s.Options(), s.Servers}.subject)
}

func TestSuiteCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	s := redistest.StartCluster(t, redistest.ClusterOptions{NodeTimeout: time.Minute})
	cluster := store{s.Options(), s.Nodes}
	tieringtest.Run(t, cluster.subject)
	t.Run("import", func(t *testing.T) {
		cluster.flush(t)
		d := cluster.open(t, Options{Cache: -1})
		numbers := append(inOneShard(500), "+8613912345678", "112")
		if _, err := importAll(t.Context(), d, numbers, tiering.Mid); err != nil {
			t.Fatal(err)
		}
		counted(t, d, map[tiering.Tier]int64{tiering.Mid: int64(len(numbers))})
	})
}
