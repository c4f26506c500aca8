package queue

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// A shelf against a sorted list, with things that come late, and by far too late.
func TestShelf(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	type thing struct{ at, seq int }
	s := shelf[thing]{before: func(a, b thing) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }}
	var model []thing
	for seq := range 30_000 {
		long := seq/5_000%2 == 1
		switch k := r.IntN(10); {
		case k < 5 || long && k < 8:
			late := [...]int{0, 0, 1, 3, 40, 5_000}[r.IntN(6)]
			x := thing{max(0, seq/4-r.IntN(late+1)), r.IntN(1 << 30)}
			s.add(x)
			i, _ := slices.BinarySearchFunc(model, x, func(a, b thing) int {
				if s.before(a, b) {
					return -1
				}
				return 1
			})
			model = slices.Insert(model, i, x)
		case len(model) == 0:
		case k < 8:
			s.dropFirst()
			model = model[1:]
		default:
			i := r.IntN(len(model))
			s.remove(model[i])
			model = slices.Delete(model, i, i+1)
		}
		if s.len() != len(model) || len(model) > 0 && s.first() != model[0] || seq%100 == 0 && !slices.Equal(s.all(), model) {
			t.Fatalf("step %d: the shelf holds %d, want %d, or in another order", seq, s.len(), len(model))
		}
	}
}
