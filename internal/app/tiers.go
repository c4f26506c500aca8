package app

import (
	"context"
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
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	if err := redischeck.Require(ctx, client, redischeck.Needs{
		MinReplicas: a.cfg.Redis.MinReplicas, Engine: a.cfg.Engine == config.EngineRedis, Now: a.opts.Now,
	}); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	a.rerank = newReranker(a)
	dir, err := redisdir.Open(ctx, client, redisdir.Options{
		Log: a.log, Keys: a.keys, MinReplicas: a.cfg.Redis.MinReplicas, Gap: func(context.Context) { a.rerank.look() },
	})
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	a.tiers = dir
	a.later(func() { a.logged("closing the tiers in Redis", dir.Close()) })
	return nil
}
