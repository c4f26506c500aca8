package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"greenlane/internal/audit"
)

// Audit says how the record of changes is kept.
type Audit struct {
	// Enabled records who changed what. Without it, nobody can tell later.
	Enabled bool `yaml:"enabled"`
	// Dir is where the record lies; empty: the directory audit below data. Each
	// daemon needs one of its own.
	Dir string `yaml:"dir"`
	// KeyFile holds an Ed25519 key in PEM that signs the record; empty: nobody does.
	KeyFile string `yaml:"key_file"`
	// With a key, the record is signed after so many records, and so long after the
	// first that is not.
	CheckpointEvery int      `yaml:"checkpoint_every"`
	CheckpointAfter Duration `yaml:"checkpoint_after"`
	// A file is followed by another when it has so many MiB or is so old.
	MaxSize int      `yaml:"max_size"`
	MaxAge  Duration `yaml:"max_age"`
	// KeepAge is how long files are kept after their last record; 0: for ever.
	KeepAge Duration `yaml:"keep_age"`
}

func defaultAudit() Audit {
	return Audit{
		Enabled: true, CheckpointEvery: 100, CheckpointAfter: Duration(time.Minute), MaxSize: 64, MaxAge: Duration(30 * 24 * time.Hour),
	}
}

const (
	maxCheckpointEvery = 100_000
	maxAuditSize       = 4096 // MiB
	maxAuditAge        = 366 * 24 * time.Hour
	minAuditKeep       = 24 * time.Hour
)

// Options returns how the record is opened, with the key read; data is the
// daemon's data directory.
func (a Audit) Options(data string) (audit.Options, error) {
	o := audit.Options{
		Dir: a.Dir, CheckpointEvery: a.CheckpointEvery, CheckpointAfter: a.CheckpointAfter.D(),
		MaxSize: int64(a.MaxSize) << 20, MaxAge: a.MaxAge.D(), Keep: a.KeepAge.D(),
	}
	if o.Dir == "" {
		o.Dir = filepath.Join(data, "audit")
	}
	if a.KeyFile != "" {
		key, err := audit.LoadKey(a.KeyFile)
		if err == nil && !key.Private() {
			err = audit.ErrPublic
		}
		if err != nil {
			return o, fmt.Errorf("audit.key_file: %w", err)
		}
		o.Key = key
	}
	return o, nil
}

// check returns every fault, joined.
func (a Audit) check() error {
	if !a.Enabled {
		return nil
	}
	_, err := a.Options("")
	faults := []error{err}
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if a.CheckpointEvery < 1 || a.CheckpointEvery > maxCheckpointEvery {
		bad("audit.checkpoint_every: %d must be between 1 and %d", a.CheckpointEvery, maxCheckpointEvery)
	}
	if a.MaxSize < 1 || a.MaxSize > maxAuditSize {
		bad("audit.max_size: %d MiB must be between 1 and %d", a.MaxSize, maxAuditSize)
	}
	for _, d := range []struct {
		key         string
		value       Duration
		least, most time.Duration
	}{
		{"checkpoint_after", a.CheckpointAfter, time.Second, time.Hour}, {"max_age", a.MaxAge, time.Hour, maxAuditAge},
	} {
		if d.value.D() < d.least || d.value.D() > d.most {
			bad("audit.%s: %v must be between %v and %v", d.key, d.value, Duration(d.least), Duration(d.most))
		}
	}
	if a.KeepAge != 0 && a.KeepAge.D() < minAuditKeep {
		bad("audit.keep_age: %v must be 0 or at least %v", a.KeepAge, Duration(minAuditKeep))
	}
	return errors.Join(faults...)
}
