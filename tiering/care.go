package tiering

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"time"

	"greenlane/internal/instant"
)

// Month is a calendar month, counted from January of the year 0; the zero Month
// stands for none.
type Month int32

// MonthOf returns the month in which at lies in a site's zone.
func MonthOf(at instant.Instant, zone *time.Location) Month {
	t := at.Time().In(zone)
	return Month(t.Year()*12 + int(t.Month()) - 1)
}

// ParseMonth reads a month as "2026-11". The error is ErrRating.
func ParseMonth(s string) (Month, error) {
	t, err := time.Parse("2006-01", s)
	if err != nil || t.Year() == 0 {
		return 0, fmt.Errorf("%w: %.20q is no month such as 2026-11", ErrRating, s)
	}
	return Month(t.Year()*12 + int(t.Month()) - 1), nil
}

// String returns the month as ParseMonth reads it; the zero Month is "".
func (m Month) String() string {
	if m == 0 {
		return ""
	}
	return fmt.Sprintf("%04d-%02d", m/12, m%12+1)
}

// Limits of what is kept of a caller's satisfaction.
const (
	// KeptMonths is how many months are kept: the current one, and three more, so
	// that there are three whole ones while the current one has no rating yet.
	KeptMonths = 4
	// CareMonths is how many months a CareClass looks at.
	CareMonths = 3
	// keptRatings is how many requests are remembered, so that a retry of one of
	// them does not count twice.
	keptRatings = 16
	// maxRatings of a month; more would be no caller's.
	maxRatings = 1_000_000
)

// Scores, worst and best.
const (
	MinScore = 1
	MaxScore = 5
)

// DefaultDissatisfied is the mean up to which a month is dissatisfied.
const DefaultDissatisfied = 2.0

// MonthRatings are a month's ratings. The month's satisfaction is their mean,
// Sum / Count; sum and count are kept, so that it stays exact however many come.
type MonthRatings struct {
	Month Month
	Sum   uint32
	Count uint32
}

// Mean returns the mean, 0 when there is no rating.
func (r MonthRatings) Mean() float64 {
	if r.Count == 0 {
		return 0
	}
	return float64(r.Sum) / float64(r.Count)
}

// below and equal compare two means without rounding.
func (r MonthRatings) below(o MonthRatings) bool {
	return uint64(r.Sum)*uint64(o.Count) < uint64(o.Sum)*uint64(r.Count)
}

func (r MonthRatings) equal(o MonthRatings) bool {
	return uint64(r.Sum)*uint64(o.Count) == uint64(o.Sum)*uint64(r.Count)
}

// upTo reports whether the mean is at most limit, which counts to the hundredth.
func (r MonthRatings) upTo(limit float64) bool {
	return uint64(r.Sum)*100 <= uint64(math.Round(limit*100))*uint64(r.Count)
}

// Satisfaction is what is kept of one caller's ratings. The zero Satisfaction is
// a caller who was never rated. Values may be compared with ==.
type Satisfaction struct {
	// Months with ratings, the latest first; the rest is zero.
	Months [KeptMonths]MonthRatings
	// Cared is the month in which the caller earned a care callback last.
	Cared Month
	// Recent are the latest requests, the last one first, by RatingID.
	Recent [keptRatings]uint64
}

// Rating is one answer to "how satisfied are you".
type Rating struct {
	ID    uint64 // RatingID of the request; 0: a repetition can't be told
	Score int    // MinScore to MaxScore
	Month Month
}

// RatingID makes a request_id the number that is remembered. "" is 0.
func RatingID(request string) uint64 {
	if request == "" {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(request))
	return max(h.Sum64(), 1)
}

// Check returns nil when the rating can be counted in the month now, else
// ErrRating with what is allowed.
func (r Rating) Check(now Month) error {
	switch {
	case r.Score < MinScore || r.Score > MaxScore:
		return fmt.Errorf("%w: score is %d: %d to %d is allowed", ErrRating, r.Score, MinScore, MaxScore)
	case r.Month > now:
		return fmt.Errorf("%w: month %s is to come", ErrRating, r.Month)
	case r.Month <= now-KeptMonths:
		return fmt.Errorf("%w: month %s is no longer kept: %s to %s is allowed", ErrRating, r.Month, now-KeptMonths+1, now)
	}
	return nil
}

