package redischeck

import (
	"context"
	"errors"
	"fmt"
	"net"
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
	commands := [][]any{
		{"hsetnx", probeKey, "f", "1"}, {"hset", probeKey, "f", "1"}, {"hincrby", probeKey, "f", 1}, {"hget", probeKey, "f"},
		{"hmget", probeKey, "f"}, {"hgetall", probeKey}, {"hlen", probeKey}, {"type", probeKey}, {"rename", probeKey, probeAside},
		{"hdel", probeAside, "f"}, {"get", "tiers:schema"}, {"set", probeBrief, "1", "px", 1}, {"publish", probeChannel, ""},
		{"zadd", probeSorted, 0, "m"}, {"zcard", probeSorted}, {"zrangebylex", probeSorted, "-", "+"}, {"zrem", probeSorted, "m"},
		{"hscan", probeKey, 0},
		{"eval", "#!lua\nreturn 1", 1, probeKey}, {"evalsha", strings.Repeat("0", 40), 1, probeKey},
	}
	if needs.MinReplicas > 0 {
		commands = append(commands, []any{"wait", 0, 1})
	}
	t := try(ctx, c, commands)
	if err := trySubscribe(ctx, c); redis.HasErrorPrefix(err, "NOPERM") {
		t.missing = append(t.missing, "subscribe")
	}
	if err := tryWatch(ctx, c); redis.HasErrorPrefix(err, "NOPERM") {
		t.missing = append(t.missing, "watch, unwatch, multi, exec")
	}
	e.tried(Fail, "rights", t, "keys ~tiers:*, channels &tiers:*, and these commands")
	// Who keeps only the tiers in Redis may go without the rest.
	level := Warn
	if needs.Engine {
		level = Fail
	}
	e.tried(level, "rights of engine redis", try(ctx, c, engineTrials()), "keys ~"+redisq.DefaultPrefix+":*, and these commands")
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

// trials are what came of commands that were tried.
type trials struct {
	missing []string // not allowed
	faults  []fault  // in the order in which they were met
	full    bool     // memory is
}

// fault is why some commands failed, when it has nothing to do with rights.
type fault struct {
	said     string // by Redis, or of it
	do       string // what to do about it; empty when only the words can tell
	names    []string
	answered bool // Redis said so itself
}

// try runs commands. One that was refused for another reason is allowed: Redis
// looks at the rights first.
func try(ctx context.Context, c redis.UniversalClient, commands [][]any) (t trials) {
	for _, args := range commands {
		name := fmt.Sprint(args[0])
		var words []any // of which the name may be two
		for word := range strings.FieldsSeq(name) {
			words = append(words, word)
		}
		err := ask(ctx, c, append(words, args[1:]...))
		switch {
		case err == nil, errors.Is(err, redis.Nil), redis.HasErrorPrefix(err, "NOSCRIPT"), strings.Contains(err.Error(), "no such key"):
		case redis.HasErrorPrefix(err, "NOPERM"):
			t.missing = append(t.missing, name)
		case redis.HasErrorPrefix(err, "OOM"):
			t.full = true
		case name == "wait" && strings.Contains(err.Error(), "replica instances"):
			// A Cluster's client asks any of its servers. This one is a replica, and says so
			// after it has found the right.
		default:
			t.failed(name, err)
		}
	}
	return t
}

// ask runs a command. One without a key is sent to any node of a Cluster: when that is
// away, it says nothing of the others, and a master is asked.
func ask(ctx context.Context, c redis.UniversalClient, command []any) error {
	err := c.Do(ctx, command...).Err()
	cluster, is := c.(*redis.ClusterClient)
	if op, dial := errors.AsType[*net.OpError](err); !is || !dial || op.Op != "dial" {
		return err
	}
	node, fault := cluster.MasterForKey(ctx, probeKey)
	if fault != nil {
		return err
	}
	again := node.Do(ctx, command...).Err()
	if _, moved := redis.IsMovedError(again); moved {
		return err // it has a key, whose master is away
	}
	return again
}

// failed puts commands together that failed for the same reason.
func (t *trials) failed(name string, err error) {
	f := fault{said: err.Error(), names: []string{name}}
	f.said, _, _ = strings.Cut(f.said, ", with args beginning with") // which are only the trial's
	_, f.answered = errors.AsType[redis.Error](err)
	code, _, _ := strings.Cut(f.said, " ")
	f.do = advice[code]
	for i := range t.faults {
		if o := &t.faults[i]; o.said == f.said || f.do != "" && o.do == f.do {
			o.names = append(o.names, name)
			return
		}
	}
	t.faults = append(t.faults, f)
}

// advice is what to do about an answer, by its first word.
var advice = map[string]string{
	"NOREPLICAS":  "start the replicas, or wait for them: min-replicas-to-write asks for more than there are",
	"CLUSTERDOWN": "start the nodes that are away; `redis-cli --cluster check` names slots that nobody serves, and `redis-cli --cluster fix` gives them away",
	"MISCONF":     `look at the disk and at Redis's log, then BGSAVE; set save ""`,
	"LOADING":     "wait until Redis has read its data",
	"BUSY":        "wait for the script that Redis runs, or end it by SCRIPT KILL: none of Greenlane's takes so long",
	"READONLY":    "name the master, or the Sentinels with redis.master",
	"MASTERDOWN":  "name the master, or the Sentinels with redis.master",
}

// tried tells what came of trials; level is how bad it is when some failed. What is
// known already is not told twice.
func (e *examiner) tried(level Level, what string, t trials, give string) {
	answered := true
	for _, f := range t.faults {
		answered = answered && f.answered
		if f.do == "" {
			f.said = strings.Join(f.names, ", ") + ": " + f.said
		}
		if !e.known(level, f.said) {
			e.add(level, "", "commands", f.said, f.do)
		}
	}
	if t.full && !e.full {
		e.full = true
		e.add(Warn, "", "memory", "full: "+whileFull, "raise maxmemory")
	}
	slices.Sort(t.missing)
	switch {
	case len(t.missing) > 0:
		e.add(level, "", what, "not allowed: "+strings.Join(t.missing, ", "), "give the user what deploy/redis/users.acl gives: "+give)
	case answered:
		e.add(OK, "", what, "every needed command is allowed", "")
	}
}

// known reports whether a finding that is as bad says the same.
func (e *examiner) known(level Level, said string) bool {
	return slices.ContainsFunc(e.found, func(f Finding) bool { return f.Level >= level && f.Found == said })
}

func trySubscribe(ctx context.Context, c redis.UniversalClient) error {
	sub := c.Subscribe(ctx, probeChannel)
	closing := sync.OnceFunc(func() { sub.Close() }) //nolint:errcheck // nothing is wanted of it
	defer closing()
	defer context.AfterFunc(ctx, closing)()
	_, err := sub.Receive(ctx)
	return err
}

func (e *examiner) schema(ctx context.Context, c redis.UniversalClient, needs Needs) {
	faults := []error{redisdir.CheckSchema(ctx, c)}
	found := "the layout of the tiers is known"
	if needs.Engine && len(needs.Sites) > 0 {
		found = "the layout of the tiers and of the sites is known"
		for _, site := range needs.Sites {
			faults = append(faults, redisq.CheckSchema(ctx, c, site))
		}
	}
	faults = slices.DeleteFunc(faults, func(err error) bool { return err == nil })
	for _, err := range faults {
		if !e.known(Fail, err.Error()) {
			e.add(Fail, "", "schema", err.Error(), "")
		}
	}
	if len(faults) == 0 {
		e.add(OK, "", "schema", found, "")
	}
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
