package tiering

import (
	"errors"
	"fmt"
	"math"
)

// Names of the presets, as the configuration and the tool spell them.
const (
	PresetThreeFactor = "three-factor"
	PresetSixFactor   = "six-factor"
	// CustomGrading is the name of a grading whose weights or thresholds are none
	// of a preset.
	CustomGrading = "custom"
)

// Presets lists them.
var Presets = []string{PresetThreeFactor, PresetSixFactor}

// Factor is one figure of a Grading.
type Factor struct {
	Name    string  // as the columns of files have it
	Weight  float64 // its share of the score, 0 to 1
	Meaning string  // what it says of a customer, in a few words
}

// Grading turns figures, however many, into a tier:
//
//	score = sum of Weight x figure, each figure 0 to 100
//
// vip from VIPFrom, mid from MidFrom, else ordinary. Scheme is the Grading of
// three factors.
type Grading struct {
	Name    string
	Factors []Factor
	VIPFrom float64 // the lowest score that is graded vip, 0 to 100
	MidFrom float64 // the lowest score that is graded mid, 0 to VIPFrom
}

// Grading returns the scheme as a Grading; it is named after the preset when it
// is DefaultScheme.
func (s Scheme) Grading() Grading {
	name := CustomGrading
	if s == DefaultScheme() {
		name = PresetThreeFactor
	}
	return Grading{
		Name: name, VIPFrom: s.VIPFrom, MidFrom: s.MidFrom,
		Factors: []Factor{
			{"payment_record", s.Weights.PaymentRecord, "how well the customer pays"},
			{"order_amount", s.Weights.OrderAmount, "how much the customer orders"},
			{"profit_contribution", s.Weights.ProfitContribution, "how much the customer contributes to profit"},
		},
	}
}

// SixFactor is the scheme of 15, 15, 15, 15, 20 and 20 points, 100 in all:
//
//	score = 0.15 payment_record + 0.15 years_with_us + 0.15 order_frequency
//	      + 0.15 growth + 0.20 order_amount + 0.20 profit_contribution
//
// The points are those of the operators' scoring sheets that add four factors of
// 15 to two of 20; what a customer earns of a factor's points is given here as a
// figure of 0 to 100, per cent of them, like the figures of Scheme. The
// thresholds are those of DefaultScheme.
func SixFactor() Grading {
	d := DefaultScheme()
	return Grading{
		Name: PresetSixFactor, VIPFrom: d.VIPFrom, MidFrom: d.MidFrom,
		Factors: []Factor{
			{"payment_record", 0.15, "how well the customer pays"},
			{"years_with_us", 0.15, "how long the customer has been one"},
			{"order_frequency", 0.15, "how often the customer orders"},
			{"growth", 0.15, "how much more the customer may come to order"},
			{"order_amount", 0.20, "how much the customer orders"},
			{"profit_contribution", 0.20, "how much the customer contributes to profit"},
		},
	}
}

// Preset returns a ready Grading by its name. The error is ErrScheme and lists
// the names.
func Preset(name string) (Grading, error) {
	switch name {
	case PresetThreeFactor:
		return DefaultScheme().Grading(), nil
	case PresetSixFactor:
		return SixFactor(), nil
	}
	return Grading{}, fmt.Errorf("%w: preset %.40q is unknown: %s or %s is allowed", ErrScheme, name, PresetThreeFactor, PresetSixFactor)
}

// Validate returns nil when g can grade, else every fault at once, each
// ErrScheme naming the field and what is allowed.
func (g Grading) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrScheme}, args...)...))
	}
	if len(g.Factors) == 0 {
		fault("there is no factor")
	}
	sum, seen := 0.0, map[string]bool{}
	for _, f := range g.Factors {
		if f.Name == "" || seen[f.Name] {
			fault("factor %q is there twice or has no name", f.Name)
		}
		seen[f.Name] = true
		if !within(f.Weight, 1) {
			fault("weight %s is %v: 0 to 1 is allowed", f.Name, f.Weight)
		}
		sum += f.Weight
	}
	if !(math.Abs(sum-1) <= weightSlack) { // also when the sum is not a number
		fault("the weights add up to %v: they must add up to 1", sum)
	}
	if !within(g.VIPFrom, maxFigure) || !within(g.MidFrom, g.VIPFrom) {
		fault("vip_from is %v and mid_from %v: 0 to %d is allowed, and mid_from not above vip_from", g.VIPFrom, g.MidFrom, maxFigure)
	}
	return errors.Join(faults...)
}

// Grade returns the score of the figures, which are in the order of Factors, and
// the tier it earns, exactly as Scheme.Grade does. g must be valid.
//
// Errors: ErrFigures for a figure that is no number of 0 to 100, or for too few
// or too many of them.
func (g Grading) Grade(figures []float64) (score float64, tier Tier, err error) {
	if len(figures) != len(g.Factors) {
		return 0, TierUnset, fmt.Errorf("%w: %d figures are given and %d needed", ErrFigures, len(figures), len(g.Factors))
	}
	var faults []error
	for i, f := range g.Factors {
		if !within(figures[i], maxFigure) {
			faults = append(faults, fmt.Errorf("%w: %s is %v: 0 to %d is allowed", ErrFigures, f.Name, figures[i], maxFigure))
			continue
		}
		score += float64(f.Weight * figures[i]) // not fused, so that all processors agree
	}
	if err := errors.Join(faults...); err != nil {
		return 0, TierUnset, err
	}
	score = min(math.Round(score*1e6)/1e6, maxFigure)
	switch {
	case score >= g.VIPFrom:
		return score, VIP, nil
	case score >= g.MidFrom:
		return score, Mid, nil
	}
	return score, Ordinary, nil
}
