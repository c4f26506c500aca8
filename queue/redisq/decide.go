package redisq

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/queue/decider"
)

// The timer is looked after at least once a second, since a wall clock that is
// set forward, or a machine that was suspended, brings instants nearer than they
// seemed. Who did not commit last leaves timers to whoever did, for a moment: not
// all daemons need to fire at once.
const (
	shortestTimer = time.Millisecond
	longestTimer  = time.Second
	othersFirst   = 3 * time.Millisecond
	afterTrouble  = 50 * time.Millisecond
)

const (
	// patience is how often a batch may be too late before it asks for its turn, and
	// turnFor is for how long others then wait.
	patience = 2
	turnFor  = 5 * time.Millisecond
	// mostTries bounds how often a batch is decided. It is far above what happens.
	mostTries = 100
	// The commits kept for daemons that are behind: by number, and fewer when they
	// are large.
	leastCommits, mostCommits, commitBytes = 1000, 10_000, 8 << 20
	// usualFired is how many timers one commit fires at most: its script is to stay
	// below a millisecond, however many are due at one instant.
	usualFired = 256
	// logStep is how many events are written between two looks at the log's length.
	logStep = 256
)

// batch is what shares one commit: requests that are decided, what they changed,
// and the events they wrote.
type batch struct {
	requests []*decider.Request
	out      outgoing
	dirty    bool // there is something to write
	more     bool // only timers were fired, and more are due before the requests
	acked    bool // a command is not refused
	prove    bool // it is committed even if it changes nothing
	meta     queue.Meta
	events   []queue.Event
	agents   []decider.View // as they are after it
	gone     []string       // agents that are forgotten
	args     []any
}

// live is the decider's life: batch after batch, until the mailbox was closed and
// is empty, or the engine has failed.
func (e *Engine) live() {
	for e.Err() == nil && !e.mail.Drained() {
		if e.health.unproven(time.Now()) {
			e.prove()
		}
		e.arm()
		ticked, look := false, false
		select {
		case <-e.mail.Ready():
		case <-e.timer.C:
			ticked = !e.opts.NoTimers
		case <-e.news:
			look = e.told.Load() != e.seen.Load()
			if !look {
				continue
			}
		}
		e.mail.Gather(e.opts.MaxBatch)
		e.turn(ticked, look)
	}
	e.timer.Stop()
	reason := e.over()
	for _, r := range e.mail.Take(nil, -1) {
		r.Answer(reason)
	}
}

// arm sets the timer to the next instant at which time alone changes something.
func (e *Engine) arm() {
	wait := longestTimer
	if e.machine != nil && !e.opts.NoTimers {
		if next, ok := e.machine.NextTimer(); ok {
			wait = next.Sub(e.Now())
			if !e.mine {
				wait += othersFirst + rand.N(othersFirst)
			}
		}
	}
	least := shortestTimer
	if e.troubled {
		least = afterTrouble
	}
	e.timer.Reset(min(max(wait, least), longestTimer))
}

// turn takes what waits, decides it with one instant, has Redis keep it, and only
// then answers. With look it catches up, even if nothing waits.
func (e *Engine) turn(ticked, look bool) {
	b := &e.batch
	clear(b.requests)
	b.requests = e.mail.Take(b.requests[:0], e.opts.MaxBatch)
	all := len(b.requests)
	err := decider.Guard(func() error { return e.serve(b, ticked, look) })
	if _, is := errors.AsType[*decider.PanicError](err); is {
		err = e.fail(err)
	}
	e.troubled = err != nil
	if err != nil && all == 0 {
		e.opts.Logger.Debug("redis can't be asked", "site", e.name, "error", err)
	}
	for _, r := range b.requests {
		r.Answer(err)
	}
}

