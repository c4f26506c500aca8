package embedded

import (
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"greenlane/internal/instant"
	"greenlane/queue"
)

// batch is what shares one commit: requests that were decided, what they
// changed, and the events they wrote.
type batch struct {
	requests []*request
	now      instant.Instant
	trims    bool // the event log wants trimming
	dirty    bool // there is something to write
	erased   bool // somebody was erased
	writes   writes
	events   []queue.Event // the machine's own, good until the next batch
	agents   []agentView   // as they are after it
	gone     []string      // agents that are forgotten
	took     time.Duration // to decide and encode
}

// seal encodes what the machine's commands changed.
func (b *batch) seal(m *queue.Machine) error {
	m.TouchedAgents(func(a *queue.Agent, o *queue.Offer) { b.agents = append(b.agents, viewOf(a, o)) })
	c := m.TakeChanges()
	b.dirty = b.trims || !c.Empty()
	if c.Empty() {
		return nil
	}
	b.events, b.gone = c.Events, c.GoneAgents
	if err := b.writes.changes(c); err != nil || !b.erased {
		return err
	}
	b.writes.mark(keyErased)
	return nil
}

func (b *batch) reset() {
	clear(b.requests)
	clear(b.agents)
	b.requests, b.events, b.agents, b.gone = b.requests[:0], nil, b.agents[:0], nil
	b.writes.reset()
	b.trims, b.dirty, b.erased, b.took = false, false, false, 0
}

// commit writes a batch in one transaction and publishes its events.
func (e *Engine) commit(b *batch) error {
	begin := time.Now()
	var t trim
	err := guard(func() error {
		return e.opts.WrapCommit(func() (err error) {
			t, err = e.transact(b)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	e.views.show(b.agents, b.gone) // first: who reads an event finds its agent as it left him
	e.log.publish(b.events, t)
	if e.opts.Observe != nil {
		e.opts.Observe(len(b.requests), b.took, time.Since(begin))
	}
	return nil
}

func (e *Engine) transact(b *batch) (t trim, err error) {
	tx, err := e.store.db.Begin(true)
	if err != nil {
		return trim{}, err
	}
	// After a commit this only says that there is nothing to roll back. After an
	// error or a panic it frees the lock that closing the file needs.
	defer func() { _ = tx.Rollback() }()
	if err := b.writes.apply(tx); err != nil {
		return trim{}, err
	}
	ends := e.log.bounds()
	if n := len(b.events); n > 0 {
		ends.last = b.events[n-1].Seq
		if ends.first == b.events[0].Seq {
			ends.firstAt = b.events[0].At
		}
	}
	if e.keep.due(ends, b.now) {
		if t, err = e.keep.cut(tx, ends, b.now, len(b.events)); err != nil {
			return trim{}, fmt.Errorf("trim the event log: %w", err)
		}
	}
	return t, tx.Commit()
}

// apply carries the writes out.
func (w *writes) apply(tx *bbolt.Tx) error {
	var buckets [bucketCount]*bbolt.Bucket
	all := w.buf.Bytes()
	for i := range w.list {
		op := &w.list[i]
		b := buckets[op.bucket]
		if b == nil {
			b = tx.Bucket(bucketNames[op.bucket])
			if f := fillPercent[op.bucket]; f > 0 {
				b.FillPercent = f
			}
			buckets[op.bucket] = b
		}
		key := all[op.from:op.key]
		var err error
		if op.val == op.key {
			err = b.Delete(key)
		} else {
			err = b.Put(key, all[op.key:op.val])
		}
		if err != nil {
			return fmt.Errorf("bucket %s, key %x: %w", bucketNames[op.bucket], key, err)
		}
	}
	return nil
}
