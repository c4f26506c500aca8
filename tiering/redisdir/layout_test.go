package redisdir

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

func TestAPlaceGivesItsNumberBack(t *testing.T) {
	drawn := rapid.OneOf(
		rapid.StringMatching(`\+[1-9][0-9]{0,14}`), rapid.StringMatching(`[0-9]{1,20}`), rapid.StringMatching(`\+[0-9]{1,20}`),
		rapid.SampledFrom([]string{"0", "00", "000", "0000", "+0", "+1", "+999999999999999", "+1000000000000000", "112"}),
	)
	seen := map[string]tiering.Number{}
	rapid.Check(t, func(t *rapid.T) {
		n := tiering.Number(drawn.Draw(t, "number"))
		p := placeOf(n)
		if p.bucket >= buckets {
			t.Fatalf("%s is in bucket %d", n, p.bucket)
		}
		if got, err := p.number(); err != nil || got != n {
			t.Fatalf("the place of %s is that of %q, %v", n, got, err)
		}
		key := fmt.Sprint(p.bucket, "/", p.field)
		if other, ok := seen[key]; ok && other != n {
			t.Fatalf("%s and %s have one place", n, other)
		}
		seen[key] = n
	})
}

func TestMixIsUndoneByUnmix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Uint64Range(0, placeMask).Draw(t, "x")
		if y := mix(x); y > placeMask || unmix(y) != x {
			t.Fatalf("%x is mixed to %x, which is unmixed to %x", x, y, unmix(y))
		}
	})
}

// TestNeighboursFillTheBucketsEvenly takes numbers as operators give them out:
// a prefix, and everything that can follow.
func TestNeighboursFillTheBucketsEvenly(t *testing.T) {
	const per = 8
	counts := make([]int, buckets)
	for i := range per * buckets {
		counts[placeOf(tiering.Number(fmt.Sprintf("+86138%08d", i))).bucket]++
	}
	// A bucket of a Poisson distribution with mean 8 has more than 40 once in 10^16.
	var most, empty int
	for _, n := range counts {
		most = max(most, n)
		if n == 0 {
			empty++
		}
	}
	if most > 40 || empty > buckets/1000 {
		t.Errorf("the fullest bucket has %d of a mean of %d, and %d are empty", most, per, empty)
	}
}

func drawEntry(t *rapid.T) tiering.Entry {
	second := rapid.Custom(func(t *rapid.T) instant.Instant {
		return 1000 * instant.Instant(rapid.OneOf(rapid.Int64Range(0, 1<<33), rapid.Just(int64(1_700_000_000))).Draw(t, "second"))
	})
	ends := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(1, 1<<50))
	e := tiering.Entry{
		Grade:       tiering.Tier(rapid.IntRange(0, 3).Draw(t, "grade")),
		Blacklisted: rapid.Bool().Draw(t, "blacklisted"),
		UpdatedAt:   second.Draw(t, "updated"),
		Flags:       tiering.Flags(rapid.SampledFrom([]uint8{0, 0, 1, 255}).Draw(t, "flags")),
		Note:        rapid.SampledFrom([]string{"", "", "why", strings.Repeat("x", 60), strings.Repeat("注", 166)}).Draw(t, "note"),
	}
	if e.Grade == tiering.TierUnset {
		e.Blacklisted = true
	} else {
		e.GradedAt, e.GradeEnds = second.Draw(t, "graded"), instant.Instant(ends.Draw(t, "ends"))
	}
	if e.Blacklisted {
		e.BlacklistEnds = instant.Instant(ends.Draw(t, "blacklist ends"))
	}
	return e
}

func TestAValueGivesItsEntryBack(t *testing.T) {
	p, other := placeOf("+8613800138000"), placeOf("+8613800138001")
	mixedUp := 0
	rapid.Check(t, func(t *rapid.T) {
		e := drawEntry(t)
		value, extra := p.encode(e)
		if len(value) > maxInline || (extra != "") != elsewhere(value) {
			t.Fatalf("%+v takes %d bytes in its bucket", e, len(value))
		}
		if tierOf(value) != e.Stored() {
			t.Fatalf("%+v is counted as %v", e, tierOf(value))
		}
		whole := value
		if extra != "" {
			if p.check(value) != nil || !matches(value, extra) || matches(value, extra+"x") {
				t.Fatalf("%x does not stand for %x", value, extra)
			}
			whole = extra
		}
		if got, err := p.decode(whole); err != nil || got != e {
			t.Fatalf("%+v came back as %+v, %v", e, got, err)
		}
		if _, err := other.decode(whole); err == nil {
			mixedUp++
		}
		if plain := (tiering.Entry{Grade: tiering.Mid, GradedAt: e.UpdatedAt % (1 << 40), UpdatedAt: e.UpdatedAt % (1 << 40)}); true {
			if value, _ := p.encode(plain); len(value) != shortSize {
				t.Fatalf("a plain grade takes %d bytes", len(value))
			}
		}
	})
	if mixedUp > 10 {
		t.Errorf("%d values were read as another caller's", mixedUp)
	}
}

func FuzzDecode(f *testing.F) {
	p := placeOf("+8613800138000")
	for _, e := range []tiering.Entry{
		{Grade: tiering.VIP, GradedAt: 1000, UpdatedAt: 1000}, {Blacklisted: true, UpdatedAt: 5000, BlacklistEnds: 7, Note: "why"},
	} {
		value, _ := p.encode(e)
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		e, err := p.decode(value)
		if err != nil {
			if e != (tiering.Entry{}) {
				t.Fatalf("%+v beside %v", e, err)
			}
			return
		}
		again, extra := p.encode(e)
		if extra != "" {
			again = extra
		}
		if got, err := p.decode(again); err != nil || got != e {
			t.Fatalf("%+v came back as %+v, %v", e, got, err)
		}
	})
}

func FuzzMessage(f *testing.F) {
	p := placeOf("+8613800138000")
	f.Add(string(appendChange(appendChange(nil, p, "value", ""), placeOf("8001"), "", "")))
	f.Fuzz(func(_ *testing.T, text string) {
		for rest := text; rest != ""; {
			var err error
			if _, _, rest, err = cutChange(rest); err != nil {
				return
			}
		}
	})
}