// serve decides a batch until it is in, or nothing can be done. An error is one
// for all that are left in the batch.
func (e *Engine) serve(b *batch, ticked, look bool) error {
	e.fresh = false
	for try := 0; try < mostTries; try++ {
		err := e.attempt(b, ticked, look, try)
		switch {
		case err == nil && b.more:
			try = -1 // this much is in
			continue
		case err == nil:
			e.health.answered(b.dirty)
			return e.answer(b)
		case errors.Is(err, errAgain):
			continue
		case redis.HasErrorPrefix(err, "WRONGTYPE"):
			if err = e.sortAndForget(); errors.Is(err, errAgain) {
				continue
			}
		case redis.HasErrorPrefix(err, "OOM") && e.refuseFilling(b, err):
			continue
		case errors.Is(err, queue.ErrUnavailable), e.Err() != nil:
			return err
		}
		if _, is := errors.AsType[*decider.PanicError](err); is {
			return err
		}
		return e.unavailable(err)
	}
	return fmt.Errorf("%w: other daemons were always first", queue.ErrUnavailable)
}

// attempt decides a batch once. errAgain means that the copy was not at the head,
// and is another one now.
func (e *Engine) attempt(b *batch, ticked, look bool, try int) error {
	if err := e.settle(); err != nil {
		return err
	}
	if err := decider.Guard(func() error { return e.decide(b, ticked) }); err != nil {
		return err
	}
	if b.dirty {
		return e.commit(b, try)
	}
	if len(b.requests) == 0 && !look || e.fresh {
		return nil
	}
	// Nothing is to be written, but what was refused or asked must be so at the head.
	// Once is enough: what is decided on what Redis has had since is true of then.
	news, err := e.catchUp("")
	if err == nil && (news || e.rebuild) {
		return errAgain
	}
	return err
}

// settle makes the copy one that can be decided upon.
func (e *Engine) settle() error {
	for range mostTries {
		var err error
		switch {
		case e.machine == nil:
			err = e.load()
		case e.unsettled != "":
			_, err = e.catchUp(e.unsettled)
		case e.rebuild:
			err = e.renew()
		default:
			return nil
		}
		if redis.HasErrorPrefix(err, "WRONGTYPE") {
			err = e.sortAndForget()
		}
		if err != nil && !errors.Is(err, errAgain) {
			return err
		}
	}
	return fmt.Errorf("%w: the site can't be read while others change it", queue.ErrUnavailable)
}

// decide applies every command of the batch at one instant, after the timers that
// are due. When these are many, it fires a part of them and nothing else.
func (e *Engine) decide(b *batch, ticked bool) error {
	now := e.Now()
	b.more, b.acked = false, false
	if ticked || slices.ContainsFunc(b.requests, func(r *decider.Request) bool { return r.Cmd != nil }) {
		b.more = e.machine.FireSome(now, e.opts.mostFired)
	}
	if !b.more {
		if err := e.applyAll(b, now, ticked); err != nil {
			return err
		}
	}
	return e.collect(b)
}

func (e *Engine) applyAll(b *batch, now instant.Instant, ticked bool) error {
	if ticked {
		if _, err := e.machine.Apply(now, &queue.Tick{}); err != nil {
			return err
		}
	}
	for _, agent := range e.revive {
		// An error says that nothing is to be done any more.
		_, _ = e.machine.Apply(now, &queue.SetState{Agent: agent, State: queue.AgentReady})
	}
	for _, r := range b.requests {
		if r.Cmd == nil {
			continue
		}
		r.Res, r.Err = e.machine.Apply(now, r.Cmd)
		if r.Err == nil {
			r.Res = r.Res.Clone() // the machine's own records change with the next command
			b.acked = true
		}
	}
	return nil
}

// collect takes up what was changed, to be written.
func (e *Engine) collect(b *batch) error {
	clear(b.agents)
	b.agents = b.agents[:0]
	e.machine.TouchedAgents(func(a *queue.Agent, o *queue.Offer) { b.agents = append(b.agents, decider.ViewOf(a, o)) })
	c := e.machine.TakeChanges()
	b.events, b.gone, b.meta = c.Events, c.GoneAgents, c.Meta
	b.out.reset()
	// What is acknowledged must be confirmed. A repeated command changes nothing, but
	// nobody may have confirmed the first one: a commit of nothing sees to it.
	b.dirty = !c.Empty() || b.acked && e.opts.MinReplicas > 0 || b.prove
	if !b.dirty {
		return nil
	}
	e.heardNow(c.Meta.Now)
	return b.out.encode(c)
}

