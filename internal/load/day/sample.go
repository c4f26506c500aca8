package day

import (
	"math"
	"math/rand/v2"
)

// stream returns the chance for one purpose: streams of one seed do not follow
// each other, and a stream never depends on how much another one was used.
func stream(seed, purpose, index uint64) *rand.Rand {
	return rand.New(rand.NewPCG(mix(seed^mix(purpose)), mix(mix(seed+0x9e3779b97f4a7c15)^index)))
}

// mix is the finaliser of splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// gamma returns a draw of the gamma distribution with mean 1 and coefficient of
// variation cv (Marsaglia and Tsang, ACM TOMS 26, 2000; the shape is 1/cv²).
func gamma(r *rand.Rand, cv float64) float64 {
	shape := 1 / (cv * cv)
	boost := 1.0
	k := shape
	if k < 1 {
		// Gamma(k) is Gamma(k+1) times U^(1/k).
		boost = math.Pow(1-r.Float64(), 1/k)
		k++
	}
	d := k - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		u := 1 - r.Float64()
		if math.Log(u) < 0.5*x*x+d-d*v+d*math.Log(v) {
			return boost * d * v / shape
		}
	}
}

// shortest is the service time, in seconds, below which a call counts as very
// short.
const shortest = 10.0

// z90 and z99 are the standard normal's quantiles at 0.9 and 0.99.
const z90, z99 = 1.2815515655446004, 2.3263478740408408

// serviceSampler draws service times. The logarithm is normal with a spread of
// its own below the median, up to the 90th percentile, and beyond it, so that
// median, p90, p99 and the mean of the logarithm are the file's. One spread for
// all would miss the standard deviation of some types by half, and so would a
// tail without end: no call is longer than twice the 99th percentile.
type serviceSampler struct {
	shareShort           float64
	lnMedian             float64
	below, middle, above float64 // spreads
	longest              float64
}

func newServiceSampler(s Service) serviceSampler {
	m := math.Log(s.Median)
	mid := (math.Log(s.P90) - m) / z90
	top := (math.Log(s.P99) - math.Log(s.P90)) / (z99 - z90)
	// The mean of the logarithm is m - below·φ(0) + the upper half's part; it
	// gives the spread below the median.
	upper := mid*(density(0)-density(z90)) + mid*z90*0.1 + top*(density(z90)-z90*0.1)
	low := (m + upper - s.LnMean) / density(0)
	if low < s.LnSD/4 || low > s.LnSD*4 {
		low = s.LnSD // The file's figures do not belong together; stay near them.
	}
	return serviceSampler{shareShort: s.ShareShort, lnMedian: m, below: low, middle: mid, above: top, longest: 2 * s.P99}
}

// density is the standard normal's density.
func density(z float64) float64 { return math.Exp(-z*z/2) / math.Sqrt(2*math.Pi) }

// draw returns a service time in seconds.
func (s serviceSampler) draw(r *rand.Rand) float64 {
	if r.Float64() < s.shareShort {
		return 1 + (shortest-1)*r.Float64()
	}
	for range 100 {
		if x := s.quantile(r.NormFloat64()); x >= shortest {
			return min(x, s.longest)
		}
	}
	return shortest
}

// quantile returns the service time at a quantile of the standard normal.
func (s serviceSampler) quantile(z float64) float64 {
	ln := s.lnMedian
	switch {
	case z < 0:
		ln += s.below * z
	case z < z90:
		ln += s.middle * z
	default:
		ln += s.middle*z90 + s.above*(z-z90)
	}
	return math.Exp(ln)
}

// tail is the hazard beyond the last bound: the last hazard, or the last one
// above 0, since nobody is patient for ever.
func (p Patience) tail() float64 {
	for i := len(p.Hazards) - 1; i >= 0; i-- {
		if h := p.Hazards[i].PerSecond; h > 0 {
			return h
		}
	}
	return 0
}

// quantile returns the wait, in seconds, after which a share 1-exp(-risk) of
// callers has given up: the inverse of the cumulated hazard.
func (p Patience) quantile(risk float64) float64 {
	end := 0.0
	for _, h := range p.Hazards {
		part := h.PerSecond * (h.To - h.From)
		if risk < part {
			return h.From + risk/h.PerSecond
		}
		risk -= part
		end = h.To
	}
	return end + risk/p.tail()
}

// draw returns how long one caller waits at most, in seconds.
func (p Patience) draw(r *rand.Rand) float64 { return p.quantile(r.ExpFloat64()) }

// draw returns how long after giving up a caller rings again, in seconds; ok is
// false for one who does not. left is the time until the day ends.
func (d Redial) draw(r *rand.Rand, left float64) (after float64, ok bool) {
	u := r.Float64()
	bounds := [...]struct{ share, from, to float64 }{
		{d.Within5Min, 0, 300}, {d.Within15Min, 300, 900}, {d.Within1H, 900, 3600}, {d.SameDay, 3600, max(3600, left)},
	}
	for _, b := range bounds {
		if u < b.share {
			after = b.from + (b.to-b.from)*r.Float64()
			return after, after < left
		}
	}
	return 0, false
}

// pick returns the index of a weight with a chance in proportion to it.
func pick(r *rand.Rand, weights []float64) int {
	total := 0.0
	for _, w := range weights {
		total += w
	}
	u := r.Float64() * total
	for i, w := range weights {
		if u < w {
			return i
		}
		u -= w
	}
	return len(weights) - 1
}
