// Package redischeck says whether a Redis will do for Greenlane, and if not,
// what to change. It asks with the rights that the daemon has, so INFO and
// harmless trials of each needed command take the place of CONFIG.
//
// What does not live here: how to connect (internal/redisconn), and how the
// findings are shown (cmd/greenlane, and internal/app at the daemon's start).
package redischeck

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/queue/redisq"
)

// Level is how bad a finding is.
type Level uint8

// The levels: with a Fail the daemon does not start, as far as its user may look.
const (
	OK Level = iota
	Warn
	Fail
)

// String returns the level's name.
func (l Level) String() string { return [...]string{"ok", "warn", "fail"}[l] }

// Finding is one thing that was looked at.
type Finding struct {
	Level Level  `json:"-"`
	Name  string `json:"level"` // the level's name
	Where string `json:"where,omitempty"`
	What  string `json:"what"`
	Found string `json:"found"`
	Do    string `json:"do,omitempty"` // what to change
}

// Needs say what is wanted beyond the least.
type Needs struct {
	MinReplicas int      // replicas that shall confirm each change
	Engine      bool     // the queues live in Redis too
	Sites       []string // whose layout is looked at, with Engine
	// Now is the daemon's clock; nil is time.Now.
	Now func() time.Time
}

// minVersion is the oldest Redis that will do: scripts that say what they may do
// while memory is full came with 7.0.
const minMajor = 7

// Require returns nil when the daemon may start, else every failed finding with
// what to change.
func Require(ctx context.Context, client redis.UniversalClient, needs Needs) error {
	findings, err := examine(ctx, client, needs, false)
	if err != nil {
		return err
	}
	var faults []error
	for _, f := range findings {
		if f.Level == Fail {
			said := f.place() + ": " + f.Found
			if f.Do != "" {
				said += ": " + f.Do
			}
			faults = append(faults, errors.New(said))
		}
	}
	return errors.Join(faults...)
}

func (f Finding) place() string {
	if f.Where == "" {
		return f.What
	}
	return f.Where + ": " + f.What
}

// Examine looks at everything. The error says that Redis could not be asked at all.
func Examine(ctx context.Context, client redis.UniversalClient, needs Needs) ([]Finding, error) {
	return examine(ctx, client, needs, true)
}

func examine(ctx context.Context, client redis.UniversalClient, needs Needs, thorough bool) ([]Finding, error) {
	var e examiner
	cluster, ok := client.(*redis.ClusterClient)
	if !ok {
		if err := e.server(ctx, "", client, needs, thorough); err != nil {
			return nil, err
		}
	} else {
		addrs := map[string]*redis.Client{}
		var order []string
		masters, err := clusterMasters(ctx, cluster, addrs)
		if err != nil {
			return nil, err
		}
		order = masters
		for _, addr := range order {
			if err := e.server(ctx, addr, addrs[addr], needs, thorough); err != nil {
				return nil, fmt.Errorf("%s: %w", addr, err)
			}
		}
	}
	e.rights(ctx, client, needs)
	e.schema(ctx, client, needs)
	if thorough {
		e.latency(ctx, client)
	}
	for i := range e.found {
		e.found[i].Name = e.found[i].Level.String()
	}
	return e.found, nil
}

// examiner collects findings.
type examiner struct {
	found []Finding
	full  bool // it was said that memory is
}

func (e *examiner) add(level Level, where, what, found, do string) {
	e.found = append(e.found, Finding{Level: level, Where: where, What: what, Found: found, Do: do})
}

// server looks at one server's INFO.
func (e *examiner) server(ctx context.Context, where string, c redis.Cmdable, needs Needs, thorough bool) error {
	text, err := c.Info(ctx).Result()
	if redis.HasErrorPrefix(err, "NOPERM") {
		e.add(Fail, where, "rights", "INFO is not allowed", "give the user +info")
		return nil
	}
	if err != nil {
		return err
	}
	info := parseInfo(text)
	e.version(where, info)
	e.persistence(where, info)
	e.memory(where, info)
	e.replicas(where, info, needs)
	e.clock(ctx, where, c, needs)
	if thorough {
		e.loader(ctx, where, c, info)
		e.listpack(ctx, where, c)
	}
	return nil
}

