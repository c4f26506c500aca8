package redisdir

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/tiering"
)

// A message on channel is the origin, the site's length (1 byte) and name, and
// the changes: bucket (3 bytes), the field's length (1 byte) and the field, the
// value's length (2 bytes) and the value as it would be without a limit of
// length; an empty one says that nothing is left.
const originSize = 8

func messageStart(origin, site string) string {
	return origin + string([]byte{byte(len(site))}) + site
}

func appendChange(b []byte, p place, value, extra string) []byte {
	if extra != "" {
		value = extra
	}
	b = append(b, byte(p.bucket>>16), byte(p.bucket>>8), byte(p.bucket), byte(len(p.field)))
	b = append(b, p.field...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}

var errMessage = errors.New("a message about changed tiers can't be read")

// cutChange returns the first of the changes in a message, and the rest.
func cutChange(b string) (p place, value, rest string, err error) {
	const head, size = 4, 2
	if len(b) < head || len(b) < head+int(b[3])+size {
		return place{}, "", "", errMessage
	}
	p.bucket = uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
	p.field, b = b[head:head+int(b[3])], b[head+int(b[3]):]
	n := int(b[0])<<8 | int(b[1])
	if b = b[size:]; len(b) < n || p.bucket >= buckets {
		return place{}, "", "", errMessage
	}
	return p, b[:n], b[n:], nil
}

// ears hear of changes made elsewhere.
type ears struct {
	d       *Directory
	ctx     context.Context
	end     context.CancelFunc
	running sync.WaitGroup
	once    sync.Once
	every   time.Duration // pingEvery; tests have less

	mu    sync.Mutex
	heard chan struct{} // closed while changes are heard of
	mine  recent
}

// The subscription is asked for a sign of life every pingEvery, and given up when
// there was none for silence.
const (
	pingEvery  = 3 * time.Second
	silence    = 10 * time.Second
	retryFirst = 50 * time.Millisecond
	retryLast  = 2 * time.Second
)

func newEars(d *Directory) *ears {
	e := &ears{d: d, heard: make(chan struct{}), every: pingEvery}
	e.ctx, e.end = context.WithCancel(context.Background())
	return e
}

// listen begins to listen, if that has not begun.
func (e *ears) listen() { e.once.Do(func() { e.running.Go(e.work) }) }

func (e *ears) close() {
	e.end()
	e.once.Do(func() {}) // from now on nobody begins
	e.running.Wait()
}

func (e *ears) hearing() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard
}

func (e *ears) work() {
	pause := retryFirst
	for e.ctx.Err() == nil {
		began := time.Now()
		err := e.subscribed()
		e.d.cache.turnOff()
		e.mu.Lock()
		select {
		case <-e.heard:
			e.heard = make(chan struct{})
		default:
		}
		e.mu.Unlock()
		if e.ctx.Err() != nil {
			return
		}
		e.d.opt.Log.Warn("changes of tiers made elsewhere are not heard of: every lookup asks Redis until they are", slog.Any("error", err))
		if time.Since(began) > silence {
			pause = retryFirst
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-e.ctx.Done():
		}
		timer.Stop()
		pause = min(2*pause, retryLast)
	}
}

// subscribed listens until the subscription breaks.
func (e *ears) subscribed() error {
	sub := e.d.client.Subscribe(e.ctx, channel)
	ctx, cancel := context.WithCancel(e.ctx)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer cancel()
	var last atomic.Int64
	last.Store(time.Now().UnixNano())
	helpers.Go(func() { e.watch(ctx, sub, &last) })
	for {
		got, err := sub.Receive(ctx)
		if err != nil {
			return err
		}
		last.Store(time.Now().UnixNano())
		switch m := got.(type) {
		case *redis.Subscription:
			if err := e.d.markWithin(ctx, silence); err != nil && !isLayout(err) {
				return err
			}
			e.whole(ctx, &helpers)
		case *redis.Message:
			e.hear(ctx, m.Payload)
		}
	}
}

