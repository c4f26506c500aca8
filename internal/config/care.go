package config

import (
	"errors"
	"fmt"

	"greenlane/tiering"
)

// Care says what is done about callers whose satisfaction falls.
type Care struct {
	// Dissatisfied is the mean of a month's ratings up to which a caller is
	// dissatisfied, 1 to 5, to the hundredth.
	Dissatisfied float64 `yaml:"dissatisfied"`
	// Callback calls those back who fell for three months and are dissatisfied
	// now, once in a month.
	Callback bool `yaml:"callback"`
	// Queue is who calls them back; empty: the site's default queue.
	Queue string `yaml:"queue"`
}

func defaultCare() Care { return Care{Dissatisfied: tiering.DefaultDissatisfied} }

func (c *Config) checkCare() error {
	var faults []error
	if !(c.Care.Dissatisfied >= tiering.MinScore && c.Care.Dissatisfied <= tiering.MaxScore) { // also when it is no number
		faults = append(faults, fmt.Errorf("care.dissatisfied: %v must be between %d and %d", c.Care.Dissatisfied, tiering.MinScore, tiering.MaxScore))
	}
	if c.Care.Queue == "" {
		return errors.Join(faults...)
	}
	for _, site := range c.Sites {
		known := false
		for _, q := range site.Queues {
			known = known || q.Name == c.Care.Queue
		}
		if !known {
			faults = append(faults, fmt.Errorf("care.queue: site %s has no queue %q", site.Name, c.Care.Queue))
		}
	}
	return errors.Join(faults...)
}
