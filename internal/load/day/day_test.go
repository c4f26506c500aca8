package day

import (
	"math"
	"os"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenlane/tiering"
)

func mustMake(t *testing.T, st *Stats, opt Options) *Day {
	t.Helper()
	d, err := Make(st, opt)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// arrivalsOf draws only when the calls of a Tuesday come.
func arrivalsOf(t *testing.T, st *Stats, seed uint64) []time.Duration {
	t.Helper()
	opt := Options{Seed: seed, Weekday: "Tue"}
	if err := opt.complete(st); err != nil {
		t.Fatal(err)
	}
	return (&Day{opt: opt, stats: st}).arrivals()
}

// counts returns how many come in each half hour.
func counts(st *Stats, at []time.Duration) []float64 {
	n := make([]float64, len(st.Slots))
	for _, a := range at {
		n[int((a-OpensAt*time.Hour)/slot)]++
	}
	return n
}

func TestTheSameSeedIsTheSameDay(t *testing.T) {
	a, b := mustMake(t, Bank(), Options{Seed: 7}), mustMake(t, Bank(), Options{Seed: 7})
	if !reflect.DeepEqual(a.Calls, b.Calls) {
		t.Fatal("two days of one seed differ")
	}
	if c := mustMake(t, Bank(), Options{Seed: 8}); reflect.DeepEqual(a.Calls[:10], c.Calls[:10]) {
		t.Fatal("days of different seeds are the same")
	}
	// A change of the generator changes every recorded run: let it be seen.
	first := a.Calls[0]
	if len(a.Calls) != goldenCalls || first.At != goldenAt {
		t.Errorf("seed 7 gives %d calls, the first at %v; it used to give %d and %v", len(a.Calls), first.At, goldenCalls, goldenAt)
	}
}

// What seed 7 gives.
const (
	goldenCalls = 1283
	goldenAt    = 7*time.Hour + time.Minute + 14086050479*time.Nanosecond
)

func TestArrivalsHaveTheFilesShape(t *testing.T) {
	// Chi-square of half-hour totals over many days. The factors of day and half
	// hour widen the spread: a slot's sum over the days has the variance
	// days·(m + m²·f), not days·m.
	st := Bank()
	const days = 400
	total := make([]float64, len(st.Slots))
	for seed := range uint64(days) {
		for i, n := range counts(st, arrivalsOf(t, st, seed)) {
			total[i] += n
		}
	}
	mean := st.WeekdayCalls["Tue"]
	f := (1+st.DayCV*st.DayCV)*(1+st.SlotCV*st.SlotCV) - 1
	chi := 0.0
	for i, n := range total {
		m := mean * st.Slots[i]
		diff := n - days*m
		chi += diff * diff / (days * (m + m*m*f))
	}
	if bound := chiSquareBound(len(total)); chi > bound {
		t.Errorf("chi-square of half-hour shares = %.1f, allowed %.1f", chi, bound)
	}
}

func TestDaysAreAsUnevenAsTheFileSays(t *testing.T) {
	st := Bank()
	const days = 2000
	totals := make([]float64, 0, days)
	for seed := range uint64(days) {
		totals = append(totals, float64(len(arrivalsOf(t, st, seed))))
	}
	mean, sd := moments(totals)
	// Day factor, half-hour factors (weighted by the squared shares) and Poisson.
	squares := 0.0
	for _, s := range st.Slots {
		squares += s * s
	}
	cv := math.Sqrt(st.DayCV*st.DayCV + st.SlotCV*st.SlotCV*squares + 1/st.WeekdayCalls["Tue"])
	near(t, "mean day", mean, st.WeekdayCalls["Tue"], 4*cv/math.Sqrt(days))
	near(t, "CV of day totals", sd/mean, cv, 0.07)
}

func TestHalfHoursAreOverdispersedAsTheFileSays(t *testing.T) {
	// After the day effect, October's index of dispersion is 1.68.
	st := Bank()
	st.DayCV = 1e-6
	const days = 600
	slots := make([][]float64, len(st.Slots))
	for seed := range uint64(days) {
		for i, n := range counts(st, arrivalsOf(t, st, seed)) {
			slots[i] = append(slots[i], n)
		}
	}
	index := 0.0
	for _, n := range slots {
		mean, sd := moments(n)
		index += sd * sd / mean / float64(len(slots))
	}
	near(t, "index of dispersion", index, 1.68, 0.05)
}

func TestWithinHalfHoursArrivalsArePoisson(t *testing.T) {
	// Brown's test: within a short block the transformed gaps are exponential;
	// here the position within the half hour is uniform.
	var at []float64
	for seed := range uint64(40) {
		for _, a := range arrivalsOf(t, Bank(), seed) {
			at = append(at, math.Mod(a.Seconds(), slot.Seconds())/slot.Seconds())
		}
	}
	sort.Float64s(at)
	if d := ks(at, func(x float64) float64 { return x }); d > ksBound(len(at)) {
		t.Errorf("Kolmogorov-Smirnov distance %.5f, allowed %.5f", d, ksBound(len(at)))
	}
}

func TestTiersAndTypesHaveTheirShares(t *testing.T) {
	d := mustMake(t, Bank(), Options{Seed: 3, Rate: 1, Calls: 60_000})
	tiers, types := map[string]float64{}, map[string]float64{}
	for _, c := range d.Calls {
		tiers[c.Tier.String()]++
		types[c.Type]++
		if got := d.Callers[c.Caller].Tier; got != c.Tier {
			t.Fatalf("a %v call of a caller who is %v", c.Tier, got)
		}
	}
	check := func(what string, n map[string]float64, share map[string]float64) {
		chi := 0.0
		for k, p := range share {
			diff := n[k] - p*float64(len(d.Calls))
			chi += diff * diff / (p * float64(len(d.Calls)))
		}
		if bound := chiSquareBound(len(share) - 1); chi > bound {
			t.Errorf("chi-square of %s = %.1f, allowed %.1f", what, chi, bound)
		}
	}
	want := map[string]float64{}
	for _, typ := range Bank().Types {
		want[typ.Name] = typ.Share
	}
	check("types", types, want)
	check("tiers", tiers, map[string]float64{"vip": 0.05, "mid": 0.20, "ordinary": 0.70, "blacklist": 0.05})
}

func TestAPartOfTheDayIsThatPart(t *testing.T) {
	whole := mustMake(t, Bank(), Options{Seed: 4})
	part := mustMake(t, Bank(), Options{Seed: 4, From: 10 * time.Hour, To: 10*time.Hour + 20*time.Minute})
	n := 0
	for _, c := range whole.Calls {
		if c.At >= 10*time.Hour && c.At < 10*time.Hour+20*time.Minute {
			if part.Calls[n].At != c.At {
				t.Fatalf("call %d comes at %v, in the whole day at %v", n, part.Calls[n].At, c.At)
			}
			n++
		}
	}
	if n == 0 || n != len(part.Calls) {
		t.Fatalf("the part has %d calls, the whole day has %d there", len(part.Calls), n)
	}
}

func TestMakeKeepsItsPromises(t *testing.T) {
	st := Bank()
	rapid.Check(t, func(t *rapid.T) {
		opt := Options{
			Seed:     rapid.Uint64().Draw(t, "seed"),
			Weekday:  rapid.SampledFrom(st.Weekdays()).Draw(t, "weekday"),
			Scale:    rapid.Float64Range(0.01, 2).Draw(t, "scale"),
			From:     time.Duration(rapid.IntRange(7*60, 20*60).Draw(t, "from")) * time.Minute,
			Calls:    rapid.IntRange(0, 100).Draw(t, "calls"),
			Withheld: rapid.Float64Range(0, 1).Draw(t, "withheld"),
			Tiers:    Mix{tiering.VIP: rapid.Float64Range(0, 1).Draw(t, "vip"), tiering.Ordinary: 1},
		}
		opt.To = opt.From + time.Duration(rapid.IntRange(1, 240).Draw(t, "minutes"))*time.Minute
		d, err := Make(st, opt)
		if err != nil {
			t.Fatal(err)
		}
		last := opt.From
		for i, c := range d.Calls {
			if c.Index != i || c.At < last || c.At >= opt.To || c.Service <= 0 || c.Patience < 0 {
				t.Fatalf("call %d: %+v", i, c)
			}
			last = c.At
			next, ok := d.Redial(c, c.At+c.Patience)
			if ok && (next.At < c.At+c.Patience || next.At >= opt.To || next.Caller != c.Caller || next.Attempt != c.Attempt+1) {
				t.Fatalf("call %+v is followed by %+v", c, next)
			}
		}
		if opt.Calls > 0 && len(d.Calls) > opt.Calls {
			t.Fatalf("%d calls, %d were wanted", len(d.Calls), opt.Calls)
		}
	})
}

func TestWrongOptionsAreNamed(t *testing.T) {
	_, err := Make(Bank(), Options{
		Weekday: "Fri", Scale: -1, From: 6 * time.Hour, To: 25 * time.Hour, Rate: -1, Calls: -1, Withheld: 2,
		Callers: -1, Tiers: Mix{tiering.VIP: -1},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"weekday:", "scale:", "from:", "to:", "rate:", "calls:", "withheld:", "callers:", "tiers:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %q:\n%v", want, err)
		}
	}
}

