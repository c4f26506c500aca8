package redisq

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/instant"
)

// How long the listener waits in Redis, how long after a failure, and how long
// after it heard of something that the decider knew.
const (
	listenBlock = time.Second
	listenPause = 50 * time.Millisecond
	knownPause  = time.Millisecond
	trimEvery   = time.Minute
)

// listen waits for commits of other daemons, on a connection of its own, and has
// the decider look at them.
func (e *Engine) listen(ctx context.Context) {
	var trimmed, compared time.Time
	pause := func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	for ctx.Err() == nil {
		version, err := e.listenOnce(ctx, e.seen.Load())
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if redis.HasErrorPrefix(err, "WRONGTYPE") {
				err = e.sortOut(ctx)
			}
			if err != nil {
				e.health.failed(err)
			}
			pause(listenPause)
			continue
		case version == 0:
			// Nothing came: the server may be another one, with another history.
			e.told.Store(0)
			e.look()
		case version > e.seen.Load():
			e.told.Store(version)
			e.look()
			pause(knownPause)
		default:
			// It was this daemon's own. While it commits it hears of others anyway.
			pause(knownPause)
		}
		if time.Since(compared) > clockEvery {
			compared = time.Now()
			if err := e.compareClocks(ctx); err != nil && ctx.Err() == nil {
				e.opts.Logger.Debug("the clock could not be compared", "site", e.name, "error", err)
			}
		}
		if time.Since(trimmed) > trimEvery {
			trimmed = time.Now()
			if err := e.trimLog(ctx); err != nil && ctx.Err() == nil {
				e.opts.Logger.Debug("the log could not be trimmed", "site", e.name, "error", err)
			}
		}
	}
}

func (e *Engine) look() {
	select {
	case e.news <- struct{}{}:
	default:
	}
}

// listenOnce waits until there is a commit after the given version, and returns
// its version: zero when none came in time.
func (e *Engine) listenOnce(ctx context.Context, after uint64) (version uint64, err error) {
	node, err := e.node(ctx)
	if err != nil {
		return 0, err
	}
	conn := node.Conn()
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	id, err := conn.ClientID(ctx).Result()
	if err != nil {
		return 0, err
	}
	if ok, _, _ := e.health.state(); !ok { // it answers again
		e.told.Store(0)
		e.look()
	}
	// Close does not wait for the time-out: it has the connection unblocked.
	stop := context.AfterFunc(ctx, func() {
		bye, cancel := context.WithTimeout(context.Background(), listenBlock)
		defer cancel()
		_ = node.ClientUnblock(bye, id).Err()
	})
	defer stop()
	streams, err := conn.XRead(ctx, &redis.XReadArgs{
		Streams: []string{e.keys[keyCommits], strconv.FormatUint(after, 10) + "-0"}, Count: 1, Block: listenBlock,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSuffix(streams[0].Messages[0].ID, "-0"), 10, 64)
}

// trimStep is how many entries of the log one reading takes, and trimSteps how
// often.
const trimStep, trimSteps = 100, 100

// trimLog drops events that are older than the site keeps them. Those that are too
// many are dropped by commits.
func (e *Engine) trimLog(ctx context.Context) error {
	oldest := e.Now().Add(-time.Duration(e.keep.Load()) * time.Millisecond)
	node, err := e.node(ctx)
	if err != nil {
		return err
	}
	for range trimSteps {
		list, err := node.XRangeN(ctx, e.keys[keyLog], "-", "+", trimStep).Result()
		if err != nil {
			return err
		}
		n := 0
		for n < len(list) && e.endedBefore(&list[n], oldest) {
			n++
		}
		if n == 0 {
			return nil
		}
		if err := node.XTrimMinID(ctx, e.keys[keyLog], entryID(seqOf(list[n-1].ID)+1)).Err(); err != nil {
			return err
		}
		if n < trimStep {
			return nil
		}
	}
	return nil
}

// endedBefore reports whether the events of an entry are older than an instant.
func (e *Engine) endedBefore(m *redis.XMessage, oldest instant.Instant) bool {
	last := seqOf(m.ID)
	events := e.eventsOf([]redis.XMessage{*m}, last-1, last)
	return len(events) == 1 && events[0].At < oldest
}
