package redisq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/instant"
	"greenlane/queue"
)

// job is one or more scripts that go to Redis together, one right after the
// other: a command and, before it, the tick that fires what is due.
type job struct {
	runs  []*run
	taken atomic.Bool   // by a sender, or by a caller who waits no longer
	done  chan struct{} // closed when every run has its answer
}

// run is one run of a script.
type run struct {
	script *script
	args   []any // as the script takes them
	nonce  string
	reply  reply
	err    error
}

// reply is what every script answers.
type reply struct {
	status  string
	nonce   string // of the run it answers
	now     instant.Instant
	next    instant.Instant // when the next timer is due; zero: none is armed
	last    uint64          // the last event
	body    string
	damaged []string // records that could not be read: key and field
}

// newRun prepares a run of a script at an instant; args follow the common ones.
func (e *Engine) newRun(s *script, now instant.Instant, args ...any) *run {
	n := e.nonces.Add(1)
	r := &run{script: s, nonce: e.nonceBase + fmt.Sprintf("%x", n)}
	r.args = append(make([]any, 0, 3+len(args)), int64(now), *e.print.Load(), r.nonce)
	r.args = append(r.args, args...)
	return r
}

// send has the runs carried out one after the other. An error means that the
// runs must not be looked at: ctx ended first. What happened to each run is in
// the run.
func (e *Engine) send(ctx context.Context, runs ...*run) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{runs: runs, done: make(chan struct{})}
	select {
	case e.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-e.closing:
		return queue.ErrClosed
	}
	select {
	case <-j.done:
		return nil
	case <-ctx.Done():
	case <-e.closed:
		select {
		case <-j.done:
			return nil
		default:
		}
		return queue.ErrClosed
	}
	if j.taken.CompareAndSwap(false, true) {
		return ctx.Err() // nothing has happened, nor will it
	}
	select {
	case <-j.done: // both at once
		return nil
	default:
	}
	return fmt.Errorf("%w: the answer was not waited for: %w", queue.ErrUnavailable, ctx.Err())
}

// sender takes jobs and sends those that wait together.
func (e *Engine) sender() {
	batch := make([]*run, 0, e.opts.MaxBatch)
	var jobs []*job
	for {
		select {
		case j := <-e.jobs:
			batch, jobs = e.gather(j, batch[:0], jobs[:0])
		case <-e.closing:
			// Finish what was submitted.
			select {
			case j := <-e.jobs:
				batch, jobs = e.gather(j, batch[:0], jobs[:0])
			default:
				return
			}
		}
		if len(batch) > 0 {
			e.exchange(batch)
		}
		for _, j := range jobs {
			close(j.done)
		}
	}
}

// gather takes the first job and whatever else waits.
func (e *Engine) gather(first *job, batch []*run, jobs []*job) ([]*run, []*job) {
	for j := first; ; {
		if j.taken.CompareAndSwap(false, true) {
			batch, jobs = append(batch, j.runs...), append(jobs, j)
		}
		if len(batch) >= e.opts.MaxBatch {
			return batch, jobs
		}
		select {
		case j = <-e.jobs:
		default:
			return batch, jobs
		}
	}
}

// exchange sends runs in one pipeline and gives each its answer.
func (e *Engine) exchange(batch []*run) {
	ctx, cancel := context.WithTimeout(context.Background(), e.opts.Timeout+e.opts.ConfirmWithin)
	defer cancel()
	node, err := e.node(ctx)
	if err != nil {
		e.lost(batch, err)
		return
	}
	conn := node.Conn()
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	begin := time.Now()
	for left := batch; len(left) > 0; left = e.leftOver(left) {
		shipped := e.ship(left)
		e.pipeline(ctx, conn, shipped)
		// Scripts vanish when a server starts or another takes over. Nothing has
		// happened then, and the source can be sent.
		var again []*shipment
		for _, s := range shipped {
			if err := s.runs[0].err; err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
				s.args[0], s.args[1] = "eval", s.script.source
				again = append(again, s)
			}
		}
		if len(again) > 0 {
			e.pipeline(ctx, conn, again)
		}
	}
	took := time.Since(begin)
	var first error
	for _, r := range batch {
		if r.err != nil {
			first = cmp.Or(first, r.err)
			if redis.HasErrorPrefix(r.err, "ERR user_script") || redis.HasErrorPrefix(r.err, "ERR Error compiling") {
				e.opts.Logger.Error("a script failed; this is a defect", "script", r.script.name, "error", r.err)
			}
			r.err = e.unavailable(r.err)
		}
	}
	if e.opts.Observe != nil {
		e.opts.Observe(len(batch), took, first)
	}
}

// leftOver returns those of the runs that a batch had no time for, and has the
// next batches take fewer, or more when all were decided.
func (e *Engine) leftOver(batch []*run) (left []*run) {
	for _, r := range batch {
		if r.err == nil && r.reply.status == "LATER" {
			left = append(left, r)
		}
	}
	size := e.together.Load()
	if len(left) > 0 {
		size = max(2, size/2)
	} else {
		size++
	}
	e.together.Store(min(size, int64(e.opts.batchRuns)))
	return left
}

// shipment is one run of a script in Redis: of a command's own, or of a batch.
type shipment struct {
	script *script
	runs   []*run
	args   []any // as EVALSHA takes them
	cmd    *redis.Cmd
}

