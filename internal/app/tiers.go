package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"greenlane/internal/config"
	"greenlane/internal/redischeck"
	"greenlane/internal/redisconn"
	"greenlane/tiering/filedir"
	"greenlane/tiering/redisdir"
)

// openTimeout is how long Redis may take to answer at the start.
const openTimeout = 15 * time.Second

// openDirectory opens the callers' tiers: in Redis when the configuration names
// one, else in a file of this machine.
func (a *App) openDirectory() error {
	if !a.cfg.Redis.On() {
		dir, err := filedir.Open(a.cfg.Data, filedir.Options{Log: a.log, Keys: a.keys})
		if err != nil {
			return err
		}
		a.tiers, a.local = dir, dir
		a.later(func() { a.logged("closing the tier file", dir.Close()) })
		return nil
	}
	o, err := a.cfg.Redis.Options()
	if err != nil {
		return err
	}
	client, err := redisconn.New(o)
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	a.redis = client
	a.later(func() { a.logged("closing the connection to Redis", client.Close()) })
	a.rerank = newReranker(a)
	dir, err := redisdir.OpenLater(client, redisdir.Options{
		Log: a.log, Keys: a.keys, MinReplicas: a.cfg.Redis.MinReplicas, Gap: func(context.Context) { a.rerank.look() },
	})
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	a.tiers, a.absent = dir, dir
	a.later(func() { a.logged("closing the tiers in Redis", dir.Close()) })
	if a.cfg.Engine == config.EngineRedis {
		return a.whenUp(a.enterRedis)
	}
	err = a.enterRedis(context.Background())
	if errors.Is(err, redischeck.ErrAway) {
		a.log.Warn("Redis does not answer: callers are ordinary, provisionally, until it does", "error", err)
		return nil
	}
	return err
}

// enterRedis examines Redis, and has the tiers in it used when it will do. The error
// is redischeck.ErrAway while it is not there.
func (a *App) enterRedis(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	err := redischeck.RequireUp(ctx, a.redis, redischeck.Needs{
		MinReplicas: a.cfg.Redis.MinReplicas, Engine: a.cfg.Engine == config.EngineRedis, Now: a.opts.Now,
	})
	if err == nil {
		if err = a.absent.Enter(ctx); err != nil {
			if away := redischeck.Reach(ctx, a.redis); away != nil {
				err = away
			}
		}
	}
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	a.absent = nil
	return nil
}

// enterEvery is how often it is tried whether a Redis that was not there will do.
const enterEvery = time.Second

// enterLater examines a Redis that was not there at the start, until it will do.
// What a person has to change is told once, and again when it is something else.
func (a *App) enterLater() {
	ctx, cancel := endedBy(a.stopped)
	defer cancel()
	pause := time.NewTicker(enterEvery)
	defer pause.Stop()
	for told := ""; ; {
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
		err := a.enterRedis(ctx)
		switch {
		case err == nil:
			a.log.Info("Redis answers: callers have their tiers")
			return
		case ctx.Err() != nil || errors.Is(err, redischeck.ErrAway):
		case err.Error() != told:
			told = err.Error()
			a.log.Error("the tiers in Redis can't be used, and callers stay ordinary, until this is changed", "error", err)
		}
	}
}
