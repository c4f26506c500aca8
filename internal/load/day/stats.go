package day

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed bank_day.json
var bankDay []byte

// Stats are the figures a day is drawn from, as a statistics file gives them.
type Stats struct {
	// Source says where the figures come from, and whom to thank.
	Source string
	// Slots are the shares of the day's calls that come in each half hour from
	// OpensAt; they add up to 1.
	Slots []float64
	// WeekdayCalls is the mean number of calls of each weekday: Sun, Mon, ...
	WeekdayCalls map[string]float64
	// DayCV and SlotCV are the coefficients of variation of the gamma factors,
	// both of mean 1, that make a day and a half hour busier or quieter.
	DayCV, SlotCV float64
	// Types are the call types with their shares, which add up to 1, by name.
	Types []Type
	// Patience are the hazards of giving up, by group of callers.
	Patience map[string]Patience
	// Redial says how many of those who gave up ring again.
	Redial Redial
}

// OpensAt is the hour at which Stats.Slots begin.
const OpensAt = 7

// Type is one kind of call.
type Type struct {
	Name    string
	Share   float64 // of all calls
	Service Service
}

// Service is how long agents talk: a share of calls under 10 s, and for the
// others the figures of a nearly lognormal distribution, in seconds.
type Service struct {
	ShareShort       float64 // calls that take less than 10 s
	Mean, SD         float64
	Median, P90, P99 float64
	LnMean, LnSD     float64 // of the logarithm
}

// Hazard is the chance per second of giving up between two moments of the wait.
type Hazard struct{ From, To, PerSecond float64 }

// Patience is how long callers wait before they give up: the hazard by time
// waited, and the Kaplan-Meier estimate of the share still waiting.
type Patience struct {
	Hazards  []Hazard
	Survival []SurvivalPoint
}

// SurvivalPoint is the share of callers who would still wait at a time.
type SurvivalPoint struct{ At, Share float64 }

// Redial is the share of those who gave up that ring again within a time.
type Redial struct {
	Within5Min  float64 `json:"within_5min"`
	Within15Min float64 `json:"within_15min"`
	Within1H    float64 `json:"within_1h"`
	SameDay     float64 `json:"same_day"`
}

// Bank returns the statistics that come with the program.
func Bank() *Stats {
	st, err := Parse(bankDay)
	if err != nil {
		panic("day: the embedded statistics are broken: " + err.Error())
	}
	return st
}

// file is the shape of a statistics file; fields it has beside these are not used.
type file struct {
	Source   string `json:"source"`
	Arrivals struct {
		Shares      []float64          `json:"half_hour_share_percent_from_07_00"`
		Weekdays    map[string]float64 `json:"weekday_calls"`
		Recommended struct {
			DayFactor  string `json:"day_factor"`
			SlotFactor string `json:"slot_factor"`
		} `json:"recommended"`
	} `json:"arrivals"`
	Service struct {
		ByType map[string]struct {
			ShareLt float64 `json:"share_lt10"`
			Mean    float64 `json:"mean"`
			SD      float64 `json:"sd"`
			Median  float64 `json:"median"`
			P90     float64 `json:"p90"`
			P99     float64 `json:"p99"`
			LnMu    float64 `json:"ln_mu"`
			LnSigma float64 `json:"ln_sigma"`
		} `json:"by_type"`
	} `json:"service"`
	Patience struct {
		Groups map[string]struct {
			Hazard   [][]float64 `json:"hazard"`
			Survival [][]float64 `json:"survival"`
		} `json:"groups"`
	} `json:"patience"`
	Redial  Redial             `json:"redial_after_abandon"`
	TypeMix map[string]float64 `json:"type_mix_percent"`
}

// Parse reads a statistics file. The error joins every fault found.
func Parse(data []byte) (*Stats, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	r := reader{file: &f, st: &Stats{
		Source:       f.Source,
		WeekdayCalls: f.Arrivals.Weekdays,
		Redial:       f.Redial,
	}}
	r.arrivals()
	r.types()
	r.patience()
	r.redial()
	if err := errors.Join(r.faults...); err != nil {
		return nil, err
	}
	return r.st, nil
}

// reader turns a file into Stats and gathers what is wrong with it.
type reader struct {
	file   *file
	st     *Stats
	faults []error
}

func (r *reader) bad(format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("statistics: "+format, args...))
}

// positive reports whether v is a usable number above 0.
func positive(v float64) bool { return v > 0 && v < 1e9 }

// share reports whether v is a probability.
func share(v float64) bool { return v >= 0 && v <= 1 }

