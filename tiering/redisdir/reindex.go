package redisdir

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/seal"
	"greenlane/tiering"
)

// Reindexing brings all tiers in a Redis from the places that an old index key gives
// them to those of a new one, while no daemon uses them. It has three phases, each of
// which can be repeated, and which schemaKey names, so that no daemon starts meanwhile:
//
//	copy   every caller is written, under the new key, into keys that begin with
//	       draftPrefix; what was there stays as it is
//	drop   the copy is as large as what it was made of, which is deleted
//	move   the copy's keys get their names
//
// Broken off while it copies, it begins anew; later, it goes on where it was.
const (
	draftPrefix = prefix + "next:"
	reindexing  = "reindexing"
	phaseCopy   = "copy"
	phaseDrop   = "drop"
	phaseMove   = "move"
)

// reindexPage is how many callers are copied at a time.
const reindexPage = 5000

// Reindexed is what a reindexing came to.
type Reindexed struct {
	Callers, Ratings int64
	Done             bool // it was done before: there was nothing to do
}

// ReindexOptions of Reindex.
type ReindexOptions struct {
	Log *slog.Logger
	// MinReplicas is how many replicas must have each phase before the next begins.
	MinReplicas int
	// DropDamaged leaves behind what can't be read; else it ends the reindexing.
	DropDamaged bool
	// Begins is called, if not nil, with each phase that begins.
	Begins func(phase string)
}

var errReindexing = fmt.Errorf("%w: they are being indexed anew, or that was broken off: `greenlane tiers reindex` goes on with it", ErrSchema)

// Reindex brings all tiers in Redis, of every site, from the places of keys.Old() to
// those of keys. Its user needs SCAN, UNLINK and PUBSUB beside the daemon's commands.
// It is safe to repeat. While it runs it takes as much memory again as the tiers do.
//
// Errors: what stands in the way; until everything is copied, nothing has changed.
func Reindex(ctx context.Context, client redis.UniversalClient, keys *seal.Keys, o ReindexOptions) (Reindexed, error) {
	if keys.Old() == nil {
		return Reindexed{}, errors.New("there is no old index key to be replaced")
	}
	r := &reindex{client: client, o: o, to: newLayout(keys)}
	r.from = newDirectory(client, Options{Log: o.Log, Keys: keys.Old(), Cache: -1})
	defer r.from.Close() //nolint:errcheck // it holds nothing that could be lost
	r.oldMark, r.newMark = r.from.layout.schema(), r.to.schema()
	return r.run(ctx)
}

type reindex struct {
	client           redis.UniversalClient
	o                ReindexOptions
	from             *Directory
	to               layout
	oldMark, newMark string
}

// phase is what schemaKey says of a reindexing: its phase, the mark of what it rests
// on (what is copied, then the copy), and how many callers and ratings the copy has.
func (r *reindex) phase(name string, c census) string {
	return fmt.Sprintf("%s %s %s %s %d %d", schema, reindexing, name, strings.TrimPrefix(r.restsOn(name), schema+" "), c.callers, c.ratings)
}

func (r *reindex) restsOn(phase string) (mark string) {
	if phase == phaseCopy {
		return r.oldMark
	}
	return r.newMark
}

// parsePhase is the opposite of phase.
func parsePhase(text string) (name, mark string, c census, ok bool) {
	words := strings.Fields(text)
	if len(words) != 8 || words[1] != reindexing {
		return "", "", c, false
	}
	var err, err2 error
	c.callers, err = strconv.ParseInt(words[6], 10, 64)
	c.ratings, err2 = strconv.ParseInt(words[7], 10, 64)
	return words[2], strings.Join(append([]string{schema}, words[3:6]...), " "), c, err == nil && err2 == nil
}

