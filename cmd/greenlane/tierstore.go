package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"greenlane/internal/cli"
	"greenlane/internal/discreet"
	"greenlane/internal/instant"
	"greenlane/tiering"
	"greenlane/tiering/bulk"
	"greenlane/tiering/redisdir"
)

// tierReader is what exports and counts read.
type tierReader interface {
	Walk(ctx context.Context, site string, from tiering.Cursor, limit int) ([]tiering.Item, tiering.Cursor, error)
	Count(ctx context.Context, site string) (map[tiering.Tier]int64, error)
}

// tierStore is where callers' tiers are: behind a daemon, or in its Redis.
type tierStore interface {
	tierReader
	// batch returns an empty batch of changes at one instant; a dry one only counts
	// what would move.
	batch(site string, at instant.Instant, dry bool) tierBatch
	enough() int // changes that are worth a batch
	// grading returns how callers are graded; an empty preset stands for the
	// configuration's.
	grading(ctx context.Context, preset string) (tiering.Grading, error)
	normalizer(ctx context.Context) (*tiering.Normalizer, error)
	close()
}

// tierBatch collects changes and makes them together. It may be used again after
// Write.
type tierBatch interface {
	Add(c tiering.Change, line int64) error
	Len() int
	Bytes() int
	// Write makes the changes, and returns what is wrong with single lines. After an
	// error some were made, and writing again is safe.
	Write(ctx context.Context) ([]bulk.Fault, error)
	// Moves returns what has moved since it was called last.
	Moves() tiering.Moves
}

// tierFlags say where the callers' tiers are.
type tierFlags struct {
	redisFlags
	cli.Target
}

func (f *tierFlags) register(cmd *cobra.Command) {
	f.Target.Register(cmd)
	f.redisFlags.register(cmd)
	fl := cmd.Flags()
	fl.Lookup("redis").Usage = "`host:port` of the daemon's Redis (or Sentinels, or Cluster nodes, separated by commas), to work on it without a daemon between"
	fl.Lookup("config").Usage = "daemon's configuration `file`: works on the Redis that it names, without a daemon between; flags win over it"
	fl.Lookup("region").Usage = "`country` in which numbers without a country code are read (default the daemon's)"
}

