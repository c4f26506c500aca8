package filedir

import (
	"context"
	"fmt"
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
		value := b.Get([]byte(n))
		if value != nil {
			old, fault = tiering.DecodeRatings(n, value)
		}
		switch s = change(old); {
		case s == tiering.Satisfaction{}:
			return b.Delete([]byte(n))
		case s == old && fault == nil:
			return nil
		}
		return b.Put([]byte(n), tiering.EncodeRatings(n, s))
	})
	if err != nil {
		return tiering.Satisfaction{}, err
	}
	d.reportRatings(fault)
	return s, nil
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
	if from != "" {
		if err := tiering.Number(from).Check(); err != nil {
			return nil, "", fmt.Errorf("%w: only what WalkRatings returned is allowed", tiering.ErrCursor)
		}
	}
	limit = min(max(limit, 1), maxPage)
	var faults []error
	err = d.view(ctx, func(tx *bolt.Tx) error {
		b := tx.Bucket(ratingsBucket(site))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		key, value := c.Seek([]byte(from))
		if from != "" && string(key) == string(from) {
			key, value = c.Next()
		}
		var last []byte
		for n := 0; key != nil && n < limit; key, value = c.Next() {
			last = key
			n++
			s, fault := tiering.DecodeRatings(tiering.Number(key), value)
			if fault != nil {
				faults = append(faults, fault)
				continue
			}
			page = append(page, tiering.Rated{Number: tiering.Number(key), Satisfaction: s})
		}
		if key != nil {
			next = tiering.Cursor(last)
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
