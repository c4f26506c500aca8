package redisq

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/instant"
	"greenlane/queue"
)

// Engine is one site in one Redis, as one of its daemons sees it. It implements
// queue.Engine.
type Engine struct {
	opts    Options
	site    queue.Site
	client  redis.UniversalClient
	keys    []string
	keyArgs []any
	print   atomic.Pointer[string] // of the settings that commands are decided by
	own     atomic.Pointer[string] // of the settings that this daemon brought
	vault   vault

	nonceBase  string
	nonces     atomic.Uint64
	jobs       chan *job
	together   atomic.Int64 // how many commands a batch takes now
	latest     atomic.Int64 // the latest instant that a command was decided at
	zonesUntil atomic.Int64 // how far the tables of clock changes reach
	health     *health
	timers     *timers
	log        *eventLog

	failOnce  sync.Once
	failure   error         // set before failed is closed
	failed    chan struct{} // closed by fail
	closeOnce sync.Once
	closing   chan struct{} // closed when Close begins
	stop      context.CancelFunc
	working   sync.WaitGroup // senders
	serving   sync.WaitGroup // everything else that runs
	closed    chan struct{}  // closed when nothing runs any more
}

var _ queue.Engine = (*Engine)(nil)

// Open takes up the site where Redis has it, puts the site's settings in place,
// and serves. The client stays the caller's, who closes it after the engine; it
// must not send a command twice by itself (see internal/redisconn).
//
// It refuses a site or Options that are not valid, a Redis that does not answer,
// and keys of a schema that it does not know.
func Open(ctx context.Context, client redis.UniversalClient, site queue.Site, opts Options) (*Engine, error) {
	if err := site.Validate(); err != nil {
		return nil, err
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	var base [9]byte
	if _, err := rand.Read(base[:]); err != nil {
		return nil, err
	}
	e := &Engine{
		opts: opts, site: site, client: client, keys: keysOf(opts.Prefix, site.Name), nonceBase: hex.EncodeToString(base[:]) + ".",
		jobs: make(chan *job, opts.MaxPending), health: newHealth(), timers: newTimers(),
		failed: make(chan struct{}), closing: make(chan struct{}), closed: make(chan struct{}),
	}
	for _, k := range e.keys {
		e.keyArgs = append(e.keyArgs, k)
	}
	if opts.Keys != nil {
		e.vault = vault{opts.Keys.Numbers("queue " + site.Name)}
	}
	e.together.Store(int64(opts.batchRuns))
	none := ""
	e.print.Store(&none)
	if err := e.install(ctx); err != nil {
		return nil, fmt.Errorf("redisq: %w", err)
	}
	if err := e.unlock(ctx); err != nil {
		return nil, fmt.Errorf("redisq: %w", err)
	}
	last, err := e.LastEvent(ctx)
	if err != nil {
		return nil, fmt.Errorf("redisq: %w", err)
	}
	e.log = newEventLog(min(opts.RecentEvents, site.Keep.Events), last)
	var running context.Context
	running, e.stop = context.WithCancel(context.Background())
	for range opts.Senders {
		e.working.Go(e.sender)
	}
	e.serving.Go(func() { e.follow(running) })
	if !opts.NoTimers {
		e.serving.Go(func() { e.fireTimers(running) })
		e.serving.Go(func() { e.scan(running) })
	}
	return e, nil
}

// Do implements queue.Engine. cmd must not be changed any more.
//
// When ctx ends before the command went to Redis, Do returns ctx's error and
// nothing has happened, nor will it. When ctx ends later, the error is both ctx's
// and ErrUnavailable: the command may have happened, and repeating it with the
// same request id is safe. A Reconcile of many calls is sent in parts; when it
// fails, the parts before have happened.
func (e *Engine) Do(ctx context.Context, cmd queue.Command) (queue.Result, error) {
	if cmd == nil {
		return queue.Result{}, &queue.Error{Kind: queue.ErrInvalid, Field: "command", Detail: "must be set"}
	}
	if err := e.over(); err != nil {
		return queue.Result{}, err
	}
	now := e.Now()
	switch c := cmd.(type) {
	case *queue.Tick:
		return queue.Result{}, e.tick(ctx, now)
	case *queue.Reconcile:
		return e.reconcile(ctx, now, c)
	case *queue.EraseCaller:
		return e.erase(ctx, now, c)
	}
	s, args, err := e.argsOf(cmd)
	if err != nil {
		return queue.Result{}, err
	}
	return e.decide(ctx, now, s, queue.RequestOf(cmd), args)
}

// heard takes up what a reply says beside the answer.
func (e *Engine) heard(r *reply) {
	e.health.answered()
	for {
		was := e.latest.Load()
		if int64(r.now) <= was || e.latest.CompareAndSwap(was, int64(r.now)) {
			break
		}
	}
	e.timers.heard(r.next)
	e.log.heard(r.last)
	for _, name := range r.damaged {
		e.opts.Logger.Error("a record could not be read: it is set aside", "record", name, "in", e.keys[keyDamaged])
	}
}

// Now implements queue.Engine: the clock, and never before what was decided last.
func (e *Engine) Now() instant.Instant {
	return max(instant.Of(e.opts.Now()), instant.Instant(e.latest.Load()))
}

// Failed implements queue.Engine. A Redis that can't be reached is no failure:
// commands are ErrUnavailable until it answers again. Keys of an unknown schema
// are one.
func (e *Engine) Failed() <-chan struct{} { return e.failed }

// Err implements queue.Engine.
func (e *Engine) Err() error {
	select {
	case <-e.failed:
		return e.failure
	default:
		return nil
	}
}

func (e *Engine) fail(cause error) {
	e.failOnce.Do(func() {
		e.failure = fmt.Errorf("redisq: the engine has stopped: %w", cause)
		e.opts.Logger.Error("the engine has failed and acknowledges nothing any more", "site", e.site.Name, "error", cause)
		close(e.failed)
	})
}

// Healthy reports whether Redis answers, and if not, what it says; changed is
// closed when that changes.
func (e *Engine) Healthy() (ok bool, changed <-chan struct{}, err error) { return e.health.state() }

// over returns why nothing is answered any more, nil while the engine serves.
func (e *Engine) over() error {
	if err := e.Err(); err != nil {
		return fmt.Errorf("%w: %w", queue.ErrUnavailable, err)
	}
	select {
	case <-e.closing:
		return queue.ErrClosed
	default:
		return nil
	}
}

// Close implements queue.Engine: what was submitted is finished and answered.
// When ctx ends first Close returns its error and the rest happens on its own.
func (e *Engine) Close(ctx context.Context) error {
	e.closeOnce.Do(func() {
		close(e.closing)
		e.stop()
		go func() {
			e.working.Wait()
			e.serving.Wait()
			close(e.closed)
		}()
	})
	select {
	case <-e.closed:
		return nil
	default:
	}
	select {
	case <-e.closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("redisq: close site %s: %w", e.site.Name, ctx.Err())
	}
}

// isOver reports whether err only says that somebody stopped waiting.
func isOver(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, queue.ErrClosed)
}

func millis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
