package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/queue/decider"
)

// Engine is one site in one file. It implements queue.Engine.
type Engine struct {
	decider.Port

	opts  Options
	store *store
	clock *clock
	log   *eventLog
	views *decider.Views
	keep  keepEvents
	mail  *decider.Mailbox

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
	views, err := decider.NewViews(m)
	if err != nil {
		return nil, openError("restore", s.path, err)
	}
	e := &Engine{
		views: views,
		opts:  opts, store: s, machine: m,
		clock:   newClock(opts.Now, floor),
		journal: s.journal,
		keep:    keepEvents{age: site.Keep.EventsAge, number: uint64(site.Keep.Events), seal: s.seal},
		mail:    decider.NewMailbox(opts.MaxPending),
		failed:  make(chan struct{}),
		stopped: make(chan struct{}),
		closed:  make(chan struct{}),
	}
	e.Port = decider.NewPort(e.mail)
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

// Now implements queue.Engine.
func (e *Engine) Now() instant.Instant { return e.clock.Now() }

// Call implements queue.Engine.
func (e *Engine) Call(ctx context.Context, id string) (*queue.CallInfo, error) {
	info, err := decider.Ask(ctx, e.Port, func(m *queue.Machine, _ instant.Instant) (*queue.CallInfo, error) { return m.Call(id) })
	if err != nil {
		return nil, err
	}
	// Its events were committed before the answer came.
	if info.Events, err = e.log.only(info.Call.Events); err != nil {
		return nil, e.ifOver(err)
	}
	return info, nil
}

// Agent implements queue.Engine. It does not wait for the decider: it shows the
// agent as the last commit left it.
func (e *Engine) Agent(ctx context.Context, id string) (*queue.Agent, *queue.Offer, error) {
	if err := errors.Join(ctx.Err(), e.over()); err != nil {
		return nil, nil, err
	}
	return e.views.Get(id)
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
		if p, ok := errors.AsType[*decider.PanicError](cause); ok {
			attrs = append(attrs, "stack", string(p.Stack))
		}
		e.opts.Logger.Error("the engine has failed and acknowledges nothing any more; restart the daemon when the cause is mended", attrs...)
		close(e.failed)
		e.mail.Close(e.unavailable())
	})
	return e.unavailable()
}

// Close implements queue.Engine: what was submitted is finished and answered,
// then the file is closed. When ctx ends first Close returns its error and the
// rest happens on its own. After a failure there is nothing left to finish.
func (e *Engine) Close(ctx context.Context) error {
	e.mail.Close(queue.ErrClosed)
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