// open opens the daemon's API, or Redis when a flag names one.
func (f *tierFlags) open(ctx context.Context, cmd *cobra.Command) (tierStore, error) {
	if f.redis == "" && f.file == "" {
		store, err := f.Target.Open(cmd)
		if err != nil {
			return nil, err
		}
		return &apiTiers{TierStore: store, region: f.region}, nil
	}
	c, client, err := f.connect(cmd)
	if err != nil {
		return nil, err
	}
	keys, err := c.Privacy.Secrets()
	if err != nil {
		return nil, errors.Join(usageError{err}, client.Close())
	}
	d, err := redisdir.Open(ctx, client, redisdir.Options{
		Cache: -1, MinReplicas: c.Redis.MinReplicas, Writers: importWriters, Keys: keys,
		Log: slog.New(discreet.Handler(slog.NewTextHandler(cmd.ErrOrStderr(), nil))),
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w (greenlane doctor says what is wrong with a Redis)", err), client.Close())
	}
	return &redisTiers{Directory: d, active: c.Grading.Active(), region: c.Number.Region, closeClient: func() {
		client.Close() //nolint:errcheck // it holds nothing that could be lost
	}}, nil
}

// checkSite refuses a site that the configuration, if one is named, does not have:
// what is written under a misspelt name is read by nobody.
func (f *tierFlags) checkSite(cmd *cobra.Command) error {
	if f.file == "" {
		return nil
	}
	c, _, err := f.load(cmd)
	if err != nil {
		return err
	}
	var names []string
	for i := range c.Sites {
		names = append(names, c.Sites[i].Name)
	}
	if site := f.Site(cmd); !slices.Contains(names, site) {
		return usageErrorf("--site: %q is no site of %s, which has: %s", site, f.file, strings.Join(names, ", "))
	}
	return nil
}

// importWriters is how many pipelines are under way at once: enough that Redis
// always has one at hand while the others are made.
const importWriters = 8

// apiTiers is a tierStore behind a daemon.
type apiTiers struct {
	*cli.TierStore
	region string // empty: the daemon's
}

func (s *apiTiers) enough() int { return apiChanges }

func (s *apiTiers) close() { s.TierStore.Close() }

func (s *apiTiers) batch(site string, _ instant.Instant, dry bool) tierBatch {
	return s.TierStore.Import(site, dry)
}

func (s *apiTiers) grading(ctx context.Context, preset string) (tiering.Grading, error) {
	g, _, err := s.TierStore.Grading(ctx, preset)
	return g, err
}

func (s *apiTiers) normalizer(ctx context.Context) (*tiering.Normalizer, error) {
	region := s.region
	if region == "" {
		var err error
		if _, region, err = s.TierStore.Grading(ctx, ""); err != nil {
			return nil, err
		}
	}
	return readNumbers(region)
}

func readNumbers(region string) (*tiering.Normalizer, error) {
	n, err := tiering.NewNormalizer(region)
	if err != nil {
		return nil, usageErrorf("--region: %w", err)
	}
	return n, nil
}

// redisTiers is a tierStore in Redis.
type redisTiers struct {
	*redisdir.Directory
	active      tiering.Grading
	region      string
	closeClient func()
}

func (s *redisTiers) enough() int { return redisChanges }

func (s *redisTiers) close() {
	s.Directory.Close() //nolint:errcheck // it holds nothing that could be lost
	s.closeClient()
}

func (s *redisTiers) grading(_ context.Context, preset string) (tiering.Grading, error) {
	if preset == "" {
		return s.active, nil
	}
	g, err := tiering.Preset(preset)
	if err != nil {
		return g, usageErrorf("--preset: %w", err)
	}
	return g, nil
}

func (s *redisTiers) normalizer(context.Context) (*tiering.Normalizer, error) {
	return readNumbers(s.region)
}

func (s *redisTiers) batch(site string, at instant.Instant, dry bool) tierBatch {
	if dry {
		return &dryBatch{d: s.Directory, site: site}
	}
	return &redisBatch{s.Directory.NewImport(site, at)}
}

// redisBatch is a redisdir.Import as a tierBatch.
type redisBatch struct{ im *redisdir.Import }

func (b *redisBatch) Add(c tiering.Change, _ int64) error             { return b.im.Add(c) }
func (b *redisBatch) Len() int                                        { return b.im.Len() }
func (b *redisBatch) Bytes() int                                      { return b.im.Bytes() }
func (b *redisBatch) Write(ctx context.Context) ([]bulk.Fault, error) { return nil, b.im.Write(ctx) }

func (b *redisBatch) Moves() tiering.Moves {
	moves := b.im.Moves
	b.im.Moves = tiering.Moves{}
	return moves
}

// dryBatch counts which tiers changes would move callers between. A caller who
// is changed several times within a chunk counts as often.
type dryBatch struct {
	d       *redisdir.Directory
	site    string
	changes []tiering.Change
	moves   tiering.Moves
}

func (b *dryBatch) Add(c tiering.Change, _ int64) error {
	b.changes = append(b.changes, c)
	return nil
}

func (b *dryBatch) Len() int { return len(b.changes) }

// Bytes makes a chunk of about 40,000 changes full: more are not needed here.
func (b *dryBatch) Bytes() int { return len(b.changes) * 600 }

func (b *dryBatch) Moves() tiering.Moves {
	moves := b.moves
	b.moves = tiering.Moves{}
	return moves
}

func (b *dryBatch) Write(ctx context.Context) ([]bulk.Fault, error) {
	index := make(map[tiering.Number]int, len(b.changes))
	var numbers []tiering.Number
	for i := range b.changes {
		n := b.changes[i].Number
		if _, known := index[n]; !known {
			index[n] = len(numbers)
			numbers = append(numbers, n)
		}
	}
	now, err := b.d.LookupBatch(ctx, b.site, numbers)
	if err != nil {
		return nil, err
	}
	for i := range b.changes {
		e := &now[index[b.changes[i].Number]]
		from := tiering.TierUnset
		if *e != (tiering.Entry{}) {
			from = e.Stored()
		}
		*e, _ = b.changes[i].Apply(*e)
		b.moves[from][e.Stored()]++
	}
	b.changes = b.changes[:0]
	return nil, nil
}
