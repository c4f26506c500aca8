package tieringtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

func unknownCallers(t *testing.T, s Subject) {
	must(t, s.Directory, site, set(li, tiering.VIP))
	find(t, s.Directory, site, han, tiering.Entry{})
	find(t, s.Directory, site, tiering.Withheld, tiering.Entry{})
	find(t, s.Directory, site, li[:len(li)-1], tiering.Entry{})
	find(t, s.Directory, site, li[1:], tiering.Entry{})
	find(t, s.Directory, site, li+"0", tiering.Entry{})
}

func setIsFound(t *testing.T, s Subject) {
	for i, n := range []tiering.Number{
		li, "1", "8001", "0", "00", "007", "+1", "18446744073709551616",
		"+" + tiering.Number(strings.Repeat("9", tiering.MaxNumberBytes-1)),
	} {
		c := tiering.Change{
			Number: n, Op: tiering.OpSet, Tier: tiering.Tiers[i%len(tiering.Tiers)], At: now,
			Ends: now + instant.Instant(i), Flags: tiering.Flags(255 - i), Note: strings.Repeat("注", i*20),
		}
		want, _ := c.Apply(tiering.Entry{})
		if got := must(t, s.Directory, site, c); !same(got, want) {
			t.Fatalf("Set(%+v) = %+v, want %+v", c, got, want)
		}
		find(t, s.Directory, site, n, want)
	}
	long := tiering.Change{
		Number: li, Op: tiering.OpSet, Tier: tiering.VIP, At: now, Note: strings.Repeat("n", tiering.MaxNoteBytes),
	}
	find(t, s.Directory, site, li, must(t, s.Directory, site, long))
}

// times: ends are exact; the others may lose what is below a second.
func times(t *testing.T, s Subject) {
	for _, at := range []instant.Instant{1, 999, 1000, now, now + 1, now + 999, 253_402_300_799_999} {
		c := tiering.Change{Number: li, Op: tiering.OpSet, Tier: tiering.VIP, At: at, Ends: at + 7}
		want := must(t, s.Directory, site, c)
		if want.GradeEnds != at+7 {
			t.Fatalf("set at %d, the end came back as %d", at, want.GradeEnds)
		}
		got, known, err := s.Directory.Lookup(context.Background(), site, li)
		if err != nil || !known || got.GradeEnds != at+7 {
			t.Fatalf("set at %d: %+v, %v, %v", at, got, known, err)
		}
		for what, back := range map[string]instant.Instant{"GradedAt": got.GradedAt, "UpdatedAt": got.UpdatedAt} {
			if back > at || back < at-at%1000 {
				t.Fatalf("%s was %d and came back as %d", what, at, back)
			}
		}
		c.Tier, c.Ends = tiering.Blacklist, at+9
		if got := must(t, s.Directory, site, c); got.BlacklistEnds != at+9 || got.GradeEnds != at+7 {
			t.Fatalf("blacklisted at %d: %+v", at, got)
		}
		must(t, s.Directory, site, forget(li))
	}
}

// operations goes through a caller's life; Change.Apply has the full table.
func operations(t *testing.T, s Subject) {
	d := s.Directory
	step := func(c tiering.Change, want tiering.Standing) {
		t.Helper()
		for range 2 { // every change may be repeated
			e := must(t, d, site, c)
			if got := e.At(now); got != want {
				t.Fatalf("after %+v the caller stands at %+v, want %+v", c, got, want)
			}
			find(t, d, site, li, e)
		}
	}
	pardon := tiering.Change{Number: li, Op: tiering.OpPardon, At: now}
	ban := set(li, tiering.Blacklist)
	ban.Ends = now + 60_000
	lapsed := ban
	lapsed.Ends = now
	step(pardon, tiering.Standing{Tier: tiering.Ordinary})
	step(forget(li), tiering.Standing{Tier: tiering.Ordinary})
	step(grade(li, tiering.Mid), tiering.Standing{Tier: tiering.Mid, Known: true})
	step(ban, tiering.Standing{Tier: tiering.Blacklist, Ends: ban.Ends, Known: true})
	step(grade(li, tiering.VIP), tiering.Standing{Tier: tiering.Blacklist, Ends: ban.Ends, Known: true})
	step(pardon, tiering.Standing{Tier: tiering.VIP, Known: true})
	step(lapsed, tiering.Standing{Tier: tiering.VIP, Known: true})
	step(ban, tiering.Standing{Tier: tiering.Blacklist, Ends: ban.Ends, Known: true})
	step(set(li, tiering.Ordinary), tiering.Standing{Tier: tiering.Ordinary, Known: true})
	step(forget(li), tiering.Standing{Tier: tiering.Ordinary})
	step(ban, tiering.Standing{Tier: tiering.Blacklist, Ends: ban.Ends, Known: true})
	step(pardon, tiering.Standing{Tier: tiering.Ordinary})
	find(t, d, site, li, tiering.Entry{})
	counted(t, d, site, nil)
}

