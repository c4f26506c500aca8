package day

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"greenlane/tiering"
)

// The groups of callers whose patience the statistics know: those with a high
// and those with a low priority.
const (
	GroupHigh = "prio2"
	GroupLow  = "prio01"
)

// PatienceGroup returns the group whose patience callers of a tier have.
func PatienceGroup(t tiering.Tier) string {
	if t == tiering.VIP || t == tiering.Mid {
		return GroupHigh
	}
	return GroupLow
}

// Mix is the share of calls of each tier; it needs not add up to 1.
type Mix map[tiering.Tier]float64

// DefaultMix is 5 % VIP, 20 % mid, 70 % ordinary and 5 % blacklist.
func DefaultMix() Mix {
	return Mix{tiering.VIP: 0.05, tiering.Mid: 0.20, tiering.Ordinary: 0.70, tiering.Blacklist: 0.05}
}

// Options say which day to make.
type Options struct {
	Seed    uint64
	Weekday string  // one of Stats.Weekdays; empty: the first
	Scale   float64 // how many times the calls of the statistics; 0 means 1
	// From and To bound the time of arrival, counted from midnight. Zero To means
	// the end of the statistics' day, zero From its beginning.
	From, To time.Duration
	// Rate, when above 0, replaces the day's shape: calls per second of the day,
	// Poisson without any factor.
	Rate     float64
	Calls    int     // at most so many first calls; 0: no limit
	Tiers    Mix     // nil: DefaultMix
	Withheld float64 // share of calls without a number; they count as ordinary
	Callers  int     // how many people ring; 0: 60 for every 100 calls
}

// Call is one caller's wish, as drawn.
type Call struct {
	Index    int           // counts the first calls of the day from 0, by time
	Attempt  int           // 0 for a first call, 1 for the redial after it, ...
	At       time.Duration // when it reaches the switch, since midnight
	Caller   int           // into Day.Callers; -1 when the number is withheld
	Tier     tiering.Tier
	Type     string
	Patience time.Duration // gives up after so long
	Service  time.Duration // talks for so long
	// RedialAfter says how long after giving up the caller rings again; negative
	// when the caller does not.
	RedialAfter time.Duration
}

// Caller is one of those who ring.
type Caller struct {
	Number string // E.164
	Tier   tiering.Tier
}

// Day is one synthetic day. It is safe for concurrent use.
type Day struct {
	Calls   []Call // the first calls, by time; redials follow from Redial
	Callers []Caller
	// Busy is the day factor that was drawn: 1 for a usual day.
	Busy float64

	opt     Options
	types   []Type
	weights []float64
	service []serviceSampler
	stats   *Stats
}

// What each stream of chance is for.
const (
	forDay = iota + 1
	forSlot
	forArrivals
	forCaller
	forCall
)

// Make draws a day. The error says which option is wrong and what is allowed.
func Make(stats *Stats, opt Options) (*Day, error) {
	if err := opt.complete(stats); err != nil {
		return nil, err
	}
	d := &Day{opt: opt, stats: stats, types: stats.Types, Busy: 1}
	for _, t := range stats.Types {
		d.weights = append(d.weights, t.Share)
		d.service = append(d.service, newServiceSampler(t.Service))
	}
	times := d.arrivals()
	if opt.Calls > 0 && len(times) >= opt.Calls {
		// The day ends with the last call that is wanted, for redials too.
		times = times[:opt.Calls]
		d.opt.To = times[len(times)-1]
	}
	d.population(len(times))
	pools := d.pools()
	d.Calls = make([]Call, len(times))
	for i, at := range times {
		r := stream(opt.Seed, forCaller, uint64(i))
		tier, caller := d.who(r, pools)
		d.Calls[i] = d.call(i, 0, at, tier, caller)
	}
	return d, nil
}

// complete fills in defaults and returns what is wrong.
func (o *Options) complete(stats *Stats) error {
	opens, closes := OpensAt*time.Hour, OpensAt*time.Hour+time.Duration(len(stats.Slots))*slot
	o.Weekday = cmp.Or(o.Weekday, stats.Weekdays()[0])
	o.Scale = cmp.Or(o.Scale, 1)
	o.From = cmp.Or(o.From, opens)
	o.To = cmp.Or(o.To, closes)
	if o.Tiers == nil {
		o.Tiers = DefaultMix()
	}
	var faults []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	usual, known := stats.WeekdayCalls[o.Weekday]
	bad(known, "weekday: %q is not in the statistics, %v are", o.Weekday, stats.Weekdays())
	bad(o.Scale > 0 && o.Scale*usual <= maxCalls, "scale: %v must be above 0, and give at most %d calls a day", o.Scale, maxCalls)
	bad(o.From >= opens && o.From < o.To, "from: %v must be %v or later, and before %v", o.From, opens, o.To)
	bad(o.To <= closes, "to: %v must be %v at the latest", o.To, closes)
	bad(o.Rate >= 0 && (o.Calls > 0 || o.Rate*(o.To-o.From).Seconds() <= maxCalls),
		"rate: %v calls per second must not be negative, nor give more than %d calls", o.Rate, maxCalls)
	bad(o.Calls >= 0 && o.Calls <= maxCalls, "calls: %d must be 0 to %d", o.Calls, maxCalls)
	bad(share(o.Withheld), "withheld: %v must be 0 to 1", o.Withheld)
	bad(o.Callers >= 0 && o.Callers <= maxCallers, "callers: %d must be 0 to %d", o.Callers, maxCallers)
	total := 0.0
	for _, t := range tiering.Tiers {
		w := o.Tiers[t]
		bad(w >= 0 && w <= 1e6, "tiers: the share of %v, %v, must not be negative", t, w)
		total += w
	}
	bad(total > 0, "tiers: at least one tier must have a share")
	return errors.Join(faults...)
}

