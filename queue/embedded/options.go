package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"greenlane/internal/seal"
)

// Options adjust an engine. The zero value is what a daemon wants.
type Options struct {
	// Now is the clock; nil is time.Now. It is read once for each batch.
	Now func() time.Time
	// Logger gets what an operator should know; nil discards it.
	Logger *slog.Logger
	// MaxBatch is how many commands and questions share one commit at most.
	// 0 = 512.
	MaxBatch int
	// MaxPending is how many may wait for the decider; more of them wait in Do
	// until there is room or their context ends. 0 = 8192.
	MaxPending int
	// RecentEvents is how many events are kept in memory for readers that keep
	// up; older ones are read from the file. 0 = 65,536.
	RecentEvents int
	// LockTimeout is how long Open waits for another process to let go of the
	// file. 0 = 1 s.
	LockTimeout time.Duration
	// Keys seal what is stored. A file that was stored as it is, or that other keys
	// sealed, is written anew when it is opened. nil stores records as they are.
	Keys *seal.Keys
	// CheckpointBytes is how much the journal may hold, and CheckpointAge for how
	// long, before a checkpoint brings it into the database. What it holds has to
	// be gone through after a crash. 0 = 8 MiB, 0 = 1 s.
	CheckpointBytes int
	CheckpointAge   time.Duration
	// Observe is told of each batch that was written: how many commands and
	// questions it answered, how long deciding and encoding took, and how long
	// writing and syncing the journal. It is called by the decider and must not
	// block.
	Observe func(batch int, decide, commit time.Duration)
	// WrapCommit stands around each commit, for tests of what happens when the
	// disk fails: it may return an error before or after calling commit, or
	// panic. nil just calls commit.
	WrapCommit func(commit func() error) error
	// WrapCheckpoint is the same for checkpoints.
	WrapCheckpoint func(checkpoint func() error) error
	// NoTimers leaves it to commands (queue.Tick is one) to fire the timers that
	// are due: for tests whose clock goes its own way.
	NoTimers bool
	// NoSync leaves out the fsyncs. OK then no longer means durable: for
	// benchmarks and tests only.
	NoSync bool
}

func (o Options) withDefaults() (Options, error) {
	var faults []error
	for _, n := range []struct {
		name  string
		value *int
		usual int
	}{
		{"MaxBatch", &o.MaxBatch, 512},
		{"MaxPending", &o.MaxPending, 8192},
		{"RecentEvents", &o.RecentEvents, 65_536},
		{"CheckpointBytes", &o.CheckpointBytes, 8 << 20},
	} {
		if *n.value < 0 {
			faults = append(faults, fmt.Errorf("embedded: %s: %d must not be negative (0 = %d)", n.name, *n.value, n.usual))
		}
		if *n.value == 0 {
			*n.value = n.usual
		}
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
	}{{"LockTimeout", &o.LockTimeout}, {"CheckpointAge", &o.CheckpointAge}} {
		if *d.value < 0 {
			faults = append(faults, fmt.Errorf("embedded: %s: %v must not be negative", d.name, *d.value))
		}
		if *d.value == 0 {
			*d.value = time.Second
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	plain := func(do func() error) error { return do() }
	if o.WrapCommit == nil {
		o.WrapCommit = plain
	}
	if o.WrapCheckpoint == nil {
		o.WrapCheckpoint = plain
	}
	return o, errors.Join(faults...)
}
