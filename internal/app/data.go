package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"greenlane/internal/config"
	"greenlane/internal/feed"
	"greenlane/internal/redischeck"
	"greenlane/queue"
	"greenlane/queue/embedded"
	"greenlane/queue/redisq"
	"greenlane/tiering/resolve"
)

// queueDir is where the engines' files are, below the data directory: apart
// from the tier file, so that a site may have any name.
const queueDir = "queue"

// readTimeout is how long reading a site from Redis may take. A Redis that does not
// answer is found out by the first question.
const readTimeout = 5 * time.Minute

func (a *App) openData() error {
	sites, err := a.cfg.BuildSites()
	if err != nil {
		return err
	}
	if err := a.openDirectory(); err != nil {
		return err
	}
	a.resolve = resolve.New(resolve.Config{Directory: a.tiers, Deadline: a.cfg.TierLookupDeadline.D(), Now: a.opts.Now, Log: a.log})
	a.later(func() { a.logged("ending tier lookups", a.resolve.Close(context.Background())) })
	for _, site := range sites {
		e, err := a.openEngine(site)
		if err != nil {
			return fmt.Errorf("site %s: %w", site.Name, err)
		}
		a.engines = append(a.engines, e)
		a.later(func() { a.logged("closing an engine", e.Close(context.Background())) })
		f := feed.New(e, feed.Options{})
		a.feeds = append(a.feeds, f)
		a.later(f.Stop)
	}
	return nil
}

// openEngine opens the engine of one site: its file below the data directory, or
// its keys in Redis.
func (a *App) openEngine(site queue.Site) (queue.Engine, error) {
	if a.cfg.Engine == config.EngineEmbedded {
		opts := embedded.Options{Now: a.opts.Now, Logger: a.log, Observe: a.daemon.Commits(site.Name), Keys: a.keys}
		if a.opts.Engine != nil {
			a.opts.Engine(&opts)
		}
		return embedded.Open(filepath.Join(a.cfg.Data, queueDir), site, opts)
	}
	if a.redis == nil {
		return nil, errors.New("engine redis needs redis.addresses")
	}
	trips := a.daemon.RoundTrips(site.Name)
	opts := redisq.Options{
		Observe: func(_ int, took time.Duration, err error) { trips("commands", took, err) },
		Keys:    a.keys, Now: a.opts.Now, Logger: a.log, MinReplicas: a.cfg.Redis.MinReplicas, Timeout: a.cfg.Redis.ReplyTimeout.D(),
	}
	var e *redisq.Engine
	err := a.whenUp(func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		if e, err = redisq.Open(ctx, a.redis, site, opts); err == nil {
			return nil
		}
		if away := redischeck.Reach(ctx, a.redis); away != nil {
			return away
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// logged is for what fails while something else has failed already.
func (a *App) logged(what string, err error) {
	if err != nil {
		a.log.Error(what, "error", err)
	}
}

// closeData ends the readers, then the engines, then the directory.
func (a *App) closeData(ctx context.Context) error {
	var faults []error
	for _, f := range a.feeds {
		f.Stop()
	}
	if a.rerank != nil {
		a.rerank.stop()
	}
	if err := a.resolve.Close(ctx); err != nil {
		faults = append(faults, fmt.Errorf("tiers: %w", err))
	}
	for i, e := range a.engines {
		if err := e.Close(ctx); err != nil {
			faults = append(faults, fmt.Errorf("site %s: %w", a.cfg.Sites[i].Name, err))
		}
	}
	if err := a.tiers.Close(); err != nil {
		faults = append(faults, fmt.Errorf("tiers: %w", err))
	}
	if a.redis != nil {
		if err := a.redis.Close(); err != nil {
			faults = append(faults, fmt.Errorf("redis: %w", err))
		}
	}
	return errors.Join(faults...)
}