func TestBrokenStatisticsAreNamed(t *testing.T) {
	_, err := Parse([]byte(`{"arrivals": {"half_hour_share_percent_from_07_00": [50, -1], "weekday_calls": {"Sun": 0},
		"recommended": {"day_factor": "gamma", "slot_factor": "CV 9"}}, "type_mix_percent": {"PS": 90},
		"patience": {"groups": {"prio2": {"hazard": [[0, 5, 1, 0.1], [6, 7, 1, 0.1]]}}},
		"redial_after_abandon": {"within_5min": 0.5, "within_15min": 0.4}}`))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"percent_from_07_00[1]", "weekday_calls.Sun", "day_factor", "slot_factor: CV 9", "PS/both",
		"type_mix_percent: adds up", "prio2.hazard[1]", "prio01: missing", "redial_after_abandon"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %q:\n%v", want, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(bankDay)
	f.Add([]byte(`{"type_mix_percent": {"PS": 100}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		st, err := Parse(data)
		if err != nil {
			return
		}
		if _, err := Make(st, Options{Seed: 1, Calls: 20, Scale: 0.01}); err != nil {
			t.Fatalf("statistics that Parse takes make no day: %v", err)
		}
	})
}

// The whole file reads as well as the copy of what is needed; it is not part of
// the repository.
func TestTheWholeFileGivesTheSame(t *testing.T) {
	name := os.Getenv("GREENLANE_STATS")
	if name == "" {
		t.Skip("GREENLANE_STATS names no statistics file")
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	a, b := mustMake(t, whole, Options{Seed: 1}), mustMake(t, Bank(), Options{Seed: 1})
	if len(a.Calls) != len(b.Calls) {
		t.Errorf("the whole file gives %d calls, the copy %d", len(a.Calls), len(b.Calls))
	}
}
