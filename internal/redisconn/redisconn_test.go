package redisconn_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/redisconn"
	"greenlane/internal/redistest"
)

func open(t *testing.T, o redisconn.Options) redis.UniversalClient {
	t.Helper()
	c, err := redisconn.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestALateReplyIsNotAskedForAgain: a server that hangs does what it was asked
// when it goes on, once.
func TestALateReplyIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, redistest.ClusterOptions{Masters: 1, NodeTimeout: time.Minute})
	single := redistest.Start(t, redistest.Options{})
	for name, s := range map[string]struct {
		server  *redistest.Server
		options redisconn.Options
	}{"single": {single, single.Options()}, "cluster": {cluster.Nodes[0], cluster.Options()}} {
		s.options.ReplyTimeout = 500 * time.Millisecond
		for key, incr := range map[string]func(c redis.UniversalClient, key string) error{
			"alone": func(c redis.UniversalClient, key string) error { return c.Incr(t.Context(), key).Err() },
			"pipelined": func(c redis.UniversalClient, key string) error {
				pipe := c.Pipeline()
				pipe.Incr(t.Context(), key)
				_, err := pipe.Exec(t.Context())
				return err
			},
		} {
			c := open(t, s.options)
			// A cluster's client may be asking for the cluster's layout on its one connection,
			// and the command then never leaves on another: that is tried again.
			for done, tries := false, 1; !done; tries++ {
				if tries > 5 {
					t.Fatal(name, key, "the command was never done")
				}
				if err := c.Set(t.Context(), key, 0, 0).Err(); err != nil { // a connection to be used below
					t.Fatal(name, err)
				}
				s.server.Pause()
				if err := incr(c, key); !errors.Is(err, redisconn.ErrLost) || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s, %s: %v, want ErrLost for a time-out", name, key, err)
				}
				s.server.Resume()
				asked := s.server.Client()
				for began := time.Now(); !done && time.Since(began) < 5*time.Second; {
					n, _ := asked.Get(t.Context(), key).Int()
					done = n > 0
				}
			}
			if n, err := s.server.Client().Get(t.Context(), key).Int(); err != nil || n != 1 {
				t.Errorf("%s, %s: the command that timed out was done %d times, %v", name, key, n, err)
			}
		}
	}
}

func TestADeadlineHolds(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	o := s.Options()
	o.ReplyTimeout = time.Hour // not what ends the command
	c := open(t, o)
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	s.Pause()
	defer s.Resume()
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Millisecond)
	defer cancel()
	if err := c.Get(ctx, "k").Err(); err == nil {
		t.Error("a server that hangs has answered")
	}
}

func TestAFullPoolIsNotWaitedForForever(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	o := s.Options()
	o.PoolSize, o.PoolTimeout = 1, 20*time.Millisecond
	c := open(t, o)
	began := make(chan struct{})
	go func() {
		<-began
		c.LPush(context.WithoutCancel(t.Context()), "list", "v")
	}()
	blocked := open(t, s.Options())
	held := open(t, o)
	done := make(chan error, 1)
	go func() { done <- held.BLPop(context.WithoutCancel(t.Context()), 0, "list").Err() }()
	for { // until the one connection is taken
		list, err := blocked.Do(t.Context(), "CLIENT", "LIST").Text()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(list, "cmd=blpop") {
			break
		}
	}
	if err := held.Ping(t.Context()).Err(); !errors.Is(err, redis.ErrPoolTimeout) {
		t.Errorf("%v, want a time-out of the pool", err)
	}
	close(began)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestFaultsOfTheOptions(t *testing.T) {
	for want, o := range map[string]redisconn.Options{
		"at least one":         {},
		"\"nowhere\"":          {Addresses: []string{"nowhere"}},
		"exclude each other":   {Addresses: []string{"h:1"}, Master: "m", Cluster: true},
		"password: must be":    {Addresses: []string{"h:1"}, Username: "u"},
		"\":1\" is no address": {Addresses: []string{":1"}},
	} {
		if _, err := redisconn.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	for want, o := range map[string]redisconn.Options{
		"single": {Addresses: []string{"h:1"}}, "cluster": {Addresses: []string{"h:1", "h:2"}},
		"sentinel": {Addresses: []string{"h:1", "h:2"}, Master: "m"},
	} {
		if got := o.Kind(); got != want || o.Check() != nil {
			t.Errorf("%+v: %s, %v; want %s", o, got, o.Check(), want)
		}
	}
}
