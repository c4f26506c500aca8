package tiering

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"greenlane/internal/instant"
)

const t0 = instant.Instant(1_700_000_000_000)

func TestEntryAt(t *testing.T) {
	for name, c := range map[string]struct {
		entry Entry
		want  Standing
		count Tier
	}{
		"nothing known": {Entry{}, Standing{Tier: Ordinary}, Ordinary},
		"graded":        {Entry{Grade: VIP}, Standing{VIP, 0, true}, VIP},
		"graded ordinary is known": {
			Entry{Grade: Ordinary}, Standing{Ordinary, 0, true}, Ordinary,
		},
		"graded, ends later":   {Entry{Grade: VIP, GradeEnds: t0 + 1}, Standing{VIP, t0 + 1, true}, VIP},
		"graded, ends now":     {Entry{Grade: VIP, GradeEnds: t0}, Standing{Tier: Ordinary}, VIP},
		"graded, ended":        {Entry{Grade: Mid, GradeEnds: t0 - 1}, Standing{Tier: Ordinary}, Mid},
		"blacklisted":          {Entry{Blacklisted: true}, Standing{Blacklist, 0, true}, Blacklist},
		"blacklisted and vip":  {Entry{Grade: VIP, Blacklisted: true}, Standing{Blacklist, 0, true}, Blacklist},
		"blacklist ends later": {Entry{Blacklisted: true, BlacklistEnds: t0 + 1}, Standing{Blacklist, t0 + 1, true}, Blacklist},
		"blacklist ended":      {Entry{Blacklisted: true, BlacklistEnds: t0}, Standing{Tier: Ordinary}, Blacklist},
		"blacklist ended, the grade is back": {
			Entry{Grade: Mid, GradeEnds: t0 + 5, Blacklisted: true, BlacklistEnds: t0},
			Standing{Mid, t0 + 5, true}, Blacklist,
		},
		"both ended": {
			Entry{Grade: Mid, GradeEnds: t0, Blacklisted: true, BlacklistEnds: t0}, Standing{Tier: Ordinary}, Blacklist,
		},
	} {
		if got := c.entry.At(t0); got != c.want {
			t.Errorf("%s: At = %+v, want %+v", name, got, c.want)
		}
		if got := c.entry.Stored(); got != c.count {
			t.Errorf("%s: counted as %v, want %v", name, got, c.count)
		}
	}
}

func TestApply(t *testing.T) {
	const n = Number("+8613800138000")
	vip := Entry{Grade: VIP, GradedAt: t0 - 9, GradeEnds: t0 + 9, Flags: 1, Note: "graded", UpdatedAt: t0 - 9}
	barred := vip
	barred.Blacklisted, barred.BlacklistEnds, barred.Note = true, t0+5, "abuse"
	lapsed := barred
	lapsed.BlacklistEnds = t0
	mid := Entry{Grade: Mid, GradedAt: t0, GradeEnds: t0 + 7, Flags: 2, Note: "why", UpdatedAt: t0}
	plain := Entry{Grade: VIP, GradedAt: t0 - 9, UpdatedAt: t0 - 9}
	over := Entry{Grade: VIP, GradedAt: t0 - 9, GradeEnds: t0, Blacklisted: true, BlacklistEnds: t0 - 1, UpdatedAt: t0 - 9}
	lapse := func(before instant.Instant) Change { return Change{Number: n, Op: OpLapse, Before: before, At: t0} }
	change := func(op Op, tier Tier) Change {
		return Change{Number: n, Op: op, Tier: tier, Ends: t0 + 7, Flags: 2, Note: "why", At: t0}
	}
	for name, c := range map[string]struct {
		old    Entry
		change Change
		want   Entry
		keep   bool
	}{
		"set an unknown caller":             {Entry{}, change(OpSet, Mid), mid, true},
		"set replaces a grade":              {vip, change(OpSet, Mid), mid, true},
		"set takes off the blacklist":       {barred, change(OpSet, Mid), mid, true},
		"grade an unknown caller":           {Entry{}, change(OpGrade, Mid), mid, true},
		"grade replaces a grade":            {vip, change(OpGrade, Mid), mid, true},
		"grade after the blacklist's end":   {lapsed, change(OpGrade, Mid), mid, true},
		"grade leaves the blacklist":        {barred, change(OpGrade, Mid), Entry{Mid, t0, t0 + 7, true, t0 + 5, 2, "abuse", t0}, true},
		"blacklist an unknown caller":       {Entry{}, change(OpSet, Blacklist), Entry{0, 0, 0, true, t0 + 7, 2, "why", t0}, true},
		"blacklist keeps the grade beneath": {vip, change(OpSet, Blacklist), Entry{VIP, t0 - 9, t0 + 9, true, t0 + 7, 2, "why", t0}, true},
		"blacklist from a file":             {vip, change(OpGrade, Blacklist), Entry{VIP, t0 - 9, t0 + 9, true, t0 + 7, 2, "why", t0}, true},
		"a file cannot move the end":        {barred, change(OpGrade, Blacklist), Entry{VIP, t0 - 9, t0 + 9, true, t0 + 5, 1, "abuse", t0}, true},
		"pardon gives the grade back":       {barred, change(OpPardon, 0), Entry{VIP, t0 - 9, t0 + 9, false, 0, 1, "why", t0}, true},
		"pardon without a grade":            {Entry{Blacklisted: true, UpdatedAt: t0 - 1}, change(OpPardon, 0), Entry{}, false},
		"pardon of one not on it":           {vip, change(OpPardon, 0), vip, true},
		"pardon of an unknown caller":       {Entry{}, change(OpPardon, 0), Entry{}, false},
		"pardon after the end":              {lapsed, change(OpPardon, 0), Entry{VIP, t0 - 9, t0 + 9, false, 0, 1, "why", t0}, true},
		"forget":                            {barred, change(OpForget, 0), Entry{}, false},
		"forget an unknown caller":          {Entry{}, change(OpForget, 0), Entry{}, false},
		"lapse":                             {plain, lapse(plain.UpdatedAt + 1), Entry{}, false},
		"too young to lapse":                {plain, lapse(plain.UpdatedAt), plain, true},
		"an end to come keeps it":           {vip, lapse(t0), vip, true},
		"the blacklist's end to come too":   {barred, lapse(t0), barred, true},
		"what has ended lapses":             {over, lapse(t0), Entry{}, false},
		"lapse an unknown caller":           {Entry{}, lapse(t0), Entry{}, false},
	} {
		if err := c.change.Check(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, keep := c.change.Apply(c.old); got != c.want || keep != c.keep {
			t.Errorf("%s: %+v, %v; want %+v, %v", name, got, keep, c.want, c.keep)
		}
	}
}

func drawChange(t *rapid.T) Change {
	return Change{
		Number: "+8613800138000",
		Op:     Op(rapid.IntRange(int(OpSet), int(OpLapse)).Draw(t, "op")),
		Before: rapid.SampledFrom([]instant.Instant{1, 2, 3, 4, 5}).Draw(t, "before"),
		Tier:   rapid.SampledFrom(Tiers[:]).Draw(t, "tier"),
		Ends:   rapid.SampledFrom([]instant.Instant{0, 1, 2, 3, 4, 5}).Draw(t, "ends"),
		Note:   rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "note"),
		At:     instant.Instant(rapid.IntRange(1, 5).Draw(t, "at")),
	}
}

func TestApplyProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e Entry
		for range rapid.IntRange(0, 8).Draw(t, "changes") {
			c := drawChange(t)
			next, keep := c.Apply(e)
			if again, keepAgain := c.Apply(next); again != next || keepAgain != keep {
				t.Fatalf("%+v done twice to %+v gives %+v and then %+v", c, e, next, again)
			}
			if keep != (next != Entry{}) || keep && next.Grade == TierUnset && !next.Blacklisted {
				t.Fatalf("%+v on %+v: keep is %v, the entry %+v", c, e, keep, next)
			}
			if was, is := e.At(c.At), next.At(c.At); c.Op == OpGrade && was.Tier == Blacklist && is.Tier != Blacklist {
				t.Fatalf("the grading %+v took %+v off the blacklist", c, e)
			}
			e = next
		}
	})
}

func TestChangeCheck(t *testing.T) {
	good := Change{Number: "8001", Op: OpSet, Tier: VIP, At: t0, Note: strings.Repeat("n", MaxNoteBytes)}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(*Change)
		want  error
	}{
		"withheld":     {func(c *Change) { c.Number = Withheld }, ErrNumber},
		"no number":    {func(c *Change) { c.Number = "abc" }, ErrNumber},
		"no operation": {func(c *Change) { c.Op = 0 }, ErrEntry},
		"unknown op":   {func(c *Change) { c.Op = OpLapse + 1 }, ErrEntry},
		"no tier":      {func(c *Change) { c.Tier = TierUnset }, ErrEntry},
		"unknown tier": {func(c *Change) { c.Op, c.Tier = OpGrade, 9 }, ErrEntry},
		"no instant":   {func(c *Change) { c.At = 0 }, ErrEntry},
		"lapse never":  {func(c *Change) { c.Op = OpLapse }, ErrEntry},
		"lapse ahead":  {func(c *Change) { c.Op, c.Before = OpLapse, t0+1 }, ErrEntry},
		"negative end": {func(c *Change) { c.Ends = -1 }, ErrEntry},
		"long note":    {func(c *Change) { c.Note += "n" }, ErrEntry},
		"broken note":  {func(c *Change) { c.Note = "\xff" }, ErrEntry},
	} {
		bad := good
		c.spoil(&bad)
		if err := bad.Check(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for site, ok := range map[string]bool{
		"main": true, "site-2.north_1": true, strings.Repeat("s", MaxSiteBytes): true,
		"": false, strings.Repeat("s", MaxSiteBytes+1): false, "a b": false, "{a}": false, "ü": false, "a\x00": false,
	} {
		if err := CheckSite(site); (err == nil) != ok || err != nil && !errors.Is(err, ErrSite) {
			t.Errorf("site %q: %v", site, err)
		}
	}
}
