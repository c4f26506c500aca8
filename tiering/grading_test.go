package tiering

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestGrade(t *testing.T) {
	for _, c := range []struct {
		f     Figures
		score float64
		tier  Tier
	}{
		{Figures{100, 100, 100}, 100, VIP},
		{Figures{0, 0, 0}, 0, Ordinary},
		{Figures{75, 75, 75}, 75, VIP},
		{Figures{60, 60, 60}, 60, Mid},
		{Figures{0, 50, 100}, 75, VIP},
		{Figures{100, 100, 58.333333}, 75, VIP}, // 74.9999998 rounds to 75.000000
		{Figures{100, 100, 58.33333}, 74.999998, Mid},
		{Figures{90, 70, 75}, 75, VIP},
		{Figures{0, 0, 100}, 60, Mid},
		{Figures{100, 0, 83.333333}, 60, Mid},
		{Figures{99.99, 0, 83.333333}, 59.999, Ordinary},
		{Figures{80, 70, 65}, 68, Mid},
	} {
		score, tier, err := DefaultScheme().Grade(c.f)
		if err != nil || score != c.score || tier != c.tier {
			t.Errorf("Grade(%v) = %v, %v, %v; want %v, %v", c.f, score, tier, err, c.score, c.tier)
		}
	}
}

// TestGradeAtTheBoundaries takes every customer with whole figures whose score,
// in exact arithmetic, is a threshold: in floating point alone some of them fall
// just below it.
func TestGradeAtTheBoundaries(t *testing.T) {
	s, naiveMisses := DefaultScheme(), 0
	for p := range 101 {
		for o := range 101 {
			for q := range 101 {
				tenths := p + 3*o + 6*q
				want := Ordinary
				switch {
				case tenths >= 750:
					want = VIP
				case tenths >= 600:
					want = Mid
				}
				f := Figures{float64(p), float64(o), float64(q)}
				score, tier, err := s.Grade(f)
				if err != nil || tier != want || score != float64(tenths)/10 {
					t.Fatalf("Grade(%v) = %v, %v, %v; want %v, %v", f, score, tier, err, float64(tenths)/10, want)
				}
				naive := 0.1*f.PaymentRecord + 0.3*f.OrderAmount + 0.6*f.ProfitContribution
				if tenths == 750 && naive < 75 || tenths == 600 && naive < 60 {
					naiveMisses++
				}
			}
		}
	}
	if naiveMisses == 0 {
		t.Error("no customer needs the rounding; the comment of Grade is wrong")
	}
}

func figures(t *rapid.T) Figures {
	x := rapid.Float64Range(0, 100)
	return Figures{x.Draw(t, "payment_record"), x.Draw(t, "order_amount"), x.Draw(t, "profit_contribution")}
}

func scheme(t *rapid.T) Scheme {
	cut := rapid.IntRange(0, 1000)
	a, b := cut.Draw(t, "a"), cut.Draw(t, "b")
	a, b = min(a, b), max(a, b)
	s := Scheme{Weights: Weights{float64(a) / 1000, float64(b-a) / 1000, float64(1000-b) / 1000}}
	s.VIPFrom = rapid.Float64Range(0, 100).Draw(t, "vip_from")
	s.MidFrom = rapid.Float64Range(0, s.VIPFrom).Draw(t, "mid_from")
	return s
}

// rank orders tiers by what they are worth.
func rank(t Tier) int { return -int(t) }

func TestGradeIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, low := scheme(t), figures(t)
		high := low
		field := rapid.SampledFrom([]*float64{&high.PaymentRecord, &high.OrderAmount, &high.ProfitContribution}).Draw(t, "field")
		*field = rapid.Float64Range(*field, 100).Draw(t, "raised")
		lowScore, lowTier, err := s.Grade(low)
		if err != nil {
			t.Fatal(err)
		}
		highScore, highTier, err := s.Grade(high)
		if err != nil {
			t.Fatal(err)
		}
		if highScore < lowScore || rank(highTier) < rank(lowTier) {
			t.Fatalf("%v scores %v (%v), the better %v only %v (%v)", low, lowScore, lowTier, high, highScore, highTier)
		}
		for _, score := range []float64{lowScore, highScore} {
			if score < 0 || score > 100 {
				t.Fatalf("the score %v is outside 0 to 100", score)
			}
		}
		if !lowTier.Valid() || lowTier == Blacklist {
			t.Fatalf("a score earned %v", lowTier)
		}
	})
}

