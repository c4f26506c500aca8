package prom

import (
	"cmp"
	"errors"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Gatherers gathers from several, whose metrics must have different names, and
// returns them by name.
type Gatherers []prometheus.Gatherer

// Gather implements prometheus.Gatherer. What could be gathered is returned with
// the errors of what could not.
func (g Gatherers) Gather() ([]*dto.MetricFamily, error) {
	var all []*dto.MetricFamily
	var faults []error
	for _, one := range g {
		families, err := one.Gather()
		all = append(all, families...)
		faults = append(faults, err)
	}
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return all, errors.Join(faults...)
}
