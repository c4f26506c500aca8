package app

import (
	"context"
	"errors"
	"time"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// Tiers that nobody has changed for keep.tiers_age lapse. A directory has no order by
// age, so all entries are looked at, at the start and then a thirtieth of the age
// apart, at most a day: a page at a time and seldom enough that nobody notices.
const (
	lapsePage  = 1000
	lapseParts = 30
	lapseMost  = 24 * time.Hour
	lapseRetry = time.Minute      // after a directory that does not answer
	lapseRest  = 9                // of the time that a page takes, it then rests so many times as long
	lapseLimit = 30 * time.Second // for one page
)

// lapseAll begins to remove tiers that are too old, until the daemon stops.
func (a *App) lapseAll() {
	ctx, cancel := context.WithCancel(context.Background())
	a.serving.Go(func() {
		<-a.stopped
		cancel()
	})
	for i := range a.cfg.Sites {
		if age := a.cfg.Sites[i].Keep.TiersAge.D(); age > 0 {
			a.serving.Go(func() { a.lapse(ctx, a.cfg.Sites[i].Name, age) })
		}
	}
}

// lapse removes a site's tiers that are too old, until ctx is done.
func (a *App) lapse(ctx context.Context, site string, age time.Duration) {
	for ctx.Err() == nil {
		removed, err := a.lapseOnce(ctx, site, age)
		if removed > 0 {
			a.log.Info("callers' tiers were removed for their age", "site", site, "callers", removed)
		}
		next := min(age/lapseParts, lapseMost)
		if err != nil && ctx.Err() == nil {
			a.log.Warn("callers' tiers could not be looked through for their age; trying again", "site", site, "error", err)
			next = lapseRetry
		}
		rest(ctx, next)
	}
}

// lapseOnce looks through all of a site's tiers once.
func (a *App) lapseOnce(ctx context.Context, site string, age time.Duration) (removed int, err error) {
	for cursor := tiering.Cursor(""); ; {
		began := time.Now()
		var n int
		if n, cursor, err = a.lapseAPage(ctx, site, cursor, age); err != nil {
			return removed, err
		}
		removed += n
		if cursor == "" {
			return removed, nil
		}
		rest(ctx, lapseRest*time.Since(began))
	}
}

func (a *App) lapseAPage(ctx context.Context, site string, from tiering.Cursor, age time.Duration) (removed int, next tiering.Cursor, err error) {
	ctx, cancel := context.WithTimeout(ctx, lapseLimit)
	defer cancel()
	items, next, err := a.tiers.Walk(ctx, site, from, lapsePage)
	if err != nil && !errors.Is(err, tiering.ErrCorrupt) { // which was reported, and the walk goes on
		return 0, "", err
	}
	now := instant.Of(a.now())
	before := now.Add(-age)
	var old []tiering.Change
	for _, item := range items {
		if before > 0 && item.Entry.Lapsed(before, now) {
			old = append(old, tiering.Change{Number: item.Number, Op: tiering.OpLapse, Before: before, At: now})
		}
	}
	if len(old) == 0 {
		return 0, next, nil
	}
	for _, r := range a.tiers.SetBatch(ctx, site, old) {
		if r.Err != nil {
			return removed, "", r.Err
		}
		if r.Entry == (tiering.Entry{}) && r.Before != (tiering.Entry{}) {
			removed++
		}
	}
	return removed, next, nil
}

// rest waits, but not beyond ctx.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
