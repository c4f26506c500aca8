package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"greenlane/internal/cli"
	"greenlane/tiering/bulk"
)

// importPatience is how long a store that does not answer is tried again: long
// enough for a failover.
const importPatience = time.Minute

// chunk is some lines of the file, on their way into the store.
type chunk struct {
	tierBatch
	faults []bulk.Fault
	good   int64
	end    bulk.Position
	size   int // how many changes are enough
	last   bool
}

func (c *chunk) full() bool {
	return c.Len() >= c.size || c.Bytes()+len(c.faults)*200 >= chunkBytes
}

// work reads the file from where it was left, and writes what it reads.
func (j *importJob) work(ctx context.Context, reader *bulk.Reader) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	free, full := make(chan *chunk, 2), make(chan *chunk)
	for range cap(free) {
		free <- &chunk{tierBatch: j.store.batch(j.site, j.noted.At, j.dry), size: j.store.enough() / firstShare}
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		for c := range full {
			if err := j.write(ctx, c); err != nil {
				cancel(err)
			}
			c.size = min(4*c.size, j.store.enough())
			free <- c
		}
	}()
	now := <-free
	give := func() error {
		select {
		case full <- now:
			now = <-free
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	from := j.noted.End
	if from == (bulk.Position{}) {
		from = reader.Start()
	}
	err := reader.Read(ctx, from, func(b *bulk.Batch) error {
		if err := now.take(b); err != nil {
			return err
		}
		j.cut = b.CutOff
		j.bar.at(b.End.Offset, int64(len(b.Changes)))
		if now.full() {
			return give()
		}
		return nil
	})
	if err == nil {
		now.last = true
		err = give()
	}
	close(full)
	<-written
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// take adds what some lines came to.
func (c *chunk) take(b *bulk.Batch) error {
	for i := range b.Changes {
		if err := c.Add(b.Changes[i], b.Lines[i]); err != nil {
			return err
		}
	}
	c.faults = append(c.faults, b.Faults...)
	c.good += int64(len(b.Changes))
	c.end = b.End
	return nil
}

// write brings a chunk into the store, tells its wrong lines, and notes both.
func (j *importJob) write(ctx context.Context, c *chunk) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	n := &j.noted
	refused, err := j.insist(ctx, c)
	if err != nil {
		return err
	}
	moves := c.Moves()
	n.Moves.Add(&moves)
	c.faults = append(c.faults, refused...)
	slices.SortStableFunc(c.faults, func(a, b bulk.Fault) int { return cmp.Compare(a.Line, b.Line) })
	for _, fault := range c.faults {
		if _, err := fmt.Fprintf(j.faults, "%s: %v\n", j.name, fault); err != nil {
			return err
		}
	}
	n.Good += c.good - int64(len(refused))
	n.Bad += int64(len(c.faults))
	if c.end.Line > 0 {
		n.End = c.end
	}
	n.Done = c.last
	c.faults, c.good = c.faults[:0], 0
	if j.notes == "" {
		return nil
	}
	return n.save(j.notes)
}

// insist writes, again and again while the store is away, until patience ends.
func (j *importJob) insist(ctx context.Context, b tierBatch) ([]bulk.Fault, error) {
	began, told := time.Now(), false
	for {
		refused, err := b.Write(ctx)
		if err == nil || !cli.TierStoreAway(err) || time.Since(began) > importPatience {
			return refused, err
		}
		if !told {
			line, _ := explain(err)
			fmt.Fprintf(j.errs, "%s: trying again for %v\n", line, importPatience)
			told = true
		}
		pause := time.NewTimer(time.Second)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, context.Cause(ctx)
		}
	}
}
