package queue

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// The shelf against a sorted slice, while it grows at one end, shrinks at the other,
// and things come and go in between.
func TestShelf(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	type thing struct{ key, value int }
	s := shelf[thing]{before: func(a, b thing) bool { return a.key < b.key }}
	var model []thing
	place := func(key int) (int, bool) {
		return slices.BinarySearchFunc(model, key, func(x thing, key int) int { return cmp.Compare(x.key, key) })
	}
	for next := range 100_000 {
		switch n := r.IntN(12); {
		case n < 4:
			s.add(thing{2 * next, next})
			model = append(model, thing{2 * next, next})
		case n < 7 && len(model) > 0:
			if s.first() != model[0] {
				t.Fatalf("step %d: the first is %v, want %v", next, s.first(), model[0])
			}
			s.dropFirst()
			model = model[1:]
		case n < 9: // somewhere, most often near an end
			x := thing{2*r.IntN(next+1) + 1, next}
			if i, found := place(x.key); found {
				s.put(x)
				model[i] = x
			} else {
				s.put(x)
				model = slices.Insert(model, i, x)
			}
		default:
			key := 2 * next
			if len(model) > 0 {
				key = model[r.IntN(len(model))].key
			}
			s.remove(thing{key: key})
			if i, found := place(key); found {
				model = slices.Delete(slices.Clone(model), i, i+1)
			}
		}
		if s.len() != len(model) || next%100 == 0 && !slices.Equal(s.all(), model) {
			t.Fatalf("step %d: %v, want %v", next, s.all(), model)
		}
	}
	if len(s.slots) > 8*len(model)+64 {
		t.Errorf("%d slots for %d things", len(s.slots), len(model))
	}
}
