package redisdir

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sync"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// Import collects very many changes of one site and makes them together, several
// times as fast as SetBatch and in much less memory: sorted by where the entries
// are, those of a bucket travel together. The more are collected, the more a
// bucket has; ImportSize is a good number. Memory is 8 bytes for a plain change,
// which is an OpGrade of an E.164 number without end, flags or note at the
// Import's instant, and about 150 bytes and the note for any other.
//
// An Import is for one goroutine, and may be used again after Write. Of several,
// one after the other is written.
type Import struct {
	d    *Directory
	site string
	at   instant.Instant

	items   []item
	special []tiering.Change
	notes   int // bytes of notes in special

	// Moves counts the callers written, by the tier they were counted under before
	// (tiering.TierUnset for unknown ones) and after.
	Moves tiering.Moves
}

// ImportSize is how many changes of an Import are worth collecting: six for each
// bucket.
const ImportSize = 6 * buckets

// growAtOnce is from how many changes on a large import is expected: growing step
// by step would leave as much memory behind again.
const growAtOnce = 1 << 17

// item is a change. In its low placeBits bits are bucket and field; above them
// stands the tier of a plain change, or 0: then the field's bits are the change's
// index in special. It holds no pointer, so that the collector has nothing to follow.
type item uint64

func (i item) bucket() uint32     { return uint32(i >> fieldBits & (buckets - 1)) }
func (i item) shard() uint32      { return i.bucket() >> bucketBits }
func (i item) tier() tiering.Tier { return tiering.Tier(i >> placeBits) }

// NewImport returns an empty Import of changes made at the instant at.
func (d *Directory) NewImport(site string, at instant.Instant) *Import {
	return &Import{d: d, site: site, at: at}
}

// Len returns how many changes have been added.
func (im *Import) Len() int { return len(im.items) }

// Bytes returns about how much memory the changes take.
func (im *Import) Bytes() int {
	const itemSize, changeSize = 8, 150 // a change with what it points to
	return len(im.items)*itemSize + len(im.special)*changeSize + im.notes
}

// Add adds a change. The error is what tiering.Change.Check says; nothing was
// added then.
func (im *Import) Add(c tiering.Change) error {
	if c.Op == tiering.OpGrade && c.Ends == 0 && c.Flags == 0 && c.Note == "" && c.At == im.at && c.Tier.Valid() {
		if v, ok := plain(c.Number); ok {
			if n := len(im.items); n == cap(im.items) && n >= growAtOnce && n < ImportSize {
				im.items = slices.Grow(im.items, ImportSize-n)
			}
			im.items = append(im.items, item(im.d.layout.mix(v)|uint64(c.Tier)<<placeBits))
			return nil
		}
	}
	if err := c.Check(); err != nil {
		return err
	}
	if len(im.special) > math.MaxUint32 {
		return errors.New("too many changes for one Import")
	}
	im.items = append(im.items, item(uint64(im.d.layout.placeOf(c.Number).bucket)<<fieldBits|uint64(len(im.special))))
	im.special = append(im.special, c)
	im.notes += len(c.Note)
	return nil
}

// windowItems is about how many changes are computed and sent by one goroutine at a
// time: those of a shard stay together, so that two don't get into each other's way.
const windowItems = 4096

// Write makes the changes, and empties the Import when all were made. After an
// error some were made; writing again is safe. The errors are those of SetBatch.
func (im *Import) Write(ctx context.Context) error {
	end, err := im.d.begin(ctx, im.site)
	if err != nil {
		return err
	}
	defer end()
	im.d.importing.Lock()
	defer im.d.importing.Unlock()
	if err := im.d.mark(ctx); err != nil {
		return err
	}
	im.sort()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan []item)
	var writers sync.WaitGroup
	var mu sync.Mutex
	for range im.d.opt.Writers {
		writers.Go(func() {
			w := window{im: im}
			for items := range next {
				if err := w.write(ctx, items); err != nil {
					cancel(err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			im.Moves.Add(&w.moves)
		})
	}
	for rest := im.items; len(rest) > 0 && ctx.Err() == nil; {
		size := min(windowItems, len(rest))
		for size < len(rest) && rest[size].shard() == rest[size-1].shard() {
			size++
		}
		next <- rest[:size]
		rest = rest[size:]
	}
	close(next)
	writers.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	im.items, im.special, im.notes = im.items[:0], im.special[:0], 0
	return nil
}

// sort puts the items in the order of their buckets and fields; those of one
// caller keep their order. Two passes over nine bits each do most of it.
func (im *Import) sort() {
	const bits, values = (shardBits + bucketBits) / 2, 1 << ((shardBits + bucketBits) / 2)
	if cap(im.d.sorting) < len(im.items) {
		im.d.sorting = make([]item, len(im.items))
	}
	from, to := im.items, im.d.sorting[:len(im.items)]
	for shift := fieldBits; shift < placeBits; shift += bits {
		var starts [values + 1]int
		for i := range from {
			starts[from[i]>>shift&(values-1)+1]++
		}
		for i := range values {
			starts[i+1] += starts[i]
		}
		for i := range from {
			at := &starts[from[i]>>shift&(values-1)]
			to[*at] = from[i]
			*at++
		}
		from, to = to, from
	}
	im.items, im.d.sorting = from, to
	for start := 0; start < len(from); {
		end := start + 1
		for end < len(from) && from[end].bucket() == from[start].bucket() {
			end++
		}
		slices.SortStableFunc(from[start:end], im.compare)
		start = end
	}
}

// compare orders two items of one bucket by their fields.
func (im *Import) compare(x, y item) int {
	if x.tier() != 0 && y.tier() != 0 {
		return cmp.Compare(uint32(x), uint32(y))
	}
	return cmp.Compare(im.fieldOf(x), im.fieldOf(y))
}

func (im *Import) fieldOf(i item) string {
	if i.tier() == 0 {
		return im.d.layout.placeOf(im.special[uint32(i)].Number).field
	}
	var field [fieldSize]byte
	binary.BigEndian.PutUint32(field[:], uint32(i))
	return string(field[:])
}

// window is the work of one goroutine; its memory is used again and again.
type window struct {
	im      *Import
	changes []tiering.Change
	placed  []placed
	fields  []byte
	moves   tiering.Moves
}

// write makes the changes of the items, which are in the order of their places.
func (w *window) write(ctx context.Context, items []item) error {
	w.changes, w.placed, w.fields = w.changes[:0], w.placed[:0], w.fields[:0]
	for _, it := range items {
		w.fields = binary.BigEndian.AppendUint32(w.fields, uint32(it))
	}
	fields := string(w.fields) // one piece of memory for all
	for i, it := range items {
		p := place{bucket: it.bucket(), field: fields[i*fieldSize : (i+1)*fieldSize]}
		c := tiering.Change{Op: tiering.OpGrade, Tier: it.tier(), At: w.im.at}
		if c.Tier == 0 {
			c = w.im.special[uint32(it)]
			p = w.im.d.layout.placeOf(c.Number)
		}
		w.changes = append(w.changes, c)
		w.placed = append(w.placed, placed{p, int32(i)})
	}
	b := batch{d: w.im.d, site: w.im.site, changes: w.changes, listeners: w.im.d.listeners(), bulk: true}
	runs := runsOf(w.placed)
	b.make(ctx, runs, 1)
	for _, r := range runs {
		if r.done {
			from, to := r.tiers()
			w.moves[from][to]++
		}
	}
	return errors.Join(b.faults...)
}
