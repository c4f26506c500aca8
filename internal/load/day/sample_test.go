package day

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"

	"pgregory.net/rapid"
)

// moments returns mean and standard deviation.
func moments(x []float64) (mean, sd float64) {
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	for _, v := range x {
		sd += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(sd / float64(len(x)-1))
}

// quantile returns the q-quantile of sorted values.
func quantile(sorted []float64, q float64) float64 {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// near fails the test unless got is within a share of want.
func near(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if math.Abs(got-want) > share*want {
		t.Errorf("%s = %.4g, want %.4g within %.1f %%", what, got, want, 100*share)
	}
}

// chiSquareBound is the value that a chi-square variable exceeds with a chance
// of 0.1 % (Wilson and Hilferty's approximation).
func chiSquareBound(df int) float64 {
	k := float64(df)
	return k * math.Pow(1-2/(9*k)+3.0902*math.Sqrt(2/(9*k)), 3)
}

// ksBound is the Kolmogorov-Smirnov distance that n draws exceed with a chance
// of 0.1 %.
func ksBound(n int) float64 { return 1.949 / math.Sqrt(float64(n)) }

// ks returns the distance between sorted draws and a distribution function.
func ks(sorted []float64, cdf func(float64) float64) float64 {
	n := float64(len(sorted))
	d := 0.0
	for i, x := range sorted {
		f := cdf(x)
		d = max(d, f-float64(i)/n, float64(i+1)/n-f)
	}
	return d
}

func draws(n int, seed uint64, f func(*rand.Rand) float64) []float64 {
	r := stream(seed, 99, 0)
	x := make([]float64, n)
	for i := range x {
		x[i] = f(r)
	}
	sort.Float64s(x)
	return x
}

func TestServiceTimesHaveTheFilesFigures(t *testing.T) {
	// Mean and standard deviation are not what the sampler is made from: they
	// test that the shape is right. TT and PE are 2 % of the calls, and their own
	// figures come from few calls, many of them near 10 s.
	type limits struct{ mean, sd, median, lnMean, lnSD float64 }
	most := limits{mean: 0.03, sd: 0.05, median: 0.03, lnMean: 0.01, lnSD: 0.08}
	tolerance := map[string]limits{
		"PS": most, "NW": most, "NE": most, "IN": most,
		"TT": {0.06, 0.05, 0.10, 0.05, 0.15}, "PE": {0.03, 0.05, 0.03, 0.01, 0.08},
	}
	for _, typ := range Bank().Types {
		s := newServiceSampler(typ.Service)
		s.shareShort = 0
		x := draws(100_000, 1, s.draw)
		mean, sd := moments(x)
		within := tolerance[typ.Name]
		near(t, typ.Name+" mean", mean, typ.Service.Mean, within.mean)
		near(t, typ.Name+" sd", sd, typ.Service.SD, within.sd)
		near(t, typ.Name+" median", quantile(x, 0.5), typ.Service.Median, within.median)
		near(t, typ.Name+" p90", quantile(x, 0.9), typ.Service.P90, 0.03)
		near(t, typ.Name+" p99", quantile(x, 0.99), typ.Service.P99, 0.04)
		logs := make([]float64, len(x))
		for i := range x {
			logs[i] = math.Log(x[i])
		}
		lnMean, lnSD := moments(logs)
		near(t, typ.Name+" ln mean", lnMean, typ.Service.LnMean, within.lnMean)
		near(t, typ.Name+" ln sd", lnSD, typ.Service.LnSD, within.lnSD)
	}
}

func TestVeryShortCallsHaveTheFilesShare(t *testing.T) {
	const n = 100_000
	for _, typ := range Bank().Types {
		x := draws(n, 2, newServiceSampler(typ.Service).draw)
		short := sort.SearchFloat64s(x, shortest)
		p := typ.Service.ShareShort
		if sigma := math.Sqrt(p * (1 - p) / n); math.Abs(float64(short)/n-p) > 4*sigma {
			t.Errorf("%s: share below 10 s = %.4f, want %.4f ± %.4f", typ.Name, float64(short)/n, p, 4*sigma)
		}
		if x[0] < 1 {
			t.Errorf("%s: a service time of %.3f s", typ.Name, x[0])
		}
	}
}

func TestPatienceFollowsTheSurvivalCurve(t *testing.T) {
	const n = 100_000
	for name, p := range Bank().Patience {
		x := draws(n, 3, p.draw)
		for _, point := range p.Survival {
			got := 1 - float64(sort.SearchFloat64s(x, point.At))/n
			sigma := math.Sqrt(point.Share * (1 - point.Share) / n)
			// The file rounds hazards to 1e-5 per second: up to 0.003 at 600 s, more
			// at 1200 s, where the curve and the hazards rest on 19 callers.
			slack := 0.002 + 5e-6*point.At*2
			if math.Abs(got-point.Share) > 4*sigma+slack {
				t.Errorf("%s: share waiting %v s = %.4f, want %.4f ± %.4f", name, point.At, got, point.Share, 4*sigma+slack)
			}
		}
	}
}

func TestPatienceIsItsOwnDistribution(t *testing.T) {
	p := Bank().Patience["ALL"]
	x := draws(50_000, 4, p.draw)
	cdf := func(at float64) float64 {
		risk := 0.0
		for _, h := range p.Hazards {
			risk += h.PerSecond * max(0, min(at, h.To)-h.From)
		}
		last := p.Hazards[len(p.Hazards)-1].To
		risk += p.tail() * max(0, at-last)
		return 1 - math.Exp(-risk)
	}
	if d := ks(x, cdf); d > ksBound(len(x)) {
		t.Errorf("Kolmogorov-Smirnov distance %.5f, allowed %.5f", d, ksBound(len(x)))
	}
	if beyond := quantile(x, 0.99); beyond < 1200 {
		t.Errorf("1 %% of callers are patient for at least %.0f s: the last hazard must go on beyond 1200 s", beyond)
	}
}

func TestRedialsHaveTheFilesShares(t *testing.T) {
	const n = 100_000
	d := Bank().Redial
	r := stream(5, 99, 0)
	var within5, within15, within1h, sameDay float64
	for range n {
		after, ok := d.draw(r, 8*3600)
		if !ok {
			continue
		}
		sameDay++
		if after < 3600 {
			within1h++
		}
		if after < 900 {
			within15++
		}
		if after < 300 {
			within5++
		}
	}
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"5 min", within5, d.Within5Min}, {"15 min", within15, d.Within15Min}, {"1 h", within1h, d.Within1H}, {"the day", sameDay, d.SameDay},
	} {
		if sigma := math.Sqrt(c.want * (1 - c.want) / n); math.Abs(c.got/n-c.want) > 4*sigma {
			t.Errorf("ring again within %s: %.4f, want %.4f ± %.4f", c.what, c.got/n, c.want, 4*sigma)
		}
	}
}

