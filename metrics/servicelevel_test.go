package metrics_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"greenlane/metrics"
	"greenlane/queue"
)

// TestCiscoExample is the worked example of Cisco's contact-centre manual: 100
// calls offered, 70 answered in time, 10 abandoned in time, 20 missed.
func TestCiscoExample(t *testing.T) {
	c := queue.Counts{AnsweredInTime: 70, AnsweredLate: 20, AbandonedInTime: 10}
	for f, want := range map[metrics.Formula]float64{
		metrics.AbandonsInTimeIgnored: 70.0 / 90, // 77.8 %
		metrics.Headline:              0.70,
		metrics.AbandonsInTimeMet:     0.80,
		metrics.AnsweredOnly:          70.0 / 90,
		metrics.WithoutShortAbandons:  0.70,
		metrics.WithLateWaiting:       0.70,
	} {
		if got, ok := metrics.ServiceLevel(f, &c); !ok || math.Abs(got-want) > 1e-12 {
			t.Errorf("%s = %v, %v; want %v", f, got, ok, want)
		}
	}
}

func TestNothingCounted(t *testing.T) {
	for _, f := range metrics.Formulas {
		if got, ok := metrics.ServiceLevel(f, &queue.Counts{Refused: 3, TimedOut: 2, Overflowed: 1}); ok {
			t.Errorf("%s of no answered and no abandoned call = %v; want none", f, got)
		}
		if parsed, err := metrics.ParseFormula(f.String()); err != nil || parsed != f {
			t.Errorf("ParseFormula(%q) = %v, %v", f, parsed, err)
		}
	}
	if _, err := metrics.ParseFormula("grade of service"); err == nil {
		t.Error("ParseFormula of an unknown name gave no error")
	}
}

func TestSpeedAndAbandonment(t *testing.T) {
	c := queue.Counts{AnsweredInTime: 3, AnsweredLate: 1, AbandonedShort: 1, AnsweredWait: 50_000}
	if asa, ok := metrics.AverageSpeedOfAnswer(&c); !ok || asa != 12.5 {
		t.Errorf("average speed of answer = %v, %v; want 12.5 s", asa, ok)
	}
	if share, ok := metrics.Abandonment(&c); !ok || share != 0.2 {
		t.Errorf("abandonment = %v, %v; want 0.2", share, ok)
	}
}

// TestLevelsAreShares recounts each level from single calls and checks that
// none can leave 0..1.
func TestLevelsAreShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1000)
		c := queue.Counts{
			AnsweredInTime: n.Draw(t, "answered in time"), AnsweredLate: n.Draw(t, "answered late"),
			AbandonedShort: n.Draw(t, "short"), AbandonedInTime: n.Draw(t, "abandoned in time"),
			AbandonedLate: n.Draw(t, "abandoned late"), LateWaiting: n.Draw(t, "waiting late"),
		}
		for _, f := range metrics.Formulas {
			got, ok := metrics.ServiceLevel(f, &c)
			served, all := recount(f, &c)
			if ok != (all > 0) || ok && math.Abs(got-float64(served)/float64(all)) > 1e-12 {
				t.Fatalf("%s = %v, %v; recounted %d of %d", f, got, ok, served, all)
			}
			if got < 0 || got > 1 {
				t.Fatalf("%s = %v is no share", f, got)
			}
		}
	})
}

// recount asks call by call whether it belongs in a formula and whether it
// counts as served.
func recount(f metrics.Formula, c *queue.Counts) (served, all int) {
	kinds := []struct {
		n                                int64
		answered, inTime, short, waiting bool
	}{
		{c.AnsweredInTime, true, true, false, false},
		{c.AnsweredLate, true, false, false, false},
		{c.AbandonedShort, false, true, true, false},
		{c.AbandonedInTime, false, true, false, false},
		{c.AbandonedLate, false, false, false, false},
		{c.LateWaiting, false, false, false, true},
	}
	for _, k := range kinds {
		for range k.n {
			switch {
			case k.waiting && f != metrics.WithLateWaiting,
				f == metrics.AnsweredOnly && !k.answered,
				f == metrics.WithoutShortAbandons && k.short,
				f == metrics.AbandonsInTimeIgnored && !k.answered && k.inTime:
				continue
			}
			all++
			if k.inTime && (k.answered || f == metrics.AbandonsInTimeMet) {
				served++
			}
		}
	}
	return served, all
}
