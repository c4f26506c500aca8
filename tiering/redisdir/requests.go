package redisdir

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

//go:embed lua/remember.lua
var rememberSource string

var rememberScript = redis.NewScript(rememberSource)

var _ tiering.Requests = (*Directory)(nil)

// requestKey is a string: the first answer to a request, as tiering.Request encodes
// it. It ends by itself. The place's first byte chooses the shard.
func requestKey(site, place string) string {
	return shardKey(site, int(place[0])%shards, fmt.Sprintf("request:%x", place))
}

// index is the keyed hash of what must not be read; nil without keys.
func (l *layout) index() func(string) string {
	if l.numbers == nil {
		return nil
	}
	return l.numbers.Index
}

// Recall implements tiering.Requests.
func (d *Directory) Recall(ctx context.Context, site string, r tiering.Request, now instant.Instant) (answer []byte, known bool, err error) {
	end, err := d.begin(ctx, site)
	if err != nil {
		return nil, false, err
	}
	defer end()
	key := requestKey(site, r.Place(site, d.layout.index()))
	value, err := d.client.Get(ctx, key).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, d.fault(ctx, err)
	}
	answer, known, err = r.DecodeAnswer(site, d.layout.index(), value, now)
	if errors.Is(err, tiering.ErrCorrupt) {
		d.opt.Log.Error("the first answer to a request can't be read and counts as none", slog.Any("error", err))
		return nil, false, nil
	}
	if !known || d.opt.MinReplicas <= 0 {
		return answer, known, err
	}
	// Whoever asks again may do so because no replica confirmed it.
	until, err := tiering.AnswerUntil(r.Place(site, d.layout.index()), value)
	if err == nil {
		err = d.remember(ctx, key, value, now, until)
	}
	if err != nil {
		return nil, false, err
	}
	return answer, true, nil
}

// Remember implements tiering.Requests. KeepRequests.Most is not looked at: each
// answer ends by itself.
func (d *Directory) Remember(
	ctx context.Context, site string, r tiering.Request, answer []byte, now instant.Instant, keep tiering.KeepRequests,
) error {
	end, err := d.begin(ctx, site)
	if err != nil {
		return err
	}
	defer end()
	until := now.Add(keep.Age)
	value := r.EncodeAnswer(site, d.layout.index(), answer, until)
	return d.remember(ctx, requestKey(site, r.Place(site, d.layout.index())), value, now, until)
}

func (d *Directory) remember(ctx context.Context, key string, value []byte, now, until instant.Instant) error {
	c := &call{script: rememberScript, keys: []string{key}, args: []any{value, int64(now), max(until.Sub(now).Milliseconds(), 1)}}
	if err := d.run(ctx, []*call{c}); err != nil {
		return d.fault(ctx, err)
	}
	return d.fault(ctx, c.cmd.Err())
}
