package queuetest

import (
	"context"
	"slices"
	"sync"
	"time"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/queue"
)

// Clock is a clock that stands still until it is told to go on. It is safe for
// concurrent use.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock returns a clock that shows at.
func NewClock(at time.Time) *Clock { return &Clock{at: at} }

// Now returns the time the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Advance moves the clock on.
func (c *Clock) Advance(d time.Duration) { c.Set(c.Now().Add(d)) }

// Set moves the clock, back too.
func (c *Clock) Set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// Memory is a queue.Engine without a store: a machine behind a lock and its
// events in a slice. It is for tests, and the shortest answer to what an engine
// is. It fires timers only when a command comes.
type Memory struct {
	site  queue.Site
	clock *Clock

	mu      sync.Mutex
	machine *queue.Machine
	log     []queue.Event
	trimmed uint64 // the last event no longer kept
	more    chan struct{}
	closed  bool
}

var _ queue.Engine = (*Memory)(nil)

// NewMemory returns an engine of an empty site.
func NewMemory(site queue.Site, clock *Clock) (*Memory, error) {
	machine, err := queue.NewMachine(site)
	if err != nil {
		return nil, err
	}
	return &Memory{site: site, clock: clock, machine: machine, more: make(chan struct{})}, nil
}

// Restart replaces the machine by one restored from a copy of its records.
func (e *Memory) Restart() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	machine, err := queue.RestoreMachine(e.site, CloneState(e.machine.State()))
	if err != nil {
		return err
	}
	e.machine = machine
	return nil
}

// Do implements queue.Engine.
func (e *Memory) Do(ctx context.Context, cmd queue.Command) (queue.Result, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(ctx); err != nil {
		return queue.Result{}, err
	}
	now := instant.Of(e.clock.Now())
	res, err := e.machine.Apply(now, cmd)
	res = res.Clone()
	if events := e.machine.TakeChanges().Events; len(events) > 0 {
		e.log = append(e.log, events...)
		e.trim(now)
		close(e.more)
		e.more = make(chan struct{})
	}
	return res, err
}

func (e *Memory) usable(ctx context.Context) error {
	if e.closed {
		return queue.ErrClosed
	}
	return ctx.Err()
}

// trim forgets events by age and number.
func (e *Memory) trim(now instant.Instant) {
	n := max(0, len(e.log)-e.site.Keep.Events)
	for n < len(e.log)-1 && e.log[n].At < now.Add(-e.site.Keep.EventsAge) {
		n++
	}
	if n > 0 {
		e.trimmed = e.log[n-1].Seq
		e.log = e.log[n:]
	}
}

// Now implements queue.Engine.
func (e *Memory) Now() instant.Instant { return instant.Of(e.clock.Now()) }

// Snapshot implements queue.Engine.
func (e *Memory) Snapshot(ctx context.Context) (*queue.Snapshot, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(ctx); err != nil {
		return nil, err
	}
	return e.machine.Snapshot(e.Now()), nil
}

// Statistics implements queue.Engine.
func (e *Memory) Statistics(ctx context.Context) (*queue.Snapshot, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(ctx); err != nil {
		return nil, err
	}
	return e.machine.Statistics(e.Now()), nil
}

// Call implements queue.Engine.
func (e *Memory) Call(ctx context.Context, id string) (*queue.CallInfo, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(ctx); err != nil {
		return nil, err
	}
	info, err := e.machine.Call(id)
	if err != nil {
		return nil, err
	}
	for _, event := range e.log {
		if slices.Contains(info.Call.Events, event.Seq) {
			info.Events = append(info.Events, event)
		}
	}
	return info, nil
}

// Calls implements queue.Engine.
func (e *Memory) Calls(ctx context.Context, f queue.CallFilter) ([]queue.Call, string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(ctx); err != nil {
		return nil, "", err
	}
	return e.machine.Calls(f)
}

// Agent implements queue.Engine.
func (e *Memory) Agent(ctx context.Context, id string) (*queue.Agent, *queue.Offer, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(ctx); err != nil {
		return nil, nil, err
	}
	return e.machine.Agent(id)
}

// Agents implements queue.Engine.
func (e *Memory) Agents(ctx context.Context, f queue.AgentFilter) ([]queue.Agent, string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(ctx); err != nil {
		return nil, "", err
	}
	return e.machine.Agents(f)
}

// Callbacks implements queue.Engine.
func (e *Memory) Callbacks(ctx context.Context, f queue.CallbackFilter) ([]callback.Callback, string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(ctx); err != nil {
		return nil, "", err
	}
	return e.machine.Callbacks(f)
}

// Positions implements queue.Engine.
func (e *Memory) Positions(ctx context.Context, switchID string) ([]queue.Position, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(ctx); err != nil {
		return nil, err
	}
	return e.machine.Positions(switchID), nil
}

// Cohorts implements queue.Engine.
func (e *Memory) Cohorts(ctx context.Context, from, to instant.Instant) ([]queue.Cohort, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(ctx); err != nil {
		return nil, err
	}
	return e.machine.Cohorts(from, to), nil
}

// Events implements queue.Engine.
func (e *Memory) Events(ctx context.Context, after uint64, limit int) ([]queue.Event, error) {
	for {
		events, more, err := e.read(ctx, after, limit)
		if err != nil || len(events) > 0 {
			return events, err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (e *Memory) read(ctx context.Context, after uint64, limit int) ([]queue.Event, chan struct{}, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(ctx); err != nil {
		return nil, nil, err
	}
	if after < e.trimmed {
		return nil, nil, &queue.Error{Kind: queue.ErrTrimmed, Field: "after", Detail: "trimmed", Oldest: e.trimmed + 1}
	}
	from := int(min(after-e.trimmed, uint64(len(e.log))))
	to := len(e.log)
	if limit > 0 {
		to = min(to, from+limit)
	}
	return slices.Clone(e.log[from:to]), e.more, nil
}

// LastEvent implements queue.Engine.
func (e *Memory) LastEvent(ctx context.Context) (uint64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(ctx); err != nil {
		return 0, err
	}
	return e.trimmed + uint64(len(e.log)), nil
}

// Failed implements queue.Engine: a memory does not fail.
func (e *Memory) Failed() <-chan struct{} { return nil }

// Err implements queue.Engine.
func (e *Memory) Err() error { return nil }

// Close implements queue.Engine. Whoever waits for events is woken.
func (e *Memory) Close(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.closed = true
		close(e.more)
	}
	return nil
}
