package tieringtest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

func lapsing(n tiering.Number, before, at instant.Instant) tiering.Change {
	return tiering.Change{Number: n, Op: tiering.OpLapse, Before: before, At: at}
}

// lapse: what is too old goes, whatever its tier; what is younger, or has an end to
// come, stays. Counts, the blacklist and subscribers follow.
func lapse(t *testing.T, s Subject) {
	d := s.Directory
	const day = instant.Instant(24 * 3600 * 1000)
	later := now + 100*day
	ends := func(c tiering.Change, at instant.Instant) tiering.Change { c.Ends = at; return c }
	young := set(number(4), tiering.VIP)
	young.At = now + 60*day
	long := set(number(8), tiering.Mid)
	long.Note = string(slices.Repeat([]byte("n"), tiering.MaxNoteBytes))
	cs := []tiering.Change{
		set(number(1), tiering.VIP), set(number(2), tiering.Blacklist), ends(set(number(3), tiering.Mid), now+day), young,
		ends(set(number(5), tiering.VIP), later+1), ends(set(number(6), tiering.Blacklist), later+1), set("8001", tiering.Ordinary), long,
	}
	results := mustBatch(t, d, site, cs)
	stays := map[tiering.Number]bool{number(4): true, number(5): true, number(6): true}
	var h hearer
	defer d.Subscribe(h.hear)()
	for range 2 { // it may be repeated
		for i, c := range cs {
			want := tiering.Entry{}
			if stays[c.Number] {
				want = results[i].Entry
			}
			if got := must(t, d, site, lapsing(c.Number, now+50*day, later)); !same(got, want) {
				t.Fatalf("%s is %+v after it, want %+v", c.Number, got, want)
			}
			find(t, d, site, c.Number, want)
		}
	}
	must(t, d, site, lapsing(han, now+50*day, later)) // of whom nothing is known
	find(t, d, site, han, tiering.Entry{})
	counted(t, d, site, map[tiering.Tier]int64{tiering.VIP: 2, tiering.Blacklist: 1})
	items, _, err := d.WalkBlacklist(context.Background(), site, "", 100)
	if err != nil || len(items) != 1 || items[0].Number != number(6) {
		t.Errorf("on the blacklist are %v, %v", items, err)
	}
	heard, _ := h.take()
	last := map[tiering.Number]tiering.Entry{} // it may be told twice, and for nothing
	for _, item := range heard {
		last[item.Number] = item.Entry
	}
	for i, c := range cs {
		e, told := last[c.Number]
		if !stays[c.Number] && !told || told && (e != tiering.Entry{}) != stays[c.Number] || stays[c.Number] && told && !same(e, results[i].Entry) {
			t.Errorf("of %s it was told %v, %+v", c.Number, told, e)
		}
	}
}

// lapseBesideChanges: an entry that somebody changes at the same time stays, with the
// change.
func lapseBesideChanges(t *testing.T, s Subject) {
	d, ctx := s.Directory, context.Background()
	const many = 200
	var cs, old []tiering.Change
	for i := range many {
		old = append(old, set(number(i), tiering.Mid))
		c := set(number(i), tiering.VIP)
		c.At = now + 10_000
		cs = append(cs, c)
	}
	mustBatch(t, d, site, old)
	var both sync.WaitGroup
	both.Go(func() {
		for i := range cs {
			for _, r := range d.SetBatch(ctx, site, []tiering.Change{lapsing(number(i), now+5000, now+10_000)}) {
				if r.Err != nil {
					t.Error(r.Err)
				}
			}
		}
	})
	both.Go(func() {
		for _, c := range slices.Backward(cs) {
			if _, err := d.Set(ctx, site, c); err != nil {
				t.Error(err)
			}
		}
	})
	both.Wait()
	for i := range cs {
		e, known, err := d.Lookup(ctx, site, number(i))
		if err != nil || !known || e.Grade != tiering.VIP {
			t.Fatalf("%s: %+v, %v, %v: a change was lost", number(i), e, known, err)
		}
	}
	counted(t, d, site, map[tiering.Tier]int64{tiering.VIP: many})
}
