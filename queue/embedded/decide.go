package embedded

import (
	"errors"
	"time"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/queue/decider"
)

// The timer is looked after at least once a second, since a wall clock that is
// set forward, or a machine that was suspended, brings instants nearer than they
// seemed. And a timer that is due and stays due, which the machine never leaves
// behind, must not turn the decider into a busy loop.
const (
	shortestTimer = time.Millisecond
	longestTimer  = time.Second
)

// run is the decider's life: batch after batch, until the mailbox was closed and
// is empty, or the engine has failed.
func (e *Engine) run() {
	for e.Err() == nil && !e.mail.Drained() {
		e.arm()
		ticked := false
		select {
		case <-e.mail.Ready():
		case <-e.timer.C:
			e.armed, ticked = 0, true
		case <-e.checkpoints.done: // the event log may want trimming
			continue
		}
		e.mail.Gather(e.opts.MaxBatch)
		e.turn(ticked)
	}
	e.timer.Stop()
	e.refuseRest()
	close(e.stopped)
	e.closeErr = e.closeFiles()
	close(e.closed)
}

// closeFiles ends the engine's files. Of one that has not failed, everything is
// in the database then and there is no journal.
func (e *Engine) closeFiles() error {
	close(e.checkpoints.stop)
	<-e.checkpoints.stopped
	if e.Err() != nil {
		return errors.Join(e.journal.close(), e.store.db.Close())
	}
	if err := e.checkpoint(); err != nil {
		return errors.Join(err, e.journal.close(), e.store.db.Close())
	}
	if err := e.store.beside(false); err != nil {
		return errors.Join(err, e.journal.close(), e.store.db.Close())
	}
	return errors.Join(e.journal.remove(), e.store.db.Close())
}

// turn takes what waits, decides it with one instant, makes it durable, and only
// then answers: to everyone the same when that did not succeed.
func (e *Engine) turn(ticked bool) {
	b := &e.batch
	b.reset()
	begin := time.Now()
	b.now = e.clock.Now()
	b.requests = e.mail.Take(b.requests, e.opts.MaxBatch)
	err := guard(func() error {
		if ticked {
			if err := e.tick(b.now); err != nil {
				return err
			}
		}
		for _, r := range b.requests {
			e.decide(r, b.now)
		}
		return b.seal(e.machine)
	})
	if err == nil && b.dirty {
		b.took = time.Since(begin)
		err = e.commit(b)
	}
	if err != nil {
		err = e.fail(err)
	}
	for _, r := range b.requests {
		r.Answer(err)
	}
}

func (e *Engine) decide(r *decider.Request, now instant.Instant) {
	if r.Ask != nil {
		r.Ask(e.machine, now)
		return
	}
	res, err := e.machine.Apply(now, r.Cmd)
	if err != nil {
		r.Err = err
		return
	}
	if _, is := r.Cmd.(*queue.EraseCaller); is {
		e.batch.erased = true
	}
	r.Res = res.Clone() // the machine's own records change with the next command
}

// tick fires the timers that are due, and begins a piece of trimming when that
// is due and no checkpoint is on its way that will see to it.
func (e *Engine) tick(now instant.Instant) error {
	if !e.checkpoints.waiting.Load() && e.keep.due(e.log.bounds(), now) {
		e.checkpoints.now()
	}
	_, err := e.machine.Apply(now, &queue.Tick{})
	return err
}

// catchUp fires, at the start, the timers that came due while nobody served.
func (e *Engine) catchUp() error {
	b := &e.batch
	b.reset()
	b.now = e.clock.Now()
	err := guard(func() error {
		if err := e.tick(b.now); err != nil {
			return err
		}
		return b.seal(e.machine)
	})
	if err != nil || !b.dirty {
		return err
	}
	return e.commit(b)
}

// arm sets the timer to the next instant at which time alone changes something.
func (e *Engine) arm() {
	next, ok := e.machine.NextTimer()
	if !e.checkpoints.waiting.Load() { // else one is on its way that trims
		if at := e.keep.dueAt(e.log.bounds()); at != 0 && (!ok || at < next) {
			next, ok = at, true
		}
	}
	switch {
	case !ok || e.opts.NoTimers:
		e.timer.Stop()
		e.armed = 0
	case next != e.armed:
		e.timer.Reset(min(max(next.Sub(e.clock.Now()), shortestTimer), longestTimer))
		e.armed = next
	}
}

// refuseRest answers everyone who is left when nothing is decided any more.
func (e *Engine) refuseRest() {
	reason := e.unavailable()
	if reason == nil {
		reason = queue.ErrClosed
	}
	for _, r := range e.mail.Take(nil, -1) {
		r.Answer(reason)
	}
}
