package config

import (
	"errors"
	"fmt"
	"time"

	"greenlane/queue"
	"greenlane/tiering"
)

// Queue is one service line, as the file spells it.
type Queue struct {
	Name          string   `yaml:"name"`
	Threshold     Duration `yaml:"threshold"`
	Targets       PerTier  `yaml:"targets"`
	OfferTimeout  Duration `yaml:"offer_timeout"`
	PreferredWait Duration `yaml:"preferred_wait"`
	WrapUp        Duration `yaml:"wrap_up"`
	MaxWait       Duration `yaml:"max_wait"`
	Capacity      int      `yaml:"capacity"`
	Shares        PerTier  `yaml:"shares"`
	Overflow      Overflow `yaml:"overflow"`
	HandleTime    Duration `yaml:"handle_time"`
	Hours         *Hours   `yaml:"hours,omitempty"`

	faults faults
}

// PerTier is a figure for each tier; one that is not given is none.
type PerTier struct {
	VIP       *float64 `yaml:"vip"`
	Mid       *float64 `yaml:"mid"`
	Ordinary  *float64 `yaml:"ordinary"`
	Blacklist *float64 `yaml:"blacklist"`
}

// Overflow moves a call that waited too long.
type Overflow struct {
	After       Duration `yaml:"after"`
	To          string   `yaml:"to"`
	Destination string   `yaml:"destination"`
}

// Hours are a queue's opening hours. A day that is not named is closed; a
// holiday's spans stand in place of its weekday's.
type Hours struct {
	Zone     string            `yaml:"zone"` // empty: the site's
	Week     Week              `yaml:"week"`
	Holidays map[string][]Span `yaml:"holidays"` // "2026-01-01": spans, none for closed
}

// Week are the spans of each weekday.
type Week struct {
	Mon []Span `yaml:"mon,flow"`
	Tue []Span `yaml:"tue,flow"`
	Wed []Span `yaml:"wed,flow"`
	Thu []Span `yaml:"thu,flow"`
	Fri []Span `yaml:"fri,flow"`
	Sat []Span `yaml:"sat,flow"`
	Sun []Span `yaml:"sun,flow"`
}

func (p *PerTier) fields() [4]struct {
	tier  tiering.Tier
	value **float64
} {
	return [4]struct {
		tier  tiering.Tier
		value **float64
	}{{tiering.VIP, &p.VIP}, {tiering.Mid, &p.Mid}, {tiering.Ordinary, &p.Ordinary}, {tiering.Blacklist, &p.Blacklist}}
}

func perTierOf(m map[tiering.Tier]float64) (p PerTier) {
	for _, f := range p.fields() {
		if v, ok := m[f.tier]; ok {
			*f.value = &v
		}
	}
	return p
}

// fill gives tiers that have no share the usual one, but none more than a tier above it.
func (p *PerTier) fill(usual PerTier) {
	most, defaults := 1.0, usual.fields()
	for i, f := range p.fields() {
		if share := *defaults[i].value; *f.value == nil && share != nil {
			*f.value = new(min(*share, most))
		}
		if *f.value != nil && f.tier != tiering.VIP { // a VIP is always admitted
			most = **f.value
		}
	}
}

func (p *PerTier) build() map[tiering.Tier]float64 {
	out := map[tiering.Tier]float64{}
	for _, f := range p.fields() {
		if *f.value != nil {
			out[f.tier] = **f.value
		}
	}
	return out
}

func queueOf(q queue.Queue) Queue {
	return Queue{
		Name: q.Name, Threshold: Duration(q.Threshold), Targets: perTierOf(q.Targets),
		OfferTimeout: Duration(q.OfferTimeout), PreferredWait: Duration(q.PreferredWait), WrapUp: Duration(q.WrapUp),
		MaxWait: Duration(q.MaxWait), Capacity: q.Capacity, Shares: perTierOf(q.Shares),
		Overflow:   Overflow{After: Duration(q.Overflow.After), To: q.Overflow.To, Destination: q.Overflow.Destination},
		HandleTime: Duration(q.HandleTime),
	}
}

func (q *Queue) build(zone *time.Location) (queue.Queue, error) {
	out := queue.Queue{
		Name: q.Name, Threshold: q.Threshold.D(), Targets: q.Targets.build(), OfferTimeout: q.OfferTimeout.D(),
		PreferredWait: q.PreferredWait.D(), WrapUp: q.WrapUp.D(), MaxWait: q.MaxWait.D(), Capacity: q.Capacity,
		Shares: q.Shares.build(), HandleTime: q.HandleTime.D(),
		Overflow: queue.Overflow{After: q.Overflow.After.D(), To: q.Overflow.To, Destination: q.Overflow.Destination},
	}
	hours, err := q.Hours.build(zone)
	if err != nil {
		faults := split(err)
		for i := range faults {
			faults[i] = fmt.Errorf("queues.%s.%w", q.Name, faults[i])
		}
		return out, errors.Join(faults...)
	}
	out.Hours = hours
	return out, nil
}

func (h *Hours) build(zone *time.Location) (*queue.Hours, error) {
	if h == nil {
		return nil, nil
	}
	var faults []error
	out := &queue.Hours{Zone: zone, Holidays: map[string][]queue.Span{}}
	if h.Zone != "" {
		own, err := loadZone(h.Zone)
		if err != nil {
			faults = append(faults, fmt.Errorf("hours.zone: %w", err))
		}
		out.Zone = own
	}
	days := [...][]Span{h.Week.Sun, h.Week.Mon, h.Week.Tue, h.Week.Wed, h.Week.Thu, h.Week.Fri, h.Week.Sat}
	for day, spans := range days {
		built, wrong := buildSpans(spans)
		for _, err := range wrong {
			faults = append(faults, fmt.Errorf("hours.week.%s: %w", weekdayKey(time.Weekday(day)), err))
		}
		out.Week[day] = built
	}
	for _, date := range sortedKeys(h.Holidays) {
		if _, err := time.Parse(time.DateOnly, date); err != nil {
			faults = append(faults, fmt.Errorf("hours.holidays: %q is no date: YYYY-MM-DD is allowed", date))
		}
		built, wrong := buildSpans(h.Holidays[date])
		for _, err := range wrong {
			faults = append(faults, fmt.Errorf("hours.holidays.%s: %w", date, err))
		}
		out.Holidays[date] = built
	}
	return out, errors.Join(faults...)
}

func weekdayKey(d time.Weekday) string {
	return [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}[d]
}

// buildSpans refuses spans that overlap or stand out of order: they are typing
// errors.
func buildSpans(spans []Span) (out []queue.Span, faults []error) {
	for i, s := range spans {
		if i > 0 && s.From < spans[i-1].To {
			faults = append(faults, fmt.Errorf("%s begins before %s ends: spans in order of the day are allowed", s, spans[i-1]))
		}
		out = append(out, queue.Span{From: s.From.D(), To: s.To.D()})
	}
	return out, faults
}