func (r *reindex) run(ctx context.Context) (Reindexed, error) {
	text, err := r.client.Get(ctx, schemaKey).Result()
	if errors.Is(err, redis.Nil) {
		return Reindexed{}, errors.New("there are no tiers in this Redis")
	}
	if err != nil {
		return Reindexed{}, err
	}
	name, mark, want, under := parsePhase(text)
	switch {
	case text == r.newMark:
		return Reindexed{Done: true}, nil
	case under && mark != r.restsOn(name):
		return Reindexed{}, fmt.Errorf("%w: the reindexing under way was begun with another old or new one", seal.ErrIndex)
	case !under && text != r.oldMark:
		return Reindexed{}, r.from.layout.checkKeys(text)
	case !under:
		name = phaseCopy
	}
	if err := r.alone(ctx); err != nil {
		return Reindexed{}, err
	}
	if name == phaseCopy {
		if want, err = r.copy(ctx); err != nil {
			return Reindexed{}, errors.Join(err, r.giveUp(ctx))
		}
		name = phaseDrop
	}
	if name == phaseDrop {
		if err := r.drop(ctx, want); err != nil {
			return Reindexed{}, err
		}
	}
	return Reindexed{Callers: want.callers, Ratings: want.ratings}, r.move(ctx, want)
}

func (r *reindex) begin(phase string) {
	if r.o.Begins != nil {
		r.o.Begins(phase)
	}
}

// alone looks whether daemons are there: each of them listens for changes.
func (r *reindex) alone(ctx context.Context) error {
	listening := int64(0)
	err := each(ctx, r.client, func(ctx context.Context, node *redis.Client) error {
		n, err := node.PubSubNumSub(ctx, channel).Result()
		listening += n[channel]
		return err
	})
	if err == nil && listening > 0 {
		err = fmt.Errorf("%d daemons use these tiers: stop them first", listening)
	}
	return err
}

// copy writes every caller again, and returns how many that are.
func (r *reindex) copy(ctx context.Context) (census, error) {
	r.begin(phaseCopy)
	if err := r.set(ctx, r.phase(phaseCopy, census{})); err != nil {
		return census{}, err
	}
	if err := r.remove(ctx, draftPrefix); err != nil {
		return census{}, err
	}
	before, err := r.count(ctx, prefix)
	if err != nil {
		return census{}, err
	}
	for _, site := range before.names() {
		if err := r.copySite(ctx, site); err != nil {
			return census{}, fmt.Errorf("site %s: %w", site, err)
		}
	}
	old, err := r.count(ctx, prefix) // what could not be read was set aside only now
	if err != nil {
		return census{}, err
	}
	drafts, err := r.count(ctx, draftPrefix)
	if err != nil {
		return census{}, err
	}
	damaged := old.damaged + max(old.ratings-drafts.ratings, 0)
	switch {
	case drafts.callers != old.callers:
		return census{}, fmt.Errorf("%d callers were copied of %d: somebody else changes them", drafts.callers, old.callers)
	case damaged > 0 && !r.o.DropDamaged:
		return census{}, fmt.Errorf("%d entries or ratings can't be read, and would be lost: mend or erase them, or say that they may be", damaged)
	}
	return drafts, r.settle(ctx)
}

// giveUp leaves everything as it was before the copying.
func (r *reindex) giveUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := r.remove(ctx, draftPrefix); err != nil {
		return err
	}
	return r.set(ctx, r.oldMark)
}

func (r *reindex) copySite(ctx context.Context, site string) error {
	var counts [shards][len(tiering.Tiers) + 1]int64
	for cursor := tiering.Cursor(""); ; {
		items, next, err := r.from.Walk(ctx, site, cursor, reindexPage)
		if err != nil && (!errors.Is(err, tiering.ErrCorrupt) || !r.o.DropDamaged) {
			return err
		}
		pipe := r.client.Pipeline()
		for i := range items {
			p := r.to.placeOf(items[i].Number)
			counts[p.shard()][r.put(ctx, pipe, site, p, items[i].Entry)]++
		}
		if err := send(ctx, pipe); err != nil {
			return err
		}
		if cursor = next; next == "" {
			break
		}
	}
	pipe := r.client.Pipeline()
	for shard := range counts {
		values := []any{"v", 1}
		for tier, n := range counts[shard][1:] {
			values = append(values, strconv.Itoa(tier+1), n)
		}
		pipe.HSet(ctx, draftOf(countsKey(site, shard)), values...)
	}
	if err := send(ctx, pipe); err != nil {
		return err
	}
	return r.copyRatings(ctx, site)
}

