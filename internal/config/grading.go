package config

import (
	"errors"
	"fmt"

	"greenlane/tiering"
)

// Grading is the weighted score that makes a customer's figures a tier.
type Grading struct {
	// Preset names the figures: three-factor, whose weights may be changed, or
	// six-factor.
	Preset  string  `yaml:"preset"`
	Weights Weights `yaml:"weights"`  // of three-factor
	VIPFrom float64 `yaml:"vip_from"` // the lowest score that is vip, 0 to 100
	MidFrom float64 `yaml:"mid_from"` // the lowest score that is mid
}

// Weights are the shares of a score; they sum to 1.
type Weights struct {
	PaymentRecord      float64 `yaml:"payment_record"`
	OrderAmount        float64 `yaml:"order_amount"`
	ProfitContribution float64 `yaml:"profit_contribution"`
}

func gradingOf(s tiering.Scheme) Grading {
	return Grading{Preset: tiering.PresetThreeFactor, Weights: Weights(s.Weights), VIPFrom: s.VIPFrom, MidFrom: s.MidFrom}
}

// Scheme returns the grading by three factors as package tiering takes it.
func (g Grading) Scheme() tiering.Scheme {
	return tiering.Scheme{Weights: tiering.Weights(g.Weights), VIPFrom: g.VIPFrom, MidFrom: g.MidFrom}
}

// Active returns the grading in force: the preset's figures, with these
// thresholds.
func (g Grading) Active() tiering.Grading {
	if g.Preset != tiering.PresetSixFactor {
		return g.Scheme().Grading()
	}
	six := tiering.SixFactor()
	if g.VIPFrom != six.VIPFrom || g.MidFrom != six.MidFrom {
		six.Name, six.VIPFrom, six.MidFrom = tiering.CustomGrading, g.VIPFrom, g.MidFrom
	}
	return six
}

func (g Grading) check() error {
	var faults []error
	if _, err := tiering.Preset(g.Preset); err != nil {
		faults = append(faults, fmt.Errorf("grading: %w", err))
	}
	for _, err := range split(g.Scheme().Validate()) {
		faults = append(faults, fmt.Errorf("grading: %w", err))
	}
	if g.Preset == tiering.PresetSixFactor && g.Scheme().Weights != tiering.DefaultScheme().Weights {
		faults = append(faults, errors.New("grading: weights are those of preset three-factor; six-factor has its own"))
	}
	return errors.Join(faults...)
}
