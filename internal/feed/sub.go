package feed

import (
	"context"
	"sync"

	"greenlane/queue"
)

type kind uint8

const (
	ofAgent kind = iota
	ofSwitch
	ofAll
)

// Sub is one subscription. Its methods are for one goroutine at a time, except
// Close and Ready.
type Sub struct {
	feed  *Feed
	kind  kind
	key   string
	limit int
	ready chan struct{}

	mu      sync.Mutex
	pending []*queue.Event
	cursor  uint64 // everything up to here was taken, or is not for this subscriber
	live    bool   // registered: events come by push; else they are read from the log
	err     error

	losses int // of the feed when the subscription began
}

// FromNow is the cursor of a subscriber that wants only what is yet to come.
const FromNow = ^uint64(0)

// Agent subscribes to the events of one agent after the given sequence.
func (f *Feed) Agent(id string, after uint64) *Sub {
	return f.subscribe(ofAgent, id, after, f.opts.Keyed)
}

// Switch subscribes to the events of one switch's calls after the given sequence.
func (f *Feed) Switch(id string, after uint64) *Sub {
	return f.subscribe(ofSwitch, id, after, f.opts.Switch)
}

// All subscribes to every event after the given sequence.
func (f *Feed) All(after uint64) *Sub { return f.subscribe(ofAll, "", after, f.opts.All) }

func (f *Feed) subscribe(k kind, key string, after uint64, limit int) *Sub {
	s := &Sub{feed: f, kind: k, key: key, limit: limit, ready: make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	s.losses = f.losses
	switch {
	case f.ended:
		s.finish(ErrStopped)
	case after == FromNow:
		s.cursor, s.live = f.position, true
		f.addLocked(s)
	case after >= f.position:
		s.cursor, s.live = after, true
		f.addLocked(s)
	default:
		s.cursor = after
		s.signalLocked() // nobody else knows it yet
	}
	return s
}

// Ready has a value when Take has something to return. It is closed when the
// subscription is over; Take then says why.
func (s *Sub) Ready() <-chan struct{} { return s.ready }

// Take returns the events that are there, oldest first, no more than most, in
// buf's space or a new one; none when there are none. When there may be more,
// Ready has a value again.
// It does not wait for events to come, but reads the log while the cursor lies
// behind. After ErrCutOff, Cursor says where to resume; ErrTrimmed means that
// what the cursor asks for is no longer kept; other errors of the engine may be
// retried.
func (s *Sub) Take(ctx context.Context, buf []*queue.Event, most int) ([]*queue.Event, error) {
	most = max(1, most)
	s.mu.Lock()
	if s.err != nil || s.live {
		defer s.mu.Unlock()
		return s.takeLocked(buf, most), s.err
	}
	s.mu.Unlock()
	return s.catchUp(ctx, buf[:0], most)
}

func (s *Sub) takeLocked(buf []*queue.Event, most int) []*queue.Event {
	events := s.pending
	if len(events) > most {
		// The two share an array, and neither can grow into the other.
		events, s.pending = events[:most:most], events[most:]
		s.signalLocked()
	} else {
		s.pending = buf[:0]
	}
	if len(events) > 0 {
		s.cursor = events[len(events)-1].Seq
	}
	return events
}

// catchUp reads the log from the cursor until something is found for this
// subscriber, or until it stands where the live events begin.
func (s *Sub) catchUp(ctx context.Context, buf []*queue.Event, most int) ([]*queue.Event, error) {
	f := s.feed
	for {
		f.mu.Lock()
		if f.ended {
			f.mu.Unlock()
			s.finish(ErrStopped)
			return nil, ErrStopped
		}
		if s.losses != f.losses {
			// The cursor may be one that the log is yet to reach again.
			oldest := f.position + 1
			f.mu.Unlock()
			return nil, &queue.Error{Kind: queue.ErrTrimmed, Field: "after", Oldest: oldest, Detail: "events were lost while they were read"}
		}
		if s.cursor >= f.position {
			s.mu.Lock()
			s.live = s.err == nil
			if s.live {
				f.addLocked(s)
			}
			err := s.err
			s.mu.Unlock()
			f.mu.Unlock()
			return nil, err
		}
		f.mu.Unlock()
		events, err := f.src.Events(ctx, s.cursor, f.opts.Batch)
		if err != nil {
			return nil, err
		}
		for i := range events {
			s.cursor = events[i].Seq
			if s.wants(&events[i]) {
				buf = append(buf, &events[i])
			}
			if len(buf) >= most {
				break // the rest is read again
			}
		}
		if len(buf) > 0 {
			s.mu.Lock()
			s.signalLocked()
			s.mu.Unlock()
			return buf, nil
		}
	}
}

func (s *Sub) wants(ev *queue.Event) bool {
	switch s.kind {
	case ofAgent:
		return ev.Agent == s.key
	case ofSwitch:
		return ev.Switch == s.key
	}
	return true
}

// push adds an event; false means that the buffer was full and the subscriber
// is cut off. Events up to the cursor were read from the log already.
func (s *Sub) push(ev *queue.Event) bool {
	s.mu.Lock()
	if s.err != nil || ev.Seq <= s.cursor {
		s.mu.Unlock()
		return true
	}
	if len(s.pending) >= s.limit {
		s.finishLocked(ErrCutOff)
		s.mu.Unlock()
		return false
	}
	s.pending = append(s.pending, ev)
	s.signalLocked()
	s.mu.Unlock()
	return true
}

func (s *Sub) signalLocked() {
	if s.err != nil {
		return // ready is closed
	}
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// Cursor returns the sequence from which a new subscription misses nothing.
func (s *Sub) Cursor() uint64 {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live && s.err == nil && len(s.pending) == 0 {
		return max(s.cursor, f.position)
	}
	return s.cursor
}

// Close ends the subscription. It is safe to repeat.
func (s *Sub) Close() {
	s.feed.mu.Lock()
	s.feed.removeLocked(s)
	s.feed.mu.Unlock()
	s.finish(ErrStopped)
}

func (s *Sub) finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finishLocked(err)
}

func (s *Sub) finishLocked(err error) {
	if s.err != nil {
		return
	}
	s.err, s.pending = err, nil
	close(s.ready)
}
