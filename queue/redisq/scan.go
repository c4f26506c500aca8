package redisq

import (
	"context"
	"strconv"
	"strings"
	"time"

	"greenlane/internal/instant"
)

const (
	scanEvery = 5 * time.Minute // from one scan's end to the next
	mendStep  = 16              // records that one script looks at
	tidySteps = 200             // ticks of one scan: each forgets a few of what was kept long enough
)

// scan looks after the site, at once and then every few minutes: what is active
// without a lease is put back, counters that are too old go, and the tables of
// clock changes are renewed. Several daemons doing so are harmless.
func (e *Engine) scan(ctx context.Context) {
	every := time.NewTimer(0)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		if err := e.Mend(ctx); err != nil && ctx.Err() == nil {
			e.opts.Logger.Debug("the site could not be looked over", "site", e.site.Name, "error", err)
		}
		every.Reset(scanEvery)
	}
}

// Mend does once what the engine does by itself every few minutes.
func (e *Engine) Mend(ctx context.Context) error {
	if e.ownSettings() && int64(instant.Of(e.opts.Now().Add(zonesRenew))) > e.zonesUntil.Load() {
		if err := e.install(ctx); err != nil {
			return err
		}
	}
	for range tidySteps {
		if err := e.tick(ctx, e.Now()); err != nil {
			return err
		}
	}
	var ids []string
	see := func(kind string, active func(field, raw string) bool) func(string, string) {
		return func(field, raw string) {
			if active(field, raw) {
				ids = append(ids, kind+field)
			}
		}
	}
	err := e.eachField(ctx, keyCalls, see("c", func(id, raw string) bool {
		c, err := e.vault.readCall(id, []byte(raw))
		return err != nil || !c.State.Terminal() // the script sets aside what can't be read
	}))
	if err != nil {
		return err
	}
	err = e.eachField(ctx, keyCallbacks, see("b", func(id, raw string) bool {
		cb, err := e.vault.readCallback(id, []byte(raw))
		return err != nil || cb.State.Open()
	}))
	if err != nil {
		return err
	}
	for part, more := cut(&ids, mendStep); len(part) > 0; part, more = cut(&ids, mendStep) {
		if err := e.mend(ctx, part); err != nil {
			return err
		}
		if !more {
			break
		}
	}
	return e.dropCohorts(ctx)
}

func (e *Engine) mend(ctx context.Context, ids []string) error {
	args := make([]any, 0, len(ids))
	for _, id := range ids {
		args = append(args, id)
	}
	r := e.newRun(scripts()["mend"], e.Now(), args...)
	if err := e.send(ctx, r); err != nil {
		return err
	}
	if r.err != nil || r.reply.status != "OK" {
		return r.err
	}
	e.heard(&r.reply)
	var mended []string
	if err := unpack([]byte(r.reply.body), &mended); err != nil {
		return err
	}
	for _, what := range mended {
		e.opts.Logger.Warn("a record was left active and is put back", "site", e.site.Name, "record", what)
	}
	return nil
}

// dropCohorts forgets counters that are older than the site keeps them.
func (e *Engine) dropCohorts(ctx context.Context) error {
	oldest := e.Now().Add(-e.site.Keep.CohortsAge)
	var old []string
	err := e.eachField(ctx, keyCohorts, func(field, _ string) {
		start, _, _ := strings.Cut(field, "/")
		day, isDay := strings.CutPrefix(start, "day ")
		n, err := strconv.ParseInt(day, 10, 64)
		if isDay {
			n = (n + 2) * dayMs // whatever the zone, the day is over then
		}
		if err == nil && instant.Instant(n) < oldest {
			old = append(old, field)
		}
	})
	if err != nil {
		return err
	}
	node, err := e.node(ctx)
	if err != nil {
		return err
	}
	for part, more := cut(&old, hashStep); len(part) > 0; part, more = cut(&old, hashStep) {
		if err := node.HDel(ctx, e.keys[keyCohorts], part...).Err(); err != nil {
			return e.asked(ctx, err)
		}
		if !more {
			break
		}
	}
	return nil
}
