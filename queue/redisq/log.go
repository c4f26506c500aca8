package redisq

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/queue/decider"
	"greenlane/queue/record"
)

// How many events one call of Events returns when the caller does not say, and
// at most.
const (
	usualEvents = 1000
	mostEvents  = 10_000
)

// eventLog is the youngest part of the site's log in memory. The decider fills it,
// whatever daemon wrote the events, and everybody here reads it.
type eventLog struct {
	mu      sync.Mutex
	size    int
	recent  decider.Ring
	end     uint64        // the last event
	cuts    int           // how often the log was found to be another one
	changed chan struct{} // closed when there are more, or the log was cut
}

func newEventLog(size int, last uint64) *eventLog {
	return &eventLog{size: size, recent: decider.NewRing(size, last), end: last, changed: make(chan struct{})}
}

// push adds the events that follow the last one.
func (l *eventLog) push(events []queue.Event) {
	if len(events) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recent.Push(events)
	l.end = events[len(events)-1].Seq
	l.wake()
}

// skip goes on after an event, those before it being in Redis only.
func (l *eventLog) skip(last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recent, l.end = decider.NewRing(l.size, last), last
	l.wake()
}

// cut goes on after an event of another log: what was known of it is lost.
func (l *eventLog) cut(last uint64) {
	l.mu.Lock()
	l.cuts++
	l.mu.Unlock()
	l.skip(last)
}

// wake is called with mu held.
func (l *eventLog) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *eventLog) last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end
}

// look returns up to limit events after the given one from memory. With none
// there, older says whether Redis has some; else wait is closed when there is
// more to see.
func (l *eventLog) look(after uint64, limit int) (events []queue.Event, older bool, cuts int, wait <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case after >= l.end:
		return nil, false, l.cuts, l.changed
	case l.recent.Has(after + 1):
		return l.recent.Copy(after, uint64(limit)), false, l.cuts, nil
	}
	return nil, true, l.cuts, l.changed
}

// Events implements queue.Engine. A limit of 0 means 1,000; 10,000 is the most
// that is returned at once. A cursor beyond the last event belongs to a log that
// was cut, as a failover may do: it gets ErrTrimmed, and Oldest is where the log
// goes on.
func (e *Engine) Events(ctx context.Context, after uint64, limit int) ([]queue.Event, error) {
	if limit <= 0 {
		limit = usualEvents
	}
	limit = min(limit, mostEvents)
	_, _, cuts, _ := e.log.look(after, limit)
	for asked := false; ; {
		if err := e.over(); err != nil {
			return nil, err
		}
		events, older, cutsNow, wait := e.log.look(after, limit)
		switch {
		case cutsNow != cuts:
			return nil, cutError(after, e.log.last())
		case len(events) > 0:
			return events, nil
		case older:
			return e.readEvents(ctx, after, limit)
		case !asked && after > e.log.last():
			// This daemon may only be behind.
			asked = true
			last, err := e.LastEvent(ctx)
			if err != nil {
				return nil, err
			}
			if after > last {
				return nil, cutError(after, last)
			}
			continue
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-e.closing:
			return nil, queue.ErrClosed
		}
	}
}

func cutError(after, last uint64) error {
	return &queue.Error{
		Kind: queue.ErrTrimmed, Field: "after", Oldest: last + 1,
		Detail: fmt.Sprintf("the log was cut: it goes on after event %d, and the events up to %d are lost or others", last, after),
	}
}

// readEvents reads events that are no longer in memory.
func (e *Engine) readEvents(ctx context.Context, after uint64, limit int) ([]queue.Event, error) {
	node, err := e.node(ctx)
	if err != nil {
		return nil, e.unavailable(err)
	}
	list, err := node.XRangeN(ctx, e.keys[keyLog], entryID(after+1), "+", int64(limit)).Result()
	if err != nil {
		return nil, e.asked(ctx, err)
	}
	end := e.log.last() // what comes after it is not known here yet
	events := e.eventsOf(list, after, end)
	if len(events) > 0 && events[0].Seq == after+1 {
		return events[:min(limit, len(events))], nil
	}
	first := end + 1
	oldest, err := node.XRangeN(ctx, e.keys[keyLog], "-", "+", 1).Result()
	if err != nil {
		return nil, e.asked(ctx, err)
	}
	if kept := e.eventsOf(oldest, 0, end); len(kept) > 0 {
		first = kept[0].Seq
	}
	return nil, &queue.Error{
		Kind: queue.ErrTrimmed, Field: "after", Oldest: first,
		Detail: fmt.Sprintf("the events after %d are no longer kept; the oldest kept is %d", after, first),
	}
}