// Rate adds a rating that passes Check in the month now, and drops what is older
// than KeptMonths. A rating that was counted before changes nothing, and
// repeated says so.
func (s Satisfaction) Rate(r Rating, now Month) (_ Satisfaction, repeated bool) {
	if r.ID != 0 && slices.Contains(s.Recent[:], r.ID) {
		return s, true
	}
	months := make([]MonthRatings, 0, KeptMonths+1)
	found := false
	for _, m := range s.Months {
		if m.Count == 0 || m.Month <= now-KeptMonths {
			continue
		}
		if m.Month == r.Month {
			found = true
			if m.Count < maxRatings {
				m.Sum, m.Count = m.Sum+uint32(r.Score), m.Count+1
			}
		}
		months = append(months, m)
	}
	if !found {
		months = append(months, MonthRatings{Month: r.Month, Sum: uint32(r.Score), Count: 1})
	}
	slices.SortFunc(months, func(a, b MonthRatings) int { return int(b.Month - a.Month) })
	s.Months = [KeptMonths]MonthRatings{}
	copy(s.Months[:], months)
	if r.ID != 0 {
		copy(s.Recent[1:], s.Recent[:keptRatings-1])
		s.Recent[0] = r.ID
	}
	return s, false
}

// Ended reports whether nothing of s counts any more in the month now.
func (s Satisfaction) Ended(now Month) bool {
	return !slices.ContainsFunc(s.Months[:], func(m MonthRatings) bool { return m.Count > 0 && m.Month > now-KeptMonths })
}

// month returns the ratings of one month; Count is 0 when there are none.
func (s Satisfaction) month(m Month) MonthRatings {
	for _, r := range s.Months {
		if r.Count > 0 && r.Month == m {
			return r
		}
	}
	return MonthRatings{Month: m}
}

// Window returns the three months that Class looks at, the oldest first. They
// end with now, or with the month before while now has no rating: a month that
// has just begun says nothing yet.
func (s Satisfaction) Window(now Month) (w [CareMonths]MonthRatings) {
	last := now
	if s.month(now).Count == 0 {
		last--
	}
	for i := range w {
		w[i] = s.month(last - CareMonths + 1 + Month(i))
	}
	return w
}

// CareClass says how a caller's satisfaction went over the last three months.
// A lower one needs care first; the zero CareClass needs none.
type CareClass uint8

// The classes, the first to be cared for first.
const (
	CareNone            CareClass = iota
	FallingDissatisfied           // each month lower than the one before, and now dissatisfied
	Falling                       // each month lower than the one before, and still satisfied
	FellOnce                      // lower at least once than in the month with a rating before
	AlwaysDissatisfied            // the same in every month with a rating, two at least, and dissatisfied
)

// CareClasses lists them, the first to be cared for first.
var CareClasses = [...]CareClass{FallingDissatisfied, Falling, FellOnce, AlwaysDissatisfied}

var careNames = [...]string{"none", "falling-dissatisfied", "falling", "fell", "always-dissatisfied"}

// String returns the class's name.
func (c CareClass) String() string {
	if int(c) < len(careNames) {
		return careNames[c]
	}
	return fmt.Sprintf("care(%d)", uint8(c))
}

// Class returns the first class that fits s in the month now. A month's mean of
// at most dissatisfied, to the hundredth, is dissatisfied. A month without a
// rating is neither lower nor higher than another: a caller with such a month in
// the window has not fallen for three months, and the months around it are
// compared with each other.
func (s Satisfaction) Class(now Month, dissatisfied float64) CareClass {
	window := s.Window(now)
	var rated []MonthRatings
	for _, m := range window {
		if m.Count > 0 {
			rated = append(rated, m)
		}
	}
	fell, unchanged := 0, 0
	for i := 1; i < len(rated); i++ {
		switch {
		case rated[i].below(rated[i-1]):
			fell++
		case rated[i].equal(rated[i-1]):
			unchanged++
		}
	}
	switch {
	case fell == CareMonths-1 && window[CareMonths-1].upTo(dissatisfied):
		return FallingDissatisfied
	case fell == CareMonths-1:
		return Falling
	case fell > 0:
		return FellOnce
	case unchanged > 0 && unchanged == len(rated)-1 && rated[0].upTo(dissatisfied):
		return AlwaysDissatisfied
	}
	return CareNone
}

// Ratings keeps callers' satisfaction, by site and number. It is a port beside
// Directory, which the same adapters implement; the errors that hold for every
// method of a Directory hold here too.
type Ratings interface {
	// UpdateRatings changes what is kept of a caller in one atomic step and
	// returns it as it is then. change is given what is there, the zero
	// Satisfaction of a caller who was never rated, and returns what shall be;
	// zero removes the caller. It may be called more than once, with what others
	// have stored meanwhile, and must be pure. What is there and can't be read is
	// reported and counts as nothing.
	//
	// Errors also: ErrNumber for a number that Check refuses.
	UpdateRatings(ctx context.Context, site string, n Number, change func(Satisfaction) Satisfaction) (Satisfaction, error)

	// WalkRatings returns a page of the rated callers, as Directory.Walk does with
	// entries, cursors and ErrCursor included. What can't be read is reported and
	// left out.
	WalkRatings(ctx context.Context, site string, from Cursor, limit int) (page []Rated, next Cursor, err error)
}

// Rated is a caller and what is kept of the ratings.
type Rated struct {
	Number       Number
	Satisfaction Satisfaction
}
