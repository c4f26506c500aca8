package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"greenlane/internal/config"
	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// reranker ranks the waiting calls of callers anew whose tiers were changed
// elsewhere: by another daemon, or by an import. The handlers do it for what is
// changed through them.
//
// Changes come by the hundred thousand during an import, and hardly any is of a
// caller who waits. So it keeps the numbers of those who may: all that arrived
// here since it last looked through the waiting calls. It looks through them when
// that set has become large, when changes may have been missed, and once in a
// while in case some were without anybody noticing.
type reranker struct {
	a       *App
	ctx     context.Context
	end     context.CancelFunc
	running sync.WaitGroup
	wake    chan struct{}

	mu      sync.Mutex
	callers map[caller]struct{}
	limit   int // of callers, from which it looks again
	changed map[caller]tiering.Entry
	all     bool // look through all waiting calls
	later   *time.Timer
}

type caller struct {
	site   string
	number tiering.Number
}

const (
	rerankEvery = time.Minute      // looks through all waiting calls at least so often
	rerankSlack = 10_000           // callers remembered beyond those who wait
	rerankRetry = time.Second      // after an engine or a directory that does not answer
	rerankLimit = 10 * time.Second // for one command
	rerankAgain = 2 * time.Second  // when no call was found, one may just have been on its way into a queue
	rerankPage  = 1000
)

func newReranker(a *App) *reranker {
	r := &reranker{
		a: a, wake: make(chan struct{}, 1), limit: rerankSlack,
		callers: map[caller]struct{}{}, changed: map[caller]tiering.Entry{},
	}
	r.ctx, r.end = context.WithCancel(context.Background())
	return r
}

// start begins the work; stop ends it and may be called without start.
func (r *reranker) start() {
	cancel := r.a.tiers.Subscribe(r.hear)
	r.running.Go(func() {
		defer cancel()
		r.work()
	})
	r.look()
}

func (r *reranker) stop() {
	r.end()
	r.mu.Lock()
	if r.later != nil {
		r.later.Stop()
	}
	r.mu.Unlock()
	r.running.Wait()
}

// arrived notes that a caller may be waiting soon. A nil reranker notes nothing.
func (r *reranker) arrived(site string, n tiering.Number) {
	if r == nil || n == tiering.Withheld {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.callers[caller{site, n}] = struct{}{}
	if len(r.callers) > r.limit && !r.all {
		r.all = true
		r.signal()
	}
}

// mayWait reports whether a call of the caller may be waiting that arrived here.
// Whoever changes many tiers at once asks, to spare the engine the rest.
func (r *reranker) mayWait(site string, n tiering.Number) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, waits := r.callers[caller{site, n}]
	return waits
}

// hear is told every change of a tier.
func (r *reranker) hear(site string, n tiering.Number, e tiering.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, waits := r.callers[caller{site, n}]; waits {
		r.changed[caller{site, n}] = e
		r.signal()
	}
}

// look has all waiting calls looked through.
func (r *reranker) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = true
	r.signal()
}

func (r *reranker) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *reranker) work() {
	every := time.NewTicker(rerankEvery)
	defer every.Stop()
	for told := false; ; {
		select {
		case <-r.wake:
		case <-every.C:
			r.look()
		case <-r.ctx.Done():
			return
		}
		r.mu.Lock()
		changed, all := r.changed, r.all
		r.changed, r.all = map[caller]tiering.Entry{}, false
		r.mu.Unlock()
		err := r.apply(changed, all)
		if err != nil && r.ctx.Err() == nil {
			if !told {
				r.a.log.Warn("waiting calls could not be ranked anew after a change of tiers; trying again until they can", "error", err)
			}
			pause := time.NewTimer(rerankRetry)
			select {
			case <-pause.C:
			case <-r.ctx.Done():
			}
			pause.Stop()
			r.look()
		}
		told = err != nil
	}
}

