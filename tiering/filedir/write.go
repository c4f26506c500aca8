package filedir

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
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
	keys := make([][]byte, len(cs))
	for _, i := range good {
		keys[i] = d.form.key(site, cs[i].Number)
	}
	// In the order of the keys, neighbours in the tree are changed together; the
	// changes of one number keep their order.
	slices.SortFunc(good, func(i, j int) int { return cmp.Or(bytes.Compare(keys[i], keys[j]), cmp.Compare(i, j)) })
	for chunk := range slices.Chunk(good, chunkSize) {
		if err := d.setChunk(ctx, site, cs, keys, chunk, results); err != nil {
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
	ctx context.Context, site string, cs []tiering.Change, keys [][]byte, chunk []int, results []tiering.Result,
) error {
	if err := d.acquire(ctx); err != nil {
		return err
	}
	defer d.release()
	listeners := d.listeners()
	w := writer{form: &d.form, site: site, told: len(listeners) > 0}
	err := d.update(func(tx *bolt.Tx) error {
		if err := w.begin(tx); err != nil {
			return err
		}
		for _, i := range chunk {
			old, e, err := w.apply(cs[i], keys[i])
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
	form *form
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
	w.counts = w.form.loadCounts(tx, w.site)
	return nil
}

// apply makes a change and returns the entry before and after it.
func (w *writer) apply(c tiering.Change, key []byte) (old, e tiering.Entry, err error) {
	value := w.bucket.Get(key)
	if value != nil {
		var cause error
		if _, old, cause = w.form.decode(w.site, key, value); cause != nil {
			if err := w.setAside(key, c.Number, value, cause); err != nil {
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
		return old, e, w.bucket.Put(key, w.form.encode(w.site, key, c.Number, e))
	}
	if c.Op == tiering.OpForget {
		_, err := w.forgetAside(key)
		if err := errors.Join(err, w.forgetRatings(key)); err != nil {
			return old, e, err
		}
	}
	if value == nil {
		return old, e, nil
	}
	if err := w.bucket.Delete(key); err != nil || c.Op != tiering.OpForget {
		return old, e, err
	}
	return old, e, w.tx.Bucket(metaBucket).Put(erasedKey, []byte{1})
}

// EraseAside implements tiering.Quarantine.
func (d *Directory) EraseAside(ctx context.Context, site string, n tiering.Number) (removed int, err error) {
	if err := tiering.CheckSite(site); err != nil {
		return 0, err
	}
	if err := n.Check(); err != nil {
		return 0, err
	}
	if err := d.acquire(ctx); err != nil {
		return 0, err
	}
	defer d.release()
	err = d.update(func(tx *bolt.Tx) error {
		w := writer{form: &d.form, site: site, tx: tx}
		removed, err = w.forgetAside(d.form.key(site, n))
		return err
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}

var _ tiering.Quarantine = (*Directory)(nil)

// forgetAside drops what was set aside of a caller who is forgotten.
func (w *writer) forgetAside(key []byte) (removed int, err error) {
	q, prefix := w.tx.Bucket(quarantineBucket), asidePrefix(w.site, key)
	c := q.Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Seek(prefix) {
		if err := errors.Join(q.Delete(k), w.tx.Bucket(metaBucket).Put(erasedKey, []byte{1})); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

func asidePrefix(site string, key []byte) []byte { return fmt.Appendf(nil, "%s\x00%s\x00", site, key) }

// alters reports whether At may return something else for e than for old.
func alters(old, e tiering.Entry) bool {
	return old.Grade != e.Grade || old.GradeEnds != e.GradeEnds ||
		old.Blacklisted != e.Blacklisted || old.BlacklistEnds != e.BlacklistEnds
}

func (w *writer) end() error {
	if w.recount {
		w.counts = w.form.recount(w.tx, w.site)
	}
	return w.counts.store(w.tx, w.site)
}

// setAside moves a value that can't be read to the quarantine. Which tier it was
// counted under is unknown, so the site is counted anew.
func (w *writer) setAside(at []byte, n tiering.Number, value []byte, cause error) error {
	q := w.tx.Bucket(quarantineBucket)
	seq, err := q.NextSequence()
	if err != nil {
		return err
	}
	key := asidePrefix(w.site, at)
	if err := q.Put(binary.BigEndian.AppendUint64(key, seq), slices.Clone(value)); err != nil {
		return err
	}
	w.recount = true
	w.faults = append(w.faults, unreadable(w.site, n, cause))
	return w.bucket.Delete(at)
}

// quarantine sets those of the keys' values aside that still can't be read, and
// reports them.
func (d *Directory) quarantine(ctx context.Context, site string, keys [][]byte) error {
	if err := d.acquire(ctx); err != nil {
		return err
	}
	defer d.release()
	w := writer{form: &d.form, site: site}
	err := d.update(func(tx *bolt.Tx) error {
		if err := w.begin(tx); err != nil {
			return err
		}
		for _, key := range keys {
			value := w.bucket.Get(key)
			if value == nil {
				continue
			}
			if n, _, cause := w.form.decode(site, key, value); cause != nil {
				if err := w.setAside(key, n, value, cause); err != nil {
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
