package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"greenlane/internal/config"
	"greenlane/internal/feed"
	"greenlane/queue/embedded"
	"greenlane/tiering/resolve"
)

// queueDir is where the engines' files are, below the data directory: apart
// from the tier file, so that a site may have any name.
const queueDir = "queue"

func (a *App) openData() error {
	if a.cfg.Engine != config.EngineEmbedded {
		return fmt.Errorf("engine: %s is not in this build yet: use embedded", a.cfg.Engine)
	}
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
		opts := embedded.Options{Now: a.opts.Now, Logger: a.log, Observe: a.daemon.Commits(site.Name)}
		if a.opts.Engine != nil {
			a.opts.Engine(&opts)
		}
		e, err := embedded.Open(filepath.Join(a.cfg.Data, queueDir), site, opts)
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
		faults = append(faults, a.redis.Close())
	}
	return errors.Join(faults...)
}
