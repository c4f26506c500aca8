package config

import (
	"errors"
	"fmt"
	"sort"
	"time"

	"greenlane/queue"
	"greenlane/tiering"
)

// Site is one routing domain, as the file spells it.
type Site struct {
	Name         string            `yaml:"name"`
	Zone         string            `yaml:"zone"`
	DefaultQueue string            `yaml:"default_queue"`
	Queues       []Queue           `yaml:"queues"`
	Routes       map[string]string `yaml:"routes"` // dialled number -> queue
	Callback     Callback          `yaml:"callback"`
	Preemption   bool              `yaml:"preemption"`
	// Blacklist is "last" (served after everyone) or "reject" (refused).
	Blacklist    string   `yaml:"blacklist"`
	MaxWaiting   int      `yaml:"max_waiting"`
	AckTimeout   Duration `yaml:"ack_timeout"`
	OwnerLease   Duration `yaml:"owner_lease"`
	PollGrace    Duration `yaml:"poll_grace"`
	SignInGrace  Duration `yaml:"sign_in_grace"`
	MaxTalk      Duration `yaml:"max_talk"`
	ShortAbandon Duration `yaml:"short_abandon"`
	Keep         Keep     `yaml:"keep"`

	faults faults
}

// Keep says how long ended things are remembered, by age and by number.
type Keep struct {
	CallsAge     Duration `yaml:"calls_age"`
	Calls        int      `yaml:"calls"`
	CallbacksAge Duration `yaml:"callbacks_age"`
	Callbacks    int      `yaml:"callbacks"`
	RequestsAge  Duration `yaml:"requests_age"`
	Requests     int      `yaml:"requests"`
	EventsAge    Duration `yaml:"events_age"`
	Events       int      `yaml:"events"`
	CohortsAge   Duration `yaml:"cohorts_age"`
	AgentsAge    Duration `yaml:"agents_age"`
	// TiersAge is how long a caller's tier is kept after its last change; 0: until it
	// is changed or erased.
	TiersAge Duration `yaml:"tiers_age"`
}

// minTiersAge is how young no tier lapses: whoever keeps tiers must be able to renew
// them in between.
const minTiersAge = 24 * time.Hour

// Callback says who is called back, and when.
type Callback struct {
	Tiers          []string  `yaml:"tiers"`
	Delay          Duration  `yaml:"delay"`
	WindowFrom     ClockTime `yaml:"window_from"`
	WindowTo       ClockTime `yaml:"window_to"`
	MaxAttempts    int       `yaml:"max_attempts"`
	Deadline       Duration  `yaml:"deadline"`
	RetryDelay     Duration  `yaml:"retry_delay"`
	EscalateBefore Duration  `yaml:"escalate_before"`
	ClaimLease     Duration  `yaml:"claim_lease"`
}

// What a site does with blacklisted callers.
const (
	BlacklistLast   = "last"
	BlacklistReject = "reject"
)

// siteOf spells a site.
func siteOf(s queue.Site) Site {
	out := Site{
		Name: s.Name, Zone: s.Zone.String(), DefaultQueue: s.DefaultQueue, Routes: s.Routes, Preemption: s.Preemption,
		Blacklist: BlacklistLast, MaxWaiting: s.MaxWaiting,
		AckTimeout: Duration(s.AckTimeout), OwnerLease: Duration(s.OwnerLease), PollGrace: Duration(s.PollGrace),
		SignInGrace: Duration(s.SignInGrace), MaxTalk: Duration(s.MaxTalk), ShortAbandon: Duration(s.ShortAbandon),
		Callback: Callback{
			Tiers: []string{}, Delay: Duration(s.Callback.Delay),
			WindowFrom: ClockTime(s.Callback.WindowFrom), WindowTo: ClockTime(s.Callback.WindowTo),
			MaxAttempts: s.Callback.MaxAttempts, Deadline: Duration(s.Callback.Deadline),
			RetryDelay: Duration(s.Callback.RetryDelay), EscalateBefore: Duration(s.Callback.EscalateBefore),
			ClaimLease: Duration(s.Callback.ClaimLease),
		},
		Keep: Keep{
			CallsAge: Duration(s.Keep.CallsAge), Calls: s.Keep.Calls,
			CallbacksAge: Duration(s.Keep.CallbacksAge), Callbacks: s.Keep.Callbacks,
			RequestsAge: Duration(s.Keep.RequestsAge), Requests: s.Keep.Requests,
			EventsAge: Duration(s.Keep.EventsAge), Events: s.Keep.Events,
			CohortsAge: Duration(s.Keep.CohortsAge), AgentsAge: Duration(s.Keep.AgentsAge),
		},
	}
	for _, t := range s.Callback.Tiers {
		out.Callback.Tiers = append(out.Callback.Tiers, t.String())
	}
	if s.RejectBlacklist {
		out.Blacklist = BlacklistReject
	}
	if s.Routes == nil {
		out.Routes = map[string]string{}
	}
	for _, q := range s.Queues {
		out.Queues = append(out.Queues, queueOf(q))
	}
	return out
}

