package redisdir

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/tiering"
)

// walkStep is how many buckets are read in one round trip, at most.
const walkStep = 256

// maxPage bounds a page of Walk, and pageTime how long it reads before it returns what
// it has: of few callers in many buckets, a page would be the whole directory.
const (
	maxPage  = 10_000
	pageTime = time.Second
)

// Walk implements tiering.Directory. The order is that of the buckets, and a
// cursor is the next bucket. A page ends with a bucket, so it holds the rest of
// one more than the limit asks for.
func (d *Directory) Walk(
	ctx context.Context, site string, from tiering.Cursor, limit int,
) (items []tiering.Item, next tiering.Cursor, err error) {
	end, err := d.begin(ctx, site)
	if err != nil {
		return nil, "", err
	}
	defer end()
	bucket, err := bucketOf(from)
	if err != nil {
		return nil, "", err
	}
	counts, err := d.counts(ctx, site)
	if err != nil {
		return nil, "", err
	}
	limit = min(max(limit, 1), maxPage)
	page := page{d: d, site: site}
	for began := time.Now(); bucket < buckets && len(page.items) < limit && time.Since(began) < pageTime; {
		shard := bucket >> bucketBits
		entries := counts[shard].entries()
		if entries == 0 && !counts[shard].dirty {
			bucket = (shard + 1) << bucketBits
			continue
		}
		step := min(stepFor(limit-len(page.items), entries), (shard+1)<<bucketBits-bucket)
		read, err := page.add(ctx, bucket, step, limit)
		if err != nil {
			return nil, "", err
		}
		bucket += read
	}
	if bucket < buckets {
		next = cursorOf(bucket)
	}
	if len(page.bad) == 0 {
		return page.items, next, nil
	}
	return page.items, next, errors.Join(append(page.faults, d.setAside(ctx, site, page.bad))...)
}

// stepFor returns how many buckets of a shard with so many entries hold about
// as many as are wanted.
func stepFor(wanted int, entries int64) uint32 {
	step := (int64(wanted)*perShard + entries - 1) / max(entries, 1)
	return uint32(min(max(step, 1), walkStep))
}

func cursorOf(bucket uint32) tiering.Cursor { return tiering.Cursor(fmt.Sprintf("b%05x", bucket)) }

func bucketOf(c tiering.Cursor) (uint32, error) {
	if c == "" {
		return 0, nil
	}
	digits, ok := strings.CutPrefix(string(c), "b")
	n, err := strconv.ParseUint(digits, 16, 32)
	if !ok || err != nil || n >= buckets || cursorOf(uint32(n)) != c {
		return 0, fmt.Errorf("%w: only what Walk returned is allowed", tiering.ErrCursor)
	}
	return uint32(n), nil
}

// page is what one Walk has found.
type page struct {
	d      *Directory
	site   string
	items  []tiering.Item
	bad    []place
	faults []error
}

// add reads up to step buckets, and stops after the one with which the limit is
// reached. It returns how many it took.
func (p *page) add(ctx context.Context, first, step uint32, limit int) (read uint32, err error) {
	found, err := p.d.readBuckets(ctx, p.site, first, int(step))
	if err != nil {
		return 0, err
	}
	var places []place
	var long []*stored
	for i := range found {
		if len(p.items)+len(places) >= limit {
			break
		}
		read++
		for field, value := range found[i] {
			at := place{bucket: first + uint32(i), field: field}
			if elsewhere(value) {
				places, long = append(places, at), append(long, &stored{})
				continue
			}
			e, cause := p.d.layout.decode(at, value)
			p.take(at, e, cause)
		}
	}
	if err := p.d.read(ctx, p.site, places, long); err != nil {
		return 0, err
	}
	for i, s := range long {
		if s.value != "" { // else it went meanwhile
			p.take(places[i], s.entry, s.cause)
		}
	}
	return read, nil
}

func (p *page) take(at place, e tiering.Entry, cause error) {
	n, err := p.d.layout.numberOf(at)
	if err != nil {
		cause = err
	}
	switch {
	case err != nil:
		p.faults = append(p.faults, fmt.Errorf("%w: key %s, field %x: %w", tiering.ErrCorrupt, bucketKey(p.site, at.bucket), at.field, cause))
	case cause != nil:
		p.faults = append(p.faults, unreadable(p.site, n, cause))
	default:
		p.items = append(p.items, tiering.Item{Number: n, Entry: e})
		return
	}
	p.bad = append(p.bad, at)
}

// readBuckets returns the fields and values of n buckets. A bucket of a wrong type
// is moved aside and counts as empty.
func (d *Directory) readBuckets(ctx context.Context, site string, first uint32, n int) ([]map[string]string, error) {
	cmds := make([]*redis.MapStringStringCmd, n)
	pipe := d.client.Pipeline()
	for i := range cmds {
		cmds[i] = pipe.HGetAll(ctx, bucketKey(site, first+uint32(i)))
	}
	pipe.Exec(ctx) //nolint:errcheck // each command has its own error
	found := make([]map[string]string, n)
	for i, cmd := range cmds {
		switch err := cmd.Err(); {
		case redis.HasErrorPrefix(err, "WRONGTYPE"):
			if err := d.setBucketAside(ctx, site, first+uint32(i), err); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, d.fault(ctx, err)
		}
		found[i] = cmd.Val()
	}
	return found, nil
}

// Count implements tiering.Directory.
func (d *Directory) Count(ctx context.Context, site string) (map[tiering.Tier]int64, error) {
	end, err := d.begin(ctx, site)
	if err != nil {
		return nil, err
	}
	defer end()
	counts, err := d.counts(ctx, site)
	if err != nil {
		return nil, err
	}
	total := map[tiering.Tier]int64{}
	for _, tier := range tiering.Tiers {
		for i := range counts {
			total[tier] += counts[i].tiers[tier]
		}
		total[tier] = max(total[tier], 0)
	}
	return total, nil
}

// shardCounts are what a shard's countsKey says.
type shardCounts struct {
	tiers [len(tiering.Tiers) + 1]int64
	dirty bool
}

func (c *shardCounts) entries() (n int64) {
	for _, count := range c.tiers[1:] {
		n += count
	}
	return n
}

// counts reads the counts of all shards, and first makes those anew that
// something unreadable was counted in.
func (d *Directory) counts(ctx context.Context, site string) (*[shards]shardCounts, error) {
	pipe := d.client.Pipeline()
	var cmds [shards]*redis.SliceCmd
	for shard := range cmds {
		cmds[shard] = pipe.HMGet(ctx, countsKey(site, shard), "1", "2", "3", "4", "dirty")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, d.fault(ctx, err)
	}
	var counts [shards]shardCounts
	again := false
	for shard, cmd := range cmds {
		values := cmd.Val()
		for tier := 1; tier < len(counts[shard].tiers); tier++ {
			if text, ok := values[tier-1].(string); ok {
				n, err := strconv.ParseInt(text, 10, 64)
				if err != nil {
					return nil, fmt.Errorf("%w: key %s: %q is no count", tiering.ErrUnavailable, countsKey(site, shard), text)
				}
				counts[shard].tiers[tier] = n
			}
		}
		if values[len(values)-1] != nil {
			if err := d.recount(ctx, site, shard); err != nil {
				return nil, err
			}
			again = true
		}
	}
	if again {
		return d.counts(ctx, site)
	}
	return &counts, nil
}
