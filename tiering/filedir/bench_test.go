package filedir

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"greenlane/tiering"
)

// callers returns n changes for n callers, in the order of their numbers or
// shuffled.
func callers(n int, shuffled bool) []tiering.Change {
	cs := make([]tiering.Change, n)
	for i := range cs {
		cs[i] = tiering.Change{
			Number: tiering.Number(fmt.Sprintf("+861%010d", i*9973)), Op: tiering.OpGrade,
			Tier: tiering.Tiers[i%3], At: 1_700_000_000_000,
		}
	}
	if shuffled {
		rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { cs[i], cs[j] = cs[j], cs[i] })
	}
	return cs
}

const benchCallers = 1_000_000

// BenchmarkImport writes a million callers into an empty file and then once
// more over what is there: in batches of the size the API allows, sorted and
// shuffled, and in batches so large that SetBatch itself does the sorting.
func BenchmarkImport(b *testing.B) {
	for _, c := range []struct {
		name     string
		shuffled bool
		batch    int
	}{
		{"sorted, 20000 a batch", false, 20_000},
		{"shuffled, 20000 a batch", true, 20_000},
		{"shuffled, 500000 a batch", true, 500_000},
	} {
		b.Run(c.name, func(b *testing.B) {
			cs, again := callers(benchCallers, c.shuffled), callers(benchCallers, c.shuffled)
			for i := range again {
				again[i].At++
			}
			for b.Loop() {
				d := mustOpen(b, b.TempDir())
				b.ReportMetric(rate(b, d, cs, c.batch), "new-lines/s")
				b.ReportMetric(rate(b, d, again, c.batch), "again-lines/s")
				if err := d.db.View(func(tx *bolt.Tx) error {
					b.ReportMetric(float64(tx.Size()-int64(d.db.Stats().FreePageN)*4096)/benchCallers, "B/caller")
					return nil
				}); err != nil {
					b.Fatal(err)
				}
				if err := d.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// rate returns how many changes were made in a second.
func rate(b *testing.B, d *Directory, cs []tiering.Change, batch int) float64 {
	begin := time.Now()
	for part := range slices.Chunk(cs, batch) {
		for _, r := range d.SetBatch(context.Background(), "main", part) {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
	}
	return float64(len(cs)) / time.Since(begin).Seconds()
}

func filled(b *testing.B) (*Directory, []tiering.Change) {
	b.Helper()
	d := mustOpen(b, b.TempDir())
	b.Cleanup(func() { _ = d.Close() })
	cs := callers(benchCallers, false)
	rate(b, d, cs, len(cs))
	return d, callers(benchCallers, true)
}

func BenchmarkLookup(b *testing.B) {
	d, cs := filled(b)
	ctx := context.Background()
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, known, err := d.Lookup(ctx, "main", cs[i%len(cs)].Number); err != nil || !known {
				b.Fatal(known, err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for i := rand.IntN(len(cs)); pb.Next(); i++ {
				if _, known, err := d.Lookup(ctx, "main", cs[i%len(cs)].Number); err != nil || !known {
					b.Fatal(known, err)
				}
			}
		})
	})
}

func BenchmarkSet(b *testing.B) {
	d, cs := filled(b)
	for i := 0; b.Loop(); i++ {
		c := cs[i%len(cs)]
		c.Tier = tiering.Blacklist
		if _, err := d.Set(context.Background(), "main", c); err != nil {
			b.Fatal(err)
		}
	}
}
