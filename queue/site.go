package queue

import (
	"errors"
	"fmt"
	"sort"
	"time"

	"greenlane/callback"
	"greenlane/tiering"
)

// Site is the configuration of one routing domain: everything the state
// machine decides by, beside the commands. It does not change while the
// machine runs.
type Site struct {
	Name         string
	Zone         *time.Location // "today" and the callback window are counted in it
	Queues       []Queue
	DefaultQueue string            // where a call without a queue goes
	Routes       map[string]string // dialed number -> queue, for calls without a queue
	Callback     callback.Policy
	Preemption   bool // the green channel takes unaccepted offers back for a VIP
	// RejectBlacklist refuses blacklisted callers instead of serving them last.
	RejectBlacklist bool
	// MaxWaiting is how many calls the site holds at once, VIPs included. 0 = no limit.
	MaxWaiting   int
	AckTimeout   time.Duration // a stream's offer not acknowledged by then comes back; 0 = not watched
	OwnerLease   time.Duration // agents on a daemon that was silent for so long are lost
	PollGrace    time.Duration // added to a long poll's wait: the lease of a polling agent
	SignInGrace  time.Duration // a ready agent who neither polls nor streams for so long is lost
	MaxTalk      time.Duration // a call still "answered" after this is closed; 0 = never
	ShortAbandon time.Duration // an abandoned wait below this is short
	Keep         Keep
}

// Keep says how long ended things are remembered: by age and by number,
// whichever ends first.
type Keep struct {
	CallsAge     time.Duration
	Calls        int
	CallbacksAge time.Duration
	Callbacks    int
	RequestsAge  time.Duration
	Requests     int
	EventsAge    time.Duration // used by the engines, which hold the log
	Events       int
	CohortsAge   time.Duration
	AgentsAge    time.Duration // signed-out agents
}

// Queue is the configuration of one service line.
type Queue struct {
	Name          string
	Threshold     time.Duration // the answer is in time up to and including this
	Targets       map[tiering.Tier]float64
	OfferTimeout  time.Duration
	PreferredWait time.Duration
	WrapUp        time.Duration
	MaxWait       time.Duration            // 0 = no limit
	Capacity      int                      // waiting calls; 0 = no limit
	Shares        map[tiering.Tier]float64 // share of Capacity up to which a tier is admitted; VIP is always admitted
	Overflow      Overflow
	Hours         *Hours        // nil = always open
	HandleTime    time.Duration // first estimate of wait: mean time an agent is busy with one call
}

// Overflow moves a call that waited too long, with its place and clock.
type Overflow struct {
	After       time.Duration // 0 = never
	To          string        // another queue, or
	Destination string        // a place outside Greenlane: the call ends as overflowed and the switch takes it there
}

// Hours says when a queue is open, in its own time zone.
type Hours struct {
	Zone     *time.Location
	Week     [7][]Span         // indexed by time.Weekday
	Holidays map[string][]Span // "2026-01-01" -> spans of that day (none: closed)
}

// Span is an opening time within one day, From included, To not, counted from midnight.
type Span struct{ From, To time.Duration }

// Open reports whether the queue is open at t.
func (h *Hours) Open(t time.Time) bool {
	if h == nil {
		return true
	}
	t = t.In(h.Zone)
	spans, special := h.Holidays[t.Format(time.DateOnly)]
	if !special {
		spans = h.Week[t.Weekday()]
	}
	// The wall clock, not the time elapsed since midnight: on the days on which
	// the clocks change the two differ by an hour.
	clock := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second
	for _, s := range spans {
		if clock >= s.From && clock < s.To {
			return true
		}
	}
	return false
}

// DefaultQueue returns the defaults of DESIGN section 9 for a queue.
func DefaultQueue(name string) Queue {
	return Queue{
		Name:          name,
		Threshold:     20 * time.Second,
		Targets:       map[tiering.Tier]float64{tiering.VIP: 0.90, tiering.Mid: 0.85, tiering.Ordinary: 0.85},
		OfferTimeout:  20 * time.Second,
		PreferredWait: 10 * time.Second, // half the threshold: whoever waits for one agent can still be answered in time
		Shares:        map[tiering.Tier]float64{tiering.Mid: 0.95, tiering.Ordinary: 0.90, tiering.Blacklist: 0.80},
		HandleTime:    3 * time.Minute,
	}
}

// DefaultSite returns a site with one queue, "default", that takes every tier.
func DefaultSite(name string) Site {
	policy := callback.DefaultPolicy()
	return Site{
		Name:         name,
		Zone:         policy.Zone,
		Queues:       []Queue{DefaultQueue("default")},
		DefaultQueue: "default",
		Callback:     policy,
		Preemption:   true,
		MaxWaiting:   2_000_000,
		AckTimeout:   5 * time.Second,
		OwnerLease:   10 * time.Second,
		PollGrace:    5 * time.Second,
		SignInGrace:  time.Minute,
		MaxTalk:      8 * time.Hour,
		ShortAbandon: policy.ShortAbandon,
		Keep: Keep{
			CallsAge: 24 * time.Hour, Calls: 100_000,
			CallbacksAge: 7 * 24 * time.Hour, Callbacks: 100_000,
			RequestsAge: time.Hour, Requests: 50_000,
			EventsAge: 7 * 24 * time.Hour, Events: 2_000_000,
			CohortsAge: 48 * time.Hour,
			AgentsAge:  24 * time.Hour,
		},
	}
}

