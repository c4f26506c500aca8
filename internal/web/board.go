package web

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"greenlane/internal/feed"
	"greenlane/queue"
)

// How often a site's figures are sent.
const (
	// A change is sent at once, then no other for leastPause, or for twenty times
	// as long as it took to make: a twentieth of a core at most, however large the
	// site is.
	leastPause = 400 * time.Millisecond
	pauseShare = 20
	mostPause  = 5 * time.Second
	// beatEvery is when figures are sent though nothing changed, so that a page
	// knows that it hears.
	beatEvery = 5 * time.Second
	// retryEvery is when an engine that did not answer is asked again.
	retryEvery = time.Second
	// dayEvery is how often the day's curve is sent at most.
	dayEvery = 15 * time.Second
)

// Site is what the wallboard shows of one routing domain.
type Site struct {
	Config queue.Site
	Engine queue.Engine
	Feed   *feed.Feed // started before the first request, of this engine
}

// board makes the frames of one site for all who read them. It works only while
// somebody does.
type board struct {
	Site
	log      *slog.Logger
	stopping <-chan struct{}
	idle     sync.WaitGroup // the worker

	mu      sync.Mutex
	readers map[*reader]struct{}
	working bool
	last    [kinds]*frame
}

// The kinds of frames. Each is complete: the latest of a kind is all there is to
// know.
const (
	kindFigures = iota
	kindDay
	kinds
)

var kindNames = [kinds]string{"snapshot", "day"}

// frame is one event, encoded once for all. packed is a run of whole deflate
// blocks that refer to nothing before them: it may follow any other in a stream.
type frame struct {
	plain, packed []byte
}

// packers are compressors to be used again: a new one takes more than a megabyte.
var packers = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.DefaultCompression) // the error is about a level that there is not
	return w
}}

func newFrame(event string, data any) (*frame, error) {
	text, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	plain := fmt.Appendf(nil, "event: %s\ndata: %s\n\n", event, text)
	var packed bytes.Buffer
	w := packers.Get().(*flate.Writer)
	defer packers.Put(w)
	w.Reset(&packed)
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	return &frame{plain: plain, packed: packed.Bytes()}, nil
}

// reader is one stream. What it has not sent yet is replaced by what is newer.
type reader struct {
	news chan struct{} // has a value when take returns something
	mu   sync.Mutex
	next [kinds]*frame
}

func (r *reader) give(kind int, f *frame) {
	r.mu.Lock()
	r.next[kind] = f
	r.mu.Unlock()
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func (r *reader) take() [kinds]*frame {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.next
	r.next = [kinds]*frame{}
	return next
}

// join adds a reader; nil means that the site has as many as it may.
func (b *board) join(most int) *reader {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.readers) >= most {
		return nil
	}
	r := &reader{news: make(chan struct{}, 1)}
	b.readers[r] = struct{}{}
	if b.working { // else the last frames are of long ago
		for kind, f := range b.last {
			if f != nil {
				r.give(kind, f)
			}
		}
		return r
	}
	b.working = true
	b.idle.Go(b.work)
	return r
}

func (b *board) leave(r *reader) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.readers, r)
}

// count returns how many read.
func (b *board) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.readers)
}

// rest reports whether nobody reads; then the worker ends.
func (b *board) rest() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.readers) > 0 {
		return false
	}
	b.working = false
	b.last = [kinds]*frame{}
	return true
}

func (b *board) publish(kind int, data any) error {
	f, err := newFrame(kindNames[kind], data)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last[kind] = f
	for r := range b.readers {
		r.give(kind, f)
	}
	return nil
}

// work sends the figures whenever they changed, until nobody reads them.
func (b *board) work() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sub := b.Feed.All(feed.FromNow)
	defer func() { sub.Close() }()
	var lastDay time.Time
	for !b.rest() {
		began := time.Now()
		if began.Sub(lastDay) >= dayEvery {
			lastDay = began
			b.tell(b.showDay(ctx))
		}
		err := b.show(ctx)
		b.tell(err)
		rest := beatEvery
		if err != nil {
			rest = retryEvery
		}
		if !b.wait(time.Since(began), rest, sub) {
			return
		}
		if sub, err = b.drain(ctx, sub); err != nil {
			b.tell(err)
			return
		}
	}
}

// wait waits as long as making the figures costs, and then until there is news or
// another rest is over; false means that the daemon stops.
func (b *board) wait(took, rest time.Duration, sub *feed.Sub) bool {
	pause := time.NewTimer(min(max(leastPause, pauseShare*took), mostPause))
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-b.stopping:
		return false
	}
	beat := time.NewTimer(rest)
	defer beat.Stop()
	select {
	case <-sub.Ready():
	case <-beat.C:
	case <-b.stopping:
		return false
	}
	return true
}

// drain takes the events that have come: what they say is in the next snapshot.
func (b *board) drain(ctx context.Context, sub *feed.Sub) (*feed.Sub, error) {
	var buf []*queue.Event
	for {
		events, err := sub.Take(ctx, buf, 1<<20)
		switch {
		case errors.Is(err, feed.ErrCutOff), errors.Is(err, queue.ErrTrimmed):
			// More came than a subscriber may hold, or the log was cut: the board is drawn anew.
			sub.Close()
			return b.Feed.All(feed.FromNow), nil
		case err != nil:
			return sub, err
		case len(events) == 0:
			return sub, nil
		}
		buf = events[:0]
	}
}

func (b *board) show(ctx context.Context) error {
	snap, err := b.Engine.Snapshot(ctx)
	if err != nil {
		return err
	}
	return b.publish(kindFigures, figuresOf(&b.Config, snap))
}

func (b *board) showDay(ctx context.Context) error {
	now := b.Engine.Now()
	start := midnight(b.Config.Zone, now)
	cohorts, err := b.Engine.Cohorts(ctx, start, now.Add(time.Millisecond))
	if err != nil {
		return err
	}
	return b.publish(kindDay, dayOf(&b.Config, cohorts, start, now))
}

// tell logs why figures could not be had. The pages see that theirs grow old.
func (b *board) tell(err error) {
	if err != nil && !errors.Is(err, queue.ErrClosed) && !errors.Is(err, feed.ErrStopped) {
		b.log.Warn("the wallboards get no new figures for now", "site", b.Config.Name, "error", err)
	}
}
