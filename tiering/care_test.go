package tiering

import (
	"errors"
	"strings"
	"testing"
	"time"

	"greenlane/internal/instant"
)

// nov is the month now of these tests: its window is September to November, or
// August to October while it has no rating.
const nov = Month(2026*12 + 10)

// rated makes a Satisfaction of "month-offset: scores" pairs: "-2:54 -1:3 0:1".
func rated(t *testing.T, text string) (s Satisfaction) {
	t.Helper()
	for field := range strings.FieldsSeq(text) {
		offset, scores, _ := strings.Cut(field, ":")
		m := nov
		if offset != "0" {
			m -= Month(offset[1] - '0')
		}
		for _, score := range scores {
			var repeated bool
			if s, repeated = s.Rate(Rating{Score: int(score - '0'), Month: m}, nov); repeated {
				t.Fatal("a rating without an id is never a repetition")
			}
		}
	}
	return s
}

func TestCareClasses(t *testing.T) {
	for _, c := range []struct {
		ratings string
		limit   float64
		want    CareClass
		why     string
	}{
		{"-2:4 -1:3 0:2", 2, FallingDissatisfied, "falls each month, and 2 is dissatisfied: the limit itself is"},
		{"-2:4 -1:3 0:1", 2, FallingDissatisfied, ""},
		{"-2:5 -1:4 0:3", 2, Falling, "falls each month, and 3 is still satisfied"},
		{"-2:5 -1:4 0:3", 3, FallingDissatisfied, "the limit is a parameter"},
		{"-2:5 -1:4 0:233", 2.66, Falling, "8/3 is above 2.66"},
		{"-2:5 -1:4 0:233", 2.67, FallingDissatisfied, "and not above 2.67"},
		{"-2:3 -1:3 0:2", 2, FellOnce, "a tie is no fall"},
		{"-2:4 -1:2 0:2", 2, FellOnce, ""},
		{"-2:2 -1:4 0:3", 2, FellOnce, "rose, then fell"},
		{"-2:4 -1:3 0:4", 2, FellOnce, "fell, then rose"},
		{"-2:1 -1:1 0:1", 2, AlwaysDissatisfied, ""},
		{"-2:2 -1:2 0:2", 2, AlwaysDissatisfied, ""},
		{"-2:3 -1:3 0:3", 2, CareNone, "unchanged and satisfied"},
		{"-2:1 -1:2 0:2", 2, CareNone, "better than it was"},
		{"-2:1 -1:2 0:3", 2, CareNone, ""},
		{"-2:12 -1:21 0:1122", 2, AlwaysDissatisfied, "the same means, made of other ratings"},
		{"-2:345 -1:4 0:44", 4, AlwaysDissatisfied, "one is 4 of three ratings"},
		{"-2:355 -1:34455 0:1", 2, FallingDissatisfied, "13/3 is above 21/5"},
		// Months without a rating.
		{"", 2, CareNone, "never rated"},
		{"0:1", 2, CareNone, "one month says nothing about change"},
		{"-1:1", 2, CareNone, ""},
		{"-2:5 0:1", 2, FellOnce, "a month between is missing: fell, but not for three months"},
		{"-1:5 0:1", 2, FellOnce, ""},
		{"-2:1 0:1", 2, AlwaysDissatisfied, "the same in both months there are"},
		{"-2:1 0:2", 2, CareNone, ""},
		// The month now has no rating yet: the window ends with the one before.
		{"-3:5 -2:4 -1:1", 2, FallingDissatisfied, "three whole months"},
		{"-3:5 -2:4 -1:1 0:2", 2, FellOnce, "with a rating, it is August that is out"},
		{"-3:5 -2:4", 2, FellOnce, ""},
		{"-3:5", 2, CareNone, ""},
		{"-3:1 -2:1", 2, AlwaysDissatisfied, ""},
		{"-3:5 -2:1 -1:1 0:1", 2, AlwaysDissatisfied, "the fall of August to September is over"},
	} {
		if got := rated(t, c.ratings).Class(nov, c.limit); got != c.want {
			t.Errorf("%q up to %v: %v, want %v (%s)", c.ratings, c.limit, got, c.want, c.why)
		}
	}
}

func TestTheWindowMoves(t *testing.T) {
	s := rated(t, "-3:5 -2:4 -1:3 0:1")
	for _, c := range []struct {
		now  Month
		want CareClass
	}{
		{nov, FallingDissatisfied},     // September to November
		{nov + 1, FallingDissatisfied}, // December has no rating: the same
		{nov + 2, FellOnce},            // January: October to December, of which two are rated
		{nov + 3, CareNone},            // November alone
		{nov + 4, CareNone},
	} {
		if got := s.Class(c.now, 2); got != c.want {
			t.Errorf("in %v: %v, want %v", c.now, got, c.want)
		}
	}
	if s.Ended(nov+3) || !s.Ended(nov+4) {
		t.Error("what was rated in November counts until February, and no longer")
	}
	if (Satisfaction{}).Ended(nov) != true {
		t.Error("nothing is ended")
	}
	w := s.Window(nov + 1)
	if w[0].Month != nov-2 || w[2].Month != nov || w[2].Mean() != 1 {
		t.Errorf("%+v", w)
	}
}

