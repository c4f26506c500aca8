package queue

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"greenlane/tiering"
)

// The index against a map, while it grows, shrinks, and is full of calls whose
// places collide.
func TestIndex(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var calls rooms
	x := newIndex(&calls, false)
	model := map[string]*call{}
	var keys []string
	check := func(key string) {
		if got := x.get(key); got != model[key] {
			t.Fatalf("%s is %v, want %v", key, got, model[key])
		}
	}
	for step := range 200_000 {
		key := fmt.Sprint("c", r.IntN(6_000))
		// It grows for a while and shrinks for a while.
		switch c := model[key]; {
		case c == nil && (step/40_000%2 == 0 || r.IntN(4) == 0):
			model[key] = calls.take()
			model[key].ID = key
			if before := x.put(model[key]); before != nil {
				t.Fatalf("%s took the place of %v", key, before)
			}
			keys = append(keys, key)
		case c != nil && r.IntN(8) == 0:
			model[key] = calls.take()
			model[key].ID = key
			if before := x.put(model[key]); before != c {
				t.Fatalf("%s took the place of %v, not of %v", key, before, c)
			}
			calls.give(c)
		case c != nil:
			x.replace(c, nil)
			calls.give(c)
			delete(model, key)
		}
		check(key)
		check(fmt.Sprint("c", r.IntN(6_000)))
	}
	for _, key := range keys {
		check(key)
	}
	seen := 0
	for c := range x.all() {
		if model[c.ID] != c {
			t.Errorf("%s is visited and not there", c.ID)
		}
		seen++
	}
	if seen != len(model) {
		t.Errorf("%d calls are visited, of %d", seen, len(model))
	}
}

// The calls of a number come in order, whichever of them is forgotten first.
func TestCallsOfANumber(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	m := newMachine(DefaultSite("main"))
	model := map[tiering.Number][]*call{"": nil}
	for i := range 20_000 {
		number := tiering.Number(fmt.Sprint("+86", r.IntN(40)))
		if list := model[number]; len(list) > 0 && r.IntN(2) == 0 {
			at := r.IntN(len(list)) * r.IntN(2) // the first one, most often
			m.unlinkCaller(list[at])
			model[number] = slices.Delete(list, at, at+1)
		} else {
			c := m.rooms.take()
			c.ID, c.Caller = fmt.Sprint(i), number
			m.linkCaller(c)
			model[number] = append(list, c)
		}
		if got := slices.Collect(m.callsOf(number)); !slices.Equal(got, model[number]) {
			t.Fatalf("step %d: %s has %d calls, want %d", i, number, len(got), len(model[number]))
		}
	}
	if got := slices.Collect(m.callsOf(tiering.Withheld)); len(got) != 0 {
		t.Errorf("%d calls of a number that is not known", len(got))
	}
}

// A call that is forgotten twice is a defect that must not go on unseen.
func TestIndexOfACallThatIsNotThere(t *testing.T) {
	var calls rooms
	x := newIndex(&calls, false)
	a, b := calls.take(), calls.take()
	a.ID, b.ID = "a", "b"
	x.put(a)
	x.put(b)
	x.replace(a, nil)
	defer func() {
		if recover() == nil {
			t.Error("nobody was told")
		}
	}()
	x.replace(a, nil)
}
