package redisq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/queue"
)

// How many events one call of Events returns when the caller does not say, and
// at most.
const (
	usualEvents = 1000
	mostEvents  = 10_000
)

// eventLog is the youngest part of the site's log in memory. One reader fills it
// from Redis, whatever daemon wrote the events, and everybody here reads it.
type eventLog struct {
	mu      sync.Mutex
	size    int
	recent  []queue.Event // without a gap, the last one is last
	last    uint64        // the last event that was read
	lastRaw string        // as Redis has it, to see whether the log is still the same
	told    uint64        // the last event that a reply told of
	cuts    int           // how often the log was found to be another one
	changed chan struct{} // closed when there are more, or the log was cut
}

func newEventLog(size int, last uint64) *eventLog {
	return &eventLog{size: size, last: last, changed: make(chan struct{})}
}

func (l *eventLog) push(events []queue.Event, lastRaw string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recent = append(l.recent, events...)
	if over := len(l.recent) - l.size; over > l.size/2 || over > 0 && len(events) > l.size {
		l.recent = append(make([]queue.Event, 0, 2*l.size), l.recent[over:]...)
	}
	l.last, l.lastRaw = events[len(events)-1].Seq, lastRaw
	l.wakeLocked()
}

// cut starts anew after the given event: what followed it is gone.
func (l *eventLog) cut(last uint64, raw string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recent, l.last, l.lastRaw, l.told = nil, last, raw, 0
	l.cuts++
	l.wakeLocked()
}

func (l *eventLog) wakeLocked() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *eventLog) end() (last uint64, raw string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last, l.lastRaw
}

// heard takes up from a reply which event is the last one.
func (l *eventLog) heard(last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = max(l.told, last)
}

