package redisdir

import (
	"context"
	"errors"
	"strconv"

	"github.com/redis/go-redis/v9"

	"greenlane/tiering"
)

// leastInserts is from how many callers of a shard on a transaction pays, and
// mostInserts how many one takes: it holds Redis up for less than half a millisecond.
const (
	leastInserts = 32
	mostInserts  = 512
)

// insert stores, of runs in the order of their places, those that are new, and
// reads what is there of the others; it returns the runs that are left. A script
// costs Redis twice as much for each, most of it to carry strings into Lua and
// back; so many new callers at once need none. What lua/put.lua sees to by being
// one step, WATCH does here: every change counts in its shard's counts, and nothing
// is stored when somebody changed the shard since the buckets were read.
//
// It is a short cut only: whatever goes wrong, the runs are left to the script,
// which finds what was stored after all.
func (b *batch) insert(ctx context.Context, runs []*run) (left []*run) {
	for len(runs) > 0 {
		n := 1
		for n < len(runs) && n < mostInserts && runs[n].shard() == runs[0].shard() {
			n++
		}
		group := runs[:n]
		runs = runs[n:]
		if n >= leastInserts {
			group = b.insertShard(ctx, group)
		}
		left = append(left, group...)
	}
	return left
}

// insertShard is insert for callers of one shard.
func (b *batch) insertShard(ctx context.Context, runs []*run) (left []*run) {
	node, err := b.d.nodeOf(ctx, countsKey(b.site, runs[0].shard()))
	if err != nil {
		return runs // the script's answer says what is wrong
	}
	if len(b.listeners) > 0 {
		shard := &b.d.told[runs[0].shard()]
		shard.Lock()
		defer shard.Unlock()
	}
	conn := node.Conn()
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	t := transaction{batch: b, conn: conn, shard: runs[0].shard()}
	fresh, err := t.read(ctx, runs)
	if err == nil && len(fresh) > 0 {
		err = t.store(ctx, fresh)
	}
	if err != nil || len(fresh) == 0 {
		// Else whoever gets this connection next would watch the shard.
		if err := conn.Do(ctx, "UNWATCH").Err(); err != nil {
			_ = conn.Do(ctx, "QUIT").Err() // so that nobody gets it
		}
	}
	for _, r := range runs {
		if !r.done && r.err == nil {
			left = append(left, r)
		}
	}
	return left
}

// transaction is one insertShard under way.
type transaction struct {
	*batch
	conn  *redis.Conn
	shard int
}

// read watches the shard, reads what is there for the runs, and returns the runs of
// new callers that nothing has to be written for but their entry.
func (t *transaction) read(ctx context.Context, runs []*run) (fresh []*run, err error) {
	groups := byBucket(runs)
	counts := countsKey(t.site, t.shard)
	pipe := t.conn.Pipeline()
	pipe.Do(ctx, "WATCH", counts)
	pipe.HLen(ctx, counts) // of a wrong type, it must fail before anything is written
	found := make([]*redis.SliceCmd, len(groups))
	for i, group := range groups {
		fields := make([]string, len(group))
		for k, r := range group {
			fields[k] = r.field
		}
		found[i] = pipe.HMGet(ctx, bucketKey(t.site, group[0].bucket), fields...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	for i, group := range groups {
		values := found[i].Val()
		for k, r := range group {
			value, _ := values[k].(string)
			if elsewhere(value) {
				continue // a script finds out what it is
			}
			r.stored, r.read = stored{value: value}, true
			if value != "" {
				r.stored.entry, r.stored.cause = t.d.layout.decode(r.place, value)
			}
			if t.compute(r); !r.done && r.isPlainInsert() {
				fresh = append(fresh, r)
			}
		}
	}
	return fresh, nil
}

// isPlainInsert reports whether storing the entry, and counting it, is all that the
// run asks for.
func (r *run) isPlainInsert() bool {
	return r.what() == opInsert && tierOf(r.want) != tiering.Blacklist
}

// store makes entries of the runs, unless a bucket has changed since it was read.
func (t *transaction) store(ctx context.Context, fresh []*run) error {
	counts := countsKey(t.site, t.shard)
	var grown [len(tiering.Tiers) + 1]int64
	messages := []byte(messageStart(t.d.origin, t.site))
	quiet := len(messages)
	pipe := t.conn.TxPipeline()
	for _, group := range byBucket(fresh) {
		args := make([]any, 0, 2+2*len(group))
		args = append(args, "HSET", bucketKey(t.site, group[0].bucket))
		for _, r := range group {
			args = append(args, r.field, r.want)
			grown[tierOf(r.want)]++
			if alters(r.stored.entry, r.after) {
				messages = appendChange(messages, r.place, r.want, r.long)
			}
		}
		pipe.Do(ctx, args...)
	}
	pipe.HIncrBy(ctx, counts, "v", 1)
	for _, tier := range tiering.Tiers {
		if grown[tier] != 0 {
			pipe.HIncrBy(ctx, counts, strconv.Itoa(int(tier)), grown[tier])
		}
	}
	if len(messages) > quiet {
		pipe.Publish(ctx, channel, messages)
	}
	_, err := pipe.Exec(ctx) // redis.TxFailedErr: somebody was quicker
	var unconfirmed error
	if err == nil && t.d.opt.MinReplicas > 0 {
		wait := t.conn.Do(ctx, "WAIT", t.d.opt.MinReplicas, t.d.opt.ReplicaWait.Milliseconds())
		unconfirmed = t.d.fault(ctx, t.d.confirmed(wait))
	}
	for _, r := range fresh {
		if err == nil && unconfirmed == nil {
			t.finish(r)
			continue
		}
		t.d.forget(t.site, r) // it may have been done
		r.err = unconfirmed
	}
	return err
}

// byBucket returns the runs of each bucket; they are in the order of their places.
func byBucket(runs []*run) [][]*run {
	var out [][]*run
	for len(runs) > 0 {
		n := 1
		for n < len(runs) && runs[n].bucket == runs[0].bucket {
			n++
		}
		out = append(out, runs[:n])
		runs = runs[n:]
	}
	return out
}

// nodeOf returns the client of the server that holds a key.
func (d *Directory) nodeOf(ctx context.Context, key string) (*redis.Client, error) {
	switch c := d.client.(type) {
	case *redis.Client:
		return c, nil
	case *redis.ClusterClient:
		return c.MasterForKey(ctx, key)
	}
	return nil, errors.New("no client of a server, of Sentinel or of a Cluster")
}