const slot = 30 * time.Minute

// arrivals draws when the first calls come, in order.
func (d *Day) arrivals() []time.Duration {
	o := &d.opt
	if o.Rate > 0 {
		return poisson(stream(o.Seed, forArrivals, 0), nil, o.From, o.To, o.Rate, o.Calls)
	}
	d.Busy = gamma(stream(o.Seed, forDay, 0), d.stats.DayCV)
	mean := d.stats.WeekdayCalls[o.Weekday] * o.Scale * d.Busy
	var times []time.Duration
	for i, part := range d.stats.Slots {
		factor := gamma(stream(o.Seed, forSlot, uint64(i)), d.stats.SlotCV)
		from := OpensAt*time.Hour + time.Duration(i)*slot
		rate := mean * part * factor / slot.Seconds()
		// The whole slot is drawn even when only a part of it is wanted, so that
		// the part is the same calls as in the whole day.
		drawn := poisson(stream(o.Seed, forArrivals, uint64(i)), nil, from, from+slot, rate, 0)
		for _, t := range drawn {
			if t >= o.From && t < o.To {
				times = append(times, t)
			}
		}
	}
	return times
}

// poisson appends the points of a Poisson process with a rate per second, at
// most limit of them when limit is above 0.
func poisson(r *rand.Rand, times []time.Duration, from, to time.Duration, rate float64, limit int) []time.Duration {
	if rate <= 0 {
		return times
	}
	at := from.Seconds()
	for {
		at += r.ExpFloat64() / rate
		t := seconds(at)
		if t >= to || (limit > 0 && len(times) == limit) {
			return times
		}
		times = append(times, t)
	}
}

// seconds turns a number of seconds into a duration.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// What one day may hold: it is kept in memory, and each caller has a number.
const (
	maxCalls   = 10_000_000
	maxCallers = 99_999_999
)

// population makes the people who ring: of every tier so many as its share of
// calls, at least one.
func (d *Day) population(calls int) {
	n := d.opt.Callers
	if n == 0 {
		n = min(max(20, calls*6/10), maxCallers)
	}
	total := 0.0
	for _, t := range tiering.Tiers {
		total += d.opt.Tiers[t]
	}
	for _, t := range tiering.Tiers {
		share := d.opt.Tiers[t] / total
		if share == 0 {
			continue
		}
		for range max(1, int(share*float64(n)+0.5)) {
			d.Callers = append(d.Callers, Caller{Number: number(len(d.Callers)), Tier: t})
		}
	}
}

// number returns the telephone number of a caller: a mobile number of the range
// +86 138.
func number(i int) string { return fmt.Sprintf("+86138%08d", i) }

// pools returns where each tier's callers begin and end in d.Callers.
func (d *Day) pools() map[tiering.Tier][2]int {
	pools := make(map[tiering.Tier][2]int)
	for i, c := range d.Callers {
		p, ok := pools[c.Tier]
		if !ok {
			p[0] = i
		}
		p[1] = i + 1
		pools[c.Tier] = p
	}
	return pools
}

// who draws the tier of a call and who of the tier rings.
func (d *Day) who(r *rand.Rand, pools map[tiering.Tier][2]int) (tiering.Tier, int) {
	var weights [len(tiering.Tiers)]float64
	for i, t := range tiering.Tiers {
		weights[i] = d.opt.Tiers[t]
	}
	tier := tiering.Tiers[pick(r, weights[:])]
	p := pools[tier]
	caller := p[0] + r.IntN(p[1]-p[0])
	if r.Float64() < d.opt.Withheld {
		return tiering.Ordinary, -1
	}
	return tier, caller
}

// call draws what one call is about, how long the caller waits and talks, and
// what happens after giving up.
func (d *Day) call(index, attempt int, at time.Duration, tier tiering.Tier, caller int) Call {
	r := stream(d.opt.Seed, forCall, uint64(index)<<8|uint64(attempt))
	kind := pick(r, d.weights)
	c := Call{
		Index: index, Attempt: attempt, At: at, Tier: tier, Caller: caller,
		Type:        d.types[kind].Name,
		Service:     seconds(d.service[kind].draw(r)),
		Patience:    seconds(d.stats.Patience[PatienceGroup(tier)].draw(r)),
		RedialAfter: -1,
	}
	if after, ok := d.stats.Redial.draw(r, (d.opt.To - at - c.Patience).Seconds()); ok {
		c.RedialAfter = seconds(after)
	}
	return c
}

// maxAttempts ends the chain of redials of one caller.
const maxAttempts = 200

// Redial returns the call that follows when the caller of c gave up at the
// given time of the day; ok is false when that caller does not ring again
// before the day ends.
func (d *Day) Redial(c Call, gaveUp time.Duration) (next Call, ok bool) {
	at := gaveUp + c.RedialAfter
	if c.RedialAfter < 0 || at >= d.opt.To || c.Attempt >= maxAttempts {
		return Call{}, false
	}
	return d.call(c.Index, c.Attempt+1, at, c.Tier, c.Caller), true
}

// Number returns the number of a call's caller; empty when it is withheld.
func (d *Day) Number(c Call) string {
	if c.Caller < 0 {
		return ""
	}
	return d.Callers[c.Caller].Number
}

// Span returns from when to when calls come.
func (d *Day) Span() (from, to time.Duration) { return d.opt.From, d.opt.To }