// look returns up to limit events after the given one from memory. With none
// there, older says whether Redis may have some; else wait is closed when there
// is more to see.
func (l *eventLog) look(after uint64, limit int) (events []queue.Event, older bool, cuts int, wait <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	recent := l.recent[max(0, len(l.recent)-l.size):]
	if l.last < l.told && l.last < after+uint64(limit) && after < l.told {
		return nil, false, l.cuts, l.changed // a moment, and there is more: whoever was told of an event finds it
	}
	if len(recent) > 0 && after+1 >= recent[0].Seq && after < l.last {
		from := int(after + 1 - recent[0].Seq)
		return slices.Clone(recent[from:min(len(recent), from+limit)]), false, l.cuts, nil
	}
	return nil, after < l.last, l.cuts, l.changed
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
			last, _ := e.log.end()
			return nil, cutError(after, last)
		case len(events) > 0:
			return events, nil
		case older:
			return e.readEvents(ctx, after, limit)
		case !asked:
			if last, _ := e.log.end(); after > last {
				// This daemon's reader may only be behind.
				asked = true
				last, err := e.LastEvent(ctx)
				if err != nil {
					return nil, err
				}
				if after > last {
					return nil, cutError(after, last)
				}
			}
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
	events, err := e.eventsOf(list)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 || events[0].Seq != after+1 {
		oldest, err := node.XRangeN(ctx, e.keys[keyLog], "-", "+", 1).Result()
		if err != nil {
			return nil, e.asked(ctx, err)
		}
		first, _ := e.log.end()
		first++
		if len(oldest) > 0 {
			first = seqOf(oldest[0].ID)
		}
		return nil, &queue.Error{
			Kind: queue.ErrTrimmed, Field: "after", Oldest: first,
			Detail: fmt.Sprintf("the events after %d are no longer kept; the oldest kept is %d", after, first),
		}
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

func entryID(seq uint64) string { return strconv.FormatUint(seq, 10) + "-0" }

func seqOf(id string) uint64 {
	n, _ := strconv.ParseUint(strings.TrimSuffix(id, "-0"), 10, 64)
	return n
}

func rawOf(m *redis.XMessage) string {
	raw, _ := m.Values["e"].(string)
	return raw
}

// eventsOf reads entries of the log. One that can't be read is reported with its
// name and keeps its number, without contents: nobody may think that nothing was
// there.
func (e *Engine) eventsOf(list []redis.XMessage) ([]queue.Event, error) {
	events := make([]queue.Event, 0, len(list))
	for i := range list {
		var r eventRecord
		if err := unpack([]byte(rawOf(&list[i])), &r); err != nil {
			e.opts.Logger.Error("an event could not be read", "key", e.keys[keyLog], "entry", list[i].ID, "error", err)
			r = eventRecord{}
		}
		events = append(events, r.event(seqOf(list[i].ID)))
	}
	return events, nil
}

// LastEvent implements queue.Engine.
func (e *Engine) LastEvent(ctx context.Context) (uint64, error) {
	if err := e.over(); err != nil {
		return 0, err
	}
	node, err := e.node(ctx)
	if err != nil {
		return 0, e.unavailable(err)
	}
	meta, err := e.readMeta(ctx, node)
	if err != nil {
		return 0, e.asked(ctx, err)
	}
	return meta.LastEvent, nil
}

// How long the reader of the log waits in Redis, and how long after a failure.
const (
	followBlock = time.Second
	followPause = 50 * time.Millisecond
)

// follow reads the log as it grows, on a connection of its own.
func (e *Engine) follow(ctx context.Context) {
	sure := false // that the log is the one we know
	for ctx.Err() == nil {
		var err error
		if !sure {
			err = e.checkLog(ctx)
		}
		if err == nil {
			sure, err = e.followOnce(ctx)
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		sure = false
		e.health.failed(err)
		select {
		case <-time.After(followPause):
		case <-ctx.Done():
		}
	}
}

// followOnce waits for events once. When none came it is no longer sure that
// the log is the same: its server may have been replaced.
func (e *Engine) followOnce(ctx context.Context) (sure bool, err error) {
	node, err := e.node(ctx)
	if err != nil {
		return false, err
	}
	conn := node.Conn()
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	id, err := conn.ClientID(ctx).Result()
	if err != nil {
		return false, err
	}
	// Close does not wait for the time-out: it has the connection unblocked.
	stop := context.AfterFunc(ctx, func() {
		bye, cancel := context.WithTimeout(context.Background(), followBlock)
		defer cancel()
		_ = node.ClientUnblock(bye, id).Err()
	})
	defer stop()
	last, _ := e.log.end()
	streams, err := conn.XRead(ctx, &redis.XReadArgs{
		Streams: []string{e.keys[keyLog], entryID(last)}, Count: usualEvents, Block: followBlock,
	}).Result()
	if errors.Is(err, redis.Nil) {
		e.health.answered()
		return false, nil
	}
	if err != nil {
		return false, err
	}
	e.health.answered()
	list := streams[0].Messages
	events, err := e.eventsOf(list)
	if err != nil {
		return false, err
	}
	if first := events[0].Seq; first != last+1 {
		// Trimmed under a reader that was away, or another log.
		e.log.cut(first-1, "")
	}
	e.log.push(events, rawOf(&list[len(list)-1]))
	e.timers.peekSoon()
	return true, nil
}

// checkLog finds out whether the log in Redis is still the one that was read so
// far. A failover may have lost its end, and written another one since.
func (e *Engine) checkLog(ctx context.Context) error {
	node, err := e.node(ctx)
	if err != nil {
		return err
	}
	meta, err := e.readMeta(ctx, node)
	if err != nil {
		return err
	}
	last, raw := e.log.end()
	if meta.LastEvent >= last && raw == "" {
		return nil
	}
	same := false
	if meta.LastEvent >= last {
		entry, err := node.XRangeN(ctx, e.keys[keyLog], entryID(last), entryID(last), 1).Result()
		if err != nil {
			return err
		}
		same = len(entry) == 0 || rawOf(&entry[0]) == raw // it may be trimmed
	}
	if !same {
		e.opts.Logger.Warn("the event log was cut: Redis has lost its end", "known", last, "found", meta.LastEvent)
		e.log.cut(meta.LastEvent, "")
	}
	return nil
}