// Build returns the site that the queue core decides by, and every fault of it.
func (s *Site) Build() (queue.Site, error) {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	zone, err := loadZone(s.Zone)
	if err != nil {
		bad("zone: %w", err)
		zone = time.UTC // the fault is told; what else is wrong is told too
	}
	out := queue.Site{
		Name: s.Name, Zone: zone, DefaultQueue: s.DefaultQueue, Routes: s.Routes, Preemption: s.Preemption,
		RejectBlacklist: s.Blacklist == BlacklistReject, MaxWaiting: s.MaxWaiting,
		AckTimeout: s.AckTimeout.D(), OwnerLease: s.OwnerLease.D(), PollGrace: s.PollGrace.D(),
		SignInGrace: s.SignInGrace.D(), MaxTalk: s.MaxTalk.D(), ShortAbandon: s.ShortAbandon.D(),
		Keep: queue.Keep{
			CallsAge: s.Keep.CallsAge.D(), Calls: s.Keep.Calls,
			CallbacksAge: s.Keep.CallbacksAge.D(), Callbacks: s.Keep.Callbacks,
			RequestsAge: s.Keep.RequestsAge.D(), Requests: s.Keep.Requests,
			EventsAge: s.Keep.EventsAge.D(), Events: s.Keep.Events,
			CohortsAge: s.Keep.CohortsAge.D(), AgentsAge: s.Keep.AgentsAge.D(),
		},
	}
	if age := s.Keep.TiersAge.D(); age != 0 && age < minTiersAge {
		bad("keep.tiers_age: %v must be 0 or at least %v", s.Keep.TiersAge, Duration(minTiersAge))
	}
	if s.Blacklist != BlacklistLast && s.Blacklist != BlacklistReject {
		bad("blacklist: %q is unknown: %s or %s is allowed", s.Blacklist, BlacklistLast, BlacklistReject)
	}
	if out.DefaultQueue == "" && len(s.Queues) > 0 {
		out.DefaultQueue = s.Queues[0].Name
	}
	cb := s.Callback
	p := &out.Callback
	p.Delay, p.WindowFrom, p.WindowTo, p.Zone = cb.Delay.D(), cb.WindowFrom.D(), cb.WindowTo.D(), zone
	p.MaxAttempts, p.Deadline, p.RetryDelay = cb.MaxAttempts, cb.Deadline.D(), cb.RetryDelay.D()
	p.EscalateBefore, p.ShortAbandon, p.ClaimLease = cb.EscalateBefore.D(), out.ShortAbandon, cb.ClaimLease.D()
	for i, name := range cb.Tiers {
		t, err := tiering.ParseTier(name)
		if err != nil {
			bad("callback.tiers[%d]: %w", i, err)
			continue
		}
		p.Tiers = append(p.Tiers, t)
	}
	for i := range s.Queues {
		q, err := s.Queues[i].build(zone)
		if err != nil {
			faults = append(faults, err)
		}
		out.Queues = append(out.Queues, q)
	}
	faults = append(faults, out.Validate())
	return out, errors.Join(faults...)
}

func loadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("%q is not allowed: the name of a time zone, such as Asia/Shanghai, so that every machine decides alike", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is no time zone known here: a name such as Asia/Shanghai is allowed", name)
	}
	return zone, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