// watch closes the subscription when ctx ends or the other side is silent.
func (e *ears) watch(ctx context.Context, sub *redis.PubSub, last *atomic.Int64) {
	defer sub.Close() //nolint:errcheck // nothing more is wanted of it
	ping := time.NewTicker(e.every)
	defer ping.Stop()
	for {
		select {
		case <-ping.C:
			if time.Since(time.Unix(0, last.Load())) > silence || sub.Ping(ctx) != nil {
				return
			}
			// A Redis that was emptied keeps the connection, and says nothing of it.
			if err := e.d.markWithin(ctx, pingEvery); err != nil && ctx.Err() == nil && !isLayout(err) {
				e.d.opt.Log.Debug("the layout of the tiers could not be looked at", slog.Any("error", err))
			}
		case <-ctx.Done():
			return
		}
	}
}

// whole notes that every change is heard of from now on.
func (e *ears) whole(ctx context.Context, helpers *sync.WaitGroup) {
	e.d.cache.turnOff() // what is remembered from before is not to be trusted
	e.d.cache.turnOn()
	e.mu.Lock()
	select {
	case <-e.heard:
	default:
		close(e.heard)
	}
	e.mu.Unlock()
	if e.d.opt.Gap != nil {
		helpers.Go(func() { e.d.opt.Gap(ctx) })
	}
}

// hear takes a message apart.
func (e *ears) hear(ctx context.Context, text string) {
	if len(text) <= originSize || len(text) < originSize+1+int(text[originSize]) {
		e.d.opt.Log.Error(errMessage.Error(), slog.Int("bytes", len(text)))
		return
	}
	if text[:originSize] == e.d.origin {
		return
	}
	text = text[originSize:]
	site, rest := text[1:1+int(text[0])], text[1+int(text[0]):]
	listeners := e.d.listeners()
	for rest != "" {
		var p place
		var value string
		var err error
		if p, value, rest, err = cutChange(rest); err != nil {
			e.d.opt.Log.Error(err.Error(), slog.String("site", site))
			return
		}
		n, err := e.d.layout.numberOf(p)
		if err != nil {
			e.d.opt.Log.Error(errMessage.Error(), slog.String("site", site), slog.Any("error", err))
			continue
		}
		e.d.cache.drop(site, n, p)
		if len(listeners) > 0 {
			e.tell(ctx, listeners, site, n, p, value)
		}
	}
}

// tell tells the subscribers of one change made elsewhere. Of a caller who was
// also changed here lately nobody knows which change was first: then what counts
// is asked.
func (e *ears) tell(ctx context.Context, listeners []*subscriber, site string, n tiering.Number, p place, value string) {
	e.d.told[p.shard()].Lock()
	defer e.d.told[p.shard()].Unlock()
	var entry tiering.Entry
	var cause error
	if value != "" {
		entry, cause = e.d.layout.decode(p, value)
	}
	e.mu.Lock()
	mine := e.mine.has(cacheKey{site, n})
	e.mu.Unlock()
	if mine || cause != nil {
		var s stored
		if err := e.d.read(ctx, site, []place{p}, []*stored{&s}); err != nil || s.cause != nil {
			return // a hint that was missed; the subscription breaks too, or Lookup reports it
		}
		entry = s.entry
	}
	for _, s := range listeners {
		s.fn(site, n, entry)
	}
}

// changedHere notes that a caller was changed through this Directory.
func (e *ears) changedHere(site string, n tiering.Number) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mine.add(cacheKey{site, n}, time.Now())
}

// recent remembers keys for between one and two times recentFor, and not much
// more than 2 * recentMost of them.
type recent struct {
	new, old map[cacheKey]struct{}
	since    time.Time // when new was begun
}

const (
	recentFor  = 30 * time.Second
	recentMost = 50_000
)

func (r *recent) add(key cacheKey, now time.Time) {
	if r.new == nil || now.Sub(r.since) > recentFor || len(r.new) >= recentMost {
		r.old, r.new, r.since = r.new, map[cacheKey]struct{}{}, now
	}
	r.new[key] = struct{}{}
}

func (r *recent) has(key cacheKey) bool {
	_, isNew := r.new[key]
	_, isOld := r.old[key]
	return isNew || isOld
}
