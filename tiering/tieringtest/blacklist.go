package tieringtest

import (
	"context"
	"errors"
	"testing"

	"greenlane/tiering"
)

// batchBefore: each result has the entry before its own change, also where an
// earlier change of the batch made it.
func batchBefore(t *testing.T, s Subject) {
	d := s.Directory
	must(t, d, site, set(han, tiering.Mid))
	results := mustBatch(t, d, site, []tiering.Change{
		grade(han, tiering.VIP), grade(li, tiering.Mid), grade(han, tiering.Ordinary), forget(li), grade(li, tiering.VIP),
	})
	for i, want := range []tiering.Tier{tiering.Mid, tiering.TierUnset, tiering.VIP, tiering.Mid, tiering.TierUnset} {
		if got := results[i].Before.Grade; got != want {
			t.Errorf("before change %d the grade was %v, want %v", i, got, want)
		}
	}
}

func lookupBatch(t *testing.T, s Subject) {
	d, ctx := s.Directory, context.Background()
	if got, err := d.LookupBatch(ctx, site, nil); err != nil || len(got) != 0 {
		t.Errorf("of nobody: %v, %v", got, err)
	}
	vip := must(t, d, site, set(li, tiering.VIP))
	black := must(t, d, site, set(han, tiering.Blacklist))
	got, err := d.LookupBatch(ctx, site, []tiering.Number{han, number(1), li, han})
	if err != nil || len(got) != 4 || !same(got[0], black) || got[1] != (tiering.Entry{}) || !same(got[2], vip) || !same(got[3], black) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, wrong := range []tiering.Number{"x", tiering.Withheld} {
		if _, err := d.LookupBatch(ctx, site, []tiering.Number{li, wrong}); !errors.Is(err, tiering.ErrNumber) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// walkBlacklist: whoever is on the blacklist is found, page by page, and nobody
// who came off it.
func walkBlacklist(t *testing.T, s Subject) {
	d, ctx := s.Directory, context.Background()
	if items, next, err := d.WalkBlacklist(ctx, site, "", 10); err != nil || len(items) != 0 || next != "" {
		t.Fatalf("of a site that nobody wrote to: %v, %q, %v", items, next, err)
	}
	want := map[tiering.Number]tiering.Entry{}
	var cs []tiering.Change
	for i := range 500 {
		c := grade(number(i), tiering.Tiers[i%3])
		if i%5 == 0 {
			c.Tier, c.Note = tiering.Blacklist, "threats, and more of them than a short value has room for: again and again"
		}
		cs = append(cs, c)
	}
	for i, r := range mustBatch(t, d, site, cs) {
		if i%5 == 0 {
			want[number(i)] = r.Entry
		}
	}
	must(t, d, other, set(li, tiering.Blacklist))
	want["8001"] = must(t, d, site, set("8001", tiering.Blacklist)) // an extension
	delete(want, number(5))
	must(t, d, site, tiering.Change{Number: number(5), Op: tiering.OpPardon, At: now})
	delete(want, number(10))
	must(t, d, site, forget(number(10)))
	delete(want, number(15))
	must(t, d, site, set(number(15), tiering.VIP))
	ended := set(number(20), tiering.Blacklist)
	ended.Ends = now + 1 // that it ends does not take it out
	want[number(20)] = must(t, d, site, ended)
	for _, limit := range []int{0, 1, 7, 100_000} {
		found := map[tiering.Number]tiering.Entry{}
		pages := 0
		for cursor := tiering.Cursor(""); ; pages++ {
			items, next, err := d.WalkBlacklist(ctx, site, cursor, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range items {
				found[item.Number] = item.Entry
			}
			if next == "" || pages > 1000 {
				break
			}
			cursor = next
		}
		if len(found) != len(want) {
			t.Errorf("limit %d: %d callers, want %d", limit, len(found), len(want))
		}
		for n, e := range want {
			if !same(found[n], e) {
				t.Errorf("limit %d: %s is %+v, want %+v", limit, n, found[n], e)
			}
		}
	}
	if _, _, err := d.WalkBlacklist(ctx, site, "no cursor", 10); !errors.Is(err, tiering.ErrCursor) {
		t.Errorf("a wrong cursor: %v", err)
	}
}
