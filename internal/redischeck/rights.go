package redischeck

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"greenlane/queue/redisq"
	"greenlane/tiering/redisdir"
)

// The keys and channel on which rights are tried. Nothing is left of them.
const (
	probeKey     = "tiers:{doctor}:probe"
	probeAside   = "tiers:{doctor}:aside"
	probeBrief   = "tiers:{doctor}:brief" // ends by itself
	probeSorted  = "tiers:{doctor}:sorted"
	probeChannel = "tiers:doctor"
)

// rights tries every command that the daemon and the tools use.
func (e *examiner) rights(ctx context.Context, c redis.UniversalClient, needs Needs) {
	trials := [][]any{
		{"hsetnx", probeKey, "f", "1"}, {"hset", probeKey, "f", "1"}, {"hincrby", probeKey, "f", 1}, {"hget", probeKey, "f"},
		{"hmget", probeKey, "f"}, {"hgetall", probeKey}, {"hlen", probeKey}, {"type", probeKey}, {"rename", probeKey, probeAside},
		{"hdel", probeAside, "f"}, {"get", "tiers:schema"}, {"set", probeBrief, "1", "px", 1}, {"publish", probeChannel, ""},
		{"zadd", probeSorted, 0, "m"}, {"zcard", probeSorted}, {"zrangebylex", probeSorted, "-", "+"}, {"zrem", probeSorted, "m"},
		{"hscan", probeKey, 0},
		{"eval", "#!lua\nreturn 1", 1, probeKey}, {"evalsha", strings.Repeat("0", 40), 1, probeKey},
	}
	if needs.MinReplicas > 0 {
		trials = append(trials, []any{"wait", 0, 1})
	}
	missing, broken := try(ctx, c, trials)
	if err := trySubscribe(ctx, c); redis.HasErrorPrefix(err, "NOPERM") {
		missing = append(missing, "subscribe")
	}
	if err := tryWatch(ctx, c); redis.HasErrorPrefix(err, "NOPERM") {
		missing = append(missing, "watch, unwatch, multi, exec")
	}
	e.tried(Fail, "rights", missing, broken, "keys ~tiers:*, channels &tiers:*, and these commands")
	// Who keeps only the tiers in Redis may go without the rest.
	level := Warn
	if needs.Engine {
		level = Fail
	}
	missing, broken = try(ctx, c, engineTrials())
	e.tried(level, "rights of engine redis", missing, broken, "keys ~"+redisq.DefaultPrefix+":*, and these commands")
}

// engineTrials are what package redisq and its scripts use. They run on keys that
// no site has, and leave nothing.
func engineTrials() [][]any {
	key := func(name string) string { return redisq.DefaultPrefix + ":{doctor}:" + name }
	hash, stream := key("hash"), key("stream")
	return [][]any{
		{"time"}, {"client id"}, {"client unblock", 0}, {"exists", hash}, {"type", hash}, {"rename", hash, hash},
		{"hset", hash, "f", "1"}, {"hget", hash, "f"}, {"hmget", hash, "f"}, {"hlen", hash}, {"hscan", hash, 0}, {"hdel", hash, "f"},
		{"xadd", stream, "nomkstream", "*", "f", "v"}, {"xrange", stream, "-", "+"}, {"xrevrange", stream, "+", "-"},
		{"xtrim", stream, "maxlen", 0}, {"xread", "count", 1, "streams", stream, "0"},
		{"eval", "#!lua\nreturn 1", 1, hash}, {"evalsha", strings.Repeat("0", 40), 1, hash},
	}
}

// loader looks at the rights with which a server reads its append-only file. There
// every effect of a script is a transaction, and Redis checks it against the user
// default, logged in or not; what that user may not do is left out, and lost.
func (e *examiner) loader(ctx context.Context, where string, c redis.Cmdable, info map[string]string) {
	if info["aof_enabled"] != "1" {
		return
	}
	var missing []string
	for _, args := range [][]any{
		{"hset", probeKey, "f", "1"}, {"hsetnx", probeKey, "f", "1"}, {"hincrby", probeKey, "f", 1}, {"hdel", probeKey, "f"},
		{"zadd", probeSorted, 0, "m"}, {"zrem", probeSorted, "m"}, {"rename", probeKey, probeAside},
		{"xadd", redisq.DefaultPrefix + ":{doctor}:stream", "*", "f", "v"}, {"xtrim", redisq.DefaultPrefix + ":{doctor}:stream", "maxlen", 0},
	} {
		answer, err := c.ACLDryRun(ctx, "default", args...).Result()
		if err != nil {
			return // A daemon's user may not ask.
		}
		if answer != "OK" {
			missing = append(missing, fmt.Sprint(args[0]))
		}
	}
	const what = "rights of the append-only file"
	if len(missing) == 0 {
		e.add(OK, where, what, "the user default may do all that is in it", "")
		return
	}
	e.add(Fail, where, what, "the user default may not "+strings.Join(missing, ", ")+
		": Redis reads its append-only file as this user, so a restart loses what scripts and imports have written",
		"let it be `user default off ~* &* +@all`, as in deploy/redis/users.acl: nobody can log in as it")
}

// tryWatch does what an import does, and changes nothing.
func tryWatch(ctx context.Context, c redis.UniversalClient) error {
	return c.Watch(ctx, func(tx *redis.Tx) error {
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.HLen(ctx, probeKey).Err() })
		return err
	}, probeKey)
}

// try runs commands, and returns which are not allowed and which fail.
func try(ctx context.Context, c redis.UniversalClient, trials [][]any) (missing, broken []string) {
	for _, args := range trials {
		name := fmt.Sprint(args[0])
		var words []any // of which the name may be two
		for word := range strings.FieldsSeq(name) {
			words = append(words, word)
		}
		err := c.Do(ctx, append(words, args[1:]...)...).Err()
		switch {
		case redis.HasErrorPrefix(err, "NOPERM"):
			missing = append(missing, name)
		case err != nil && name == "wait" && strings.Contains(err.Error(), "replica instances"):
			// A Cluster's client asks any of its servers. This one is a replica, and says so
			// after it has found the right.
		case err != nil && !errors.Is(err, redis.Nil) && !redis.HasErrorPrefix(err, "NOSCRIPT") && !strings.Contains(err.Error(), "no such key"):
			broken = append(broken, fmt.Sprintf("%s: %v", name, err))
		}
	}
	return missing, broken
}

// tried tells what came of trials; level is how bad it is when some failed.
func (e *examiner) tried(level Level, what string, missing, broken []string, give string) {
	slices.Sort(missing)
	switch {
	case len(missing) > 0:
		e.add(level, "", what, "not allowed: "+strings.Join(missing, ", "), "give the user what deploy/redis/users.acl gives: "+give)
	case len(broken) > 0:
		e.add(level, "", what, strings.Join(broken, "; "), "see what Redis says there")
	default:
		e.add(OK, "", what, "every needed command is allowed", "")
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