// ship puts runs that can be decided together into one shipment. Jobs have no
// order among themselves; within one, the tick comes first.
func (e *Engine) ship(batch []*run) []*shipment {
	slices.SortStableFunc(batch, func(a, b *run) int { return cmp.Compare(a.script.turn(), b.script.turn()) })
	var out []*shipment
	most := int(e.together.Load())
	for first := 0; first < len(batch); {
		next := first + 1
		s := &shipment{script: batch[first].script}
		if together := s.script.batch; together != nil {
			for next < len(batch) && next-first < most && batch[next].script.batch == together && batch[next].args[1] == batch[first].args[1] {
				next++
			}
			if next-first >= e.opts.leastRuns {
				s.script = together
			}
		}
		s.runs = batch[first:next]
		s.args = append(make([]any, 0, 3+len(e.keyArgs)+12*len(s.runs)), "evalsha", s.script.hash, len(e.keyArgs))
		s.args = append(s.args, e.keyArgs...)
		if s.script == s.runs[0].script {
			s.args = append(s.args, s.runs[0].args...)
		} else {
			s.args = append(s.args, s.runs[0].args[1])
			for _, r := range s.runs {
				s.args = append(append(s.args, r.script.name, len(r.args)), r.args...)
			}
		}
		out = append(out, s)
		first = next
	}
	return out
}

// take gives each run of a shipment its answer.
func (s *shipment) take() (mixedUp bool) {
	list, err := s.cmd.Slice()
	if err == nil && s.script != s.runs[0].script && len(list) != len(s.runs) {
		err = errMixedUp
	}
	for i, r := range s.runs {
		one := list
		if err == nil && s.script != r.script {
			one, _ = list[i].([]any)
		}
		if r.err = err; err == nil {
			r.reply, r.err = parseReply(one)
		}
		if r.err == nil && r.reply.nonce != r.nonce {
			r.err = errMixedUp
		}
		mixedUp = mixedUp || errors.Is(r.err, errMixedUp)
	}
	return mixedUp
}

// pipeline sends shipments on one connection, and with MinReplicas waits until so
// many replicas have what they wrote.
func (e *Engine) pipeline(ctx context.Context, conn *redis.Conn, shipped []*shipment) {
	p := conn.Pipeline()
	for _, s := range shipped {
		s.cmd = p.Do(ctx, s.args...)
	}
	var confirmed *redis.Cmd
	if e.opts.MinReplicas > 0 {
		confirmed = p.Do(ctx, "wait", e.opts.MinReplicas, e.opts.ConfirmWithin.Milliseconds())
	}
	_, _ = p.Exec(ctx) // each command has its own error
	mixedUp := false
	var batch []*run
	for _, s := range shipped {
		mixedUp = s.take() || mixedUp
		for _, r := range s.runs {
			if mixedUp {
				r.err = errMixedUp
			}
			batch = append(batch, r)
		}
	}
	if mixedUp {
		// The connection is out of step for good: end it, so that nobody gets it.
		e.opts.Logger.Error("redis answered another command than the one asked: the connection is dropped")
		_ = conn.Do(ctx, "quit").Err()
		return
	}
	if confirmed == nil {
		return
	}
	if n, err := confirmed.Int(); err != nil || n < e.opts.MinReplicas {
		for _, r := range batch {
			if r.err == nil {
				r.err = errors.Join(fmt.Errorf("%w: %d of %d replicas have it", errUnconfirmed, n, e.opts.MinReplicas), err)
			}
		}
	}
}

var (
	errMixedUp     = errors.New("the reply belongs to another command")
	errUnconfirmed = errors.New("it ran, but was not confirmed in time")
)

func parseReply(list []any) (reply, error) {
	var out reply
	if len(list) < 2 {
		return out, errMixedUp
	}
	out.status, _ = list[0].(string)
	out.nonce, _ = list[1].(string)
	number := func(i int) int64 {
		if i >= len(list) {
			return 0
		}
		n, _ := list[i].(int64)
		return n
	}
	out.now, out.next, out.last = instant.Instant(number(2)), instant.Instant(number(3)), uint64(number(4))
	if len(list) > 5 {
		out.body, _ = list[5].(string)
	}
	if len(list) > 6 {
		names, _ := list[6].([]any)
		for _, n := range names {
			if s, ok := n.(string); ok {
				out.damaged = append(out.damaged, s)
			}
		}
	}
	return out, nil
}

func (e *Engine) lost(batch []*run, err error) {
	for _, r := range batch {
		r.err = e.unavailable(err)
	}
}

// unavailable is what a caller is told of a failed exchange.
func (e *Engine) unavailable(err error) error {
	if isAway(err) {
		e.health.failed(err)
	}
	return fmt.Errorf("%w: redis: %w", queue.ErrUnavailable, err)
}

// node returns the client of the one server that holds the site now.
func (e *Engine) node(ctx context.Context) (*redis.Client, error) {
	switch c := e.client.(type) {
	case *redis.Client:
		return c, nil
	case *redis.ClusterClient:
		return c.MasterForKey(ctx, e.keys[keySite])
	default:
		return nil, fmt.Errorf("redisq: %T is no client of a server, of Sentinel or of a Cluster", e.client)
	}
}