func (r *reranker) apply(changed map[caller]tiering.Entry, all bool) error {
	now, none := instant.Of(r.a.now()), false
	for c, e := range changed {
		n, err := r.do(c.site, &queue.Rerank{Caller: c.number, Tier: e.At(now).Tier, AttestedVIP: r.a.cfg.VIPRequiresAttestation})
		if err != nil {
			return err
		}
		none = none || n == 0
	}
	if none {
		r.lookLater()
	}
	if !all {
		return nil
	}
	r.mu.Lock()
	before := r.callers
	r.callers = map[caller]struct{}{} // those who arrive meanwhile are noted in the new one
	r.mu.Unlock()
	waiting := map[caller]struct{}{}
	for i := range r.a.cfg.Sites {
		if err := r.lookThrough(i, waiting); err != nil {
			waiting = before
			r.keep(waiting)
			return err
		}
	}
	r.keep(waiting)
	return nil
}

// keep adds the callers, and sets from how many on to look again.
func (r *reranker) keep(waiting map[caller]struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range waiting {
		r.callers[c] = struct{}{}
	}
	r.limit = 2*len(r.callers) + rerankSlack
}

// lookThrough compares the waiting calls of a site with the directory, and adds
// their callers to waiting.
func (r *reranker) lookThrough(site int, waiting map[caller]struct{}) error {
	name, engine := r.a.cfg.Sites[site].Name, r.a.engines[site]
	for after := ""; ; {
		ctx, cancel := context.WithTimeout(r.ctx, rerankLimit)
		calls, next, err := engine.Calls(ctx, queue.CallFilter{
			States: []queue.CallState{queue.CallWaiting, queue.CallOffered}, Limit: rerankPage, After: after,
		})
		cancel()
		if err != nil {
			return err
		}
		for i := range calls {
			if calls[i].Caller != tiering.Withheld {
				waiting[caller{name, calls[i].Caller}] = struct{}{}
			}
		}
		if err := r.compare(name, calls); err != nil {
			return err
		}
		if after = next; next == "" {
			return nil
		}
	}
}

// compare ranks those of the calls anew whose caller has another tier. A provisional
// one has its answer to come, but not when the daemon was started again meanwhile, or
// when nobody waits for the answer any more.
func (r *reranker) compare(site string, calls []queue.Call) error {
	var known []queue.Call
	var numbers []tiering.Number
	for i := range calls {
		if calls[i].Caller != tiering.Withheld {
			known, numbers = append(known, calls[i]), append(numbers, calls[i].Caller)
		}
	}
	if len(numbers) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.ctx, rerankLimit)
	defer cancel()
	entries, err := r.a.tiers.LookupBatch(ctx, site, numbers)
	if err != nil {
		return err
	}
	now := instant.Of(r.a.now())
	for i, c := range known {
		tier, unattested := tiering.Served(entries[i].At(now).Tier, c.Attestation, r.a.cfg.VIPRequiresAttestation, tiering.AttestationFull)
		if tier == c.Tier && unattested == c.UnattestedVIP && !c.Provisional {
			continue
		}
		n, err := r.do(site, &queue.Rerank{Call: c.ID, Tier: tier, UnattestedVIP: unattested, OnlyProvisional: c.Provisional})
		if unattested {
			r.a.server.ClaimRefused(site, c.Switch, n)
		}
		if err != nil && !errors.Is(err, queue.ErrCallNotFound) && !errors.Is(err, queue.ErrWrongState) {
			return err
		}
	}
	return nil
}

// lookLater has all waiting calls looked through in a moment, once for all who ask.
func (r *reranker) lookLater() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.later == nil {
		r.later = time.AfterFunc(rerankAgain, r.look)
	} else {
		r.later.Reset(rerankAgain)
	}
}

// do returns how many calls were ranked anew.
func (r *reranker) do(site string, cmd *queue.Rerank) (int, error) {
	i := slices.IndexFunc(r.a.cfg.Sites, func(s config.Site) bool { return s.Name == site })
	if i < 0 {
		return 0, nil // a site that this daemon does not serve
	}
	ctx, cancel := context.WithTimeout(r.ctx, rerankLimit)
	defer cancel()
	res, err := r.a.engines[i].Do(ctx, cmd)
	return res.Reranked, err
}
