package filedir

import (
	"bytes"
	"context"
	"errors"
	"log/slog"

	bolt "go.etcd.io/bbolt"

	"greenlane/tiering"
)

var _ tiering.Ratings = (*Directory)(nil)

// ratingsBucket holds the callers' ratings of a site by number, as
// tiering.EncodeRatings writes them.
func ratingsBucket(site string) []byte { return []byte("ratings:" + site) }

// UpdateRatings implements tiering.Ratings.
func (d *Directory) UpdateRatings(
	ctx context.Context, site string, n tiering.Number, change func(tiering.Satisfaction) tiering.Satisfaction,
) (s tiering.Satisfaction, err error) {
	if err := tiering.CheckSite(site); err != nil {
		return s, err
	}
	if err := n.Check(); err != nil {
		return s, err
	}
	if err := d.acquire(ctx); err != nil {
		return s, err
	}
	defer d.release()
	var fault error
	err = d.update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(ratingsBucket(site))
		if err != nil {
			return err
		}
		var old tiering.Satisfaction
		key := d.form.key(site, n)
		value := b.Get(key)
		if value != nil {
			_, old, fault = d.form.ratings(site, key, value)
		}
		switch s = change(old); {
		case s == tiering.Satisfaction{}:
			return b.Delete(key)
		case s == old && fault == nil:
			return nil
		}
		return b.Put(key, d.form.wrap(string(ratingsBucket(site)), key, n, tiering.EncodeRatings(n, s)))
	})
	if err != nil {
		return tiering.Satisfaction{}, err
	}
	d.reportRatings(fault)
	return s, nil
}

// ratings reads a caller's ratings and says whose they are.
func (f *form) ratings(site string, key, value []byte) (n tiering.Number, s tiering.Satisfaction, err error) {
	n, value, err = f.unwrap(string(ratingsBucket(site)), site, key, value)
	if err == nil {
		s, err = tiering.DecodeRatings(n, value)
	}
	return n, s, err
}

// forgetRatings drops the ratings of a caller who is forgotten.
func (w *writer) forgetRatings(key []byte) error {
	b := w.tx.Bucket(ratingsBucket(w.site))
	if b == nil || b.Get(key) == nil {
		return nil
	}
	return errors.Join(b.Delete(key), w.tx.Bucket(metaBucket).Put(erasedKey, []byte{1}))
}

func (d *Directory) reportRatings(fault error) {
	if fault != nil {
		d.log.Error("a caller's ratings can't be read and count as none", slog.Any("error", fault), slog.String("file", d.path))
	}
}

// WalkRatings implements tiering.Ratings, in the order of Walk.
func (d *Directory) WalkRatings(
	ctx context.Context, site string, from tiering.Cursor, limit int,
) (page []tiering.Rated, next tiering.Cursor, err error) {
	if err := tiering.CheckSite(site); err != nil {
		return nil, "", err
	}
	after, err := d.form.after(from)
	if err != nil {
		return nil, "", err
	}
	limit = min(max(limit, 1), maxPage)
	var faults []error
	err = d.view(ctx, func(tx *bolt.Tx) error {
		b := tx.Bucket(ratingsBucket(site))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		key, value := c.Seek(after)
		if after != nil && bytes.Equal(key, after) {
			key, value = c.Next()
		}
		var last []byte
		for n := 0; key != nil && n < limit; key, value = c.Next() {
			last = bytes.Clone(key)
			n++
			whose, s, fault := d.form.ratings(site, key, value)
			if fault != nil {
				faults = append(faults, fault)
				continue
			}
			page = append(page, tiering.Rated{Number: whose, Satisfaction: s})
		}
		if key != nil {
			next = d.form.cursor(last)
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	for _, fault := range faults {
		d.reportRatings(fault)
	}
	return page, next, nil
}