func parseInfo(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}

func (e *examiner) version(where string, info map[string]string) {
	version := info["redis_version"]
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < minMajor {
		e.add(Fail, where, "version", fmt.Sprintf("Redis %q", version), fmt.Sprintf("use Redis %d.0 or later", minMajor))
		return
	}
	e.add(OK, where, "version", "Redis "+version, "")
}

func (e *examiner) persistence(where string, info map[string]string) {
	switch {
	case info["loading"] == "1":
		e.add(Fail, where, "persistence", "Redis is loading its data", "wait until it is done")
	case info["aof_enabled"] != "1":
		e.add(Warn, where, "persistence", "without an append-only file, a restart loses what came since the last snapshot",
			"set appendonly yes and appendfsync everysec")
	case info["aof_last_write_status"] != "ok":
		e.add(Fail, where, "persistence", "the append-only file can't be written", "look at the disk and at Redis's log")
	case info["rdb_last_bgsave_status"] == "err":
		e.add(Warn, where, "persistence", "the last snapshot failed: with save points, Redis takes no writes until one succeeds",
			`look at the disk and at Redis's log, then BGSAVE; set save "": the append-only file is what a restart reads`)
	default:
		e.add(OK, where, "persistence", "append-only file", "")
	}
}

// fullFrom is the share of its memory from which a Redis counts as nearly full.
const fullFrom = 0.8

// whileFull is what to know of a Redis whose memory is full.
const whileFull = "calls can be answered and ended, and nothing can be added"

func (e *examiner) memory(where string, info map[string]string) {
	policy := info["maxmemory_policy"]
	limit, _ := strconv.ParseFloat(info["maxmemory"], 64)
	used, _ := strconv.ParseFloat(info["used_memory"], 64)
	mb := func(bytes float64) string { return strconv.FormatFloat(bytes/(1<<20), 'f', 0, 64) + " MB" }
	switch {
	case policy != "noeviction":
		e.add(Fail, where, "eviction", "maxmemory-policy is "+policy+": callers and calls would vanish when memory is full",
			"set maxmemory-policy noeviction")
	default:
		e.add(OK, where, "eviction", "noeviction", "")
	}
	switch {
	case limit == 0:
		e.add(Warn, where, "memory", mb(used)+" used, no limit: the system may kill Redis when memory ends",
			"set maxmemory; docs/redis.md has the formula")
	case used >= limit:
		e.full = true
		e.add(Warn, where, "memory", fmt.Sprintf("%s of %s used: %s", mb(used), mb(limit), whileFull), "raise maxmemory")
	case used > fullFrom*limit:
		e.add(Warn, where, "memory", fmt.Sprintf("%s of %s used", mb(used), mb(limit)), "raise maxmemory before it is full: then nothing can be added")
	default:
		e.add(OK, where, "memory", fmt.Sprintf("%s of %s used", mb(used), mb(limit)), "")
	}
}

