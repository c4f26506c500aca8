package resolve

import (
	"errors"
	"log/slog"
	"time"

	"greenlane/tiering"
)

// health is what is thought of the directory, from how its last lookups ended.
type health struct {
	failures int           // in a row
	down     bool          // failures reached the limit
	pause    time.Duration // between retries; zero while lookups succeed
	probe    time.Time     // while down: when the next arriving call may be looked up
}

// admits reports whether an arriving call may be looked up. While the directory
// is down one call in each pause is, to see whether it is still.
func (h *health) admits(now time.Time) bool {
	if !h.down {
		return true
	}
	if now.Before(h.probe) {
		return false
	}
	h.probe = now.Add(h.pause)
	return true
}

// bad notes a failure, with r.mu held.
func (r *Resolver) bad(cause error) {
	h := &r.health
	h.failures++
	if h.pause == 0 {
		h.pause = r.c.RetryMin
		select {
		case <-r.well: // that was before
		default:
		}
	}
	if h.down || h.failures < r.c.Failures {
		return
	}
	h.down, h.probe = true, r.c.Now().Add(h.pause)
	r.c.Log.Warn("the tier directory does not answer: calls are queued as ordinary until it does, and ranked again then",
		slog.Any("error", cause))
}

func (r *Resolver) late() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Late++
	r.bad(errLate)
}

var errLate = errors.New("no answer within the deadline")

// failed notes a lookup that ended in an error and has p tried again if
// somebody wants its answer. A closed directory is not asked again.
func (r *Resolver) failed(p *pursuit, err error) {
	r.mu.Lock()
	r.stats.Failed++
	if !r.closed {
		r.bad(err)
	}
	r.mu.Unlock()
	if p.fail() && !errors.Is(err, tiering.ErrClosed) {
		r.enqueue(p)
	}
}

func (r *Resolver) succeeded() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.health.down {
		r.c.Log.Info("the tier directory answers again", slog.Int("calls waiting for their tier", len(r.queue)))
	}
	if r.health.pause > 0 {
		signal(r.well)
	}
	r.health = health{}
}

func (r *Resolver) delivered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Delivered++
}

func (r *Resolver) enqueue(p *pursuit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return
	case len(r.queue) >= r.c.Pending:
		r.stats.GaveUp++
		return
	}
	r.queue = append(r.queue, p)
	signal(r.wake)
}

// signal leaves a token in c, in which one is enough.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// retry is the one goroutine that tries again. While the directory answers it
// keeps up to Retries lookups under way; while it fails, one after each pause.
func (r *Resolver) retry() {
	for {
		p, pause := r.next()
		switch {
		case p == nil && !r.sleep(r.wake, 0), pause > 0 && !r.sleep(r.well, pause):
			return
		case p == nil:
			continue
		}
		select {
		case r.retries <- struct{}{}:
		case <-r.ctx.Done():
			return
		}
		ended := make(chan struct{})
		p.try()
		r.running.Go(func() {
			defer func() { <-r.retries }()
			r.attempt(p)
			close(ended)
		})
		if pause > 0 && !r.probed(ended) {
			return
		}
	}
}

// probed waits for the outcome of a retry made while the directory fails, but
// not for one that ignores its context, and lengthens the pause if it failed
// again. It returns false after Close.
func (r *Resolver) probed(ended <-chan struct{}) bool {
	if !r.sleep(ended, r.c.Attempt) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := &r.health; h.pause > 0 {
		h.pause = min(2*h.pause, r.c.RetryMax)
	}
	return true
}

// next takes the first pursuit that is not to be given up, and says how long to
// pause before it.
func (r *Resolver) next() (p *pursuit, pause time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.c.Now()
	for len(r.queue) > 0 {
		p, r.queue[0] = r.queue[0], nil
		r.queue = r.queue[1:]
		if now.Before(p.until) {
			return p, r.health.pause
		}
		r.stats.GaveUp++
	}
	return nil, 0
}

// sleep waits for the token or, if d is not zero, until d has passed. It
// returns false after Close.
func (r *Resolver) sleep(token <-chan struct{}, d time.Duration) bool {
	var passed <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		passed = timer.C
	}
	select {
	case <-token:
	case <-passed:
	case <-r.ctx.Done():
	}
	return r.ctx.Err() == nil
}