// Validate joins every fault of the site, each naming its key and what is allowed.
func (s *Site) Validate() error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if s.Name == "" {
		bad("site.name: must not be empty")
	}
	if s.Zone == nil {
		bad("site.zone: must name a time zone")
	}
	names := map[string]bool{}
	for _, q := range s.Queues {
		if names[q.Name] {
			bad("queues: %q stands there twice", q.Name)
		}
		names[q.Name] = true
	}
	if len(s.Queues) == 0 {
		bad("queues: at least one queue is needed")
	}
	for i := range s.Queues {
		faults = append(faults, s.Queues[i].validate(names)...)
	}
	if s.DefaultQueue != "" && !names[s.DefaultQueue] {
		bad("default_queue: %q is no queue of this site", s.DefaultQueue)
	}
	dialed := make([]string, 0, len(s.Routes))
	for d := range s.Routes {
		dialed = append(dialed, d)
	}
	sort.Strings(dialed)
	for _, d := range dialed {
		if !names[s.Routes[d]] {
			bad("routes.%s: %q is no queue of this site", d, s.Routes[d])
		}
	}
	for _, d := range []struct {
		key string
		val time.Duration
		min time.Duration
	}{
		{"ack_timeout", s.AckTimeout, 0},
		{"owner_lease", s.OwnerLease, time.Second}, {"poll_grace", s.PollGrace, 0}, {"sign_in_grace", s.SignInGrace, time.Second},
		{"max_talk", s.MaxTalk, 0}, {"short_abandon", s.ShortAbandon, 0},
		{"keep.calls_age", s.Keep.CallsAge, time.Minute}, {"keep.callbacks_age", s.Keep.CallbacksAge, time.Minute},
		{"keep.requests_age", s.Keep.RequestsAge, time.Second}, {"keep.events_age", s.Keep.EventsAge, time.Minute},
		{"keep.cohorts_age", s.Keep.CohortsAge, 25 * time.Hour}, {"keep.agents_age", s.Keep.AgentsAge, time.Minute},
	} {
		if d.val < d.min {
			bad("%s: %v is too short, at least %v is allowed", d.key, d.val, d.min)
		}
	}
	for _, n := range []struct {
		key string
		val int
		min int
	}{
		{"max_waiting", s.MaxWaiting, 0}, {"keep.calls", s.Keep.Calls, 100}, {"keep.callbacks", s.Keep.Callbacks, 100},
		{"keep.requests", s.Keep.Requests, 100}, {"keep.events", s.Keep.Events, 1000},
	} {
		if n.val < n.min {
			bad("%s: %d is too small, at least %d is allowed", n.key, n.val, n.min)
		}
	}
	faults = append(faults, s.Callback.Validate())
	return errors.Join(faults...)
}

func (q *Queue) validate(names map[string]bool) (faults []error) {
	key := "queues." + q.Name
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf(key+"."+format, args...))
	}
	if !validName(q.Name) {
		bad("name: %q must be 1 to 64 letters, digits, '.', '_' or '-'", q.Name)
	}
	if q.Threshold < time.Millisecond || q.Threshold > time.Hour {
		bad("threshold: %v must be between 1ms and 1h", q.Threshold)
	}
	if q.OfferTimeout < time.Millisecond || q.OfferTimeout > 10*time.Minute {
		bad("offer_timeout: %v must be between 1ms and 10m", q.OfferTimeout)
	}
	for _, d := range []struct {
		key string
		val time.Duration
	}{{"preferred_wait", q.PreferredWait}, {"wrap_up", q.WrapUp}, {"max_wait", q.MaxWait}, {"overflow.after", q.Overflow.After}} {
		if d.val < 0 {
			bad("%s: %v must not be negative", d.key, d.val)
		}
	}
	if q.HandleTime < time.Millisecond {
		bad("handle_time: %v must be at least 1ms", q.HandleTime)
	}
	if q.Capacity < 0 {
		bad("capacity: %d must not be negative (0 = no limit)", q.Capacity)
	}
	above, most := tiering.VIP, 1.0 // the tier above whose share is sound
	for _, t := range tiering.Tiers {
		if v, ok := q.Targets[t]; ok && !(v > 0 && v <= 1) { // also when it is no number
			bad("targets.%s: %v must be above 0 and at most 1", t, v)
		}
		v, ok := q.Shares[t]
		switch {
		case ok && !(v >= 0 && v <= 1):
			bad("shares.%s: %v must be between 0 and 1", t, v)
			continue
		case !ok || t == tiering.VIP: // a VIP is always admitted
			v = 1
		}
		if v > most {
			bad("shares.%s: %v must not be above the %v of %s: the lowest tiers are shed first", t, v, most, above)
		}
		above, most = t, v
	}
	o := q.Overflow
	if o.After == 0 && (o.To != "" || o.Destination != "") {
		bad("overflow.after: must be set when there is a target")
	}
	if both := o.To != "" && o.Destination != ""; both || o.After > 0 && o.To == "" && o.Destination == "" {
		bad("overflow: exactly one of to and destination must be set")
	}
	if o.To != "" && (!names[o.To] || o.To == q.Name) {
		bad("overflow.to: %q must be another queue of this site", o.To)
	}
	return faults
}

// validName reports whether s may name a site, a queue: short and safe in a
// label, a key and a log line.
func validName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
