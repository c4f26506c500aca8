package filedir

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"greenlane/tiering"
)

// Lookup implements tiering.Directory.
func (d *Directory) Lookup(ctx context.Context, site string, n tiering.Number) (e tiering.Entry, known bool, err error) {
	if err := tiering.CheckSite(site); err != nil {
		return tiering.Entry{}, false, err
	}
	if n != tiering.Withheld {
		if err := n.Check(); err != nil {
			return tiering.Entry{}, false, err
		}
	}
	var cause error
	err = d.view(ctx, func(tx *bolt.Tx) error {
		b := tx.Bucket(siteBucket(site))
		if b == nil || n == tiering.Withheld {
			return nil
		}
		key := d.form.key(site, n)
		value := b.Get(key)
		if value == nil {
			return nil
		}
		known = true
		_, e, cause = d.form.decode(site, key, value)
		return nil
	})
	switch {
	case err != nil:
		return tiering.Entry{}, false, err
	case cause != nil:
		return tiering.Entry{}, false, errors.Join(unreadable(site, n, cause), d.quarantine(ctx, site, [][]byte{d.form.key(site, n)}))
	}
	return e, known, nil
}

func unreadable(site string, n tiering.Number, cause error) error {
	return fmt.Errorf("%w: site %s, number %s: %w", tiering.ErrCorrupt, site, n.Masked(), cause)
}

// LookupBatch implements tiering.Directory.
func (d *Directory) LookupBatch(ctx context.Context, site string, ns []tiering.Number) ([]tiering.Entry, error) {
	if err := tiering.CheckSite(site); err != nil {
		return nil, err
	}
	for _, n := range ns {
		if err := n.Check(); err != nil {
			return nil, err
		}
	}
	entries := make([]tiering.Entry, len(ns))
	err := d.view(ctx, func(tx *bolt.Tx) error {
		b := tx.Bucket(siteBucket(site))
		if b == nil {
			return nil
		}
		for i, n := range ns {
			key := d.form.key(site, n)
			if value := b.Get(key); value != nil {
				if _, e, cause := d.form.decode(site, key, value); cause == nil {
					entries[i] = e
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// maxPage bounds a page of Walk, and maxScan how many entries are looked at for
// one of WalkBlacklist.
const (
	maxPage = 10_000
	maxScan = 100_000
)

// Walk implements tiering.Directory. The order is that of the keys, and a cursor
// is the last key of the page before.
func (d *Directory) Walk(
	ctx context.Context, site string, from tiering.Cursor, limit int,
) (items []tiering.Item, next tiering.Cursor, err error) {
	return d.walk(ctx, site, from, limit, func(tiering.Entry) bool { return true })
}

// WalkBlacklist implements tiering.Directory, as Walk does. There is no index:
// the file lies in mapped memory, where looking at an entry costs a fraction of
// a microsecond.
func (d *Directory) WalkBlacklist(
	ctx context.Context, site string, from tiering.Cursor, limit int,
) (items []tiering.Item, next tiering.Cursor, err error) {
	return d.walk(ctx, site, from, limit, func(e tiering.Entry) bool { return e.Blacklisted })
}

func (d *Directory) walk(
	ctx context.Context, site string, from tiering.Cursor, limit int, wanted func(tiering.Entry) bool,
) (items []tiering.Item, next tiering.Cursor, err error) {
	if err := tiering.CheckSite(site); err != nil {
		return nil, "", err
	}
	after, err := d.form.after(from)
	if err != nil {
		return nil, "", err
	}
	limit = min(max(limit, 1), maxPage)
	var bad [][]byte
	var faults []error
	err = d.view(ctx, func(tx *bolt.Tx) error {
		b := tx.Bucket(siteBucket(site))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		key, value := c.Seek(after)
		if after != nil && bytes.Equal(key, after) {
			key, value = c.Next()
		}
		var last []byte
		for n := 0; key != nil && len(items)+len(bad) < limit && n < maxScan; key, value = c.Next() {
			last = bytes.Clone(key)
			n++
			switch whose, e, cause := d.form.decode(site, key, value); {
			case cause != nil:
				bad, faults = append(bad, last), append(faults, unreadable(site, whose, cause))
			case wanted(e):
				items = append(items, tiering.Item{Number: whose, Entry: e})
			}
		}
		if key != nil {
			next = d.form.cursor(last)
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	if len(bad) > 0 {
		return items, next, errors.Join(append(faults, d.quarantine(ctx, site, bad))...)
	}
	return items, next, nil
}

// Count implements tiering.Directory.
func (d *Directory) Count(ctx context.Context, site string) (map[tiering.Tier]int64, error) {
	if err := tiering.CheckSite(site); err != nil {
		return nil, err
	}
	var c counts
	err := d.view(ctx, func(tx *bolt.Tx) error {
		c = d.form.loadCounts(tx, site)
		return nil
	})
	if err != nil {
		return nil, err
	}
	result := make(map[tiering.Tier]int64, len(tiering.Tiers))
	for i, tier := range tiering.Tiers {
		result[tier] = c[i]
	}
	return result, nil
}

// Quarantined returns how many values lie set aside because they could not be
// read.
func (d *Directory) Quarantined(ctx context.Context) (n int, err error) {
	err = d.view(ctx, func(tx *bolt.Tx) error {
		return tx.Bucket(quarantineBucket).ForEach(func(_, _ []byte) error {
			n++
			return nil
		})
	})
	return n, err
}

// counts are a site's entries by tier, in the order of tiering.Tiers.
type counts [len(tiering.Tiers)]int64

func (c *counts) add(t tiering.Tier, n int64) { c[t-tiering.Tiers[0]] += n }

const countBytes = 8

// read takes stored counts; it reports whether they could be read.
func (c *counts) read(value []byte) bool {
	if len(value) != len(c)*countBytes {
		return false
	}
	for i := range c {
		c[i] = int64(binary.BigEndian.Uint64(value[i*countBytes:]))
	}
	return true
}

func start(b *bolt.Bucket) (c *bolt.Cursor, key, value []byte) {
	c = b.Cursor()
	key, value = c.First()
	return c, key, value
}

func (c counts) store(tx *bolt.Tx, site string) error {
	value := make([]byte, 0, len(c)*countBytes)
	for _, n := range c {
		value = binary.BigEndian.AppendUint64(value, uint64(n))
	}
	return tx.Bucket(metaBucket).Put(countKey(site), value)
}
