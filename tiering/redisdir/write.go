package redisdir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"greenlane/tiering"
)

// A script makes at most callChanges changes, so that it holds Redis up for
// less than half a millisecond, and a pipeline holds at most pipelineCalls
// scripts. writePasses is how often a change is computed again because somebody
// else changed the same caller first.
const (
	callChanges   = 128
	callBytes     = 32 << 10
	pipelineCalls = 4
	writePasses   = 50
)

// Set implements tiering.Directory.
func (d *Directory) Set(ctx context.Context, site string, c tiering.Change) (tiering.Entry, error) {
	results := d.SetBatch(ctx, site, []tiering.Change{c})
	return results[0].Entry, results[0].Err
}

// SetBatch implements tiering.Directory. It is fastest with tens of thousands of
// changes at once.
func (d *Directory) SetBatch(ctx context.Context, site string, cs []tiering.Change) []tiering.Result {
	b := batch{d: d, site: site, changes: cs, results: make([]tiering.Result, len(cs))}
	end, err := d.begin(ctx, site)
	if err != nil {
		for i := range b.results {
			b.results[i].Err = err
		}
		return b.results
	}
	defer end()
	b.listeners = d.listeners()
	b.make(ctx, runsOf(b.gather()), d.opt.Writers)
	for i := range cs {
		if cs[i].Op == tiering.OpForget && b.results[i].Err == nil {
			b.results[i].Err = d.forgetRest(ctx, site, cs[i].Number)
		}
	}
	return b.results
}

// forgetRest removes what is kept of a forgotten caller beside the entry.
func (d *Directory) forgetRest(ctx context.Context, site string, n tiering.Number) error {
	_, err := d.UpdateRatings(ctx, site, n, func(tiering.Satisfaction) tiering.Satisfaction { return tiering.Satisfaction{} })
	if err == nil {
		_, err = d.EraseAside(ctx, site, n)
	}
	return err
}

// batch is one SetBatch under way.
type batch struct {
	d         *Directory
	site      string
	changes   []tiering.Change
	results   []tiering.Result // one for each change; nil when nobody wants to know
	listeners []*subscriber
	bulk      bool    // of an Import: most callers are probably new, or as they were
	faults    []error // why runs failed
}

// A run is what becomes of one caller: its changes in their order.
type run struct {
	place
	stored          // what is there, as far as known
	read    bool    // that was read, not just supposed
	moved   bool    // the bucket was of a wrong type, and was moved away
	changes []int32 // indices of the batch's changes

	after      tiering.Entry
	want, long string // what shall be there, and elsewhere; "" for nothing

	err  error // why it could not be done
	done bool
}

// placed is a change and where its caller's entry is.
type placed struct {
	place
	change int32 // index of the batch's change
}

// gather checks the changes and returns the good ones in the order of their places.
func (b *batch) gather() []placed {
	good := make([]placed, 0, len(b.changes))
	for i := range b.changes {
		if err := b.changes[i].Check(); err != nil {
			b.results[i].Err = err
			continue
		}
		good = append(good, placed{b.d.layout.placeOf(b.changes[i].Number), int32(i)})
	}
	slices.SortFunc(good, func(x, y placed) int {
		if x.bucket != y.bucket {
			return cmp.Compare(x.bucket, y.bucket)
		}
		return cmp.Or(cmp.Compare(x.field, y.field), cmp.Compare(x.change, y.change))
	})
	return good
}

// runsOf makes the runs of changes that are in the order of their places.
func runsOf(sorted []placed) []*run {
	all, indices := make([]run, 0, len(sorted)), make([]int32, len(sorted))
	for i, g := range sorted {
		indices[i] = g.change
		if n := len(all); n > 0 && all[n-1].place == g.place {
			last := &all[n-1]
			last.changes = last.changes[:len(last.changes)+1] // the next of indices
			continue
		}
		all = append(all, run{place: g.place, changes: indices[i : i+1 : len(sorted)]})
	}
	runs := make([]*run, len(all))
	for i := range all {
		runs[i] = &all[i]
	}
	return runs
}

// make makes the runs, with so many pipelines at once. What failed stands in the
// results and faults.
func (b *batch) make(ctx context.Context, runs []*run, writers int) {
	for pass := 0; len(runs) > 0; pass++ {
		if pass == writePasses {
			b.fail(runs, fmt.Errorf("%w: others kept changing the same callers", tiering.ErrUnavailable))
			return
		}
		b.write(ctx, runs, writers, pass)
		runs = b.left(ctx, runs)
	}
}

// write tries the runs once. Which of them are done, stands in them.
func (b *batch) write(ctx context.Context, runs []*run, writers, pass int) {
	var todo []*run
	for _, r := range runs {
		b.compute(r)
		if !r.done {
			todo = append(todo, r)
		}
	}
	if b.bulk && pass == 0 {
		todo = b.insert(ctx, todo)
	}
	pipelines := slices.Collect(slices.Chunk(b.parcels(todo), pipelineCalls))
	if writers = min(writers, len(pipelines)); writers <= 1 {
		for _, p := range pipelines {
			b.send(ctx, p)
		}
		return
	}
	next := make(chan []*parcel)
	var working sync.WaitGroup
	for range writers {
		working.Go(func() {
			for p := range next {
				b.send(ctx, p)
			}
		})
	}
	for _, p := range pipelines {
		next <- p
	}
	close(next)
	working.Wait()
}

