package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"greenlane/internal/seal"
	"greenlane/queue"
	"greenlane/queue/decider"
)

// How many events one call of Events returns when the caller does not say, and
// at most.
const (
	usualEvents = 1000
	mostEvents  = 10_000
)

// readChunk is how many events one read transaction decodes. A transaction that
// is open keeps pages from being used again and the file from being mapped anew,
// so it is kept short.
const readChunk = 512

// eventLog is the committed event log: the youngest events in memory, all that a
// checkpoint has brought there in the file.
type eventLog struct {
	store      *store
	checkpoint func() error // brings all that are committed into the file

	mu      sync.Mutex
	ends    logEnds
	stored  uint64 // the last event in the file
	recent  decider.Ring
	changed chan struct{} // closed when events are published
}

func newEventLog(s *store, ends logEnds, recent int, checkpoint func() error) *eventLog {
	return &eventLog{
		store: s, checkpoint: checkpoint,
		ends: ends, stored: ends.last, recent: decider.NewRing(recent, ends.last), changed: make(chan struct{}),
	}
}

// folded notes what a checkpoint did: the last event that it brought into the
// file, zero for none, and those that it trimmed.
func (l *eventLog) folded(last uint64, t trim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stored = max(l.stored, last)
	if l.ends.first += t.n; t.n > 0 || t.nextAt != 0 {
		l.ends.firstAt = t.nextAt
	}
}

// inFile returns the last event in the file.
func (l *eventLog) inFile() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stored
}

// publish shows events that were committed.
func (l *eventLog) publish(events []queue.Event) {
	if len(events) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ends.first > l.ends.last {
		l.ends.firstAt = events[0].At
	}
	l.recent.Push(events)
	l.ends.last = events[len(events)-1].Seq
	close(l.changed)
	l.changed = make(chan struct{})
}

// last returns the sequence of the last committed event.
func (l *eventLog) last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ends.last
}

// bounds returns where the log begins and ends.
func (l *eventLog) bounds() logEnds {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ends
}

// read returns up to limit events after the given one. With none to return,
// wait is closed when there are more.
func (l *eventLog) read(after uint64, limit int) (events []queue.Event, wait <-chan struct{}, err error) {
	l.mu.Lock()
	ends := l.ends
	switch {
	case after > ends.last:
		l.mu.Unlock()
		return nil, nil, &queue.Error{
			Kind: queue.ErrInvalid, Field: "after",
			Detail: fmt.Sprintf("%d lies beyond the last event, %d", after, ends.last),
		}
	case after+1 < ends.first:
		l.mu.Unlock()
		return nil, nil, trimmedError(after, ends.first)
	case after == ends.last:
		defer l.mu.Unlock()
		return nil, l.changed, nil
	case l.recent.Has(after + 1):
		defer l.mu.Unlock()
		return l.recent.Copy(after, min(uint64(limit), ends.last-after)), nil, nil
	}
	l.mu.Unlock()
	events, err = l.readFile(after, int(min(uint64(limit), ends.last-after)))
	return events, nil, err
}

func trimmedError(after, oldest uint64) error {
	return &queue.Error{
		Kind: queue.ErrTrimmed, Field: "after", Oldest: oldest,
		Detail: fmt.Sprintf("the events after %d are no longer kept; the oldest kept is %d", after, oldest),
	}
}

// readFile reads the n events after the given one, in short transactions. Those
// that are no longer in memory and not yet in the file are brought there first.
func (l *eventLog) readFile(after uint64, n int) ([]queue.Event, error) {
	if stored := l.inFile(); after >= stored {
		if err := l.checkpoint(); err != nil {
			return nil, err
		}
	} else {
		n = int(min(uint64(n), stored-after))
	}
	events := make([]queue.Event, 0, n)
	for n > 0 {
		got := len(events)
		err := guard(func() error {
			return l.store.db.View(func(tx *bbolt.Tx) (err error) {
				events, err = appendEvents(events, tx, l.store.seal, after, min(n, readChunk))
				return err
			})
		})
		switch {
		case errors.Is(err, bolterrors.ErrDatabaseNotOpen):
			return nil, queue.ErrClosed
		case err != nil:
			return nil, fmt.Errorf("%w: read events after %d: %w", queue.ErrUnavailable, after, err)
		case len(events) == got && got == 0:
			// Trimmed between the look at the log's ends and the transaction.
			return nil, trimmedError(after, l.bounds().first)
		}
		if len(events) == got {
			break
		}
		n -= len(events) - got
		after = events[len(events)-1].Seq
	}
	return events, nil
}

// appendEvents appends up to n events that follow one another without a gap.
func appendEvents(events []queue.Event, tx *bbolt.Tx, s *seal.Store, after uint64, n int) ([]queue.Event, error) {
	c := tx.Bucket(bucketNames[bucketEvents]).Cursor()
	for key, value := c.Seek(numberKey(after + 1)); key != nil && n > 0; key, value = c.Next() {
		if binary.BigEndian.Uint64(key) != after+1 {
			break
		}
		var e queue.Event
		if err := decode(s, bucketEvents, key, value, &e); err != nil {
			return nil, fmt.Errorf("event %x: %w", key, err)
		}
		events = append(events, e)
		after++
		n--
	}
	return events, nil
}

// only returns the given events, leaving out those that are trimmed.
func (l *eventLog) only(seqs []uint64) ([]queue.Event, error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	events := make([]queue.Event, 0, len(seqs))
	var older []uint64
	l.mu.Lock()
	for _, seq := range seqs {
		switch {
		case seq < l.ends.first || seq > l.ends.last:
		case l.recent.Has(seq):
			events = append(events, l.recent.At(seq))
		default:
			older = append(older, seq)
		}
	}
	l.mu.Unlock()
	if len(older) == 0 {
		return events, nil
	}
	// Sequences ascend, so what is in the file only comes first.
	var old []queue.Event
	for _, seq := range older {
		e, err := l.readFile(seq-1, 1)
		if errors.Is(err, queue.ErrTrimmed) {
			continue
		}
		if err != nil {
			return nil, err
		}
		old = append(old, e...)
	}
	return append(old, events...), nil
}
