package tieringtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// TestSuite runs the suite on the plainest Directory there can be, so that
// every case is known to be passable, also those that an adapter leaves out.
func TestSuite(t *testing.T) {
	Run(t, func(*testing.T) Subject {
		s := &store{entries: map[key]tiering.Entry{}, bad: map[key]bool{}, answers: map[string]kept{}}
		d := &plain{store: s, fns: map[int]func(string, tiering.Number, tiering.Entry){}}
		return Subject{
			Directory: d,
			Reopen: func() tiering.Directory {
				_ = d.Close()
				return &plain{store: s, fns: d.fns}
			},
			Corrupt: func(site string, n tiering.Number) { s.bad[key{site, n}] = true },
			Cut: func() (tiering.Directory, func()) {
				s.away = true
				return d, func() { s.away = false }
			},
		}
	})
}

type key struct {
	site string
	n    tiering.Number
}

type store struct {
	entries map[key]tiering.Entry
	bad     map[key]bool
	answers map[string]kept
	away    bool
}

type kept struct {
	print  uint64
	answer []byte
	until  instant.Instant
}

// plain is a Directory in a map behind one lock.
type plain struct {
	mu     sync.Mutex
	store  *store
	closed bool
	fns    map[int]func(string, tiering.Number, tiering.Entry)
	last   int
}

// use returns why d can't be used, with d.mu held.
func (d *plain) use(ctx context.Context, site string) error {
	switch err := tiering.CheckSite(site); {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case d.closed:
		return tiering.ErrClosed
	case d.store.away:
		return tiering.ErrUnavailable
	}
	return nil
}

// readable returns the entry, and an error once when it can't be read.
func (d *plain) readable(k key) (e tiering.Entry, known bool, err error) {
	if d.store.bad[k] {
		delete(d.store.bad, k)
		delete(d.store.entries, k)
		return tiering.Entry{}, false, fmt.Errorf("%w: %s", tiering.ErrCorrupt, k.n.Masked())
	}
	e, known = d.store.entries[k]
	return e, known, nil
}

func (d *plain) Lookup(ctx context.Context, site string, n tiering.Number) (tiering.Entry, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.use(ctx, site); err != nil {
		return tiering.Entry{}, false, err
	}
	if n == tiering.Withheld {
		return tiering.Entry{}, false, nil
	}
	if err := n.Check(); err != nil {
		return tiering.Entry{}, false, err
	}
	return d.readable(key{site, n})
}

func (d *plain) LookupBatch(ctx context.Context, site string, ns []tiering.Number) ([]tiering.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.use(ctx, site); err != nil {
		return nil, err
	}
	entries := make([]tiering.Entry, len(ns))
	for i, n := range ns {
		if err := n.Check(); err != nil {
			return nil, err
		}
		if !d.store.bad[key{site, n}] {
			entries[i] = d.store.entries[key{site, n}]
		}
	}
	return entries, nil
}

func (d *plain) Set(ctx context.Context, site string, c tiering.Change) (tiering.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.use(ctx, site); err != nil {
		return tiering.Entry{}, err
	}
	if err := c.Check(); err != nil {
		return tiering.Entry{}, err
	}
	k := key{site, c.Number}
	old, _, _ := d.readable(k)
	e, keep := c.Apply(old)
	if d.store.entries[k] = e; !keep {
		delete(d.store.entries, k)
	}
	for _, fn := range d.fns {
		fn(site, c.Number, e)
	}
	return e, nil
}

func (d *plain) SetBatch(ctx context.Context, site string, cs []tiering.Change) []tiering.Result {
	results := make([]tiering.Result, len(cs))
	for i, c := range cs {
		d.mu.Lock()
		before := d.store.entries[key{site, c.Number}]
		if d.store.bad[key{site, c.Number}] {
			before = tiering.Entry{}
		}
		d.mu.Unlock()
		if results[i].Entry, results[i].Err = d.Set(ctx, site, c); results[i].Err == nil {
			results[i].Before = before
		}
	}
	return results
}

func (d *plain) Walk(
	ctx context.Context, site string, from tiering.Cursor, limit int,
) (items []tiering.Item, next tiering.Cursor, err error) {
	return d.walk(ctx, site, from, limit, false)
}

func (d *plain) WalkBlacklist(
	ctx context.Context, site string, from tiering.Cursor, limit int,
) (items []tiering.Item, next tiering.Cursor, err error) {
	return d.walk(ctx, site, from, limit, true)
}

func (d *plain) walk(
	ctx context.Context, site string, from tiering.Cursor, limit int, black bool,
) (items []tiering.Item, next tiering.Cursor, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.use(ctx, site); err != nil {
		return nil, "", err
	}
	if from != "" && tiering.Number(from).Check() != nil {
		return nil, "", tiering.ErrCursor
	}
	var numbers []tiering.Number
	for k := range maps.Keys(d.store.entries) {
		if k.site == site && string(k.n) > string(from) && (!black || d.store.entries[k].Blacklisted) {
			numbers = append(numbers, k.n)
		}
	}
	slices.Sort(numbers)
	if limit = max(limit, 1); limit < len(numbers) {
		numbers = numbers[:limit]
		next = tiering.Cursor(numbers[limit-1])
	}
	for _, n := range numbers {
		e, _, fault := d.readable(key{site, n})
		if fault != nil {
			err = fault
			continue
		}
		items = append(items, tiering.Item{Number: n, Entry: e})
	}
	return items, next, err
}

func (d *plain) Count(ctx context.Context, site string) (map[tiering.Tier]int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.use(ctx, site); err != nil {
		return nil, err
	}
	counts := map[tiering.Tier]int64{tiering.VIP: 0, tiering.Mid: 0, tiering.Ordinary: 0, tiering.Blacklist: 0}
	for k, e := range d.store.entries {
		if k.site == site {
			counts[e.Stored()]++
		}
	}
	return counts, nil
}

func (d *plain) Recall(ctx context.Context, site string, r tiering.Request, now instant.Instant) ([]byte, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.use(ctx, site); err != nil {
		return nil, false, err
	}
	switch k := d.store.answers[r.Place(site, nil)]; {
	case k.until <= now:
		return nil, false, nil
	case k.print != r.Print:
		return nil, false, fmt.Errorf("%w: %q", tiering.ErrRequestReused, r.ID)
	default:
		return k.answer, true, nil
	}
}

func (d *plain) Remember(
	ctx context.Context, site string, r tiering.Request, answer []byte, now instant.Instant, keep tiering.KeepRequests,
) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.use(ctx, site); err != nil {
		return err
	}
	if place := r.Place(site, nil); d.store.answers[place].until <= now {
		d.store.answers[place] = kept{r.Print, answer, now.Add(keep.Age)}
	}
	return nil
}

func (d *plain) Subscribe(fn func(string, tiering.Number, tiering.Entry)) (cancel func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	id := d.last
	d.fns[id] = fn
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.fns, id)
	}
}

func (d *plain) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return nil
}