// compute applies the run's changes to what is there and says what shall be. A
// run is done when nothing has to be written: it was read, and that was its moment.
func (b *batch) compute(r *run) {
	old := r.stored.entry
	if r.cause != nil {
		old = tiering.Entry{}
	}
	keep := false
	for _, i := range r.changes {
		before := old
		if old, keep = b.changes[i].Apply(old); b.results != nil {
			b.results[i] = tiering.Result{Before: before, Entry: old}
		}
	}
	r.after, r.want, r.long = old, "", ""
	if keep {
		r.want, r.long = b.d.layout.encode(r.place, r.after)
	}
	r.done = r.read && r.cause == nil && r.want == r.stored.value
}

// left returns the runs that have to be tried again, with what is there now, and
// fails those that can't be.
func (b *batch) left(ctx context.Context, runs []*run) []*run {
	var again []*run
	var places []place
	var found []*stored
	for _, r := range runs {
		switch {
		case r.done:
		case r.err != nil:
			b.fail([]*run{r}, r.err)
		default:
			again = append(again, r)
			if r.read && elsewhere(r.stored.value) {
				places, found = append(places, r.place), append(found, &r.stored)
			}
		}
	}
	if len(places) > 0 {
		if err := b.d.read(ctx, b.site, places, found); err != nil {
			b.fail(again, err)
			return nil
		}
	}
	if err := ctx.Err(); err != nil {
		b.fail(again, err)
		return nil
	}
	return again
}

func (b *batch) fail(runs []*run, err error) {
	b.faults = append(b.faults, err)
	if b.results == nil {
		return
	}
	for _, r := range runs {
		for _, i := range r.changes {
			b.results[i] = tiering.Result{Err: err}
		}
	}
}

// send runs a pipeline and notes what became of its runs.
func (b *batch) send(ctx context.Context, parcels []*parcel) {
	if len(b.listeners) > 0 {
		// The parcels are in the order of their shards, as everybody's are, so that
		// two batches can't wait for each other.
		var held []int
		for _, p := range parcels {
			if n := len(held); n == 0 || held[n-1] != p.shard {
				b.d.told[p.shard].Lock()
				held = append(held, p.shard)
			}
		}
		defer func() {
			for _, shard := range held {
				b.d.told[shard].Unlock()
			}
		}()
	}
	calls := make([]*call, len(parcels))
	for i, p := range parcels {
		calls[i] = &p.call
	}
	unconfirmed := b.d.run(ctx, calls)
	for _, p := range parcels {
		b.settle(ctx, p, unconfirmed)
	}
}

// settle reads a script's answer.
func (b *batch) settle(ctx context.Context, p *parcel, unconfirmed error) {
	answer, err := p.call.cmd.Slice()
	if err = b.d.fault(ctx, errors.Join(err, unconfirmed)); err != nil {
		for _, r := range p.runs {
			r.err = err
			b.d.forget(b.site, r) // it may have been done
		}
		return
	}
	left := make(map[int]any, len(answer)/2)
	for i := 0; i+1 < len(answer); i += 2 {
		if n, ok := answer[i].(int64); ok {
			left[int(n)] = answer[i+1]
		}
	}
	for i, r := range p.runs {
		found, wrong := left[i+1]
		if !wrong {
			b.finish(r)
			continue
		}
		r.stored, r.read = stored{}, true
		switch f := found.(type) {
		case string:
			r.stored.value = f
			if f != "" && !elsewhere(f) {
				r.stored.entry, r.cause = b.d.layout.decode(r.place, f)
			}
		case error:
			if r.read = false; r.moved {
				r.err = b.d.fault(ctx, f)
				continue
			}
			r.moved, r.err = true, b.d.setBucketAside(ctx, b.site, r.bucket, f)
		}
	}
}

// finish notes that the run's value is stored, and tells whoever is to know.
func (b *batch) finish(r *run) {
	r.done = true
	b.d.forget(b.site, r)
	if r.cause != nil {
		n, _ := b.d.layout.numberOf(r.place) // only the masked form is shown, empty or not
		b.d.report(b.site, n.Masked(), r.cause)
	}
	if len(b.listeners) == 0 || !alters(r.stored.entry, r.after) {
		return
	}
	n, err := b.d.layout.numberOf(r.place)
	if err != nil {
		return // not a place that a change of a caller leads to
	}
	b.d.ears.changedHere(b.site, n)
	for _, s := range b.listeners {
		s.fn(b.site, n, r.after)
	}
}

// forget drops a caller from the cache. While nothing is cached, as in an
// import, there is nothing to look the number up for.
func (d *Directory) forget(site string, r *run) {
	if d.cache == nil {
		return
	}
	if n, err := d.layout.numberOf(r.place); err == nil {
		d.cache.drop(site, n, r.place)
	}
}

// alters reports whether At may return something else for e than for old.
func alters(old, e tiering.Entry) bool {
	return old.Grade != e.Grade || old.GradeEnds != e.GradeEnds ||
		old.Blacklisted != e.Blacklisted || old.BlacklistEnds != e.BlacklistEnds
}

func (d *Directory) report(site, whose string, cause error) {
	d.opt.Log.Error("a caller's tier can't be read; it was set aside", slog.String("site", site),
		slog.String("number", whose), slog.Any("error", cause))
}
