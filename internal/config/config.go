package config

import (
	"time"

	"greenlane/queue"
	"greenlane/tiering"
)

// Engines that can be asked for.
const (
	EngineEmbedded = "embedded"
	EngineRedis    = "redis"
)

// Where the daemon listens unless it is told otherwise.
const (
	DefaultListen = "127.0.0.1:7316"
	DefaultHTTP   = "127.0.0.1:7317"
	DefaultData   = "./data"
)

// Config is the whole configuration, as the file spells it.
type Config struct {
	// Listen is the address of the gRPC API, host:port; port 0 picks a free one.
	Listen string `yaml:"listen"`
	// HTTP is the address of the pages, /metrics, /healthz and /readyz; empty turns
	// it off.
	HTTP string `yaml:"http"`
	// HTTPHosts are the names under which browsers reach HTTP, beside localhost and
	// addresses.
	HTTPHosts []string `yaml:"http_hosts"`
	// Web serves the wallboard, the agent page and the API for browsers at HTTP.
	Web bool `yaml:"web"`
	// Data is the directory of the embedded engine and the embedded tier directory.
	Data string `yaml:"data"`
	// Engine is EngineEmbedded or EngineRedis.
	Engine string `yaml:"engine"`
	Redis  Redis  `yaml:"redis"`
	// Insecure allows an address that others can reach without TLS, or without
	// asking them who they are.
	Insecure bool `yaml:"insecure"`
	TLS      TLS  `yaml:"tls"`
	// Reflection lets grpcurl and others ask the daemon for its API.
	Reflection bool   `yaml:"reflection"`
	Number     Number `yaml:"number"`
	// TierLookupDeadline is how long a call waits for the answer who its caller
	// is, before it is queued as ordinary and provisional.
	TierLookupDeadline Duration `yaml:"tier_lookup_deadline"`
	// VIPRequiresAttestation serves a VIP whose number the switch does not fully
	// trust as ordinary.
	VIPRequiresAttestation bool    `yaml:"vip_requires_attestation"`
	Grading                Grading `yaml:"grading"`
	// AnnounceEvery is how often a waiting caller may be told place and wait.
	AnnounceEvery Duration `yaml:"announce_every"`
	// HeartbeatEvery is how often a stream says at least that it is alive.
	HeartbeatEvery Duration `yaml:"heartbeat_every"`
	// StopTimeout is how long a stop waits for requests at hand.
	StopTimeout Duration `yaml:"stop_timeout"`
	Privacy     Privacy  `yaml:"privacy"`
	Sites       []Site   `yaml:"sites"`
	// Auth says who is who.
	Auth     Auth     `yaml:"auth"`
	Audit    Audit    `yaml:"audit"`
	Limits   Limits   `yaml:"limits"`
	Switches []Switch `yaml:"switches"`
	Care     Care     `yaml:"care"`
}

// Number says how phone numbers are read.
type Number struct {
	Region string `yaml:"region"`
}

// Default returns the configuration of a daemon that was told nothing.
func Default() *Config {
	return &Config{
		Listen: DefaultListen, HTTP: DefaultHTTP, HTTPHosts: []string{}, Web: true, Data: DefaultData, Engine: EngineEmbedded,
		Redis:      defaultRedis(),
		Reflection: true, Number: Number{Region: "CN"},
		TierLookupDeadline: Duration(50 * time.Millisecond),
		Grading:            gradingOf(tiering.DefaultScheme()),
		AnnounceEvery:      Duration(15 * time.Second),
		HeartbeatEvery:     Duration(3 * time.Second),
		StopTimeout:        Duration(10 * time.Second),
		Privacy:            Privacy{Keys: []PrivacyKey{}},
		Sites:              []Site{siteOf(queue.DefaultSite("main"))},
		Auth:               defaultAuth(),
		Audit:              defaultAudit(),
		Limits:             defaultLimits(), Switches: []Switch{},
		Care: defaultCare(),
	}
}

// Flags are the settings that the command line may give; nil ones were not given.
type Flags struct {
	Listen, HTTP, Data, Engine, Redis *string
	Insecure                          *bool
}

func (f Flags) apply(c *Config) {
	for _, s := range []struct {
		from *string
		to   *string
	}{{f.Listen, &c.Listen}, {f.HTTP, &c.HTTP}, {f.Data, &c.Data}, {f.Engine, &c.Engine}} {
		if s.from != nil {
			*s.to = *s.from
		}
	}
	if f.Redis != nil {
		c.Redis.Addresses = splitList(*f.Redis)
	}
	if f.Insecure != nil {
		c.Insecure = *f.Insecure
	}
}