// TestGradeIsExact holds the score against exact rational arithmetic.
func TestGradeIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, f := scheme(t), figures(t)
		score, _, err := s.Grade(f)
		if err != nil {
			t.Fatal(err)
		}
		exact := new(big.Rat)
		for _, x := range [][2]float64{
			{s.Weights.PaymentRecord, f.PaymentRecord},
			{s.Weights.OrderAmount, f.OrderAmount},
			{s.Weights.ProfitContribution, f.ProfitContribution},
		} {
			w, v := new(big.Rat).SetFloat64(x[0]), new(big.Rat).SetFloat64(x[1])
			exact.Add(exact, w.Mul(w, v))
		}
		want, _ := exact.Float64()
		if math.Abs(score-want) > 0.6e-6 {
			t.Fatalf("%v by %v scores %v, exactly it is %v", f, s, score, want)
		}
	})
}

func TestGradeRefusesFigures(t *testing.T) {
	for _, bad := range []float64{-0.0001, 100.0001, math.NaN(), math.Inf(1), math.Inf(-1)} {
		for name, f := range map[string]Figures{
			"payment_record":      {PaymentRecord: bad},
			"order_amount":        {OrderAmount: bad},
			"profit_contribution": {ProfitContribution: bad},
		} {
			score, tier, err := DefaultScheme().Grade(f)
			if !errors.Is(err, ErrFigures) || tier != TierUnset || score != 0 {
				t.Errorf("%s %v: %v, %v, %v", name, bad, score, tier, err)
			} else if !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "0 to 100 is allowed") {
				t.Errorf("%s %v: the error %q does not say what is allowed", name, bad, err)
			}
		}
	}
	_, _, err := DefaultScheme().Grade(Figures{-1, 101, math.NaN()})
	if got := strings.Count(err.Error(), "is allowed"); got != 3 {
		t.Errorf("three wrong figures give %d faults: %v", got, err)
	}
}

func TestSchemeValidate(t *testing.T) {
	if err := DefaultScheme().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Scheme)
		faults []string // empty: none
	}{
		"equal thresholds leave no mid": {func(s *Scheme) { s.MidFrom = s.VIPFrom }, nil},
		"thresholds at the ends":        {func(s *Scheme) { s.MidFrom, s.VIPFrom = 0, 100 }, nil},
		"one figure alone":              {func(s *Scheme) { s.Weights = Weights{ProfitContribution: 1} }, nil},
		"tenths":                        {func(s *Scheme) { s.Weights = Weights{0.7, 0.2, 0.1} }, nil},
		"a sum off by less than slack":  {func(s *Scheme) { s.Weights.OrderAmount += 9e-10 }, nil},
		"a sum off by more":             {func(s *Scheme) { s.Weights.OrderAmount += 2e-9 }, []string{"add up to 1"}},
		"a negative weight":             {func(s *Scheme) { s.Weights = Weights{-0.1, 0.5, 0.6} }, []string{"weight payment_record is -0.1"}},
		"a weight that is no number": {
			func(s *Scheme) { s.Weights.OrderAmount = math.NaN() }, []string{"weight order_amount", "add up to 1"},
		},
		"thresholds swapped": {func(s *Scheme) { s.MidFrom, s.VIPFrom = 75, 60 }, []string{"mid_from must not be above"}},
		"no number":          {func(s *Scheme) { s.VIPFrom = math.NaN() }, []string{"vip_from is NaN: 0 to 100"}},
		"everything": {
			func(s *Scheme) { *s = Scheme{Weights{2, -1, 2}, -1, 101} },
			[]string{"payment_record", "order_amount", "profit_contribution", "add up", "vip_from", "mid_from is 101: ", "above"},
		},
		"the zero scheme": {func(s *Scheme) { *s = Scheme{} }, []string{"add up to 1"}},
	} {
		s := DefaultScheme()
		c.change(&s)
		err := s.Validate()
		if (err != nil) != (len(c.faults) > 0) || err != nil && !errors.Is(err, ErrScheme) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, fault := range c.faults {
			if !strings.Contains(err.Error(), fault) {
				t.Errorf("%s: %q is not among the faults: %v", name, fault, err)
			}
		}
		if _, _, gradeErr := s.Grade(Figures{}); (gradeErr != nil) != (err != nil) {
			t.Errorf("%s: Validate says %v, Grade %v", name, err, gradeErr)
		}
	}
}

func BenchmarkGrade(b *testing.B) {
	s, f := DefaultScheme(), Figures{90, 70, 75}
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = s.Grade(f)
	}
}