func sitesApart(t *testing.T, s Subject) {
	d := s.Directory
	here := must(t, d, site, set(li, tiering.VIP))
	there := must(t, d, other, set(li, tiering.Blacklist))
	must(t, d, "mai", set(han, tiering.Mid))
	find(t, d, site, li, here)
	find(t, d, other, li, there)
	find(t, d, site, han, tiering.Entry{})
	must(t, d, other, forget(li))
	find(t, d, site, li, here)
	counted(t, d, site, map[tiering.Tier]int64{tiering.VIP: 1})
	counted(t, d, other, nil)
}

func wrongArguments(t *testing.T, s Subject) {
	d, ctx := s.Directory, context.Background()
	check := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	for _, wrong := range []string{"", "a b", "{a}", strings.Repeat("s", tiering.MaxSiteBytes+1)} {
		_, _, err := d.Lookup(ctx, wrong, li)
		check("Lookup at site "+wrong, err, tiering.ErrSite)
		_, err = d.Set(ctx, wrong, set(li, tiering.VIP))
		check("Set at site "+wrong, err, tiering.ErrSite)
		for _, r := range d.SetBatch(ctx, wrong, []tiering.Change{set(li, tiering.VIP), forget(li)}) {
			check("SetBatch at site "+wrong, r.Err, tiering.ErrSite)
		}
		_, _, err = d.Walk(ctx, wrong, "", 1)
		check("Walk at site "+wrong, err, tiering.ErrSite)
		_, err = d.Count(ctx, wrong)
		check("Count at site "+wrong, err, tiering.ErrSite)
	}
	for _, wrong := range []tiering.Number{"abc", "+", "1 2", tiering.Number(strings.Repeat("1", tiering.MaxNumberBytes+1))} {
		_, _, err := d.Lookup(ctx, site, wrong)
		check("Lookup of "+string(wrong), err, tiering.ErrNumber)
		_, err = d.Set(ctx, site, set(wrong, tiering.VIP))
		check("Set of "+string(wrong), err, tiering.ErrNumber)
	}
	_, err := d.Set(ctx, site, set(tiering.Withheld, tiering.VIP))
	check("Set of a withheld number", err, tiering.ErrNumber)
	_, err = d.Set(ctx, site, set(li, tiering.TierUnset))
	check("Set of no tier", err, tiering.ErrEntry)
	counted(t, d, site, nil)
}

func contextDone(t *testing.T, s Subject) {
	before := must(t, s.Directory, site, set(li, tiering.VIP))
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	everyMethod(gone, t, s.Directory, context.Canceled)
	late, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	everyMethod(late, t, s.Directory, context.DeadlineExceeded)
	find(t, s.Directory, site, li, before)
	find(t, s.Directory, site, han, tiering.Entry{})
}

func batchResults(t *testing.T, s Subject) {
	d := s.Directory
	if got := d.SetBatch(context.Background(), site, nil); len(got) != 0 {
		t.Fatalf("an empty batch has the results %v", got)
	}
	must(t, d, site, set(han, tiering.Blacklist))
	cs := []tiering.Change{
		set(number(3), tiering.VIP), set("x", tiering.VIP), grade(han, tiering.VIP), set(number(1), tiering.TierUnset),
		forget(number(9)), set(number(1), tiering.Mid), set(tiering.Withheld, tiering.Mid), set(number(2), tiering.Ordinary),
	}
	wants := []error{nil, tiering.ErrNumber, nil, tiering.ErrEntry, nil, nil, tiering.ErrNumber, nil}
	for i, r := range d.SetBatch(context.Background(), site, cs) {
		if !errors.Is(r.Err, wants[i]) {
			t.Errorf("change %d: %v, want %v", i, r.Err, wants[i])
		}
		if wants[i] == nil {
			find(t, d, site, cs[i].Number, r.Entry)
		} else if r.Entry != (tiering.Entry{}) {
			t.Errorf("the wrong change %d left %+v", i, r.Entry)
		}
	}
	counted(t, d, site, map[tiering.Tier]int64{tiering.VIP: 1, tiering.Mid: 1, tiering.Ordinary: 1, tiering.Blacklist: 1})
}

