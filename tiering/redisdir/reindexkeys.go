package redisdir

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// scanCount is how many keys are looked for at a time: Redis is held up for less than
// half a millisecond.
const scanCount = 1000

// each runs f on every master, one after the other.
func each(ctx context.Context, client redis.UniversalClient, f func(ctx context.Context, node *redis.Client) error) error {
	switch c := client.(type) {
	case *redis.Client:
		return f(ctx, c)
	case *redis.ClusterClient:
		var one sync.Mutex
		return c.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			one.Lock()
			defer one.Unlock()
			return f(ctx, node)
		})
	}
	return errors.New("no client of a server, of Sentinel or of a Cluster")
}

// keys has f called with every site's keys that begin with from and a hash tag, some at
// a time. f may delete and rename them.
func (r *reindex) keys(ctx context.Context, from string, f func(ctx context.Context, node *redis.Client, found []string) error) error {
	return each(ctx, r.client, func(ctx context.Context, node *redis.Client) error {
		for cursor := uint64(0); ; {
			found, next, err := node.Scan(ctx, cursor, from+"{*", scanCount).Result()
			if err != nil {
				return err
			}
			own := found[:0]
			for _, key := range found {
				if _, _, ok := ofSite(key, from); ok {
					own = append(own, key)
				}
			}
			if len(own) > 0 {
				if err := f(ctx, node, own); err != nil {
					return err
				}
			}
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	})
}

// ofSite takes a key apart: FROM{SITE:SHARD}:WHAT.
func ofSite(key, from string) (site, what string, ok bool) {
	tag, what, ok := strings.Cut(strings.TrimPrefix(key, from), "}:")
	if !ok || !strings.HasPrefix(tag, "{") {
		return "", "", false
	}
	colon := strings.LastIndexByte(tag, ':')
	if colon < 2 || len(tag)-colon != len(":00") {
		return "", "", false
	}
	return tag[1:colon], what, true
}

// count says what lies under the keys that begin with from.
func (r *reindex) count(ctx context.Context, from string) (c census, err error) {
	err = r.keys(ctx, from, func(ctx context.Context, node *redis.Client, found []string) error {
		pipe := node.Pipeline()
		var sums []*int64
		for _, key := range found {
			site, what, _ := ofSite(key, from)
			c.sites = append(c.sites, site)
			switch {
			case len(what) == len("000"):
				sums = append(sums, &c.callers)
			case what == "ratings":
				sums = append(sums, &c.ratings)
			case what == "aside":
				sums = append(sums, &c.damaged)
			case strings.HasPrefix(what, "aside:"): // a whole bucket that was none
				c.damaged++
				continue
			default:
				continue
			}
			pipe.HLen(ctx, key)
		}
		if len(sums) == 0 {
			return nil
		}
		cmds, err := pipe.Exec(ctx)
		for i, cmd := range cmds {
			if n, ok := cmd.(*redis.IntCmd); ok {
				*sums[i] += n.Val()
			}
		}
		c.sites = c.names()
		return err
	})
	return c, err
}

// remove deletes every site's keys that begin with from.
func (r *reindex) remove(ctx context.Context, from string) error {
	return r.keys(ctx, from, func(ctx context.Context, node *redis.Client, found []string) error {
		pipe := node.Pipeline()
		for _, key := range found {
			pipe.Unlink(ctx, key) // one key each: those of a Cluster's node lie in many slots
		}
		return send(ctx, pipe)
	})
}

// set says in Redis how far it is, and has replicas confirm it.
func (r *reindex) set(ctx context.Context, text string) error {
	node, err := r.from.nodeOf(ctx, schemaKey)
	if err != nil {
		return err
	}
	return r.confirmed(ctx, node, func(conn *redis.Conn) error { return conn.Set(ctx, schemaKey, text, 0).Err() })
}

// settle waits until the replicas of every master have what was written: they have it
// once they have something that was written later.
func (r *reindex) settle(ctx context.Context) error {
	if r.o.MinReplicas == 0 {
		return nil
	}
	return each(ctx, r.client, func(ctx context.Context, node *redis.Client) error {
		for cursor := uint64(0); ; {
			found, next, err := node.Scan(ctx, cursor, prefix+"*:count", scanCount).Result()
			if err != nil {
				return err
			}
			if len(found) > 0 {
				return r.confirmed(ctx, node, func(conn *redis.Conn) error { return conn.HIncrBy(ctx, found[0], "v", 1).Err() })
			}
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	})
}

// confirmed writes, and waits until the replicas have it.
func (r *reindex) confirmed(ctx context.Context, node *redis.Client, write func(conn *redis.Conn) error) error {
	conn := node.Conn()
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	if err := write(conn); err != nil || r.o.MinReplicas == 0 {
		return err
	}
	n, err := conn.Wait(ctx, r.o.MinReplicas, r.from.opt.ReplicaWait).Result()
	if err == nil && n < int64(r.o.MinReplicas) {
		err = fmt.Errorf("%d replicas have confirmed a change, and %d have to", n, r.o.MinReplicas)
	}
	return err
}
