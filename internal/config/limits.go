package config

import (
	"errors"
	"fmt"

	"greenlane/tiering"
)

// Limits bound what one role, number, switch or address may use. docs/limits.md
// says why each has the value it has.
type Limits struct {
	Roles    RoleLimits `yaml:"roles"`
	Names    []Named    `yaml:"names"`
	Arrivals Arrivals   `yaml:"arrivals"`
	Connects Connects   `yaml:"connections"`
}

// RoleLimits are what each identity of a role may use.
type RoleLimits struct {
	Switch     Use `yaml:"switch"`
	Agent      Use `yaml:"agent"`
	Supervisor Use `yaml:"supervisor"`
	BackOffice Use `yaml:"back-office"`
	Metrics    Use `yaml:"metrics"`
	// Open is for each address while nobody is asked who they are.
	Open Use `yaml:"open"`
}

// Use is what one identity may use; 0 is no limit of its own.
type Use struct {
	Streams int     `yaml:"streams"` // streams and long polls open at a time
	Rate    float64 `yaml:"rate"`    // requests a second
	Burst   int     `yaml:"burst"`   // requests at once
	Message int     `yaml:"message"` // bytes of the largest message
	Headers int     `yaml:"headers"` // bytes of a request's metadata
}

// Named is what the identity of a name may use, in place of its role's.
type Named struct {
	Name string `yaml:"name"`
	Use  `yaml:",inline"`
}

// Arrivals are how many calls are let in.
type Arrivals struct {
	PerNumber int     `yaml:"per_number"` // a minute; 0: no limit
	PerSwitch int     `yaml:"per_switch"` // a minute; 0: no limit
	VIPShare  float64 `yaml:"vip_share"`  // of per_switch, for VIPs only
}

// Connects are how many connections there may be to each of the two ports.
type Connects struct {
	All        int `yaml:"all"`         // 0: no limit
	PerAddress int `yaml:"per_address"` // 0: no limit
}

// Switch is what is known of one switch, or of those that the list does not name.
type Switch struct {
	ID       string `yaml:"id"`       // OtherSwitches: those that are not named
	Trust    string `yaml:"trust"`    // the most that its attestation is worth
	Arrivals int    `yaml:"arrivals"` // a minute, in place of limits.arrivals.per_switch; 0: that
}

// OtherSwitches is the id of the entry for switches that the list does not name.
const OtherSwitches = "*"

const kib = 1 << 10

func defaultLimits() Limits {
	return Limits{
		Names: []Named{},
		Roles: RoleLimits{
			Switch:     Use{Streams: 100, Rate: 10_000, Burst: 20_000, Message: 16 << 20, Headers: 16 * kib},
			Agent:      Use{Streams: 8, Rate: 50, Burst: 200, Message: 64 * kib, Headers: 16 * kib},
			Supervisor: Use{Streams: 200, Rate: 500, Burst: 1_000, Message: 256 * kib, Headers: 16 * kib},
			BackOffice: Use{Streams: 32, Rate: 1_000, Burst: 2_000, Message: 256 * kib, Headers: 16 * kib},
			Metrics:    Use{Streams: 4, Rate: 20, Burst: 40, Message: 64 * kib, Headers: 16 * kib},
			Open:       Use{Streams: 50_000, Rate: 100_000, Burst: 100_000, Message: 16 << 20, Headers: 64 * kib},
		},
		Arrivals: Arrivals{PerNumber: 60, PerSwitch: 60_000, VIPShare: 0.2},
		Connects: Connects{All: 50_000, PerAddress: 20_000},
	}
}

// What a limit may be at most: more is a mistake in writing.
const (
	maxLimit     = 1_000_000
	maxMessage   = 16 << 20
	maxHeaders   = 64 << 10
	maxNameBytes = 128
)

func (l *Limits) check() error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf("limits."+format, args...)) }
	use := func(where string, u Use) {
		for _, f := range []struct {
			key         string
			value, most float64
			unit        string
		}{
			{"streams", float64(u.Streams), maxLimit, ""}, {"rate", u.Rate, maxLimit, ""}, {"burst", float64(u.Burst), maxLimit, ""},
			{"message", float64(u.Message) / kib, maxMessage / kib, " KiB"}, {"headers", float64(u.Headers) / kib, maxHeaders / kib, " KiB"},
		} {
			if !(f.value >= 0 && f.value <= f.most) {
				bad("%s.%s: %v%s must be 0 to %.0f%s", where, f.key, f.value, f.unit, f.most, f.unit)
			}
		}
		if u.Rate > 0 && u.Burst < 1 {
			bad("%s.burst: must be at least 1 where there is a rate", where)
		}
	}
	r := &l.Roles
	for _, role := range []struct {
		key string
		use Use
	}{{"switch", r.Switch}, {"agent", r.Agent}, {"supervisor", r.Supervisor}, {"back-office", r.BackOffice}, {"metrics", r.Metrics}, {"open", r.Open}} {
		use("roles."+role.key, role.use)
	}
	seen := map[string]bool{}
	for i, n := range l.Names {
		where := fmt.Sprintf("names[%d]", i)
		if n.Name == "" || seen[n.Name] {
			bad("%s.name: %q must name an identity, once", where, n.Name)
		}
		seen[n.Name] = true
		use(where, n.Use)
	}
	for _, f := range []struct {
		key   string
		value int
	}{
		{"arrivals.per_number", l.Arrivals.PerNumber}, {"arrivals.per_switch", l.Arrivals.PerSwitch},
		{"connections.all", l.Connects.All}, {"connections.per_address", l.Connects.PerAddress},
	} {
		if f.value < 0 || f.value > maxLimit {
			bad("%s: %d must be 0 to %d", f.key, f.value, maxLimit)
		}
	}
	if !(l.Arrivals.VIPShare >= 0 && l.Arrivals.VIPShare < 1) {
		bad("arrivals.vip_share: %v must be 0 or more, and less than 1", l.Arrivals.VIPShare)
	}
	return errors.Join(faults...)
}

func checkSwitches(list []Switch) error {
	var faults []error
	seen := map[string]bool{}
	for i, s := range list {
		bad := func(format string, args ...any) {
			faults = append(faults, fmt.Errorf("switches[%d].%w", i, fmt.Errorf(format, args...)))
		}
		if s.ID == "" || len(s.ID) > maxNameBytes || seen[s.ID] {
			bad("id: %q must name a switch, once; %s stands for all others", s.ID, OtherSwitches)
		}
		seen[s.ID] = true
		if _, err := s.trust(); err != nil {
			bad("trust: %w", err)
		}
		if s.Arrivals < 0 || s.Arrivals > maxLimit {
			bad("arrivals: %d must be 0 to %d", s.Arrivals, maxLimit)
		}
	}
	return errors.Join(faults...)
}

// trust reads how far a switch is trusted; nothing said is full.
func (s Switch) trust() (tiering.Attestation, error) {
	if s.Trust == "" {
		return tiering.AttestationFull, nil
	}
	a, err := tiering.ParseAttestation(s.Trust)
	if err == nil && a == tiering.AttestationUnset {
		err = errors.New("full, partial, gateway or none is allowed")
	}
	return a, err
}

// Trusted returns how far a switch is trusted. It was checked.
func (s Switch) Trusted() tiering.Attestation {
	a, err := s.trust()
	if err != nil {
		return tiering.AttestationNone
	}
	return a
}
