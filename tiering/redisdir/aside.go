package redisdir

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/tiering"
)

// setAside moves those of the places' values aside that still can't be read, and
// reports them. The error is nil when that was done.
func (d *Directory) setAside(ctx context.Context, site string, places []place) error {
	all, found := make([]stored, len(places)), make([]*stored, len(places))
	for i := range all {
		found[i] = &all[i]
	}
	if err := d.read(ctx, site, places, found); err != nil {
		return err
	}
	b := batch{d: d, site: site}
	var runs []*run
	for i, s := range found {
		if _, err := d.layout.numberOf(places[i]); err != nil && s.cause == nil {
			s.cause = err
		}
		if s.cause != nil && s.value != "" {
			runs = append(runs, &run{place: places[i], stored: *s, read: true})
		}
	}
	shards := map[int]bool{}
	for _, p := range b.parcels(runs) {
		if err := d.run(ctx, []*call{&p.call}); err != nil {
			return err
		}
		if err := p.cmd.Err(); err != nil {
			return d.fault(ctx, err)
		}
		for _, r := range p.runs {
			whose := fmt.Sprintf("of key %s, field %x", bucketKey(site, r.bucket), r.field)
			if n, err := d.layout.numberOf(r.place); err == nil {
				whose = n.Masked()
				d.cache.drop(site, n, r.place)
			}
			d.report(site, whose, r.cause)
		}
		shards[p.shard] = true
	}
	for shard := range shards {
		if err := d.recount(ctx, site, shard); err != nil {
			return err
		}
	}
	return nil
}

// setBucketAside moves a bucket that is not a hash out of the way, under a key
// that says where it was.
func (d *Directory) setBucketAside(ctx context.Context, site string, bucket uint32, cause error) error {
	shard := int(bucket >> bucketBits)
	key := bucketKey(site, bucket)
	to := fmt.Sprintf("%s:%03x:%d", asideKey(site, shard), bucket&(perShard-1), time.Now().UnixNano())
	c := &call{script: setAsideScript, keys: []string{countsKey(site, shard), key, to}}
	if err := d.run(ctx, []*call{c}); err != nil {
		return err
	}
	moved, err := c.cmd.Int()
	if err != nil {
		return d.fault(ctx, err)
	}
	if moved == 1 {
		d.opt.Log.Error("a key of the tier directory is of a wrong type; it was moved aside, and all callers in it are unknown now",
			slog.String("key", key), slog.String("to", to), slog.Any("error", cause))
		d.cache.turnOff() // who was in it is unknown
		d.cache.turnOn()
	}
	return d.recount(ctx, site, shard)
}

// recountTries is how often a recount begins again because the shard was written
// to meanwhile.
const recountTries = 30

// recount goes through a shard's buckets and replaces its counts. Writes go on
// meanwhile; the counts are only replaced when none came.
func (d *Directory) recount(ctx context.Context, site string, shard int) error {
	key := countsKey(site, shard)
	for range recountTries {
		v, err := d.client.HGet(ctx, key, "v").Result()
		if errors.Is(err, redis.Nil) {
			v = "0" // nobody has written to it yet
		} else if err != nil {
			return d.fault(ctx, err)
		}
		var counts [len(tiering.Tiers) + 1]int64
		for from := 0; from < perShard; from += walkStep {
			first := uint32(shard*perShard + from)
			pages, err := d.readBuckets(ctx, site, first, walkStep)
			if err != nil {
				return err
			}
			for i := range pages {
				for field, value := range pages[i] {
					p := place{bucket: first + uint32(i), field: field}
					if p.check(value) == nil {
						counts[tierOf(value)]++
					}
				}
			}
		}
		c := &call{script: recountScript, keys: []string{key}, args: []any{v}}
		for _, n := range counts[1:] {
			c.args = append(c.args, strconv.FormatInt(n, 10))
		}
		if err := d.run(ctx, []*call{c}); err != nil {
			return err
		}
		replaced, err := c.cmd.Int()
		if err != nil {
			return d.fault(ctx, err)
		}
		if replaced == 1 {
			return nil
		}
	}
	return fmt.Errorf("%w: the counts of shard %02x of site %s could not be made anew: it is written to all the time",
		tiering.ErrUnavailable, shard, site)
}

// Quarantined returns how many values lie set aside because they could not be
// read.
func (d *Directory) Quarantined(ctx context.Context, site string) (int64, error) {
	end, err := d.begin(ctx, site)
	if err != nil {
		return 0, err
	}
	defer end()
	var total int64
	pipe := d.client.Pipeline()
	for shard := range shards {
		pipe.HLen(ctx, asideKey(site, shard))
	}
	cmds, err := pipe.Exec(ctx)
	if err != nil {
		return 0, d.fault(ctx, err)
	}
	for _, cmd := range cmds {
		n, ok := cmd.(interface{ Val() int64 })
		if !ok {
			return 0, errors.New("HLEN did not answer with a number")
		}
		total += n.Val()
	}
	return total, nil
}
