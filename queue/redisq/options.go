package redisq

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"greenlane/internal/seal"
)

// Options adjust an engine. The zero value is what a daemon wants.
type Options struct {
	// Prefix begins the name of every key. "" = DefaultPrefix.
	Prefix string
	// Now is the clock; nil is time.Now. It is read once for each batch.
	Now func() time.Time
	// Logger gets what an operator should know; nil discards it.
	Logger *slog.Logger
	// Keys seal what is stored. What is stored otherwise is sealed when the engine is
	// opened. nil stores records as they are.
	Keys *seal.Keys
	// MinReplicas is how many replicas must have a commit before it is
	// acknowledged. 0 = none: OK means that Redis has it.
	MinReplicas int
	// ConfirmWithin is how long the replicas may take. 0 = 1 s.
	ConfirmWithin time.Duration
	// Timeout bounds one exchange with Redis. 0 = 3 s.
	Timeout time.Duration
	// MaxBatch is how many commands and questions share one commit at most. 0 = 64.
	MaxBatch int
	// MaxPending is how many may wait for the decider; more of them wait in Do until
	// there is room or their context ends. 0 = 8192.
	MaxPending int
	// RecentEvents is how many events are kept in memory for readers that keep
	// up; older ones are read from Redis. 0 = 16,384. It is never more than the
	// site keeps.
	RecentEvents int
	// Observe is told of each exchange with Redis: how many commands and questions it
	// was for, how long it took, and what went wrong. It must not block. nil: nobody is.
	Observe func(commands int, took time.Duration, err error)
	// NoTimers leaves it to commands (queue.Tick is one) to fire the timers that
	// are due: for tests whose clock goes its own way.
	NoTimers bool

	mostFired int // timers that one commit fires; tests have fewer. 0 = usualFired
}

func (o Options) withDefaults() (Options, error) {
	var faults []error
	for _, n := range []struct {
		name  string
		value *int
		usual int
	}{
		{"MinReplicas", &o.MinReplicas, 0},
		{"MaxBatch", &o.MaxBatch, 64},
		{"MaxPending", &o.MaxPending, 8192},
		{"RecentEvents", &o.RecentEvents, 16_384},
		{"mostFired", &o.mostFired, usualFired},
	} {
		if *n.value < 0 {
			faults = append(faults, fmt.Errorf("redisq: %s: %d must not be negative (0 = %d)", n.name, *n.value, n.usual))
		}
		if *n.value == 0 {
			*n.value = n.usual
		}
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		usual time.Duration
	}{{"ConfirmWithin", &o.ConfirmWithin, time.Second}, {"Timeout", &o.Timeout, 3 * time.Second}} {
		if *d.value < 0 {
			faults = append(faults, fmt.Errorf("redisq: %s: %v must not be negative", d.name, *d.value))
		}
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, errors.Join(faults...)
}