func (r *reader) arrivals() {
	a := &r.file.Arrivals
	if n := len(a.Shares); n == 0 || n > 2*(24-OpensAt) {
		r.bad("arrivals.half_hour_share_percent_from_07_00: %d half hours, 1 to %d are allowed", n, 2*(24-OpensAt))
	}
	total := 0.0
	for i, v := range a.Shares {
		if v < 0 || v > 100 {
			r.bad("arrivals.half_hour_share_percent_from_07_00[%d]: %v must be 0 to 100", i, v)
		}
		total += v
	}
	if math.Abs(total-100) > 1 {
		r.bad("arrivals.half_hour_share_percent_from_07_00: adds up to %.2f, must be 100", total)
	}
	for _, v := range a.Shares {
		r.st.Slots = append(r.st.Slots, v/total)
	}
	if len(a.Weekdays) == 0 {
		r.bad("arrivals.weekday_calls: must name at least one weekday")
	}
	for _, name := range slices.Sorted(maps.Keys(a.Weekdays)) {
		if v := a.Weekdays[name]; !(v > 0 && v <= 100_000) {
			r.bad("arrivals.weekday_calls.%s: %v must be above 0 and at most 100,000; use a scale for more", name, v)
		}
	}
	r.st.DayCV = r.cv("arrivals.recommended.day_factor", a.Recommended.DayFactor)
	r.st.SlotCV = r.cv("arrivals.recommended.slot_factor", a.Recommended.SlotFactor)
}

var cvPattern = regexp.MustCompile(`\bCV ([0-9]+(?:\.[0-9]+)?)`)

// cv reads the coefficient of variation out of a sentence such as "gamma mean 1
// CV 0.10".
func (r *reader) cv(key, text string) float64 {
	m := cvPattern.FindStringSubmatch(text)
	if m == nil {
		r.bad("%s: %q must say \"CV\" and a number", key, text)
		return 0
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil || v <= 0 || v > 2 {
		r.bad("%s: CV %s must be above 0 and at most 2", key, m[1])
	}
	return v
}

func (r *reader) types() {
	total := 0.0
	// Sorted, so that sums and faults come out the same every time.
	for _, name := range slices.Sorted(maps.Keys(r.file.TypeMix)) {
		percent := r.file.TypeMix[name]
		s, ok := r.file.Service.ByType[name+"/both"]
		key := "service.by_type." + name + "/both"
		switch {
		case percent < 0 || percent > 100:
			r.bad("type_mix_percent.%s: %v must be 0 to 100", name, percent)
		case !ok:
			r.bad("%s: missing, type_mix_percent names it", key)
		case !share(s.ShareLt):
			r.bad("%s.share_lt10: %v must be 0 to 1", key, s.ShareLt)
		case !(s.Median >= 10 && s.P90 > s.Median && s.P99 > s.P90 && s.P99 < 1e6):
			r.bad("%s: median %v, p90 %v, p99 %v must grow, from 10 s on", key, s.Median, s.P90, s.P99)
		case !positive(s.Mean) || !positive(s.SD) || !positive(s.LnMu) || !(s.LnSigma > 0 && s.LnSigma < 5):
			r.bad("%s: mean, sd, ln_mu and ln_sigma must be above 0", key)
		}
		total += percent
		r.st.Types = append(r.st.Types, Type{Name: name, Share: percent, Service: Service{
			ShareShort: s.ShareLt, Mean: s.Mean, SD: s.SD, Median: s.Median, P90: s.P90, P99: s.P99,
			LnMean: s.LnMu, LnSD: s.LnSigma,
		}})
	}
	if math.Abs(total-100) > 1 {
		r.bad("type_mix_percent: adds up to %.2f, must be 100", total)
	}
	for i := range r.st.Types {
		r.st.Types[i].Share /= total
	}
}

func (r *reader) patience() {
	r.st.Patience = make(map[string]Patience)
	for _, name := range slices.Sorted(maps.Keys(r.file.Patience.Groups)) {
		g := r.file.Patience.Groups[name]
		var p Patience
		end := 0.0
		for i, h := range g.Hazard {
			if len(h) != 4 || h[0] != end || !(h[1] > h[0]) || !(h[3] >= 0 && h[3] < 10) || h[1] > 1e6 {
				r.bad("patience.groups.%s.hazard[%d]: %v must be [from, to, events, hazard per second], without gap", name, i, h)
				break
			}
			end = h[1]
			p.Hazards = append(p.Hazards, Hazard{From: h[0], To: h[1], PerSecond: h[3]})
		}
		for _, s := range g.Survival {
			if len(s) == 2 && share(s[1]) {
				p.Survival = append(p.Survival, SurvivalPoint{At: s[0], Share: s[1]})
			}
		}
		if p.tail() <= 0 {
			r.bad("patience.groups.%s.hazard: at least one hazard must be above 0", name)
		}
		r.st.Patience[name] = p
	}
	for _, need := range []string{GroupHigh, GroupLow} {
		if _, ok := r.st.Patience[need]; !ok {
			r.bad("patience.groups.%s: missing", need)
		}
	}
}

func (r *reader) redial() {
	d := r.file.Redial
	if !share(d.Within5Min) || d.Within15Min < d.Within5Min || d.Within1H < d.Within15Min || d.SameDay < d.Within1H || !share(d.SameDay) {
		r.bad("redial_after_abandon: within_5min, within_15min, within_1h and same_day must grow between 0 and 1")
	}
}

// Weekdays returns the weekdays the statistics know, in the week's order.
func (s *Stats) Weekdays() []string {
	var out []string
	for _, d := range strings.Fields("Sun Mon Tue Wed Thu Fri Sat") {
		if _, ok := s.WeekdayCalls[d]; ok {
			out = append(out, d)
		}
	}
	return out
}
