package metrics

import (
	"fmt"
	"strings"
	"time"

	"greenlane/queue"
)

// Formula is one of the ways in which call centres compute their service level
// from the calls that joined in an interval. With A answered, B abandoned, T
// the threshold and S the short-abandon limit, all in use somewhere (the
// choice changes the figure by ten points and more: Cisco's manual for its
// contact centre gives three of them and a worked example):
type Formula uint8

// The formulas. Answered means answered before the end of the call's wait; a
// call that timed out, overflowed or was refused is in none of them.
const (
	// Headline is A<=T / (A+B): abandoned calls count against the centre.
	Headline Formula = iota
	// WithoutShortAbandons is A<=T / (A+B - B<S): callers who hung up at once are left out.
	WithoutShortAbandons
	// AnsweredOnly is A<=T / A: abandoned calls are ignored.
	AnsweredOnly
	// AbandonsInTimeIgnored is A<=T / (A+B - B<=T).
	AbandonsInTimeIgnored
	// AbandonsInTimeMet is (A<=T + B<=T) / (A+B): an early abandon counts as served.
	AbandonsInTimeMet
	// WithLateWaiting is A<=T / (A+B+W), W being the calls that wait on past T: a
	// miss counts at the moment it happens, not when the call ends.
	WithLateWaiting
)

// Formulas lists every formula.
var Formulas = [...]Formula{Headline, WithoutShortAbandons, AnsweredOnly, AbandonsInTimeIgnored, AbandonsInTimeMet, WithLateWaiting}

var formulaNames = [...]string{
	"answered in time / (answered + abandoned)",
	"answered in time / (answered + abandoned - abandoned short)",
	"answered in time / answered",
	"answered in time / (answered + abandoned - abandoned in time)",
	"(answered in time + abandoned in time) / (answered + abandoned)",
	"answered in time / (answered + abandoned + waiting late)",
}

var formulaKeys = [...]string{
	"headline", "without_short_abandons", "answered_only", "abandons_in_time_ignored", "abandons_in_time_met", "with_late_waiting",
}

// String returns the formula in words, as it stands beside every figure.
func (f Formula) String() string { return nameOf(formulaNames[:], f) }

// Key returns the formula's short name, for columns, flags and labels.
func (f Formula) Key() string { return nameOf(formulaKeys[:], f) }

func nameOf(names []string, f Formula) string {
	if int(f) < len(names) {
		return names[f]
	}
	return fmt.Sprintf("formula(%d)", uint8(f))
}

// ParseFormula reads what String or Key writes.
func ParseFormula(s string) (Formula, error) {
	for _, f := range Formulas {
		if f.String() == s || f.Key() == s {
			return f, nil
		}
	}
	return 0, fmt.Errorf("service-level formula %q is unknown: one of %q is allowed", s, strings.Join(formulaKeys[:], `", "`))
}

// ServiceLevel returns the share, 0 to 1, of calls served within the threshold
// by the formula. ok is false when there is nothing to divide by. See
// Formula.Exact for the one case in which the counters do not say enough.
func ServiceLevel(f Formula, c *queue.Counts) (level float64, ok bool) {
	over, under := parts(f, c)
	if under <= 0 {
		return 0, false
	}
	return float64(over) / float64(under), true
}

// parts returns what a formula divides by what.
func parts(f Formula, c *queue.Counts) (over, under int64) {
	answered, abandoned := c.Answered(), c.Abandoned()
	inTime := c.AbandonedShort + c.AbandonedInTime // abandoned within the threshold, short ones too
	over, under = c.AnsweredInTime, answered+abandoned
	switch f {
	case WithoutShortAbandons:
		under -= c.AbandonedShort
	case AnsweredOnly:
		under = answered
	case AbandonsInTimeIgnored:
		under -= inTime
	case AbandonsInTimeMet:
		over += inTime
	case WithLateWaiting:
		under += c.LateWaiting
	}
	return over, under
}

// Exact reports whether the counters of a queue tell the formula exactly. Every
// formula is exact while a short abandon is also one in time (short <=
// threshold, as the defaults 5 s and 20 s). With a short-abandon limit above the
// threshold, queue.Counts lacks one bucket: the abandons after the threshold but
// below the limit, which stand in AbandonedShort. AbandonsInTimeIgnored and
// AbandonsInTimeMet then take them for abandons in time; the others do not care.
func (f Formula) Exact(short, threshold time.Duration) bool {
	return short <= threshold || f != AbandonsInTimeIgnored && f != AbandonsInTimeMet
}

// AverageSpeedOfAnswer returns the mean wait of answered calls in seconds.
func AverageSpeedOfAnswer(c *queue.Counts) (seconds float64, ok bool) {
	if c.Answered() == 0 {
		return 0, false
	}
	return float64(c.AnsweredWait) / float64(c.Answered()) / 1000, true
}

// Abandonment returns the share, 0 to 1, of the calls offered (answered or
// abandoned) whose callers hung up.
func Abandonment(c *queue.Counts) (share float64, ok bool) {
	offered := c.Answered() + c.Abandoned()
	if offered == 0 {
		return 0, false
	}
	return float64(c.Abandoned()) / float64(offered), true
}
