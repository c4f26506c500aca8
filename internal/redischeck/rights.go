package redischeck

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"greenlane/tiering/redisdir"
)

// The keys and channel on which rights are tried. Nothing is left of them.
const (
	probeKey     = "tiers:{doctor}:probe"
	probeAside   = "tiers:{doctor}:aside"
	probeBrief   = "tiers:{doctor}:brief" // ends by itself
	probeChannel = "tiers:doctor"
)

// rights tries every command that the daemon and the tools use.
func (e *examiner) rights(ctx context.Context, c redis.UniversalClient, needs Needs) {
	trials := [][]any{
		{"hsetnx", probeKey, "f", "1"}, {"hset", probeKey, "f", "1"}, {"hincrby", probeKey, "f", 1}, {"hget", probeKey, "f"},
		{"hmget", probeKey, "f"}, {"hgetall", probeKey}, {"hlen", probeKey}, {"type", probeKey}, {"rename", probeKey, probeAside},
		{"hdel", probeAside, "f"}, {"get", "tiers:schema"}, {"set", probeBrief, "1", "px", 1}, {"publish", probeChannel, ""},
		{"eval", "#!lua\nreturn 1", 1, probeKey}, {"evalsha", strings.Repeat("0", 40), 1, probeKey},
	}
	if needs.MinReplicas > 0 {
		trials = append(trials, []any{"wait", 0, 1})
	}
	var missing, broken []string
	for _, args := range trials {
		err := c.Do(ctx, args...).Err()
		switch {
		case redis.HasErrorPrefix(err, "NOPERM"):
			missing = append(missing, fmt.Sprint(args[0]))
		case err != nil && !errors.Is(err, redis.Nil) && !redis.HasErrorPrefix(err, "NOSCRIPT") && !strings.Contains(err.Error(), "no such key"):
			broken = append(broken, fmt.Sprintf("%s: %v", args[0], err))
		}
	}
	if err := trySubscribe(ctx, c); redis.HasErrorPrefix(err, "NOPERM") {
		missing = append(missing, "subscribe")
	}
	slices.Sort(missing)
	switch {
	case len(missing) > 0:
		e.add(Fail, "", "rights", "not allowed: "+strings.Join(missing, ", "),
			"give the user what deploy/redis/users.acl gives: keys ~tiers:*, channels &tiers:*, and these commands")
	case len(broken) > 0:
		e.add(Fail, "", "rights", strings.Join(broken, "; "), "see what Redis says there")
	default:
		e.add(OK, "", "rights", "every needed command is allowed", "")
	}
}

func trySubscribe(ctx context.Context, c redis.UniversalClient) error {
	sub := c.Subscribe(ctx, probeChannel)
	closing := sync.OnceFunc(func() { sub.Close() }) //nolint:errcheck // nothing is wanted of it
	defer closing()
	defer context.AfterFunc(ctx, closing)()
	_, err := sub.Receive(ctx)
	return err
}

func (e *examiner) schema(ctx context.Context, c redis.UniversalClient) {
	if err := redisdir.CheckSchema(ctx, c); err != nil {
		e.add(Fail, "", "schema", err.Error(), "see there")
		return
	}
	e.add(OK, "", "schema", "the layout of the tiers is known", "")
}

// clusterMasters fills clients with the masters by address, and returns the
// addresses in order.
func clusterMasters(ctx context.Context, c *redis.ClusterClient, clients map[string]*redis.Client) ([]string, error) {
	var mu sync.Mutex
	var addrs []string
	err := c.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		addr := node.Options().Addr
		clients[addr], addrs = node, append(addrs, addr)
		return nil
	})
	slices.Sort(addrs)
	return addrs, err
}
