package feed

import (
	"context"
	"errors"
	"sync"
	"time"

	"greenlane/queue"
)

// Why a subscription ended, as Take says it.
var (
	// ErrCutOff: the subscriber did not read, and its buffer was full. Cursor says
	// where to resume.
	ErrCutOff = errors.New("feed: subscriber did not read and was cut off")
	// ErrStopped: the feed was stopped, or the engine was closed.
	ErrStopped = errors.New("feed: stopped")
)

// Source is the part of the engine that a feed reads. queue.Engine has it.
type Source interface {
	Events(ctx context.Context, after uint64, limit int) ([]queue.Event, error)
	LastEvent(ctx context.Context) (uint64, error)
}

// Options are a feed's settings; zero values mean the defaults.
type Options struct {
	Batch  int // events read from the log at once. Default 1024.
	Keyed  int // buffer of a subscriber to one agent. Default 64.
	Switch int // buffer of a subscriber to one switch. Default 4096.
	All    int // buffer of a subscriber to everything. Default 4096.
}

func (o Options) withDefaults() Options {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&o.Batch, 1024)
	set(&o.Keyed, 64)
	set(&o.Switch, 4096)
	set(&o.All, 4096)
	return o
}

// Feed is one site's reader and its subscribers.
type Feed struct {
	src  Source
	opts Options

	startOnce sync.Once
	started   chan struct{}
	cancel    context.CancelFunc
	done      chan struct{}
	stop      context.Context

	mu       sync.Mutex
	cutOff   int64  // subscribers that did not read
	position uint64 // the last event that was handed to the subscribers
	losses   int    // how often events were missed for good
	ended    bool
	agents   map[string][]*Sub
	switches map[string][]*Sub
	all      []*Sub
}

// New returns a feed of src. Nothing happens before Start.
func New(src Source, opts Options) *Feed {
	ctx, cancel := context.WithCancel(context.Background())
	return &Feed{
		src: src, opts: opts.withDefaults(),
		started: make(chan struct{}), cancel: cancel, done: make(chan struct{}), stop: ctx,
		agents: map[string][]*Sub{}, switches: map[string][]*Sub{},
	}
}

// Start begins to read at the log's end, and returns once it knows where that
// is. A second Start does nothing.
func (f *Feed) Start(ctx context.Context) error {
	var err error
	f.startOnce.Do(func() {
		var last uint64
		if last, err = f.src.LastEvent(ctx); err != nil {
			f.end()
			close(f.done)
			return
		}
		f.mu.Lock()
		f.position = last
		f.mu.Unlock()
		close(f.started)
		go f.run()
	})
	return err
}

// Stop ends the reader and every subscription, and waits for the reader. It is
// safe to repeat, and to call without Start.
func (f *Feed) Stop() {
	f.cancel()
	f.startOnce.Do(func() { close(f.done) })
	<-f.done
	f.end()
}

// Position returns the last event that was handed to the subscribers.
func (f *Feed) Position() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.position
}

// Stats are a feed's figures at one moment.
type Stats struct {
	Position    uint64 // the last event that was handed to the subscribers
	Subscribers int    // those to whom events are pushed; one that still reads the log is none
	CutOff      int64  // subscribers that were cut off since the start
}

// Stats returns the feed's figures.
func (f *Feed) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := Stats{Position: f.position, CutOff: f.cutOff}
	f.eachLocked(func(*Sub) { s.Subscribers++ })
	return s
}

func (f *Feed) run() {
	defer close(f.done)
	defer f.end()
	pause := time.Duration(0)
	for {
		events, err := f.src.Events(f.stop, f.Position(), f.opts.Batch)
		switch {
		case f.stop.Err() != nil, errors.Is(err, queue.ErrClosed):
			return
		case errors.Is(err, queue.ErrTrimmed):
			err = f.skip(err)
		case err == nil:
			f.dispatch(events)
		}
		if err == nil {
			pause = 0
			continue
		}
		pause = min(max(2*pause, 10*time.Millisecond), time.Second)
		if !f.sleep(pause) {
			return
		}
	}
}

// sleep waits before the next attempt to read a log that does not answer.
func (f *Feed) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-f.stop.Done():
		return false
	}
}

// skip goes on at the log's end after this reader was left behind by the trimming,
// or after the log has lost its end. Every subscriber has missed something for good,
// and is told so: its cursor may be one that the log is yet to reach again.
func (f *Feed) skip(lost error) error {
	last, err := f.src.LastEvent(f.stop)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.position = last
	f.losses++
	f.eachLocked(func(s *Sub) {
		s.finish(lost)
		f.cutOff++
	})
	f.forgetLocked()
	return nil
}

// dispatch hands a batch to those it concerns. An event wakes only the
// subscribers of its own agent and switch, and those of everything.
func (f *Feed) dispatch(events []queue.Event) {
	if len(events) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var full []*Sub
	for i := range events {
		ev := &events[i]
		if ev.Agent != "" {
			full = push(f.agents[ev.Agent], ev, full)
		}
		if ev.Switch != "" {
			full = push(f.switches[ev.Switch], ev, full)
		}
		full = push(f.all, ev, full)
	}
	f.position = events[len(events)-1].Seq
	for _, s := range full {
		f.removeLocked(s)
	}
	f.cutOff += int64(len(full))
}

func push(subs []*Sub, ev *queue.Event, full []*Sub) []*Sub {
	for _, s := range subs {
		if !s.push(ev) {
			full = append(full, s)
		}
	}
	return full
}

// end closes every subscription, and those to come.
func (f *Feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	f.eachLocked(func(s *Sub) { s.finish(ErrStopped) })
	f.forgetLocked()
}

func (f *Feed) eachLocked(do func(*Sub)) {
	for _, subs := range f.agents {
		for _, s := range subs {
			do(s)
		}
	}
	for _, subs := range f.switches {
		for _, s := range subs {
			do(s)
		}
	}
	for _, s := range f.all {
		do(s)
	}
}

func (f *Feed) forgetLocked() {
	clear(f.agents)
	clear(f.switches)
	f.all = nil
}

func (f *Feed) addLocked(s *Sub) {
	switch s.kind {
	case ofAgent:
		f.agents[s.key] = append(f.agents[s.key], s)
	case ofSwitch:
		f.switches[s.key] = append(f.switches[s.key], s)
	default:
		f.all = append(f.all, s)
	}
}

func (f *Feed) removeLocked(s *Sub) {
	switch s.kind {
	case ofAgent:
		drop(f.agents, s)
	case ofSwitch:
		drop(f.switches, s)
	default:
		f.all = without(f.all, s)
	}
}

func drop(of map[string][]*Sub, s *Sub) {
	if left := without(of[s.key], s); len(left) > 0 {
		of[s.key] = left
		return
	}
	delete(of, s.key)
}

// without returns subs without s in a new slice when there are others, since a
// dispatch may be walking the old one.
func without(subs []*Sub, s *Sub) []*Sub {
	var left []*Sub
	for _, other := range subs {
		if other != s {
			left = append(left, other)
		}
	}
	return left
}
