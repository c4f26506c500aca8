package redisdir

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"greenlane/tiering"
)

// WalkBlacklist implements tiering.Directory. The order is that of the shards
// and, in each, of its index; a cursor is a shard and its last member. The index
// says who may be on the blacklist, the entry whether it is so.
func (d *Directory) WalkBlacklist(
	ctx context.Context, site string, from tiering.Cursor, limit int,
) (items []tiering.Item, next tiering.Cursor, err error) {
	end, err := d.begin(ctx, site)
	if err != nil {
		return nil, "", err
	}
	defer end()
	shard, after, err := blackPlace(from)
	if err != nil {
		return nil, "", err
	}
	counts, err := d.counts(ctx, site)
	if err != nil {
		return nil, "", err
	}
	limit = min(max(limit, 1), maxPage)
	var faults []error
	var bad []place
	for ; shard < shards && len(items) < limit; shard, after = shard+1, "" {
		wanted := counts[shard].tiers[tiering.Blacklist]
		if wanted == 0 && after == "" {
			continue
		}
		if after == "" {
			if err := d.reindex(ctx, site, shard, wanted); err != nil {
				return nil, "", err
			}
		}
		members, err := d.blackMembers(ctx, site, shard, after, limit-len(items))
		if err != nil {
			return nil, "", err
		}
		found, wrong, causes, err := d.blackEntries(ctx, site, shard, members)
		if err != nil {
			return nil, "", err
		}
		items, bad, faults = append(items, found...), append(bad, wrong...), append(faults, causes...)
		if n := len(members); n > 0 && n >= limit-(len(items)-len(found)) {
			next = blackCursor(shard, members[n-1])
			break
		}
	}
	if next == "" && shard < shards {
		next = blackCursor(shard, "")
	}
	if len(bad) > 0 {
		return items, next, errors.Join(append(faults, d.setAside(ctx, site, bad))...)
	}
	return items, next, nil
}

// blackMembers returns the next members of a shard's index.
func (d *Directory) blackMembers(ctx context.Context, site string, shard int, after string, limit int) ([]string, error) {
	least := "-"
	if after != "" {
		least = "(" + after
	}
	members, err := d.client.ZRangeByLex(ctx, blackKey(site, shard), &redis.ZRangeBy{Min: least, Max: "+", Count: int64(limit)}).Result()
	return members, d.fault(ctx, err)
}

// blackEntries reads the entries of an index's members, and leaves those out
// that are not on the blacklist any more.
func (d *Directory) blackEntries(
	ctx context.Context, site string, shard int, members []string,
) (items []tiering.Item, bad []place, faults []error, err error) {
	places, found := make([]place, 0, len(members)), make([]*stored, 0, len(members))
	for _, m := range members {
		if p, ok := placeOfMember(shard, m); ok {
			places, found = append(places, p), append(found, &stored{})
		}
	}
	if err := d.read(ctx, site, places, found); err != nil {
		return nil, nil, nil, err
	}
	for i, s := range found {
		n, err := d.layout.numberOf(places[i])
		switch {
		case s.value == "":
		case err != nil || s.cause != nil:
			bad, faults = append(bad, places[i]), append(faults, unreadable(site, n, errors.Join(err, s.cause)))
		case s.entry.Blacklisted:
			items = append(items, tiering.Item{Number: n, Entry: s.entry})
		}
	}
	return items, bad, faults, nil
}

// reindex makes a shard's index anew when it has fewer members than the shard
// has callers on the blacklist: the entries were written before there was an
// index. Who comes off the blacklist meanwhile stays in it, which does no harm.
func (d *Directory) reindex(ctx context.Context, site string, shard int, wanted int64) error {
	have, err := d.client.ZCard(ctx, blackKey(site, shard)).Result()
	if err != nil || have >= wanted {
		return d.fault(ctx, err)
	}
	for from := 0; from < perShard; from += walkStep {
		first := uint32(shard*perShard + from)
		pages, err := d.readBuckets(ctx, site, first, walkStep)
		if err != nil {
			return err
		}
		var members []redis.Z
		for i := range pages {
			for field, value := range pages[i] {
				p := place{bucket: first + uint32(i), field: field}
				if p.check(value) == nil && tierOf(value) == tiering.Blacklist {
					members = append(members, redis.Z{Member: p.extraField()})
				}
			}
		}
		if len(members) == 0 {
			continue
		}
		if err := d.client.ZAdd(ctx, blackKey(site, shard), members...).Err(); err != nil {
			return d.fault(ctx, err)
		}
	}
	return nil
}

// placeOfMember undoes place.extraField.
func placeOfMember(shard int, member string) (place, bool) {
	if len(member) < 3 {
		return place{}, false
	}
	in := uint32(member[0])<<8 | uint32(member[1])
	return place{bucket: uint32(shard)<<bucketBits | in, field: member[2:]}, in < perShard
}

func blackCursor(shard int, after string) tiering.Cursor {
	return tiering.Cursor(fmt.Sprintf("k%02x%s", shard, hex.EncodeToString([]byte(after))))
}

func blackPlace(c tiering.Cursor) (shard int, after string, err error) {
	if c == "" {
		return 0, "", nil
	}
	text, ok := strings.CutPrefix(string(c), "k")
	if ok && len(text) >= 2 {
		n, err := strconv.ParseUint(text[:2], 16, 8)
		member, err2 := hex.DecodeString(text[2:])
		if err == nil && err2 == nil && blackCursor(int(n), string(member)) == c {
			return int(n), string(member), nil
		}
	}
	return 0, "", fmt.Errorf("%w: only what WalkBlacklist returned is allowed", tiering.ErrCursor)
}