// only returns the given events, leaving out those that are trimmed.
func (e *Engine) only(ctx context.Context, seqs []uint64) ([]queue.Event, error) {
	var events []queue.Event
	for _, seq := range seqs {
		list, older, _, _ := e.log.look(seq-1, 1)
		if older {
			var err error
			list, err = e.readEvents(ctx, seq-1, 1)
			if err != nil && !errors.Is(err, queue.ErrTrimmed) {
				return nil, err
			}
		}
		events = append(events, list...)
	}
	return events, nil
}

// asked is what the asker of a question is told of a failed exchange.
func (e *Engine) asked(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if over := e.over(); over != nil {
		return over
	}
	return e.unavailable(err)
}

// entryID names the entry of the log that ends with an event. Entries are named by
// their last event, so that the one which holds an event is found from it on.
func entryID(seq uint64) string { return strconv.FormatUint(seq, 10) + "-0" }

func seqOf(id string) uint64 {
	n, _ := strconv.ParseUint(strings.TrimSuffix(id, "-0"), 10, 64)
	return n
}

func rawOf(m *redis.XMessage) string {
	raw, _ := m.Values["e"].(string)
	return raw
}

// eventsOf reads the events of entries that come after the given one, up to end. One
// that can't be read is reported with its entry's name and keeps its number, without
// contents: nobody may think that nothing was there. An entry beyond the end is no
// daemon's.
func (e *Engine) eventsOf(list []redis.XMessage, after, end uint64) []queue.Event {
	var events []queue.Event
	for i := range list {
		next := after + 1
		if n := len(events); n > 0 {
			next = events[n-1].Seq + 1
		}
		rest := []byte(rawOf(&list[i]))
		last := seqOf(list[i].ID)
		if last > end {
			break
		}
		for len(rest) > 0 {
			var ev queue.Event
			var err error
			if rest, err = record.Unmarshal(rest, &ev); err != nil || ev.Seq > last {
				break
			}
			if ev.Seq > after {
				events = append(events, ev)
				next = ev.Seq + 1
			}
		}
		if len(events) == 0 && last-next > mostFilled {
			next = last // trimmed before it
		}
		if next <= last {
			e.opts.Logger.Error("events could not be read", "key", e.keys[keyLog], "entry", list[i].ID, "from", next, "to", last)
			for ; next <= last; next++ {
				events = append(events, queue.Event{Seq: next})
			}
		}
	}
	return events
}

// LastEvent implements queue.Engine.
func (e *Engine) LastEvent(ctx context.Context) (uint64, error) {
	return decider.Ask(ctx, e.Port, func(*queue.Machine, instant.Instant) (uint64, error) { return e.log.last(), nil })
}

// mostFilled is how many events that can't be read are made up for at the beginning
// of a list, where it is not known which was the first.
const mostFilled = 4096

// digests tell whether an entry of the log is still the same.
var digestSeed = maphash.MakeSeed()

func digestOf[T string | []byte](raw T) uint64 { return maphash.String(digestSeed, string(raw)) }

// sameLog reports whether the log in Redis, which ends with the given event, is
// still the one that was read so far.
func (e *Engine) sameLog(ctx context.Context, node *redis.Client, end uint64) (bool, error) {
	last := e.log.last()
	if end < last || last == 0 || e.entry == 0 {
		return end >= last, nil
	}
	entry, err := node.XRangeN(ctx, e.keys[keyLog], entryID(last), entryID(last), 1).Result()
	if err != nil {
		return false, err
	}
	return len(entry) == 0 || digestOf(rawOf(&entry[0])) == e.entry, nil // it may be trimmed
}
