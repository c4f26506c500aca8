package tiering

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestSixFactor(t *testing.T) {
	g := SixFactor()
	if err := g.Validate(); err != nil {
		t.Fatal(err)
	}
	points := map[float64]int{}
	for _, f := range g.Factors {
		points[math.Round(f.Weight*100)]++
	}
	if points[15] != 4 || points[20] != 2 || len(g.Factors) != 6 {
		t.Errorf("the points are %v", points)
	}
	for _, c := range []struct {
		figures []float64
		score   float64
		tier    Tier
	}{
		{[]float64{100, 100, 100, 100, 100, 100}, 100, VIP},
		{[]float64{0, 0, 0, 0, 0, 0}, 0, Ordinary},
		{[]float64{100, 100, 100, 100, 0, 0}, 60, Mid},
		{[]float64{0, 0, 0, 0, 100, 100}, 40, Ordinary},
		{[]float64{100, 0, 0, 100, 100, 100}, 70, Mid},
		{[]float64{75, 75, 75, 75, 75, 75}, 75, VIP},
		{[]float64{75, 75, 75, 75, 75, 74.99999}, 74.999998, Mid},
		{[]float64{60, 60, 60, 60, 60, 60}, 60, Mid},
	} {
		score, tier, err := g.Grade(c.figures)
		if err != nil || score != c.score || tier != c.tier {
			t.Errorf("%v: %v, %v, %v; want %v, %v", c.figures, score, tier, err, c.score, c.tier)
		}
	}
	for _, wrong := range [][]float64{nil, {1, 2, 3, 4, 5}, {1, 2, 3, 4, 5, 6, 7}, {1, 2, 3, 4, 5, -1}, {1, 2, 3, 4, 5, 101}, {1, 2, math.NaN(), 4, 5, 6}} {
		if _, tier, err := g.Grade(wrong); !errors.Is(err, ErrFigures) || tier != TierUnset {
			t.Errorf("%v: %v, %v", wrong, tier, err)
		}
	}
}

func TestPresets(t *testing.T) {
	for _, name := range Presets {
		g, err := Preset(name)
		if err != nil || g.Name != name || g.Validate() != nil {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
	if _, err := Preset("seven-factor"); !errors.Is(err, ErrScheme) {
		t.Error(err)
	}
	own := DefaultScheme()
	own.VIPFrom = 80
	if own.Grading().Name != CustomGrading {
		t.Error("a scheme of one's own goes by a preset's name")
	}
}

// TestGradingIsScheme: three factors are graded alike, whichever way.
func TestGradingIsScheme(t *testing.T) {
	s := DefaultScheme()
	g := s.Grading()
	rapid.Check(t, func(t *rapid.T) {
		figure := rapid.OneOf(rapid.Float64Range(0, 100), rapid.Map(rapid.IntRange(0, 100), func(i int) float64 { return float64(i) }))
		f := Figures{figure.Draw(t, "payment"), figure.Draw(t, "order"), figure.Draw(t, "profit")}
		score, tier, err := s.Grade(f)
		score2, tier2, err2 := g.Grade([]float64{f.PaymentRecord, f.OrderAmount, f.ProfitContribution})
		if err != nil || err2 != nil || score != score2 || tier != tier2 {
			t.Fatalf("%v %v %v, %v %v %v", score, tier, err, score2, tier2, err2)
		}
	})
}

func TestGradingValidate(t *testing.T) {
	for name, change := range map[string]func(*Grading){
		"no factor":      func(g *Grading) { g.Factors = nil },
		"a name twice":   func(g *Grading) { g.Factors[1].Name = g.Factors[0].Name },
		"no name":        func(g *Grading) { g.Factors[0].Name = "" },
		"too little":     func(g *Grading) { g.Factors[0].Weight = 0.1 },
		"below nothing":  func(g *Grading) { g.Factors[0].Weight = -0.15 },
		"no number":      func(g *Grading) { g.Factors[0].Weight = math.NaN() },
		"vip above 100":  func(g *Grading) { g.VIPFrom = 101 },
		"mid above vip":  func(g *Grading) { g.MidFrom = 76 },
		"mid below 0":    func(g *Grading) { g.MidFrom = -1 },
		"vip, no number": func(g *Grading) { g.VIPFrom = math.NaN() },
	} {
		g := SixFactor()
		if change(&g); !errors.Is(g.Validate(), ErrScheme) {
			t.Errorf("%s: %v", name, g.Validate())
		}
	}
}
