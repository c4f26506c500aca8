package redisdir

import (
	"testing"

	"greenlane/tiering"
	"greenlane/tiering/tieringtest"
)

func TestRatingsConformance(t *testing.T) {
	s := single(t)
	tieringtest.RunRatings(t, func(t *testing.T) (tiering.Ratings, func() tiering.Ratings) {
		s.flush(t)
		return s.open(t, Options{}), func() tiering.Ratings { return s.open(t, Options{}) }
	})
}

// TestTheBlacklistIsIndexedAnew: entries that were written before there was an
// index are found.
func TestTheBlacklistIsIndexedAnew(t *testing.T) {
	s := single(t)
	d := s.open(t, Options{})
	want := map[tiering.Number]bool{}
	for _, n := range []tiering.Number{"+8613800138000", "+8613800138001", "8001"} {
		if _, err := d.Set(t.Context(), "main", tiering.Change{Number: n, Op: tiering.OpSet, Tier: tiering.Blacklist, At: 1000}); err != nil {
			t.Fatal(err)
		}
		want[n] = true
	}
	for shard := range shards {
		if err := d.client.ZRemRangeByLex(t.Context(), blackKey("main", shard), "-", "+").Err(); err != nil {
			t.Fatal(err)
		}
	}
	items, next, err := d.WalkBlacklist(t.Context(), "main", "", 10)
	if err != nil || next != "" || len(items) != len(want) {
		t.Fatalf("%v, %q, %v", items, next, err)
	}
	for _, item := range items {
		if !want[item.Number] {
			t.Errorf("%v", item)
		}
	}
}