func (e *examiner) replicas(where string, info map[string]string, needs Needs) {
	if info["role"] != "master" {
		e.add(Fail, where, "role", "this is a replica, and takes no writes", "name the master, or the Sentinels with redis.master")
		return
	}
	n, _ := strconv.Atoi(info["connected_slaves"])
	found := fmt.Sprintf("%d connected", n)
	switch {
	case n < needs.MinReplicas:
		e.add(Fail, where, "replicas", fmt.Sprintf("%s, and redis.min_replicas is %d: no change could be confirmed", found, needs.MinReplicas),
			"start more replicas, or lower redis.min_replicas")
	case n == 0:
		e.add(Warn, where, "replicas", "none: when this machine fails, so does Greenlane's memory", "run two replicas under Sentinel, or a Cluster with replicas")
	case needs.MinReplicas == 0:
		e.add(Warn, where, "replicas", found+", but a change is OK before any has it", "set redis.min_replicas: 1 if a failover must lose nothing")
	case n == needs.MinReplicas:
		e.add(Warn, where, "replicas", fmt.Sprintf("%s, and redis.min_replicas is %d: when one machine is lost, no change can be confirmed", found, needs.MinReplicas),
			"run one replica more of each master than redis.min_replicas")
	case info["min_slaves_good_slaves"] == "" && info["cluster_enabled"] != "1": // a Cluster sees to it by itself
		e.add(Warn, where, "replicas", found+", but a master that is cut off goes on taking writes", "set min-replicas-to-write 1 and min-replicas-max-lag 5")
	default:
		e.add(OK, where, "replicas", found, "")
	}
}

// clock compares the clocks. Only with the engine anything depends on them.
func (e *examiner) clock(ctx context.Context, where string, c redis.Cmdable, needs Needs) {
	now := needs.Now
	if now == nil {
		now = time.Now
	}
	offset, err := redisq.ClockOffset(ctx, c, now)
	if err != nil || !needs.Engine {
		return // the rights are looked at by themselves
	}
	found, level := "less than "+redisq.ClockWarn.String()+" off", OK
	if offset.Abs() > redisq.ClockWarn {
		word := "ahead of"
		if offset < 0 {
			word = "behind"
		}
		found, level = fmt.Sprintf("this machine's clock is %v %s Redis's", offset.Abs().Round(time.Millisecond), word), Warn
	}
	if offset.Abs() > redisq.ClockFail {
		level = Fail
	}
	do := ""
	if level != OK {
		do = "set the clocks of all machines by NTP: a daemon whose clock is ahead fires every daemon's timers early"
	}
	e.add(level, where, "clock", found, do)
}

// leastEntries is how many fields a bucket of tiering/redisdir may have with a
// hundred million callers.
const leastEntries = 512

func (e *examiner) listpack(ctx context.Context, where string, c redis.Cmdable) {
	got, err := c.ConfigGet(ctx, "hash-max-listpack-entries").Result()
	if err != nil {
		return // A daemon's user may not ask, and the default is right.
	}
	if n, err := strconv.Atoi(got["hash-max-listpack-entries"]); err == nil && n < leastEntries {
		e.add(Warn, where, "buckets", fmt.Sprintf("hash-max-listpack-entries is %d: with many callers each would take four times the memory", n),
			fmt.Sprintf("set hash-max-listpack-entries %d", leastEntries))
	}
}

// Where a reply takes longer than this, tiers come late.
const slowReply = 5 * time.Millisecond

func (e *examiner) latency(ctx context.Context, c redis.UniversalClient) {
	const asked = 200
	var slow int
	var longest time.Duration
	for range asked {
		began := time.Now()
		if err := c.Get(ctx, "tiers:schema").Err(); err != nil && !errors.Is(err, redis.Nil) {
			if _, answered := errors.AsType[redis.Error](err); answered {
				return // what Redis refuses is told of already
			}
			e.add(Fail, "", "latency", "Redis broke off: "+err.Error(), "look at the network and at Redis's log")
			return
		}
		took := time.Since(began)
		if longest = max(longest, took); took > slowReply {
			slow++
		}
	}
	found := fmt.Sprintf("the slowest of %d replies took %v", asked, longest.Round(10*time.Microsecond))
	if slow > asked/100 {
		e.add(Warn, "", "latency", fmt.Sprintf("%s, and %d took more than %v", found, slow, slowReply), "bring Redis nearer, or give it a processor of its own")
		return
	}
	e.add(OK, "", "latency", found, "")
}