// answer lets everything of the batch that was decided be answered: questions now,
// when the copy is what Redis has.
func (e *Engine) answer(b *batch) error {
	return decider.Guard(func() error {
		now := e.Now()
		for _, r := range b.requests {
			if r.Ask != nil {
				r.Ask(e.machine, now)
			}
		}
		return nil
	})
}

// commit has Redis keep what the batch changed, if nobody was faster.
func (e *Engine) commit(b *batch, try int) error {
	nonce, script := e.nonce(), commitScript
	if b.more || !slices.ContainsFunc(b.requests, fills) {
		script = drainScript
	}
	b.args = e.commitArgs(b.args, &b.out, nonce, try)
	began := time.Now()
	r, err := e.run(script, nonce, b.args, true)
	e.observe(len(b.requests), began, err)
	clear(b.args)
	if err != nil && !errors.Is(err, errUnconfirmed) {
		e.unsettled = string(b.out.packed)
		return err
	}
	if r.status == statusOK {
		e.done(b, nonce)
		return err
	}
	e.late.Add(1)
	e.worst.Store(max(e.worst.Load(), int64(try+1)))
	return e.tooLate(b, &r)
}

func (e *Engine) commitArgs(args []any, out *outgoing, nonce string, try int) []any {
	entry, first, turn := "", "", ""
	if out.last > 0 {
		entry = entryID(out.last)
		if keep, was := uint64(e.site.Keep.Events), e.log.last(); out.last > keep && out.last/logStep != was/logStep {
			first = entryID(out.last - keep + 1)
		}
	}
	if try >= patience {
		turn = strconv.FormatInt(turnFor.Milliseconds(), 10)
	}
	keep := min(max(commitBytes/(len(out.packed)+1), leastCommits), mostCommits)
	args = append(e.begin(args), strconv.FormatUint(e.at.version, 10), e.at.nonce, e.print, nonce,
		strconv.FormatUint(e.at.version+1, 10), out.packed, out.meta, entry, out.events, entryID(e.log.last()+1), keep, first, e.id, turn)
	return out.writes(args)
}

// done takes up that a commit is in.
func (e *Engine) done(b *batch, nonce string) {
	if !b.more {
		e.revive = nil
	}
	e.at, e.counters, e.mine = place{e.at.version + 1, nonce}, b.meta, true
	e.seen.Store(e.at.version)
	e.views.Load().Show(b.agents, b.gone) // first: who reads an event finds its agent as it left him
	if len(b.events) > 0 {
		e.entry = digestOf(b.out.events)
		e.log.push(b.events)
	}
}

// tooLate takes up that a commit is not in: the copy is brought to where Redis is.
func (e *Engine) tooLate(b *batch, r *reply) error {
	fields := string(b.out.packed)
	switch r.status {
	case statusBehind:
		f := newFold(e.at, e.log.last())
		e.unsettled = fields // until the copy has followed
		if err := f.take(r); err != nil {
			return err
		}
		if _, err := e.follow(f, ""); err != nil {
			return err
		}
		return errAgain
	case statusWait:
		e.unsettled = fields
		time.Sleep(time.Duration(max(r.number(0), 1)) * time.Millisecond)
		return errAgain
	case statusNone, statusConfig:
		e.unsettled = fields
		if err := e.takeOver(); err != nil {
			return err
		}
		return errAgain
	case statusBlocked:
		if err := e.unblock(r); err != nil {
			return err
		}
		return e.forget("a stream had other entries")
	default:
		return e.forget(r.status)
	}
}

// fills reports whether a request is one that needs memory in Redis: one that is
// full still takes all others, which empty it.
func fills(r *decider.Request) bool {
	switch r.Cmd.(type) {
	case *queue.Arrive, *queue.CreateCallback, *queue.Reconcile:
		return true
	}
	return false
}

// refuseFilling answers those of a batch that fill a Redis whose memory is full,
// and reports whether others are left.
func (e *Engine) refuseFilling(b *batch, err error) bool {
	if !slices.ContainsFunc(b.requests, fills) {
		return false
	}
	refusal := e.unavailable(err)
	b.requests = slices.DeleteFunc(b.requests, func(r *decider.Request) bool {
		if fills(r) {
			r.Answer(refusal)
			return true
		}
		return false
	})
	return true
}
