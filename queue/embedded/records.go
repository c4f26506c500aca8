package embedded

import (
	"errors"
	"fmt"
	"sync"

	"greenlane/internal/seal"
	"greenlane/queue"
	"greenlane/queue/record"
)

// changes encodes everything a machine's commands touched, what is gone last.
func (w *writes) changes(c *queue.Changes) error {
	err := w.put(bucketMeta, w.name(string(keyCounters)), &c.Meta)
	for i := range c.Events {
		err = errors.Join(err, w.put(bucketEvents, w.number(c.Events[i].Seq), &c.Events[i]))
	}
	return errors.Join(err, record.Put(c,
		func(k record.Key, r any) error { return w.put(k.Kind, w.key(k), r) },
		func(k record.Key) { w.delete(k.Kind, w.key(k)) },
	))
}

// eachRecord calls f with every key and value of a bucket, in order of keys. It
// may be used by several goroutines at once.
type eachRecord func(bucket bucketID, f func(key, value []byte) error) error

// loadState reads every record but the counters and the events, the kinds side
// by side: a start is quick when there are several processors.
func loadState(each eachRecord, s *seal.Store) (*queue.State, error) {
	var all queue.Changes
	var faults [bucketCount]error
	var wg sync.WaitGroup
	for kind := bucketMeta + 1; kind < bucketEvents; kind++ {
		wg.Go(func() {
			faults[kind] = guard(func() error {
				return each(kind, func(key, value []byte) error {
					if err := record.Add(&all, sealerOf(s), kind, key, value); err != nil {
						return fmt.Errorf("%s %x: %w", kind, key, err)
					}
					return nil
				})
			})
		})
	}
	wg.Wait()
	return record.State(&all), errors.Join(faults[:]...)
}
