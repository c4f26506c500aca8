package redisq

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/instant"
	"greenlane/internal/seal"
	"greenlane/queue"
	"greenlane/queue/decider"
	"greenlane/queue/record"
)

// Engine is one site in one Redis, as one of its daemons sees it. It implements
// queue.Engine.
type Engine struct {
	decider.Port

	opts    Options
	name    string // of the site
	client  redis.UniversalClient
	keys    []string
	keyArgs []any
	sealed  *seal.Shared // nil: records are stored as they are
	id      string       // this daemon, among those of the site

	mail   *decider.Mailbox
	views  atomic.Pointer[decider.Views]
	log    *eventLog
	health *health
	latest atomic.Int64  // the latest instant that a command was decided at
	keep   atomic.Int64  // for how many milliseconds events are kept
	news   chan struct{} // has an element when Redis may have more than the copy
	seen   atomic.Uint64 // the version of the copy
	told   atomic.Uint64 // the version that Redis is known to have

	offset      atomic.Int64 // of the clock, in nanoseconds; see clock.go
	late, worst atomic.Int64 // how many commits were too late, and how many in a row at most

	within context.Context // that what the decider asks Redis ends with

	// The decider's own.
	site      queue.Site     // the settings in force
	print     string         // of them
	machine   *queue.Machine // the copy; nil: it must be read anew
	at        place          // where it stands, but for what unsettled names
	counters  queue.Meta     // of that place
	unsettled string         // fields that a commit of unknown outcome wrote, packed
	rebuild   bool           // there are other settings than the machine has
	revive    []string       // agents that are to be ready again, see mend.go
	foreign   bool           // something was read that the current key has not sealed
	lostEnd   bool           // the end of the history was lost
	entry     uint64         // digest of the last entry of the log; zero: not known
	fresh     bool           // since the batch at hand was taken the copy was at the head
	mine      bool           // the last commit was this daemon's
	batch     batch
	timer     *time.Timer
	troubled  bool // the last exchange failed
	nonces    uint64

	failOnce  sync.Once
	failure   error         // set before failed is closed
	failed    chan struct{} // closed by fail
	closeOnce sync.Once
	closing   chan struct{} // closed when Close begins
	closed    chan struct{} // closed when nothing runs any more
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
	var id [9]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	e := &Engine{
		opts: opts, name: site.Name, site: site, client: client, keys: keysOf(opts.Prefix, site.Name),
		id: base64.RawURLEncoding.EncodeToString(id[:]), mail: decider.NewMailbox(opts.MaxPending), health: newHealth(),
		news: make(chan struct{}, 1), failed: make(chan struct{}), closing: make(chan struct{}), closed: make(chan struct{}),
		log: newEventLog(min(opts.RecentEvents, site.Keep.Events), 0),
	}
	for _, k := range e.keys {
		e.keyArgs = append(e.keyArgs, k)
	}
	if opts.Keys != nil {
		e.sealed = opts.Keys.Shared("queue " + site.Name)
	}
	e.batch.out.records.Sealer = e.sealer()
	e.Port = decider.NewPort(e.mail)
	e.within = ctx
	if err := e.start(ctx); err != nil {
		if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
			err = fmt.Errorf("%w: %w", ended, err)
		}
		return nil, fmt.Errorf("redisq: %w", err)
	}
	return e, nil
}

func (e *Engine) start(ctx context.Context) error {
	if err := e.install(ctx); err != nil {
		return err
	}
	stale, err := e.unlock(ctx)
	if err != nil {
		return err
	}
	if err := e.settle(); err != nil {
		return err
	}
	if e.sealed != nil && (stale || e.foreign) {
		if err := e.sealAll(ctx); err != nil {
			return fmt.Errorf("site %s: encrypt what is stored: %w", e.name, err)
		}
	}
	if len(e.revive) > 0 {
		e.turn(false, false)
	}
	e.within = context.Background()
	e.timer = time.NewTimer(longestTimer)
	running, stop := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() { e.listen(running) })
	go func() {
		e.live()
		stop()
		following.Wait()
		close(e.closed)
	}()
	return nil
}

// sealer returns what opens records, nil when none is sealed.
func (e *Engine) sealer() record.Sealer {
	if e.sealed == nil {
		return nil
	}
	return e.sealed
}

// heardNow takes up an instant that something was decided at.
func (e *Engine) heardNow(now instant.Instant) {
	if int64(now) > e.latest.Load() {
		e.latest.Store(int64(now))
	}
}

// Now implements queue.Engine: the clock, and never before what was decided last.
func (e *Engine) Now() instant.Instant {
	return max(instant.Of(e.opts.Now()), instant.Instant(e.latest.Load()))
}

// Call implements queue.Engine.
func (e *Engine) Call(ctx context.Context, id string) (*queue.CallInfo, error) {
	info, err := decider.Ask(ctx, e.Port, func(m *queue.Machine, _ instant.Instant) (*queue.CallInfo, error) { return m.Call(id) })
	if err != nil {
		return nil, err
	}
	// Its events are in the log by now.
	if info.Events, err = e.only(ctx, info.Call.Events); err != nil {
		return nil, err
	}
	return info, nil
}

// Agent implements queue.Engine. It does not wait for the decider: it shows the
// agent as the last commit that this daemon knows of left it, which is at least
// what the events that it has shown tell.
func (e *Engine) Agent(ctx context.Context, id string) (*queue.Agent, *queue.Offer, error) {
	if err := errors.Join(ctx.Err(), e.over()); err != nil {
		return nil, nil, err
	}
	if err := e.health.away(); err != nil {
		return nil, nil, err
	}
	return e.views.Load().Get(id)
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

// fail ends the engine for the first cause it is given, and returns what everyone
// is told.
func (e *Engine) fail(cause error) error {
	e.failOnce.Do(func() {
		e.failure = fmt.Errorf("redisq: the engine has stopped: %w", cause)
		attrs := []any{"site", e.name, "error", cause}
		if p, ok := errors.AsType[*decider.PanicError](cause); ok {
			attrs = append(attrs, "stack", string(p.Stack))
		}
		e.opts.Logger.Error("the engine has failed and acknowledges nothing any more", attrs...)
		close(e.failed)
	})
	err := e.over()
	e.mail.Close(err)
	return err
}

// Healthy reports whether Redis answers and takes what is written, and if not, what
// it says; changed is closed when that changes. It is healthy again with the first
// commit that is confirmed, and tries one that changes nothing once a second.
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
		e.mail.Close(queue.ErrClosed)
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
		return fmt.Errorf("redisq: close site %s: %w", e.name, ctx.Err())
	}
}
