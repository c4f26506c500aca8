package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"greenlane/internal/config"
	"greenlane/internal/feed"
	"greenlane/internal/rpc"
	"greenlane/queue/embedded"
	"greenlane/tiering/filedir"
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
	dir, err := filedir.Open(a.cfg.Data, filedir.Options{Log: a.log})
	if err != nil {
		return err
	}
	a.tiers = dir
	a.later(func() { dir.Close() })
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
		a.later(func() { e.Close(context.Background()) })
		f := feed.New(e, feed.Options{})
		a.feeds = append(a.feeds, f)
		a.later(f.Stop)
	}
	return nil
}

// closeData ends the readers, then the engines, then the directory.
func (a *App) closeData(ctx context.Context) error {
	var faults []error
	for _, f := range a.feeds {
		f.Stop()
	}
	for i, e := range a.engines {
		if err := e.Close(ctx); err != nil {
			faults = append(faults, fmt.Errorf("site %s: %w", a.cfg.Sites[i].Name, err))
		}
	}
	if err := a.tiers.Close(); err != nil {
		faults = append(faults, fmt.Errorf("tiers: %w", err))
	}
	return errors.Join(faults...)
}

var _ rpc.Resolver = (*resolver)(nil)
