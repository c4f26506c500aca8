package queue

import (
	"math/rand/v2"
	"slices"
	"testing"

	"greenlane/internal/instant"
)

// A line against a sorted list: while it is short and long, when callers leave from
// the front, from the end and from anywhere, and when they come back.
func TestLine(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	var l line
	var model, away []*entry
	seq := uint64(0)
	byRank := func(e *entry, r rank) int { return e.rank().compare(r) }
	add := func(e *entry) {
		l.add(e)
		at, _ := slices.BinarySearchFunc(model, e.rank(), byRank)
		model = slices.Insert(model, at, e)
	}
	remove := func(at int) {
		e := model[at]
		l.remove(e)
		model = slices.Delete(model, at, at+1)
		away = append(away, e)
	}
	all := func(*entry) bool { return true }
	for step := range 60_000 {
		long := step/10_000%2 == 1 // it grows to thousands, and shrinks again
		switch k := r.IntN(10); {
		case k < 4 || long && k < 7:
			seq++
			c := &call{Seq: seq, JoinedAt: instant.Instant(1 + seq/3)}
			c.entry.call = c
			add(&c.entry)
		case len(model) == 0:
		case k < 7:
			remove(0)
		case k == 7:
			remove(len(model) - 1)
		case k == 8:
			remove(r.IntN(len(model)))
		case len(away) > 0: // one of those who left lately comes back
			i := len(away) - 1 - r.IntN(min(len(away), 3_000))
			e := away[i]
			away = slices.Delete(away, i, i+1)
			add(e)
		}
		if l.len() != len(model) {
			t.Fatalf("step %d: %d wait, want %d", step, l.len(), len(model))
		}
		if first := l.first(all); len(model) > 0 && first != model[0] || len(model) == 0 && first != nil {
			t.Fatalf("step %d: the first is %v", step, first)
		}
		if len(model) > 0 {
			at := r.IntN(len(model))
			if got := l.index(model[at].rank()); got != at {
				t.Fatalf("step %d: place %d is told as %d", step, at, got)
			}
		}
		if step%500 == 0 {
			checkLine(t, &l, model, r)
		}
	}
	for len(model) > 0 {
		remove(r.IntN(len(model)))
		if len(model)%100 == 0 {
			checkLine(t, &l, model, r)
		}
	}
}

// checkLine compares what a line shows of itself with the entries that wait in it.
func checkLine(t *testing.T, l *line, model []*entry, r *rand.Rand) {
	t.Helper()
	var got []*entry
	l.scan(func(e *entry) bool { got = append(got, e); return true })
	if !slices.Equal(got, model) {
		t.Fatalf("%d stand there in another order than %d should", len(got), len(model))
	}
	from := rank{instant.Instant(r.IntN(30_000)), uint64(r.IntN(40_000))}
	want := model[min(len(model), l.index(from)):]
	if len(want) > 20 {
		want = want[:20]
	}
	got = nil
	l.each(from, func(e *entry) bool { got = append(got, e); return len(got) < 20 })
	if !slices.Equal(got, want) {
		t.Fatalf("%d come after %v, want %d", len(got), from, len(want))
	}
	used := 0
	for i := range l.blocks {
		b := &l.blocks[i]
		if b.len() == 0 {
			t.Fatal("an empty block is kept")
		}
		for k, e := range b.at {
			if in := int32(k) >= b.from && int32(k) < b.to; in != (e != nil) {
				t.Fatal("a block holds who left it, or misses who is in it")
			}
		}
		used += b.len()
	}
	if len(l.blocks) > 2 && 6*used < len(l.blocks)*blockSize {
		t.Fatalf("%d blocks for %d", len(l.blocks), used)
	}
}
