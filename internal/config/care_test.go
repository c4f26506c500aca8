package config

import (
	"strings"
	"testing"

	"greenlane/tiering"
)

func TestGradingAndCare(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil || c.Grading.Active().Name != tiering.PresetThreeFactor || c.Care.Dissatisfied != 2 || c.Care.Callback {
		t.Fatalf("%v, %+v", err, c.Care)
	}
	c.Grading.Preset = tiering.PresetSixFactor
	if g := c.Grading.Active(); g.Name != tiering.PresetSixFactor || len(g.Factors) != 6 || c.Validate() != nil {
		t.Errorf("%+v, %v", g, c.Validate())
	}
	c.Grading.VIPFrom = 80
	if g := c.Grading.Active(); g.Name != tiering.CustomGrading || g.VIPFrom != 80 || g.Validate() != nil {
		t.Errorf("%+v", g)
	}
	for want, change := range map[string]func(*Config){
		"three-factor or six-factor": func(c *Config) { c.Grading.Preset = "seven-factor" },
		"six-factor has its own": func(c *Config) {
			c.Grading.Preset, c.Grading.Weights = tiering.PresetSixFactor, Weights{PaymentRecord: 1}
		},
		"care.dissatisfied: 0.5 must be between": func(c *Config) { c.Care.Dissatisfied = 0.5 },
		`care.queue: site main has no queue "x"`: func(c *Config) { c.Care.Queue = "x" },
	} {
		c := Default()
		if change(c); c.Validate() == nil || !strings.Contains(c.Validate().Error(), want) {
			t.Errorf("%v, want %s", c.Validate(), want)
		}
	}
}
