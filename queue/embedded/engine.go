package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/queue"
)

// Engine is one site in one file. It implements queue.Engine.
type Engine struct {
	opts  Options
	store *store
	clock *clock
	log   *eventLog
	views *agentViews
	keep  keepEvents
	mail  *mailbox

	journal     *journal
	checkpoints *checkpoints

	// The decider's own.
	machine *queue.Machine
	batch   batch
	timer   *time.Timer
	armed   instant.Instant // what the timer is set to; zero = not set

	failOnce sync.Once
	failure  error         // set before failed is closed
	failed   chan struct{} // closed by fail
	stopped  chan struct{} // closed when nothing is decided any more
	closed   chan struct{} // closed when the file is closed
	closeErr error         // set before closed is closed
}

var _ queue.Engine = (*Engine)(nil)

// Open opens, or makes, <dir>/<site>.db, takes up the site where its last
// commit left it, fires the timers that came due meanwhile, and serves.
//
// It refuses a site or Options that are not valid, a file that another process
// holds, that is damaged, or that another version of the schema wrote; the error
// names the file.
func Open(dir string, site queue.Site, opts Options) (*Engine, error) {
	if err := site.Validate(); err != nil {
		return nil, err
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s, err := openStore(dir, site.Name, &opts)
	if err != nil {
		return nil, err
	}
	e, err := start(s, site, opts)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return e, nil
}

func start(s *store, site queue.Site, opts Options) (*Engine, error) {
	state, ends, err := s.load()
	if err != nil {
		return nil, err
	}
	floor := state.Meta.Now
	var m *queue.Machine
	if err := guard(func() (err error) { m, err = queue.RestoreMachine(site, state); return err }); err != nil {
		return nil, openError("restore", s.path, err)
	}
	for _, w := range m.Warnings() {
		opts.Logger.Warn("restored state was mended", "file", s.path, "what", w)
	}
	if behind := floor.Sub(instant.Of(opts.Now())); behind > 0 {
		opts.Logger.Warn("the clock was set back; time goes on from the last command", "by", behind)
	}
	if opts.NoSync {
		opts.Logger.Warn("commits are not synced: what is acknowledged may be lost with the power", "file", s.path)
	}
	views, err := newAgentViews(m)
	if err != nil {
		return nil, openError("restore", s.path, err)
	}
	e := &Engine{
		views: views,
		opts:  opts, store: s, machine: m,
		clock:   newClock(opts.Now, floor),
		journal: s.journal,
		keep:    keepEvents{age: site.Keep.EventsAge, number: uint64(site.Keep.Events), seal: s.seal},
		mail:    newMailbox(opts.MaxPending),
		failed:  make(chan struct{}),
		stopped: make(chan struct{}),
		closed:  make(chan struct{}),
	}
	e.batch.writes.records.Sealer = sealerOf(s.seal)
	e.checkpoints = newCheckpoints(&e.opts)
	e.log = newEventLog(s, ends, opts.RecentEvents, e.checkpoint)
	if err := e.catchUp(); err != nil {
		return nil, fmt.Errorf("embedded: %s: fire the timers that came due: %w", s.path, err)
	}
	e.timer = time.NewTimer(longestTimer)
	go e.runCheckpoints()
	go e.run()
	return e, nil
}

// Do implements queue.Engine. cmd must not be changed any more.
//
// When ctx ends before the decider has taken the command, Do returns ctx's error
// and nothing has happened, nor will it. When ctx ends later, the error is both
// ctx's and ErrUnavailable: the command may have happened, and repeating it with
// the same request id is safe.
func (e *Engine) Do(ctx context.Context, cmd queue.Command) (queue.Result, error) {
	if cmd == nil {
		return queue.Result{}, &queue.Error{Kind: queue.ErrInvalid, Field: "command", Detail: "must be set"}
	}
	r := &request{cmd: cmd, done: make(chan struct{})}
	if err := e.serve(ctx, r); err != nil {
		return queue.Result{}, err
	}
	return r.res, r.err
}

// serve brings r to the decider and waits for the answer. An error means that
// r's fields must not be read.
func (e *Engine) serve(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := e.mail.put(ctx, r); err != nil {
		return err
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
	}
	if r.claim() {
		return ctx.Err()
	}
	select {
	case <-r.done: // both at once
		return nil
	default:
	}
	return fmt.Errorf("%w: the answer was not waited for: %w", queue.ErrUnavailable, ctx.Err())
}

// Now implements queue.Engine.
func (e *Engine) Now() instant.Instant { return e.clock.Now() }

// ask has the decider answer a question between two batches.
func ask[T any](ctx context.Context, e *Engine, question func(m *queue.Machine, now instant.Instant) (T, error)) (answer T, err error) {
	r := &request{done: make(chan struct{})}
	var given T
	var refused error
	r.ask = func(m *queue.Machine, now instant.Instant) { given, refused = question(m, now) }
	if err := e.serve(ctx, r); err != nil {
		return answer, err
	}
	if r.err != nil {
		return answer, r.err
	}
	return given, refused
}

// Snapshot implements queue.Engine.
func (e *Engine) Snapshot(ctx context.Context) (*queue.Snapshot, error) {
	return ask(ctx, e, func(m *queue.Machine, now instant.Instant) (*queue.Snapshot, error) { return m.Snapshot(now), nil })
}

// Statistics implements queue.Engine.
func (e *Engine) Statistics(ctx context.Context) (*queue.Snapshot, error) {
	return ask(ctx, e, func(m *queue.Machine, now instant.Instant) (*queue.Snapshot, error) { return m.Statistics(now), nil })
}

// Call implements queue.Engine.
func (e *Engine) Call(ctx context.Context, id string) (*queue.CallInfo, error) {
	info, err := ask(ctx, e, func(m *queue.Machine, _ instant.Instant) (*queue.CallInfo, error) { return m.Call(id) })
	if err != nil {
		return nil, err
	}
	// Its events were committed before the answer came.
	if info.Events, err = e.log.only(info.Call.Events); err != nil {
		return nil, e.ifOver(err)
	}
	return info, nil
}

type page[T any] struct {
	items []T
	next  string
}

func paged[T any](items []T, next string, err error) (page[T], error) {
	return page[T]{items, next}, err
}

// Calls implements queue.Engine.
func (e *Engine) Calls(ctx context.Context, f queue.CallFilter) ([]queue.Call, string, error) {
	p, err := ask(ctx, e, func(m *queue.Machine, _ instant.Instant) (page[queue.Call], error) { return paged(m.Calls(f)) })
	return p.items, p.next, err
}

// Agent implements queue.Engine. It does not wait for the decider: it shows the
// agent as the last commit left it.
func (e *Engine) Agent(ctx context.Context, id string) (*queue.Agent, *queue.Offer, error) {
	if err := errors.Join(ctx.Err(), e.over()); err != nil {
		return nil, nil, err
	}
	return e.views.get(id)
}

// Agents implements queue.Engine.
func (e *Engine) Agents(ctx context.Context, f queue.AgentFilter) ([]queue.Agent, string, error) {
	p, err := ask(ctx, e, func(m *queue.Machine, _ instant.Instant) (page[queue.Agent], error) { return paged(m.Agents(f)) })
	return p.items, p.next, err
}

// Callbacks implements queue.Engine.
func (e *Engine) Callbacks(ctx context.Context, f queue.CallbackFilter) ([]callback.Callback, string, error) {
	p, err := ask(ctx, e, func(m *queue.Machine, _ instant.Instant) (page[callback.Callback], error) {
		return paged(m.Callbacks(f))
	})
	return p.items, p.next, err
}

// Positions implements queue.Engine.
func (e *Engine) Positions(ctx context.Context, switchID string) ([]queue.Position, error) {
	return ask(ctx, e, func(m *queue.Machine, _ instant.Instant) ([]queue.Position, error) { return m.Positions(switchID), nil })
}

// Cohorts implements queue.Engine.
func (e *Engine) Cohorts(ctx context.Context, from, to instant.Instant) ([]queue.Cohort, error) {
	return ask(ctx, e, func(m *queue.Machine, _ instant.Instant) ([]queue.Cohort, error) { return m.Cohorts(from, to), nil })
}

// Events implements queue.Engine. A limit of 0 means 1,000; 10,000 is the most
// that is returned at once. A cursor beyond the last event is ErrInvalid of the
// field "after": it belongs to another log.
func (e *Engine) Events(ctx context.Context, after uint64, limit int) ([]queue.Event, error) {
	if limit <= 0 {
		limit = usualEvents
	}
	limit = min(limit, mostEvents)
	for {
		if err := e.over(); err != nil {
			return nil, err
		}
		events, more, err := e.log.read(after, limit)
		if err != nil {
			return nil, e.ifOver(err)
		}
		if len(events) > 0 {
			return events, nil
		}
		select {
		case <-more:
		case <-e.stopped:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// LastEvent implements queue.Engine.
func (e *Engine) LastEvent(context.Context) (uint64, error) {
	if err := e.over(); err != nil {
		return 0, err
	}
	return e.log.last(), nil
}

// over returns why nothing is answered any more, nil while the engine serves.
func (e *Engine) over() error {
	if err := e.unavailable(); err != nil {
		return err
	}
	select {
	case <-e.stopped:
		return queue.ErrClosed
	default:
		return nil
	}
}

// ifOver returns why nothing is answered any more, and err while the engine serves.
func (e *Engine) ifOver(err error) error {
	if over := e.over(); over != nil {
		return over
	}
	return err
}

// Failed implements queue.Engine.
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

// unavailable returns ErrUnavailable with what happened once the engine has failed.
func (e *Engine) unavailable() error {
	if err := e.Err(); err != nil {
		return fmt.Errorf("%w: %w", queue.ErrUnavailable, err)
	}
	return nil
}

// fail ends the engine for the first cause it is given: nothing is decided and
// nothing acknowledged from here on. It returns what everyone is told.
func (e *Engine) fail(cause error) error {
	e.failOnce.Do(func() {
		e.failure = fmt.Errorf("embedded: %s: the engine has stopped: %w", e.store.path, cause)
		attrs := []any{"file", e.store.path, "error", cause}
		if p, ok := errors.AsType[*panicError](cause); ok {
			attrs = append(attrs, "stack", string(p.stack))
		}
		e.opts.Logger.Error("the engine has failed and acknowledges nothing any more; restart the daemon when the cause is mended", attrs...)
		close(e.failed)
		e.mail.close(e.unavailable())
	})
	return e.unavailable()
}

// Close implements queue.Engine: what was submitted is finished and answered,
// then the file is closed. When ctx ends first Close returns its error and the
// rest happens on its own. After a failure there is nothing left to finish.
func (e *Engine) Close(ctx context.Context) error {
	e.mail.close(queue.ErrClosed)
	select {
	case <-e.closed:
		return e.closeErr
	default:
	}
	select {
	case <-e.closed:
		return e.closeErr
	case <-ctx.Done():
		return fmt.Errorf("embedded: close %s: %w", e.store.path, ctx.Err())
	}
}
