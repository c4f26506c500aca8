package filedir

import (
	"log/slog"
	"testing"

	bolt "go.etcd.io/bbolt"

	"greenlane/tiering"
	"greenlane/tiering/tieringtest"
)

func TestConformance(t *testing.T) {
	tieringtest.Run(t, func(t *testing.T) tieringtest.Subject {
		dir := t.TempDir()
		d := mustOpen(t, dir)
		return tieringtest.Subject{
			Directory: d,
			Reopen: func() tiering.Directory {
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
				return mustOpen(t, dir)
			},
			Corrupt: func(site string, n tiering.Number) { corrupt(t, d, site, n) },
		}
	})
}

func mustOpen(t testing.TB, dir string) *Directory {
	t.Helper()
	d, err := Open(dir, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// corrupt flips the lowest bit of the stored tier.
func corrupt(t testing.TB, d *Directory, site string, n tiering.Number) {
	t.Helper()
	err := d.db.Update(func(tx *bolt.Tx) error {
		b, key := tx.Bucket(siteBucket(site)), d.form.key(site, n)
		value := append([]byte(nil), b.Get(key)...)
		value[1] ^= 1
		return b.Put(key, value)
	})
	if err != nil {
		t.Fatal(err)
	}
}
