package embedded

import (
	"fmt"
	"time"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/queue/decider"
)

// batch is what shares one commit: requests that were decided, what they
// changed, and the events they wrote.
type batch struct {
	requests []*decider.Request
	now      instant.Instant
	dirty    bool // there is something to write
	erased   bool // somebody was erased
	writes   writes
	events   []queue.Event  // the machine's own, good until the next batch
	agents   []decider.View // as they are after it
	gone     []string       // agents that are forgotten
	took     time.Duration  // to decide and encode
}

// seal encodes what the machine's commands changed.
func (b *batch) seal(m *queue.Machine) error {
	m.TouchedAgents(func(a *queue.Agent, o *queue.Offer) { b.agents = append(b.agents, decider.ViewOf(a, o)) })
	c := m.TakeChanges()
	if b.dirty = !c.Empty(); !b.dirty {
		return nil
	}
	b.events, b.gone = c.Events, c.GoneAgents
	if err := b.writes.changes(c); err != nil || !b.erased && !c.Erased {
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
	b.dirty, b.erased, b.took = false, false, 0
}

// commit makes a batch durable and publishes its events. When the journal has
// grown so much that checkpoints do not keep up, it does one itself.
func (e *Engine) commit(b *batch) error {
	begin := time.Now()
	var held int64
	err := guard(func() error {
		return e.opts.WrapCommit(func() (err error) {
			held, err = e.journal.append(&b.writes)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	e.views.Show(b.agents, b.gone) // first: who reads an event finds its agent as it left him
	e.log.publish(b.events)
	if e.opts.Observe != nil {
		e.opts.Observe(len(b.requests), b.took, time.Since(begin))
	}
	e.checkpoints.grown(held)
	if held >= mostJournal*int64(e.opts.CheckpointBytes) {
		return e.checkpoint()
	}
	return nil
}
