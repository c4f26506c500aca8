package metrics

import (
	"math"

	"greenlane/queue"
)

// Verdict says how a service level stands against its target.
type Verdict uint8

// The verdicts.
const (
	NotJudged Verdict = iota // the tier has no target (the blacklist), or nothing was counted
	Met
	Missed
)

var verdictNames = [...]string{"not judged", "met", "missed"}

// String returns the verdict in words.
func (v Verdict) String() string { return verdictNames[v] }

// Judge compares a service level by a formula with a target, 0 to 1; a target
// of 0 is none. A level equal to its target is met, and the comparison is made
// in whole calls, so that no rounding decides it.
func Judge(f Formula, c *queue.Counts, target float64) Verdict {
	over, under := parts(f, c)
	switch {
	case target <= 0 || under <= 0:
		return NotJudged
	case over >= needed(target, under):
		return Met
	default:
		return Missed
	}
}

// Spare returns how many more calls may be missed before the level falls below
// its target; negative, how many calls answered in time are lacking for it. ok
// is false without a target or a call.
//
// With x of n calls in time and target p, k more misses keep the target while
// x >= p(n+k); when it is missed, k more calls in time bring it back as soon as
// x+k >= p(n+k).
func Spare(f Formula, c *queue.Counts, target float64) (calls int64, ok bool) {
	over, under := parts(f, c)
	if target <= 0 || under <= 0 {
		return 0, false
	}
	if over >= needed(target, under) {
		return int64(math.Floor((float64(over)+tiny)/target)) - under, true
	}
	if target >= 1 {
		return over - under, true // a miss can't be made good: say how many there are
	}
	return -int64(math.Ceil((target*float64(under)-float64(over))/(1-target) - tiny)), true
}

// tiny makes up for targets that have no exact binary form: 0.9 x 10 must be 9
// calls, not the 10 that 9.000000000000002 would be rounded up to.
const tiny = 1e-6

// needed returns how many of n calls must be in time.
func needed(target float64, n int64) int64 { return int64(math.Ceil(target*float64(n) - tiny)) }

// Judged adds up the counts of those tiers of a queue that have a target: the
// blacklist is counted in its own row, and left out of the queue's service
// level. counts picks which counts of a tier are meant.
func Judged(tiers []queue.TierSnapshot, counts func(*queue.TierSnapshot) *queue.Counts) queue.Counts {
	var sum queue.Counts
	for i := range tiers {
		if tiers[i].Target > 0 {
			sum.Add(counts(&tiers[i]))
		}
	}
	return sum
}
