package redisq

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// A daemon whose clock is ahead fires everybody's timers early, and one that is behind
// decides at the instant of the others. ClockWarn is how far a clock may be from
// Redis's before somebody should hear of it, ClockFail from where on no daemon should
// start.
const (
	ClockWarn = 500 * time.Millisecond
	ClockFail = 5 * time.Second
)

// clockEvery is how often a daemon compares its clock with Redis's.
const clockEvery = 5 * time.Second

// ClockOffset returns by how much a clock is ahead of that of a Redis server, at least;
// it is negative when it is behind. What the question took may hide half of itself,
// and is not counted.
func ClockOffset(ctx context.Context, c redis.Cmdable, now func() time.Time) (time.Duration, error) {
	before := now()
	theirs, err := c.Time(ctx).Result()
	after := now()
	if err != nil {
		return 0, err
	}
	switch {
	case before.After(theirs):
		return before.Sub(theirs), nil
	case after.Before(theirs):
		return after.Sub(theirs), nil
	}
	return 0, nil
}

// ClockOffset returns by how much this daemon's clock was ahead of Redis's when it was
// last compared.
func (e *Engine) ClockOffset() time.Duration { return time.Duration(e.offset.Load()) }

// compareClocks takes the offset up, and tells when it became too large or small again.
func (e *Engine) compareClocks(ctx context.Context) error {
	node, err := e.node(ctx)
	if err != nil {
		return err
	}
	offset, err := ClockOffset(ctx, node, e.opts.Now)
	if err != nil {
		return err
	}
	was := time.Duration(e.offset.Swap(int64(offset)))
	switch far := offset.Abs() > ClockWarn; {
	case far == (was.Abs() > ClockWarn):
	case far:
		e.opts.Logger.Warn("this machine's clock is not Redis's: timers fire at a wrong time for every daemon", "site", e.name, "ahead", offset)
	default:
		e.opts.Logger.Info("this machine's clock is Redis's again", "site", e.name)
	}
	return nil
}