// put has an entry written at its new place, and returns the tier under which it is
// counted.
func (r *reindex) put(ctx context.Context, pipe redis.Pipeliner, site string, p place, e tiering.Entry) tiering.Tier {
	value, long := r.to.encode(p, e)
	pipe.HSet(ctx, draftOf(bucketKey(site, p.bucket)), p.field, value)
	if long != "" {
		pipe.HSet(ctx, draftOf(extraKey(site, p.shard())), p.extraField(), long)
	}
	tier := tierOf(value)
	if tier == tiering.Blacklist {
		pipe.ZAdd(ctx, draftOf(blackKey(site, p.shard())), redis.Z{Member: p.extraField()})
	}
	return tier
}

func (r *reindex) copyRatings(ctx context.Context, site string) error {
	for cursor := tiering.Cursor(""); ; {
		page, next, err := r.from.WalkRatings(ctx, site, cursor, reindexPage)
		if err != nil {
			return err
		}
		pipe := r.client.Pipeline()
		for _, rated := range page {
			key := draftOf(ratingsKey(site, r.to.placeOf(rated.Number).shard()))
			pipe.HSet(ctx, key, r.to.ratingsField(rated.Number), tiering.EncodeRatings(rated.Number, rated.Satisfaction))
		}
		if err := send(ctx, pipe); err != nil {
			return err
		}
		if cursor = next; next == "" {
			return nil
		}
	}
}

// drop deletes what was copied, if the copy is still whole.
func (r *reindex) drop(ctx context.Context, want census) error {
	have, err := r.count(ctx, draftPrefix)
	if err != nil {
		return err
	}
	if have.callers != want.callers || have.ratings != want.ratings {
		return fmt.Errorf("redis has lost a part of the copy: %d of %d callers are left; restore a backup", have.callers, want.callers)
	}
	if err := r.set(ctx, r.phase(phaseDrop, want)); err != nil {
		return err
	}
	r.begin(phaseDrop)
	if err := r.remove(ctx, prefix); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	return r.set(ctx, r.phase(phaseMove, want))
}

// move gives the copy its names.
func (r *reindex) move(ctx context.Context, want census) error {
	r.begin(phaseMove)
	err := r.keys(ctx, draftPrefix, func(ctx context.Context, node *redis.Client, found []string) error {
		pipe := node.Pipeline()
		for _, key := range found {
			pipe.Rename(ctx, key, prefix+strings.TrimPrefix(key, draftPrefix))
		}
		return send(ctx, pipe)
	})
	if err != nil {
		return err
	}
	have, err := r.count(ctx, prefix)
	if err != nil {
		return err
	}
	if have.callers != want.callers || have.ratings != want.ratings {
		return fmt.Errorf("redis has lost a part of the copy: %d of %d callers are left; restore a backup", have.callers, want.callers)
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	return r.set(ctx, r.newMark)
}

// draftOf is where a key lies until it gets its name: in the same slot of a Cluster.
func draftOf(key string) string { return draftPrefix + strings.TrimPrefix(key, prefix) }

// send runs a pipeline that may be empty.
func send(ctx context.Context, pipe redis.Pipeliner) error {
	if pipe.Len() == 0 {
		return nil
	}
	_, err := pipe.Exec(ctx)
	return err
}

// census is what lies under the keys of one prefix.
type census struct {
	callers, ratings, damaged int64
	sites                     []string
}

func (c *census) names() []string {
	slices.Sort(c.sites)
	return slices.Compact(c.sites)
}
