package filedir

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"

	bolt "go.etcd.io/bbolt"

	"greenlane/tiering"
)

// chunkSize is how many changes share a transaction, and so an fsync: enough
// that a large import is not bound by the disk's latency, few enough that a Set
// beside it does not wait long.
const chunkSize = 20_000

// fillPercent is how full a page of entries is left when it is split. Imports
// come sorted and changes of known callers change no sizes, so little room is
// kept for entries in between.
const fillPercent = 0.9

// Set implements tiering.Directory.
func (d *Directory) Set(ctx context.Context, site string, c tiering.Change) (tiering.Entry, error) {
	results := d.SetBatch(ctx, site, []tiering.Change{c})
	return results[0].Entry, results[0].Err
}

// SetBatch implements tiering.Directory.
func (d *Directory) SetBatch(ctx context.Context, site string, cs []tiering.Change) []tiering.Result {
	results := make([]tiering.Result, len(cs))
	siteErr := tiering.CheckSite(site)
	good := make([]int, 0, len(cs))
	for i := range cs {
		if results[i].Err = siteErr; siteErr == nil {
			results[i].Err = cs[i].Check()
		}
		if results[i].Err == nil {
			good = append(good, i)
		}
	}
	// In the order of the numbers, neighbours in the tree are changed together;
	// the changes of one number keep their order.
	slices.SortFunc(good, func(i, j int) int {
		return cmp.Or(cmp.Compare(cs[i].Number, cs[j].Number), cmp.Compare(i, j))
	})
	for chunk := range slices.Chunk(good, chunkSize) {
		if err := d.setChunk(ctx, site, cs, chunk, results); err != nil {
			for _, i := range chunk {
				results[i] = tiering.Result{Err: err}
			}
		}
	}
	return results
}

// setChunk makes the changes cs[i] for each i of chunk in one transaction, fills
// their results in, and tells the subscribers and the log.
func (d *Directory) setChunk(
	ctx context.Context, site string, cs []tiering.Change, chunk []int, results []tiering.Result,
) error {
	if err := d.acquire(ctx); err != nil {
		return err
	}
	defer d.release()
	listeners := d.listeners()
	w := writer{site: site, told: len(listeners) > 0}
	err := d.update(func(tx *bolt.Tx) error {
		if err := w.begin(tx); err != nil {
			return err
		}
		for _, i := range chunk {
			old, e, err := w.apply(cs[i])
			if err != nil {
				return err
			}
			results[i].Before, results[i].Entry = old, e
		}
		return w.end()
	})
	if err != nil {
		return err
	}
	d.report(w.faults)
	for _, item := range w.altered {
		for _, s := range listeners {
			s.fn(site, item.Number, item.Entry)
		}
	}
	return nil
}

func (d *Directory) report(faults []error) {
	for _, err := range faults {
		d.log.Error("a caller's tier can't be read; it was set aside in the quarantine of the tier file",
			slog.Any("error", err), slog.String("file", d.path))
	}
}

// writer changes a site's entries in one transaction.
type writer struct {
	site string
	told bool // somebody wants to know what was altered

	tx      *bolt.Tx
	bucket  *bolt.Bucket
	counts  counts
	recount bool
	altered []tiering.Item
	faults  []error
}

func (w *writer) begin(tx *bolt.Tx) (err error) {
	w.tx = tx
	if w.bucket, err = tx.CreateBucketIfNotExists(siteBucket(w.site)); err != nil {
		return err
	}
	w.bucket.FillPercent = fillPercent
	w.counts = loadCounts(tx, w.site)
	return nil
}

// apply makes a change and returns the entry before and after it.
func (w *writer) apply(c tiering.Change) (old, e tiering.Entry, err error) {
	key := []byte(c.Number)
	value := w.bucket.Get(key)
	if value != nil {
		var cause error
		if old, cause = decodeEntry(key, value); cause != nil {
			if err := w.setAside(c.Number, value, cause); err != nil {
				return old, e, err
			}
			value = nil
		} else {
			w.counts.add(old.Stored(), -1)
		}
	}
	var keep bool
	e, keep = c.Apply(old)
	if w.told && alters(old, e) {
		w.altered = append(w.altered, tiering.Item{Number: c.Number, Entry: e})
	}
	if keep {
		w.counts.add(e.Stored(), 1)
		if value != nil && e == old {
			return old, e, nil
		}
		return old, e, w.bucket.Put(key, appendEntry(nil, key, e))
	}
	if value == nil {
		return old, e, nil
	}
	return old, e, w.bucket.Delete(key)
}

// alters reports whether At may return something else for e than for old.
func alters(old, e tiering.Entry) bool {
	return old.Grade != e.Grade || old.GradeEnds != e.GradeEnds ||
		old.Blacklisted != e.Blacklisted || old.BlacklistEnds != e.BlacklistEnds
}

func (w *writer) end() error {
	if w.recount {
		w.counts = recount(w.tx, w.site)
	}
	return w.counts.store(w.tx, w.site)
}

// setAside moves a value that can't be read to the quarantine. Which tier it was
// counted under is unknown, so the site is counted anew.
func (w *writer) setAside(n tiering.Number, value []byte, cause error) error {
	q := w.tx.Bucket(quarantineBucket)
	seq, err := q.NextSequence()
	if err != nil {
		return err
	}
	key := fmt.Appendf(nil, "%s\x00%s\x00", w.site, n)
	if err := q.Put(binary.BigEndian.AppendUint64(key, seq), slices.Clone(value)); err != nil {
		return err
	}
	w.recount = true
	w.faults = append(w.faults, unreadable(w.site, n, cause))
	return w.bucket.Delete([]byte(n))
}

// quarantine sets those of the numbers' values aside that still can't be read,
// and reports them.
func (d *Directory) quarantine(ctx context.Context, site string, numbers []tiering.Number) error {
	if err := d.acquire(ctx); err != nil {
		return err
	}
	defer d.release()
	w := writer{site: site}
	err := d.update(func(tx *bolt.Tx) error {
		if err := w.begin(tx); err != nil {
			return err
		}
		for _, n := range numbers {
			value := w.bucket.Get([]byte(n))
			if value == nil {
				continue
			}
			if _, cause := decodeEntry([]byte(n), value); cause != nil {
				if err := w.setAside(n, value, cause); err != nil {
					return err
				}
			}
		}
		return w.end()
	})
	if err != nil {
		return err
	}
	d.report(w.faults)
	return nil
}
