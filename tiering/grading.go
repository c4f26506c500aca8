package tiering

import (
	"errors"
	"fmt"
	"math"
)

// Figures are what is known of a customer's worth, each from 0 to 100.
type Figures struct {
	PaymentRecord      float64 // how well the customer pays
	OrderAmount        float64 // how much the customer orders
	ProfitContribution float64 // how much the customer contributes to profit
}

// Weights say how much each figure counts. They are shares: none is negative
// and together they are 1.
type Weights struct {
	PaymentRecord      float64
	OrderAmount        float64
	ProfitContribution float64
}

// Scheme turns figures into a tier.
type Scheme struct {
	Weights Weights
	VIPFrom float64 // the lowest score that is graded vip, 0 to 100
	MidFrom float64 // the lowest score that is graded mid, 0 to VIPFrom
}

// DefaultScheme is the operator's published rule: 10 % payment record, 30 %
// order amount, 60 % profit contribution; from 75 vip, from 60 mid.
func DefaultScheme() Scheme {
	return Scheme{
		Weights: Weights{PaymentRecord: 0.10, OrderAmount: 0.30, ProfitContribution: 0.60},
		VIPFrom: 75,
		MidFrom: 60,
	}
}

// maxFigure bounds figures, scores and thresholds.
const maxFigure = 100

// weightSlack is by how much the weights' sum may miss 1: decimal shares have
// no exact binary form.
const weightSlack = 1e-9

// Validate returns nil when the scheme can grade, else every fault at once,
// each ErrScheme naming the field and what is allowed.
func (s Scheme) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrScheme}, args...)...))
	}
	sum := 0.0
	for _, w := range []struct {
		name  string
		value float64
	}{
		{"payment_record", s.Weights.PaymentRecord},
		{"order_amount", s.Weights.OrderAmount},
		{"profit_contribution", s.Weights.ProfitContribution},
	} {
		if !within(w.value, 1) {
			fault("weight %s is %v: 0 to 1 is allowed", w.name, w.value)
		}
		sum += w.value
	}
	if !(math.Abs(sum-1) <= weightSlack) { // also when the sum is not a number
		fault("the weights add up to %v: they must add up to 1", sum)
	}
	if !within(s.VIPFrom, maxFigure) {
		fault("vip_from is %v: 0 to %d is allowed", s.VIPFrom, maxFigure)
	}
	if !within(s.MidFrom, maxFigure) {
		fault("mid_from is %v: 0 to %d is allowed", s.MidFrom, maxFigure)
	}
	if s.MidFrom > s.VIPFrom {
		fault("mid_from is %v and vip_from %v: mid_from must not be above vip_from", s.MidFrom, s.VIPFrom)
	}
	return errors.Join(faults...)
}

// Validate returns nil when every figure is a number from 0 to 100, else every
// fault at once, each ErrFigures naming the field and what is allowed.
func (f Figures) Validate() error {
	var faults []error
	for _, x := range []struct {
		name  string
		value float64
	}{
		{"payment_record", f.PaymentRecord},
		{"order_amount", f.OrderAmount},
		{"profit_contribution", f.ProfitContribution},
	} {
		if !within(x.value, maxFigure) {
			faults = append(faults, fmt.Errorf("%w: %s is %v: 0 to %d is allowed", ErrFigures, x.name, x.value, maxFigure))
		}
	}
	return errors.Join(faults...)
}

// within reports whether x is a number from 0 to limit; NaN is not.
func within(x, limit float64) bool { return x >= 0 && x <= limit }

// Grade returns the weighted score of f, 0 to 100, and the tier it earns: vip
// from VIPFrom, mid from MidFrom, else ordinary. It never returns Blacklist,
// which is set by hand and not earned.
//
// The score is rounded to a millionth before it is compared, and returned that
// way: 0.1, 0.3 and 0.6 have no exact binary form, so customers who score
// exactly 75 would otherwise be vip or mid by accident. A score that is shown
// therefore always explains the tier beside it.
//
// Errors: those of f.Validate and s.Validate.
func (s Scheme) Grade(f Figures) (score float64, tier Tier, err error) {
	if err := errors.Join(s.Validate(), f.Validate()); err != nil {
		return 0, TierUnset, err
	}
	// The conversions keep the compiler from fusing the products into the sums,
	// which would make the score depend on the processor.
	score = float64(s.Weights.PaymentRecord*f.PaymentRecord) +
		float64(s.Weights.OrderAmount*f.OrderAmount) +
		float64(s.Weights.ProfitContribution*f.ProfitContribution)
	score = min(math.Round(score*1e6)/1e6, maxFigure)
	switch {
	case score >= s.VIPFrom:
		return score, VIP, nil
	case score >= s.MidFrom:
		return score, Mid, nil
	}
	return score, Ordinary, nil
}