func TestGammaHasItsMoments(t *testing.T) {
	for _, cv := range []float64{0.05, 0.10, 0.13, 0.5, 1, 1.5} {
		x := draws(100_000, 6, func(r *rand.Rand) float64 { return gamma(r, cv) })
		mean, sd := moments(x)
		near(t, "mean", mean, 1, 4*cv/math.Sqrt(100_000))
		near(t, "sd", sd, cv, 0.03)
	}
}

func TestSamplersAlwaysGiveUsableTimes(t *testing.T) {
	types := Bank().Types
	groups := Bank().Patience
	rapid.Check(t, func(t *rapid.T) {
		r := stream(rapid.Uint64().Draw(t, "seed"), 1, 2)
		s := types[rapid.IntRange(0, len(types)-1).Draw(t, "type")].Service
		if x := newServiceSampler(s).draw(r); !(x >= 1 && x < 1e6) {
			t.Fatalf("service time %v", x)
		}
		p := groups[rapid.SampledFrom([]string{GroupHigh, GroupLow, "ALL"}).Draw(t, "group")]
		if x := p.draw(r); !(x >= 0 && x < 1e6) {
			t.Fatalf("patience %v", x)
		}
		left := rapid.Float64Range(-10, 70_000).Draw(t, "left")
		if after, ok := Bank().Redial.draw(r, left); ok && !(after >= 0 && after < left) {
			t.Fatalf("rings again after %v s with %v s left", after, left)
		}
		if g := gamma(r, rapid.Float64Range(0.01, 2).Draw(t, "cv")); !(g >= 0 && g < 1e4) {
			t.Fatalf("gamma factor %v", g)
		}
	})
}

func TestQuantilesGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Float64Range(-5, 5).Draw(t, "a")
		b := a + rapid.Float64Range(1e-6, 5).Draw(t, "more")
		for _, typ := range Bank().Types {
			s := newServiceSampler(typ.Service)
			if s.quantile(a) >= s.quantile(b) {
				t.Fatalf("%s: quantiles at %v and %v are out of order", typ.Name, a, b)
			}
		}
		low, high := math.Abs(a), math.Abs(a)+b-a
		for name, p := range Bank().Patience {
			if p.quantile(low) >= p.quantile(high) {
				t.Fatalf("%s: patience at risk %v and %v is out of order", name, low, high)
			}
		}
	})
}
