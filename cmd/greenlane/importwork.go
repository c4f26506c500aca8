package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"greenlane/tiering"
	"greenlane/tiering/bulk"
	"greenlane/tiering/redisdir"
)

// A chunk is written when it has so many changes or takes so much memory, and the
// next one is read meanwhile. The first ones are smaller, so that the writing
// begins soon.
const (
	firstChanges = redisdir.ImportSize / 8
	chunkChanges = redisdir.ImportSize
	chunkBytes   = 24 << 20
	dryChunk     = 20_000
)

// importPatience is how long a Redis that does not answer is tried again: long
// enough for a failover.
const importPatience = time.Minute

// chunk is some lines of the file, on their way into the store.
type chunk struct {
	im      *redisdir.Import
	changes []tiering.Change // in a dry run, in place of im
	faults  []bulk.Fault
	good    int64
	end     bulk.Position
	size    int // how many changes are enough
	last    bool
}

func (c *chunk) full() bool {
	if c.im == nil {
		return len(c.changes) >= dryChunk
	}
	return c.im.Len() >= c.size || c.im.Bytes()+len(c.faults)*200 >= chunkBytes
}

// work reads the file from where it was left, and writes what it reads.
func (j *importJob) work(ctx context.Context, reader *bulk.Reader) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	free, full := make(chan *chunk, 2), make(chan *chunk)
	for range cap(free) {
		c := &chunk{size: firstChanges}
		if !j.dry {
			c.im = j.d.NewImport(j.site, j.noted.At)
		}
		free <- c
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		for c := range full {
			if err := j.write(ctx, c); err != nil {
				cancel(err)
			}
			c.size = min(4*c.size, chunkChanges)
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
	if c.im == nil {
		c.changes = append(c.changes, b.Changes...)
	} else {
		for i := range b.Changes {
			if err := c.im.Add(b.Changes[i]); err != nil {
				return err
			}
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
	if c.im == nil {
		if err := j.compare(ctx, c.changes); err != nil {
			return err
		}
		c.changes = c.changes[:0]
	} else {
		if err := j.insist(ctx, c.im); err != nil {
			return err
		}
		for from := range c.im.Moves {
			for to, k := range c.im.Moves[from] {
				n.Moves[from][to] += k
			}
		}
		c.im.Moves = redisdir.Moves{}
	}
	for _, fault := range c.faults {
		if _, err := fmt.Fprintf(j.faults, "%s: %v\n", j.name, fault); err != nil {
			return err
		}
	}
	n.Good += c.good
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
func (j *importJob) insist(ctx context.Context, im *redisdir.Import) error {
	began, told := time.Now(), false
	for {
		err := im.Write(ctx)
		if !errors.Is(err, tiering.ErrUnavailable) || time.Since(began) > importPatience {
			return err
		}
		if !told {
			fmt.Fprintf(j.errs, "%v: trying again for %v\n", err, importPatience)
			told = true
		}
		pause := time.NewTimer(time.Second)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return context.Cause(ctx)
		}
	}
}

// compare counts which tiers the changes would move callers between. A caller who
// is changed twice within a chunk counts once.
func (j *importJob) compare(ctx context.Context, changes []tiering.Change) error {
	index := make(map[tiering.Number]int, len(changes))
	numbers := make([]tiering.Number, 0, len(changes))
	for i := range changes {
		if _, known := index[changes[i].Number]; !known {
			index[changes[i].Number] = len(numbers)
			numbers = append(numbers, changes[i].Number)
		}
	}
	before, err := j.d.LookupBatch(ctx, j.site, numbers)
	if err != nil {
		return err
	}
	after := make([]tiering.Entry, len(before))
	copy(after, before)
	for i := range changes {
		at := index[changes[i].Number]
		after[at], _ = changes[i].Apply(after[at])
	}
	for i := range before {
		from := tiering.TierUnset
		if before[i] != (tiering.Entry{}) {
			from = before[i].Stored()
		}
		j.noted.Moves[from][after[i].Stored()]++
	}
	return nil
}
