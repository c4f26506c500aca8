package redisq

import (
	"context"
	"math"
	"sync"
	"time"

	"greenlane/internal/instant"
)

// timers knows when the next timer of the site is due, as far as this daemon has
// heard. Every reply says it; what another daemon armed shows in the log, upon
// which this one looks; and it looks every second in any case.
type timers struct {
	mu     sync.Mutex
	next   instant.Instant // zero: none is known
	sooner chan struct{}   // has an element when next has come nearer
	peek   chan struct{}   // has an element when somebody may have armed one
}

func newTimers() *timers {
	return &timers{sooner: make(chan struct{}, 1), peek: make(chan struct{}, 1)}
}

// dueBy reports whether a timer is known to be due.
func (t *timers) dueBy(now instant.Instant) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.next != 0 && t.next <= now
}

// heard takes the site's next timer from a reply. Replies overtake one another:
// only a nearer one counts, until the known one has been fired.
func (t *timers) heard(next instant.Instant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if next != 0 && (t.next == 0 || next < t.next) {
		t.next = next
		poke(t.sooner)
	}
}

// fired forgets what was known: the tick's own reply says what is next.
func (t *timers) fired() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = 0
}

func (t *timers) known() instant.Instant {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.next
}

func (t *timers) peekSoon() { poke(t.peek) }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

const (
	lookEvery = time.Second           // for a timer that nobody told of
	peekEvery = 50 * time.Millisecond // at most, when the log tells that something happened
)

// fireTimers fires what is due when it is due. Several daemons doing so at once
// are harmless.
func (e *Engine) fireTimers(ctx context.Context) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	wake := time.NewTimer(0)
	defer wake.Stop()
	var peeked time.Time
	peeks := make(<-chan time.Time)
	for {
		if next := e.timers.known(); next != 0 {
			wake.Reset(max(0, next.Sub(instant.Of(e.opts.Now()))))
		} else {
			wake.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-e.timers.sooner:
			continue
		case <-e.timers.peek:
			if wait := peekEvery - time.Since(peeked); wait > 0 {
				peeks = time.After(wait)
				continue
			}
			peeked = time.Now()
			e.lookAtTimers(ctx)
			continue
		case <-peeks:
			peeks = make(<-chan time.Time)
			peeked = time.Now()
			e.lookAtTimers(ctx)
			continue
		case <-look.C:
			e.lookAtTimers(ctx)
			continue
		case <-wake.C:
		}
		now := e.Now()
		if !e.timers.dueBy(now) {
			continue
		}
		e.timers.fired()
		if err := e.tick(ctx, now); err != nil && !isOver(err) {
			e.opts.Logger.Debug("timers could not be fired", "error", err)
		}
	}
}

// lookAtTimers asks Redis when the next timer is due.
func (e *Engine) lookAtTimers(ctx context.Context) {
	node, err := e.node(ctx)
	if err != nil {
		return
	}
	list, err := node.ZRangeWithScores(ctx, e.keys[keyTimers], 0, 0).Result()
	if err != nil {
		if ctx.Err() == nil {
			e.health.failed(err)
		}
		return
	}
	e.health.answered()
	if len(list) > 0 && !math.IsInf(list[0].Score, 1) { // see lua/install.lua
		e.timers.heard(instant.Instant(list[0].Score))
	}
}
