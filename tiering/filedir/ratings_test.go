package filedir

import (
	"testing"

	bolt "go.etcd.io/bbolt"

	"greenlane/tiering"
	"greenlane/tiering/tieringtest"
)

func TestRatingsConformance(t *testing.T) {
	tieringtest.RunRatings(t, func(t *testing.T) (tiering.Ratings, func() tiering.Ratings) {
		dir := t.TempDir()
		d := mustOpen(t, dir)
		t.Cleanup(func() { _ = d.Close() })
		return d, func() tiering.Ratings {
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			d = mustOpen(t, dir)
			return d
		}
	})
}

// TestDamagedRatingsCountAsNone: what can't be read is left out of a walk, and
// the next rating begins anew.
func TestDamagedRatingsCountAsNone(t *testing.T) {
	d := mustOpen(t, t.TempDir())
	defer d.Close()
	const n, month = tiering.Number("+8613800138000"), tiering.Month(24_000)
	rate := func(s tiering.Satisfaction) tiering.Satisfaction {
		s, _ = s.Rate(tiering.Rating{Score: 4, Month: month}, month)
		return s
	}
	if _, err := d.UpdateRatings(t.Context(), "main", n, rate); err != nil {
		t.Fatal(err)
	}
	err := d.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(ratingsBucket("main"))
		value := append([]byte(nil), b.Get([]byte(n))...)
		value[2] ^= 1
		return b.Put([]byte(n), value)
	})
	if err != nil {
		t.Fatal(err)
	}
	if page, next, err := d.WalkRatings(t.Context(), "main", "", 10); err != nil || len(page) != 0 || next != "" {
		t.Errorf("%v, %q, %v", page, next, err)
	}
	if s, err := d.UpdateRatings(t.Context(), "main", n, rate); err != nil || s.Months[0].Count != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}
