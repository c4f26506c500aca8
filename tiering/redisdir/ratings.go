package redisdir

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"greenlane/tiering"
)

//go:embed lua/rate.lua
var rateSource string

var rateScript = redis.NewScript(rateSource)

var _ tiering.Ratings = (*Directory)(nil)

// ratingsKey is a hash of the callers' ratings in a shard by number, as
// tiering.EncodeRatings writes them.
func ratingsKey(site string, shard int) string { return shardKey(site, shard, "ratings") }

// UpdateRatings implements tiering.Ratings: computed here, stored by comparison,
// as entries are.
func (d *Directory) UpdateRatings(
	ctx context.Context, site string, n tiering.Number, change func(tiering.Satisfaction) tiering.Satisfaction,
) (tiering.Satisfaction, error) {
	end, err := d.begin(ctx, site)
	if err != nil {
		return tiering.Satisfaction{}, err
	}
	defer end()
	if err := n.Check(); err != nil {
		return tiering.Satisfaction{}, err
	}
	key, field := ratingsKey(site, d.layout.placeOf(n).shard()), d.layout.ratingsField(n)
	value, err := d.client.HGet(ctx, key, field).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return tiering.Satisfaction{}, d.fault(ctx, err)
	}
	for range writePasses {
		old, fault := d.ratingsOf(n, value)
		s := change(old)
		want := ""
		if s != (tiering.Satisfaction{}) {
			want = string(tiering.EncodeRatings(n, s))
		}
		if want == value {
			return s, nil
		}
		done, found, err := d.replaceRatings(ctx, key, field, value, want)
		if err != nil {
			return tiering.Satisfaction{}, err
		}
		if done {
			d.reportRatings(fault)
			return s, nil
		}
		value = found
	}
	return tiering.Satisfaction{}, fmt.Errorf("%w: others kept rating the same caller", tiering.ErrUnavailable)
}

// ratingsOf reads a value; what can't be read counts as nothing, and fault says why.
func (d *Directory) ratingsOf(n tiering.Number, value string) (s tiering.Satisfaction, fault error) {
	if value == "" {
		return s, nil
	}
	return tiering.DecodeRatings(n, []byte(value))
}

// replaceRatings stores want where value is; when something else is there, it
// returns that.
func (d *Directory) replaceRatings(ctx context.Context, key, field, value, want string) (done bool, found string, err error) {
	c := &call{script: rateScript, keys: []string{key}, args: []any{field, value, want}}
	if err := d.run(ctx, []*call{c}); err != nil {
		return false, "", d.fault(ctx, err)
	}
	answer, err := c.cmd.Slice()
	if err != nil {
		return false, "", d.fault(ctx, err)
	}
	if len(answer) == 2 && answer[0] == int64(1) {
		return true, "", nil
	}
	if len(answer) == 2 {
		found, _ = answer[1].(string)
	}
	return false, found, nil
}

func (d *Directory) reportRatings(fault error) {
	if fault != nil {
		d.opt.Log.Error("a caller's ratings can't be read and count as none", slog.Any("error", fault))
	}
}

// WalkRatings implements tiering.Ratings. A cursor is a shard and where the scan
// of its hash stands; a page holds about limit callers, since a small hash is
// scanned in one piece.
func (d *Directory) WalkRatings(
	ctx context.Context, site string, from tiering.Cursor, limit int,
) (page []tiering.Rated, next tiering.Cursor, err error) {
	end, err := d.begin(ctx, site)
	if err != nil {
		return nil, "", err
	}
	defer end()
	shard, at, err := ratingsPlace(from)
	if err != nil {
		return nil, "", err
	}
	limit = min(max(limit, 1), maxPage)
	for shard < shards && len(page) < limit {
		fields, after, err := d.client.HScan(ctx, ratingsKey(site, shard), at, "", int64(limit-len(page))).Result()
		if err != nil {
			return nil, "", d.fault(ctx, err)
		}
		for i := 0; i+1 < len(fields); i += 2 {
			n, fault := d.layout.ratedAt(fields[i])
			var s tiering.Satisfaction
			if fault == nil {
				s, fault = d.ratingsOf(n, fields[i+1])
			}
			if fault != nil {
				d.reportRatings(fault)
				continue
			}
			page = append(page, tiering.Rated{Number: n, Satisfaction: s})
		}
		if at = after; at == 0 {
			shard++
		}
	}
	if shard < shards {
		next = ratingsCursor(shard, at)
	}
	return page, next, nil
}

func ratingsCursor(shard int, at uint64) tiering.Cursor {
	return tiering.Cursor(fmt.Sprintf("r%02x%x", shard, at))
}

func ratingsPlace(c tiering.Cursor) (shard int, at uint64, err error) {
	if c == "" {
		return 0, 0, nil
	}
	text, ok := strings.CutPrefix(string(c), "r")
	if ok && len(text) > 2 {
		n, err := strconv.ParseUint(text[:2], 16, 8)
		at, err2 := strconv.ParseUint(text[2:], 16, 64)
		if err == nil && err2 == nil && ratingsCursor(int(n), at) == c {
			return int(n), at, nil
		}
	}
	return 0, 0, fmt.Errorf("%w: only what WalkRatings returned is allowed", tiering.ErrCursor)
}
