package tieringtest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

const (
	site  = "main"
	other = "north"
	// now is a whole second: adapters may truncate some times to it.
	now = instant.Instant(1_700_000_000_000)
	li  = tiering.Number("+8613800138000")
	han = tiering.Number("+8613900139000")
)

// fataler is a testing.T or a rapid.T.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func number(i int) tiering.Number { return tiering.Number(fmt.Sprintf("+86138%08d", i)) }

func set(n tiering.Number, tier tiering.Tier) tiering.Change {
	return tiering.Change{Number: n, Op: tiering.OpSet, Tier: tier, At: now}
}

func grade(n tiering.Number, tier tiering.Tier) tiering.Change {
	return tiering.Change{Number: n, Op: tiering.OpGrade, Tier: tier, At: now}
}

func forget(n tiering.Number) tiering.Change {
	return tiering.Change{Number: n, Op: tiering.OpForget, At: now}
}

// must makes a change that has to succeed.
func must(t fataler, d tiering.Directory, site string, c tiering.Change) tiering.Entry {
	t.Helper()
	e, err := d.Set(context.Background(), site, c)
	if err != nil {
		t.Fatalf("Set(%+v): %v", c, err)
	}
	return e
}

// mustBatch makes changes that all have to succeed.
func mustBatch(t fataler, d tiering.Directory, site string, cs []tiering.Change) []tiering.Result {
	t.Helper()
	results := d.SetBatch(context.Background(), site, cs)
	if len(results) != len(cs) {
		t.Fatalf("a batch of %d changes has %d results", len(cs), len(results))
	}
	for i, r := range results {
		if r.Err != nil {
			t.Fatalf("change %d, %+v: %v", i, cs[i], r.Err)
		}
	}
	return results
}

// find looks a caller up who has to be known exactly when want is not zero.
func find(t fataler, d tiering.Directory, site string, n tiering.Number, want tiering.Entry) {
	t.Helper()
	got, known, err := d.Lookup(context.Background(), site, n)
	if err != nil {
		t.Fatalf("Lookup(%s): %v", n, err)
	}
	if !same(got, want) || known != (want != tiering.Entry{}) {
		t.Fatalf("Lookup(%s) = %+v, %v; want %+v", n, got, known, want)
	}
}

// same compares entries as closely as the port promises.
func same(a, b tiering.Entry) bool {
	for _, e := range []*tiering.Entry{&a, &b} {
		e.GradedAt -= e.GradedAt % 1000
		e.UpdatedAt -= e.UpdatedAt % 1000
	}
	return a == b
}

// walk returns all of a site's entries, and fails when the walk does not end.
func walk(t fataler, d tiering.Directory, site string, limit int) map[tiering.Number]tiering.Entry {
	t.Helper()
	found := map[tiering.Number]tiering.Entry{}
	seen := map[tiering.Cursor]bool{}
	for cursor := tiering.Cursor(""); ; {
		items, next, err := d.Walk(context.Background(), site, cursor, limit)
		if err != nil {
			t.Fatalf("Walk(%q): %v", cursor, err)
		}
		for _, item := range items {
			found[item.Number] = item.Entry
		}
		if next == "" {
			return found
		}
		if seen[next] {
			t.Fatalf("the walk comes back to the cursor %q", next)
		}
		seen[next], cursor = true, next
	}
}

// counted compares Count with want and with a recount.
func counted(t fataler, d tiering.Directory, site string, want map[tiering.Tier]int64) {
	t.Helper()
	got, err := d.Count(context.Background(), site)
	if err != nil {
		t.Fatalf("Count: %v", err)
	}
	recount := map[tiering.Tier]int64{}
	for _, e := range walk(t, d, site, 1000) {
		recount[e.Stored()]++
	}
	for _, tier := range tiering.Tiers {
		n, ok := got[tier]
		if !ok || n != want[tier] || n != recount[tier] {
			t.Fatalf("Count: %d of %v (a key: %v); want %d, a recount finds %d", n, tier, ok, want[tier], recount[tier])
		}
	}
	if len(got) != len(tiering.Tiers) {
		t.Fatalf("Count has the keys %v", got)
	}
}

// everyMethod calls each method that returns an error and checks which.
func everyMethod(ctx context.Context, t *testing.T, d tiering.Directory, want error) {
	t.Helper()
	check := func(method string, err error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", method, err, want)
		}
	}
	e, known, err := d.Lookup(ctx, site, li)
	check("Lookup", err)
	if known || e != (tiering.Entry{}) {
		t.Errorf("Lookup returns %+v, %v beside its error", e, known)
	}
	// Of a withheld number nothing is known, whether the store answers or not.
	if _, _, err = d.Lookup(ctx, site, tiering.Withheld); err != nil || !errors.Is(want, tiering.ErrUnavailable) {
		check("Lookup of a withheld number", err)
	}
	e, err = d.Set(ctx, site, set(han, tiering.Mid))
	check("Set", err)
	if e != (tiering.Entry{}) {
		t.Errorf("Set returns %+v beside its error", e)
	}
	for i, r := range d.SetBatch(ctx, site, []tiering.Change{set(han, tiering.Mid), forget(li)}) {
		check(fmt.Sprintf("SetBatch, change %d", i), r.Err)
		if r.Entry != (tiering.Entry{}) {
			t.Errorf("SetBatch returns %+v beside its error", r.Entry)
		}
	}
	entries, err := d.LookupBatch(ctx, site, []tiering.Number{li})
	check("LookupBatch", err)
	if len(entries) != 0 {
		t.Errorf("LookupBatch returns %v beside its error", entries)
	}
	items, next, err := d.WalkBlacklist(ctx, site, "", 10)
	check("WalkBlacklist", err)
	if len(items) != 0 || next != "" {
		t.Errorf("WalkBlacklist returns %v, %q beside its error", items, next)
	}
	items, next, err = d.Walk(ctx, site, "", 10)
	check("Walk", err)
	if len(items) != 0 || next != "" {
		t.Errorf("Walk returns %v, %q beside its error", items, next)
	}
	counts, err := d.Count(ctx, site)
	check("Count", err)
	if len(counts) != 0 {
		t.Errorf("Count returns %v beside its error", counts)
	}
	q, ok := d.(tiering.Requests)
	if !ok {
		return
	}
	answer, known, err := q.Recall(ctx, site, request("r1", 1), now)
	check("Recall", err)
	if len(answer) != 0 || known {
		t.Errorf("Recall returns %q, %v beside its error", answer, known)
	}
	check("Remember", q.Remember(ctx, site, request("r1", 1), nil, now, keepRequests))
}
