// Package resolve looks a caller's tier up for a call that cannot wait: within
// the deadline there is an answer, and if it is only a provisional one, the
// real one follows as soon as the directory gives it.
//
// What is here is when to ask, how long to wait, how often to try again, and
// how much of it at once, so that a directory that hangs or is down neither
// delays a call nor piles up work. What a tier is, is package tiering's.
package resolve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// Lookuper is what is asked: a tiering.Directory, of which only Lookup is used.
// It may ignore its context; Resolve returns in time nevertheless.
type Lookuper interface {
	Lookup(ctx context.Context, site string, n tiering.Number) (e tiering.Entry, known bool, err error)
}

// Config of a Resolver. Every field but Directory has a default, which stands
// for zero and below.
type Config struct {
	Directory Lookuper

	Deadline time.Duration // how long Resolve waits; 50 ms
	Attempt  time.Duration // how long a lookup may run on in the background; 2 s
	GiveUp   time.Duration // how long an answer is sought for a call; 10 min

	Lookups int // lookups under way at once for arriving calls; 1,024
	Retries int // lookups under way at once for calls that wait for an answer; 64
	Pending int // calls that wait for an answer; 100,000

	Failures int           // failures in a row after which the directory counts as down; 5
	RetryMin time.Duration // the pause before the first retry; it doubles up to RetryMax; 100 ms
	RetryMax time.Duration // 5 s

	Now func() time.Time // time.Now
	Log *slog.Logger     // told when the directory goes down and comes back; slog.Default()
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.Deadline, 50 * time.Millisecond},
		{&c.Attempt, 2 * time.Second},
		{&c.GiveUp, 10 * time.Minute},
		{&c.RetryMin, 100 * time.Millisecond},
		{&c.RetryMax, 5 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	for _, n := range []struct {
		field *int
		value int
	}{{&c.Lookups, 1024}, {&c.Retries, 64}, {&c.Pending, 100_000}, {&c.Failures, 5}} {
		if *n.field <= 0 {
			*n.field = n.value
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

// Resolver resolves callers' tiers. It may be used by any number of goroutines.
type Resolver struct {
	c       Config
	ctx     context.Context // ends at Close
	end     context.CancelFunc
	lookups chan struct{} // a token for each lookup of an arriving call under way
	retries chan struct{} // a token for each retry under way
	wake    chan struct{} // there is something to retry
	well    chan struct{} // a lookup succeeded after failures: no need to pause any longer
	running sync.WaitGroup
	idle    func() <-chan struct{} // closed when nothing runs any more; for Close only

	mu     sync.Mutex
	closed bool
	queue  []*pursuit // those to try again, in order
	health health
	stats  Stats
}

// Stats are counts since the start, and what is so at the moment.
type Stats struct {
	Resolved  int64 // calls whose tier was asked for, withheld numbers left out
	Late      int64 // lookups that had not answered at the deadline
	Failed    int64 // lookups that ended in an error, retries included
	Skipped   int64 // calls answered provisionally without a lookup: the directory is down, or Lookups are under way
	Delivered int64 // answers that came late and were handed on
	GaveUp    int64 // calls that wait for an answer no longer: GiveUp has passed, or Pending were waiting already

	UnderWay int  // lookups under way
	Pending  int  // calls to look up again
	Down     bool // the directory counts as down
}

// New returns a Resolver that is at work until it is closed.
func New(c Config) *Resolver {
	c = c.withDefaults()
	r := &Resolver{
		c:       c,
		lookups: make(chan struct{}, c.Lookups),
		retries: make(chan struct{}, c.Retries),
		wake:    make(chan struct{}, 1),
		well:    make(chan struct{}, 1),
	}
	r.ctx, r.end = context.WithCancel(context.Background())
	r.idle = sync.OnceValue(func() <-chan struct{} {
		idle := make(chan struct{})
		go func() {
			r.running.Wait()
			close(idle)
		}()
		return idle
	})
	r.running.Go(r.retry)
	return r
}

// Answer is what is known of a caller by the deadline.
type Answer struct {
	// Standing is what the caller is to be served as. While Provisional it is
	// ordinary and not known.
	Standing tiering.Standing
	// Provisional says that the directory has not answered yet. Whoever has
	// queued the call asks with Later for the real answer.
	Provisional bool

	resolver *Resolver
	pursuit  *pursuit
}

// Resolve returns the caller's standing: what the directory says if it says so
// within the deadline, else ordinary and provisional. It never waits longer than
// the deadline or than ctx allows, and not at all for a withheld number (which
// is ordinary and final), when the directory counts as down, when too many
// lookups are under way, and after Close.
//
// A site or number that no directory takes, and an entry that can't be read, are
// ordinary and final too: no later lookup would find more.
func (r *Resolver) Resolve(ctx context.Context, site string, n tiering.Number) Answer {
	if n == tiering.Withheld {
		return Answer{Standing: tiering.Standing{Tier: tiering.Ordinary}}
	}
	p := &pursuit{site: site, number: n, until: r.c.Now().Add(r.c.GiveUp), tried: make(chan struct{})}
	a := Answer{Standing: tiering.Standing{Tier: tiering.Ordinary}, Provisional: true, resolver: r, pursuit: p}
	if !r.begin(p) {
		return a
	}
	timer := time.NewTimer(r.c.Deadline)
	defer timer.Stop()
	select {
	case <-p.tried:
		if standing, ok := p.answer(); ok {
			return Answer{Standing: standing}
		}
	case <-timer.C:
		r.late()
	case <-ctx.Done():
	}
	return a
}

// begin starts the first lookup, if one may be started.
func (r *Resolver) begin(p *pursuit) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Resolved++
	if r.closed {
		return false
	}
	if !r.health.admits(r.c.Now()) {
		r.stats.Skipped++
		return false
	}
	select {
	case r.lookups <- struct{}{}:
	default:
		r.stats.Skipped++
		return false
	}
	p.state = trying
	r.running.Go(func() {
		defer func() { <-r.lookups }()
		r.attempt(p)
		close(p.tried)
	})
	return true
}

// Later has fn called with the real answer to a provisional one: once, as soon
// as the directory gives it, or before Later returns if it has given it in the
// meantime. To be called once, when the call is queued, so that the answer
// cannot overtake the call. While the directory fails it is asked again, with
// growing pauses; fn is not called when GiveUp passes without an answer, when
// too many calls wait for one, or after Close. An answer that was not
// provisional has no later one.
//
// fn must return quickly, and may be called from any goroutine.
func (a Answer) Later(fn func(tiering.Standing)) {
	if !a.Provisional || a.resolver == nil {
		return
	}
	standing, next := a.pursuit.want(fn)
	switch next {
	case settled:
		a.resolver.delivered()
		fn(standing)
	case resting:
		a.resolver.enqueue(a.pursuit)
	}
}

// Stats returns the counts of this moment.
func (r *Resolver) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.UnderWay = len(r.lookups) + len(r.retries)
	s.Pending = len(r.queue)
	s.Down = r.health.down
	return s
}

// Close ends all lookups and retries and waits for them, at most until ctx is
// done: then the error says so, and a directory that ignores its context still
// holds some. Calls that wait for an answer get none. Closing again waits again.
func (r *Resolver) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	r.queue = nil
	r.mu.Unlock()
	r.end()
	select {
	case <-r.idle():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close tier lookups: %d still under way: %w", r.Stats().UnderWay, ctx.Err())
	}
}

// attempt asks the directory once, and says what follows from the outcome.
func (r *Resolver) attempt(p *pursuit) {
	ctx, cancel := context.WithTimeout(r.ctx, r.c.Attempt)
	defer cancel()
	e, _, err := r.c.Directory.Lookup(ctx, p.site, p.number)
	if errors.Is(err, tiering.ErrNumber) || errors.Is(err, tiering.ErrSite) || errors.Is(err, tiering.ErrCorrupt) {
		e, err = tiering.Entry{}, nil // the directory has answered: nobody is known under it
	}
	if err != nil {
		r.failed(p, err)
		return
	}
	r.succeeded()
	standing := e.At(instant.Of(r.c.Now()))
	if fn := p.settle(standing); fn != nil {
		r.delivered()
		fn(standing)
	}
}