func batchOrder(t *testing.T, s Subject) {
	d := s.Directory
	results := mustBatch(t, d, site, []tiering.Change{
		set(li, tiering.VIP), set(han, tiering.Mid), set(li, tiering.Blacklist), grade(li, tiering.Mid),
		forget(han), set(han, tiering.Ordinary), grade(han, tiering.VIP),
	})
	for i, want := range []tiering.Tier{
		tiering.VIP, tiering.Mid, tiering.Blacklist, tiering.Blacklist, tiering.Ordinary, tiering.Ordinary, tiering.VIP,
	} {
		if got := results[i].Entry.At(now).Tier; got != want {
			t.Errorf("after change %d the caller is %v, want %v", i, got, want)
		}
	}
	if results[4].Entry != (tiering.Entry{}) {
		t.Errorf("forgotten, the caller still has %+v", results[4].Entry)
	}
	find(t, d, site, li, results[3].Entry)
	find(t, d, site, han, results[6].Entry)
	counted(t, d, site, map[tiering.Tier]int64{tiering.Blacklist: 1, tiering.VIP: 1})
}

func batchLarge(t *testing.T, s Subject) {
	const size = 45_000
	cs := make([]tiering.Change, size)
	want := map[tiering.Tier]int64{}
	for i := range cs {
		tier := tiering.Tiers[i%len(tiering.Tiers)]
		cs[i] = set(number(i*7919%size), tier)
		want[tier]++
	}
	for i, r := range mustBatch(t, s.Directory, site, cs) {
		if got := r.Entry.At(now).Tier; got != cs[i].Tier {
			t.Fatalf("change %d gives %v, want %v", i, got, cs[i].Tier)
		}
	}
	counted(t, s.Directory, site, want)
}

// randomChanges holds the adapter against Change.Apply, the definition.
func randomChanges(t *testing.T, s Subject) {
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		at := fmt.Sprintf("site-%d", run)
		model := map[tiering.Number]tiering.Entry{}
		for range rapid.IntRange(1, 4).Draw(t, "batches") {
			cs := rapid.SliceOfN(rapid.Custom(drawChange), 1, 12).Draw(t, "changes")
			results := mustBatch(t, s.Directory, at, cs)
			for i, c := range cs {
				e, keep := c.Apply(model[c.Number])
				if model[c.Number] = e; !keep {
					delete(model, c.Number)
				}
				if !same(results[i].Entry, e) {
					t.Fatalf("change %d, %+v: %+v, want %+v", i, c, results[i].Entry, e)
				}
			}
		}
		want := map[tiering.Tier]int64{}
		for _, e := range model {
			want[e.Stored()]++
		}
		counted(t, s.Directory, at, want)
		found := walk(t, s.Directory, at, rapid.IntRange(1, 4).Draw(t, "limit"))
		for i := range numbersDrawn {
			if got, want := found[number(i)], model[number(i)]; !same(got, want) {
				t.Fatalf("the walk found %+v, want %+v", got, want)
			}
			find(t, s.Directory, at, number(i), model[number(i)])
		}
	})
}

const numbersDrawn = 6

func drawChange(t *rapid.T) tiering.Change {
	ends := rapid.SampledFrom([]instant.Instant{0, now - 1, now, now + 1000, now + 2001})
	return tiering.Change{
		Number: number(rapid.IntRange(0, numbersDrawn-1).Draw(t, "number")),
		Op:     tiering.Op(rapid.IntRange(int(tiering.OpSet), int(tiering.OpLapse)).Draw(t, "op")),
		Before: now + 1000*instant.Instant(rapid.IntRange(-1, 0).Draw(t, "before")),
		Tier:   rapid.SampledFrom(tiering.Tiers[:]).Draw(t, "tier"),
		Ends:   ends.Draw(t, "ends"),
		Flags:  tiering.Flags(rapid.Byte().Draw(t, "flags")),
		Note:   rapid.SampledFrom([]string{"", "a", "注意"}).Draw(t, "note"),
		At:     now + 1000*instant.Instant(rapid.IntRange(0, 3).Draw(t, "at")),
	}
}