func TestRate(t *testing.T) {
	s := rated(t, "-3:5 -2:4 -1:3 0:2")
	one := Rating{ID: RatingID("one"), Score: 4, Month: nov}
	twice, repeated := s.Rate(one, nov)
	if repeated || twice.Months[0] != (MonthRatings{Month: nov, Sum: 6, Count: 2}) {
		t.Errorf("%+v", twice)
	}
	if again, repeated := twice.Rate(one, nov+1); !repeated || again != twice {
		t.Errorf("a repetition: %+v, %v", again, repeated)
	}
	later, _ := twice.Rate(Rating{ID: RatingID("two"), Score: 1, Month: nov + 1}, nov+1)
	if later.Months[0].Month != nov+1 || later.Months[3].Month != nov-2 || later.Months[1].Sum != 6 {
		t.Errorf("the oldest month is not dropped: %+v", later)
	}
	for i := range keptRatings {
		later, _ = later.Rate(Rating{ID: uint64(i + 1), Score: 1, Month: nov + 1}, nov+1)
	}
	if _, repeated := later.Rate(one, nov+1); repeated {
		t.Errorf("more than %d requests are remembered", keptRatings)
	}
	if RatingID("") != 0 || RatingID("a") == 0 || RatingID("a") == RatingID("b") {
		t.Error("request ids")
	}
}

func TestRatingCheck(t *testing.T) {
	for _, c := range []struct {
		r  Rating
		ok bool
	}{
		{Rating{Score: 1, Month: nov}, true}, {Rating{Score: 5, Month: nov - 3}, true},
		{Rating{Score: 0, Month: nov}, false}, {Rating{Score: 6, Month: nov}, false}, {Rating{Score: -1, Month: nov}, false},
		{Rating{Score: 3, Month: nov + 1}, false}, {Rating{Score: 3, Month: nov - 4}, false},
	} {
		if err := c.r.Check(nov); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrRating) {
			t.Errorf("%+v: %v", c.r, err)
		}
	}
}

// TestMonths: a month begins and ends by the site's clock, a year does too.
func TestMonths(t *testing.T) {
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at   string
		zone *time.Location
		want string
	}{
		{"2026-11-30T15:59:59.999Z", shanghai, "2026-11"},
		{"2026-11-30T16:00:00Z", shanghai, "2026-12"},
		{"2026-11-30T16:00:00Z", time.UTC, "2026-11"},
		{"2026-12-31T15:59:59Z", shanghai, "2026-12"},
		{"2026-12-31T16:00:00Z", shanghai, "2027-01"},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := MonthOf(instant.Of(at), c.zone); got.String() != c.want {
			t.Errorf("%s in %v: %v, want %s", c.at, c.zone, got, c.want)
		}
	}
	january, err := ParseMonth("2027-01")
	if err != nil || january-1 != Month(2026*12+11) || (january-1).String() != "2026-12" {
		t.Errorf("%v, %v: the month before January is December", january, err)
	}
	for _, wrong := range []string{"", "2026", "2026-13", "2026-1", "2026-11-01", "0000-01", "November"} {
		if m, err := ParseMonth(wrong); !errors.Is(err, ErrRating) {
			t.Errorf("%q: %v, %v", wrong, m, err)
		}
	}
	if Month(0).String() != "" {
		t.Error("no month has a name")
	}
}

// TestYearWrap: the same ratings three months later, over the new year.
func TestYearWrap(t *testing.T) {
	december := Month(2026*12 + 11)
	var s Satisfaction
	for i, score := range []int{4, 3, 2} {
		s, _ = s.Rate(Rating{Score: score, Month: december - 1 + Month(i)}, december+1)
	}
	if w := s.Window(december + 1); s.Class(december+1, 2) != FallingDissatisfied || w[0].Month.String() != "2026-11" || w[2].Month.String() != "2027-01" {
		t.Errorf("%v, %+v", s.Class(december+1, 2), w)
	}
}

func FuzzRatingsCodec(f *testing.F) {
	f.Add("+8613800138000", []byte{})
	f.Add("8001", EncodeRatings("8001", Satisfaction{Cared: nov, Recent: [keptRatings]uint64{7}}))
	f.Fuzz(func(t *testing.T, number string, b []byte) {
		n := Number(number)
		s, err := DecodeRatings(n, b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) || s != (Satisfaction{}) {
				t.Fatalf("%+v, %v", s, err)
			}
			return
		}
		if again, err := DecodeRatings(n, EncodeRatings(n, s)); err != nil || again != s {
			t.Fatalf("%+v, %v, want %+v", again, err, s)
		}
	})
}

func TestRatingsCodec(t *testing.T) {
	s := rated(t, "-3:5 -2:4555 -1:3 0:2")
	s, _ = s.Rate(Rating{ID: RatingID("x"), Score: 1, Month: nov}, nov)
	s.Cared = nov - 1
	b := EncodeRatings("+8613800138000", s)
	if got, err := DecodeRatings("+8613800138000", b); err != nil || got != s {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := DecodeRatings("+8613800138001", b); !errors.Is(err, ErrCorrupt) {
		t.Error("somebody else's ratings are read")
	}
	for i := range b {
		wrong := append([]byte(nil), b...)
		wrong[i] ^= 0x10
		if _, err := DecodeRatings("+8613800138000", wrong); !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d: %v", i, err)
		}
		if _, err := DecodeRatings("+8613800138000", b[:i]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
}
